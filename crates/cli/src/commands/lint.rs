// SPDX-License-Identifier: Apache-2.0
//! `l3af lint`: what reviewers would say of a package. What they say is decided by the crate `lint`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use lint::{Beside, Contents, Finding, RULES, Rule, Severity, lint};
use package::MAX_LAYER_BYTES;
use serde::Serialize;

use super::build::Gathered;
use crate::arguments::lint::{Explained as Explain, Lint};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::PackageSource;
use crate::subject::bounded;

pub(crate) fn run(arguments: &Lint) -> Outcome {
    let path = match (arguments.explain, &arguments.package) {
        (Some(Explain::One(rule)), _) => return explain(&[rule], arguments.json),
        (Some(Explain::All), _) | (None, None) => return explain(RULES, arguments.json),
        (None, Some(path)) => path,
    };
    let mut findings = look(path, arguments)?;
    for finding in &mut findings {
        if finding.silenced.is_none() && arguments.allow.contains(&finding.rule) {
            finding.silenced = Some("the command line allows it".to_owned());
        }
    }
    findings.sort();
    let count = Count::of(&findings);
    if arguments.json {
        output::json(&Looked { findings: &findings, count })?;
    } else {
        output::data(told(&findings).trim_end());
    }
    if count.error > 0 || (arguments.deny.is_some() && count.warning > 0) {
        return Err(Failure::new(format!("`{}` has {count}", path.display())).with_hint(
            "`l3af lint --explain RULE` tells more; `[lint]` in `package.toml` silences a rule with a reason",
        ));
    }
    output::note(&format!("`{}` has {count}", path.display()));
    Ok(())
}

/// Reads what is there, builds it where it is a folder of sources, and looks it over.
fn look(path: &Path, arguments: &Lint) -> Result<Vec<Finding>, Failure> {
    if path.join("package.toml").is_file() {
        let Gathered { manifest, files, .. } = Gathered::from(path, BTreeMap::new())?;
        let beside = if path.join("tests").is_dir() { Beside::Tests } else { Beside::NoTests };
        let files = files.iter().map(|(path, file)| (path.as_str(), file.bytes.as_slice()));
        return Ok(lint(&Contents::package(&manifest, files, beside))?);
    }
    if let Some(source) = PackageSource::find(path, &arguments.logins)? {
        let package = source.package()?;
        // All platforms have the same manifest, and mostly the same files.
        let mut findings = Vec::new();
        for platform in &package.platforms {
            let files = platform.files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice()));
            findings.extend(lint(&Contents::package(&package.manifest, files, Beside::Unknown))?);
        }
        findings.sort();
        findings.dedup();
        return Ok(findings);
    }
    let cannot = |why: String| Failure::new(format!("cannot read `{}`: {why}", path.display()));
    let object = bounded(path, MAX_LAYER_BYTES).map_err(|error| cannot(error.to_string()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(lint(&Contents::object(&name, &object))?)
}

/// What was found, for programs.
#[derive(Serialize)]
struct Looked<'a> {
    findings: &'a [Finding],
    count: Count,
}

/// How many were found that nobody silenced, and how many that somebody did.
#[derive(Clone, Copy, Default, Serialize)]
struct Count {
    error: usize,
    warning: usize,
    note: usize,
    silenced: usize,
}

impl Count {
    fn of(findings: &[Finding]) -> Self {
        let mut count = Self::default();
        for finding in findings {
            let which = match (&finding.silenced, finding.severity) {
                (Some(_), _) => &mut count.silenced,
                (None, Severity::Error) => &mut count.error,
                (None, Severity::Warning) => &mut count.warning,
                (None, Severity::Note) => &mut count.note,
            };
            *which += 1;
        }
        count
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { error, warning, note, silenced } = *self;
        let told = [(error, "error"), (warning, "warning"), (note, "note")]
            .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
        write!(f, "{}, {} and {}", told[0], told[1], told[2])?;
        if silenced > 0 { write!(f, "; {silenced} silenced") } else { Ok(()) }
    }
}

/// The findings by rule, each rule with its reason once.
fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    for group in findings.chunk_by(|one, other| one.rule == other.rule && one.silenced == other.silenced) {
        let Some(first) = group.first() else { continue };
        let silenced = if first.silenced.is_some() { " (silenced)" } else { "" };
        let _ = writeln!(text, "{}: {}{silenced}", severity(first.severity), first.rule.name);
        for finding in group {
            let _ = writeln!(text, "  {}: {}", finding.place, finding.what);
            if let Some(source) = &finding.place.text {
                let _ = writeln!(text, "    | {source}");
            }
        }
        let _ = match &first.silenced {
            Some(why) => writeln!(text, "  silenced: {why}\n"),
            None => writeln!(text, "  why: {}\n  hint: {}\n", first.why, first.hint),
        };
    }
    text
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// What rules are, in JSON.
#[derive(Serialize)]
struct Explained {
    rule: &'static str,
    area: lint::Area,
    severity: Severity,
    why: &'static str,
    hint: &'static str,
}

fn explain(rules: &[&'static Rule], json: bool) -> Outcome {
    if json {
        let all: Vec<Explained> = rules.iter().map(|rule| explained(rule)).collect();
        return output::json(&all);
    }
    if let [rule] = rules {
        let Rule { name, area, why, remedy, .. } = *rule;
        let severity = severity(rule.severity);
        output::data(&format!("{name}: {severity}, about {area}\n  why: {why}\n  hint: {remedy}"));
        return Ok(());
    }
    let rows = rules.iter().map(|rule| {
        vec![
            rule.name.to_owned(),
            rule.area.to_string(),
            severity(rule.severity).to_owned(),
            rule.why.to_owned(),
        ]
    });
    output::data(&output::table(&["rule", "about", "severity", "why"], rows.collect()));
    Ok(())
}

fn explained(rule: &Rule) -> Explained {
    let Rule { name, area, severity, why, remedy } = *rule;
    Explained { rule: name, area, severity, why, hint: remedy }
}
