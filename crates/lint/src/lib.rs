// SPDX-License-Identifier: Apache-2.0
//! What reviewers would say of a package before they look at what it does.
//!
//! [`lint`] is a pure function from what a package holds to findings; each names its [`Rule`], where, what, why, and what to do.
//! `docs/lint.md` lists the rules. This crate does no I/O, loads nothing and judges no behaviour: whether a program is good is
//! for people and the kernel's verifier.

mod contents;
mod documents;
mod examined;
mod finding;
mod helper;
mod hygiene;
mod instruction;
mod interface;
mod kernel;
mod license;
mod privileges;
mod reads;
mod registers;
mod rule;
mod rules;
mod silences;
mod sizes;

pub use contents::{Beside, Contents, Unreadable};
pub use finding::{Finding, Place, Severity};
pub use rule::{Area, Rule};
pub use rules::RULES;

use examined::Examined;

/// As many findings of one rule are told for one file.
const MANY: usize = 100;

/// Looks a package, or an object, over. Findings that the manifest silences are told too, and why they are silenced.
///
/// # Errors
/// When an object cannot be read, or does not have what the manifest says.
pub fn lint(contents: &Contents<'_>) -> Result<Vec<Finding>, Unreadable> {
    let (mut findings, mut interfaces) = (Vec::new(), contents.interfaces()?);
    for path in contents.objects() {
        let examined = Examined::new(contents, path, interfaces.remove(path))?;
        for check in
            [kernel::check, license::check, interface::check, sizes::check, reads::check, hygiene::check]
        {
            check(&examined, &mut findings);
        }
    }
    if let Some(manifest) = contents.manifest() {
        documents::check(manifest, contents, &mut findings);
        privileges::check(manifest, &mut findings);
        silences::apply(manifest, &mut findings);
    }
    findings.sort();
    findings.dedup();
    Ok(few(&findings))
}

/// Not more of one rule than anybody reads: an object that is made up could break one a million times. How many are left out is told.
fn few(findings: &[Finding]) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    let alike = |one: &Finding, other: &Finding| one.rule == other.rule && one.place.file == other.place.file;
    for group in findings.chunk_by(alike) {
        kept.extend(group.iter().take(MANY).cloned());
        if let (Some(last), Some(more @ 1..)) = (kept.last_mut(), group.len().checked_sub(MANY)) {
            last.what = format!("{}; and {more} more in this file", last.what);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_anybody_reads_is_counted() {
        let finding = |slot: usize, rule| {
            let place = Place { instruction: Some(slot), ..Place::file("a.bpf.o") };
            Finding::new(rule, place, "it prints")
        };
        let mut findings: Vec<Finding> =
            (0..MANY + 3).map(|slot| finding(slot, &rules::TRACE_PRINT)).collect();
        findings.push(finding(0, &rules::UNTYPED_READ));
        let kept = few(&findings);
        assert_eq!(kept.len(), MANY + 1);
        assert_eq!(kept[MANY - 1].what, "it prints; and 3 more in this file");
        assert_eq!(few(&kept), kept);
    }
}
