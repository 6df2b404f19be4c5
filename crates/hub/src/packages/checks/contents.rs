// SPDX-License-Identifier: Apache-2.0
//! What is in a package, and what it says of itself.

use std::collections::BTreeSet;

use lint::{Beside, Contents, Severity};
use package::{Package, PackagePlatform, ProgramSpec};
use spdx::{Expression, LicenseReq};
use wire::hub::{Finding, Level};

use super::{Subject, finding};
use crate::answer::whole;
use crate::config::OnFixed;

/// Shorter documentation than this helps nobody, in bytes.
const SHORT_BYTES: usize = 300;
/// What is larger takes long on small machines.
const LARGE_BYTES: u64 = 16 * 1024 * 1024;
/// The rules of `l3af lint` that find reads of kernel structures at fixed places, which are not CO-RE.
pub(in crate::packages) const FIXED: [&str; 2] = ["fixed-access", "fixed-read"];

/// It is called as the place that it was pushed to.
pub(super) fn identity(subject: &Subject<'_>) -> Vec<Finding> {
    let (info, release) = (&subject.package.manifest.package, subject.release);
    let pairs = [
        ("publisher", info.publisher.to_string(), release.publisher.clone()),
        ("name", info.name.to_string(), release.name.clone()),
        ("version", info.version.to_string(), release.version.to_string()),
    ];
    let differ = pairs.into_iter().filter(|(_, said, pushed)| said != pushed);
    let told = differ.map(|(key, said, pushed)| {
        let what = format!("`package.{key}` is `{said}`, and it was pushed as `{pushed}`");
        finding(Level::Fail, what, "push it to `publisher/name`, by its version")
    });
    told.collect()
}

/// Reviewers look at licences that neither the OSI nor the FSF know as free.
pub(super) fn licence(subject: &Subject<'_>) -> Vec<Finding> {
    let given = &subject.package.manifest.package.license;
    match Expression::parse(given) {
        Err(error) => {
            let what = format!("`{given}` is no SPDX expression: {}", error.reason);
            vec![finding(Level::Fail, what, "see https://spdx.org/licenses/")]
        }
        Ok(expression) if expression.evaluate(is_free) => Vec::new(),
        Ok(_) => {
            let what = format!("`{given}` needs a licence that neither the OSI nor the FSF calls free");
            vec![finding(Level::Warn, what, "say in the documentation what it permits")]
        }
    }
}

fn is_free(license: &LicenseReq) -> bool {
    license.license.id().is_some_and(|id| id.is_osi_approved() || id.is_fsf_free_libre())
}

/// The kernel that it asks for has all kinds of its programs.
pub(super) fn kernel(subject: &Subject<'_>) -> Vec<Finding> {
    let min = subject.package.manifest.kernel.min;
    let kinds: BTreeSet<_> = subject.package.manifest.programs.iter().flat_map(ProgramSpec::kinds).collect();
    let told = kinds.into_iter().filter(|kind| kind.since() > min).map(|kind| {
        let what = format!("`kernel.min` is {min}, but `{kind}` is there since {} only", kind.since());
        finding(Level::Fail, what, format!("raise `kernel.min` to {}", kind.since()))
    });
    told.collect()
}

/// There is something to read.
pub(super) fn documentation(subject: &Subject<'_>) -> Vec<Finding> {
    let path = &subject.package.manifest.package.documentation;
    let length = subject.package.platforms.iter().filter_map(|entry| entry.files.bytes(path));
    let length = length.map(|bytes| bytes.trim_ascii().len()).min().unwrap_or(0);
    let hint = "say what it does, what it needs, how it is configured, and what it leaves out";
    match length {
        0 => vec![finding(Level::Fail, format!("`{path}` is empty"), hint)],
        1..SHORT_BYTES => vec![finding(Level::Warn, format!("`{path}` has only {length} bytes"), hint)],
        _ => Vec::new(),
    }
}

/// It is not larger than this hub takes.
pub(super) fn size(subject: &Subject<'_>) -> Vec<Finding> {
    let most = subject.rules.max_package_bytes;
    let told = subject.package.platforms.iter().filter_map(|entry| {
        let bytes = unpacked(entry);
        let what = format!("for {} it has {bytes} bytes", entry.platform);
        if bytes > most {
            Some(finding(
                Level::Fail,
                format!("{what}, and this hub takes {most}"),
                "leave out what nobody needs",
            ))
        } else if bytes > LARGE_BYTES {
            Some(finding(
                Level::Warn,
                what,
                "strip the program for user space, and leave out what nobody needs",
            ))
        } else {
            None
        }
    });
    told.collect()
}

/// None of its objects was rejected before, whatever it is called now.
pub(super) fn rejected(subject: &Subject<'_>) -> Vec<Finding> {
    let told = subject.rejected.iter().map(|(digest, reason)| {
        let what = format!("its object {digest} was rejected before: {reason}");
        finding(Level::Fail, what, "mend what was rejected; a name does not make it another program")
    });
    told.collect()
}

/// What reviewers would ask for. Whether what is not CO-RE may be released, the hub's configuration says.
pub(super) fn lint(subject: &Subject<'_>) -> Vec<Finding> {
    let found = match linted(subject.package) {
        Ok(found) => found,
        Err(why) => return vec![finding(Level::Fail, whole(&why), "run `l3af lint`")],
    };
    let fixed = if subject.rules.not_co_re == OnFixed::Refuse { Level::Fail } else { Level::Warn };
    let told = found.into_iter().filter(|found| found.severity != Severity::Note).filter_map(|found| {
        let level = if FIXED.contains(&found.rule.name) { fixed } else { Level::Warn };
        // A silence is the author's word, which does not make a program portable.
        (found.silenced.is_none() || level == Level::Fail).then(|| {
            let what = format!("{} ({}): {}", found.place, found.rule.name, found.what);
            finding(level, what, found.hint)
        })
    });
    told.collect()
}

/// The findings for all platforms, which mostly have the same files.
pub(in crate::packages) fn linted(package: &Package) -> Result<Vec<lint::Finding>, lint::Unreadable> {
    let mut findings = Vec::new();
    for platform in &package.platforms {
        let files = platform.files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice()));
        findings.extend(lint::lint(&Contents::package(&package.manifest, files, Beside::Unknown))?);
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

pub(in crate::packages) fn unpacked(entry: &PackagePlatform) -> u64 {
    entry.files.iter().map(|file| file.bytes.len() as u64).sum()
}
