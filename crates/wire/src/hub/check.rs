// SPDX-License-Identifier: Apache-2.0
//! What automated checks found.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::State;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// There is nothing to say.
    Pass,
    /// Reviewers should look at something.
    Warn,
    /// It cannot be released like that.
    Fail,
}

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What and where.
    pub what: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckResult {
    /// The check.
    pub name: String,
    /// That of its worst finding.
    pub level: Level,
    /// All that it found, the worst first.
    pub findings: Vec<Finding>,
}

/// How far a release is, and what its checks found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checks {
    /// How far it is.
    pub state: State,
    /// Why it is there, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The checks that ran, in their order.
    pub checks: Vec<CheckResult>,
}

impl Level {
    /// The text of the level.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl CheckResult {
    /// The result of a check with these findings.
    pub fn new(name: &str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let level = findings.first().map_or(Level::Pass, |worst| worst.level);
        Self { name: name.to_owned(), level, findings }
    }
}
