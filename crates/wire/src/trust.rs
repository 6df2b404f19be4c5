// SPDX-License-Identifier: Apache-2.0
//! What the node's API tells of trust: the mode, alarms, and why packages were accepted.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether a node verifies packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrustMode {
    /// Only what a trusted publisher signed for this machine runs.
    #[default]
    Trusted,
    /// Nothing is verified, and anything that is applied runs.
    Normal,
}

/// Something about trust that a person should look at. It is there as long as its cause is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    /// What happened.
    pub title: String,
    /// Why.
    pub detail: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The reference of the package that is trusted no longer; none where it is about something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The members and probes that were taken out for it, as `<hook> <member>` or `probe:<name>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Those that run on, because the policy says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
}

/// Why a package of the desired state was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explained {
    /// The reference of the package in the document.
    pub package: String,
    /// The digest that the reference stands for.
    pub digest: String,
    /// Each rule, as it was applied when the desired state was accepted.
    pub accepted: Vec<Ruling>,
    /// Each rule, as it was applied when trust was withdrawn; none while it is trusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<Ruling>,
}

/// One rule of verification, applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ruling {
    /// The rule.
    pub rule: String,
    /// The digest of the envelope it was applied to; none for rules that are about the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// What it looked at.
    pub looked_at: String,
    /// How it ended.
    pub outcome: Verdict,
    /// Why it was skipped, or does not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How a rule ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Passed,
    /// It was not asked.
    Skipped,
    /// It does not hold.
    Failed,
}

impl fmt::Display for TrustMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trusted => "trusted",
            Self::Normal => "normal",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Failed => "FAILED",
        })
    }
}

/// The rule in a line.
impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:7} {:18} {}", self.outcome, self.rule, self.looked_at)?;
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

/// What happened, and why, in a line.
impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_told_in_one_line() {
        let ruling = Ruling {
            rule: "revocation".to_owned(),
            statement: None,
            looked_at: "example/ratelimit 1.0.0".to_owned(),
            outcome: Verdict::Failed,
            why: Some("it is revoked: lost".to_owned()),
        };
        insta::assert_snapshot!(ruling, @"FAILED  revocation         example/ratelimit 1.0.0: it is revoked: lost");
        let json = serde_json::to_string(&ruling).unwrap();
        insta::assert_snapshot!(json, @r#"{"rule":"revocation","looked_at":"example/ratelimit 1.0.0","outcome":"failed","why":"it is revoked: lost"}"#);
    }
}
