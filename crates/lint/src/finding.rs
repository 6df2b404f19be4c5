// SPDX-License-Identifier: Apache-2.0
//! What was found, and where.

use std::cmp::Ordering;
use std::fmt;

use package::Function;
use serde::Serialize;

use crate::Rule;

/// How bad something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It will not work, or must not be published.
    Error,
    /// A reviewer would ask for it.
    Warning,
    /// Good to know.
    Note,
}

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule, by name.
    pub rule: &'static Rule,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What.
    pub what: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub hint: &'static str,
    /// Why the manifest says that it does not hold here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silenced: Option<String>,
}

/// Where something is, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
pub struct Place {
    /// The file of the package.
    pub file: String,
    /// The key of the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// The part of it, as `field.path` of a manifest has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The instruction: its slot in the function, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<usize>,
    /// The source file and line that it is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

impl Finding {
    /// A finding that is as bad as its rule.
    pub(crate) fn new(rule: &'static Rule, place: Place, what: impl Into<String>) -> Self {
        let Rule { severity, why, remedy, .. } = *rule;
        Self { rule, severity, place, what: what.into(), why, hint: remedy, silenced: None }
    }
}

impl Place {
    /// A whole file.
    pub(crate) fn file(path: &str) -> Self {
        Self { file: path.to_owned(), ..Self::default() }
    }

    /// A key of the manifest.
    pub(crate) fn key(key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..Self::file("package.toml") }
    }

    /// A map of an object.
    pub(crate) fn map(path: &str, map: &str) -> Self {
        Self { map: Some(map.to_owned()), ..Self::file(path) }
    }

    /// An instruction of an object.
    pub(crate) fn instruction(path: &str, function: &Function, slot: usize) -> Self {
        let line = function.line(slot);
        Self {
            function: Some(function.name.clone()),
            instruction: Some(slot),
            source: line.map(|line| format!("{}:{}", line.file.trim_start_matches("./"), line.number)),
            text: line.map(|line| line.text.trim().to_owned()).filter(|text| !text.is_empty()),
            ..Self::file(path)
        }
    }
}

/// In words: `ratelimit.bpf.o`, function `ratelimit`, `ratelimit.bpf.c:12`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        let named =
            [("key", &self.key), ("map", &self.map), ("field", &self.field), ("function", &self.function)];
        for (what, name) in named {
            if let Some(name) = name {
                write!(f, ", {what} `{name}`")?;
            }
        }
        match (&self.source, self.instruction) {
            (Some(source), _) => write!(f, ", {source}"),
            (None, Some(slot)) => write!(f, ", instruction {slot}"),
            (None, None) => Ok(()),
        }
    }
}

/// The worst first, then by rule and place.
impl Ord for Finding {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |finding: &Self| {
            (finding.silenced.is_some(), finding.severity, finding.rule.area, finding.rule.name)
        };
        order(self)
            .cmp(&order(other))
            .then_with(|| (&self.place, &self.what).cmp(&(&other.place, &other.what)))
    }
}

impl PartialOrd for Finding {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
