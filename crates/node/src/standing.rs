// SPDX-License-Identifier: Apache-2.0
//! How the packages of a desired state stand, and what becomes of those that are trusted no longer.

use std::collections::BTreeMap;
use std::sync::Arc;

use package::MemberName;
use trust::{Explanation, Refused, Verified};
use wire::{Alarm, Ruling, Verdict};

/// How a package stands on this machine.
pub(crate) enum Standing {
    /// It passed.
    Trusted(Arc<Verified>),
    /// It passed once, and does not now.
    Withdrawn(Box<Withdrawn>),
}

/// A package that was accepted and is trusted no longer.
#[derive(Debug)]
pub(crate) struct Withdrawn {
    /// Its reference in the document.
    pub(crate) reference: String,
    /// Why it is not trusted.
    pub(crate) refused: Refused,
    /// How that was found.
    pub(crate) explanation: Explanation,
    /// What was taken out for it.
    pub(crate) removed: Vec<String>,
    /// What runs on.
    pub(crate) kept: Vec<String>,
}

impl Standing {
    /// The package, if it is trusted no longer.
    pub(crate) fn withdrawn(self) -> Option<Withdrawn> {
        match self {
            Self::Trusted(_) => None,
            Self::Withdrawn(withdrawn) => Some(*withdrawn),
        }
    }
}

impl Withdrawn {
    /// What somebody should look at.
    pub(crate) fn alarm(&self) -> Alarm {
        let what = match (self.removed.is_empty(), self.kept.is_empty()) {
            (false, true) => "was taken out",
            (false, false) => "was taken out, and runs on where the policy says so",
            (true, false) => "runs on, because the policy says so",
            (true, true) => "runs nowhere",
        };
        Alarm {
            title: format!("package `{}` is trusted no longer and {what}", self.reference),
            detail: self.refused.to_string(),
            hint: Some(self.refused.hint()),
            package: Some(self.reference.clone()),
            removed: self.removed.clone(),
            kept: self.kept.clone(),
        }
    }
}

/// The name under which a policy speaks of a probe, where it names hooks. No hook has it: hooks have a `/`.
pub(crate) fn probe_hook(name: &MemberName) -> String {
    format!("probe:{name}")
}

/// An explanation as the API tells it.
pub(crate) fn rulings(explanation: &Explanation) -> Vec<Ruling> {
    let told = explanation.rulings().iter().map(|ruling| {
        let (outcome, why) = match &ruling.outcome {
            trust::Outcome::Passed => (Verdict::Passed, None),
            trust::Outcome::Skipped(why) => (Verdict::Skipped, Some(why.clone())),
            trust::Outcome::Failed(why) => (Verdict::Failed, Some(why.clone())),
        };
        let statement = ruling.statement.map(|digest| digest.to_string());
        let (rule, looked_at) = (ruling.rule.to_string(), ruling.looked_at.clone());
        Ruling { rule, statement, looked_at, outcome, why }
    });
    told.collect()
}

/// The rules that do not hold.
pub(crate) fn failed(explanation: &Explanation) -> Vec<Ruling> {
    let mut rulings = rulings(explanation);
    rulings.retain(|ruling| ruling.outcome == Verdict::Failed);
    rulings
}

/// The explanations of packages, by their references.
pub(crate) type Explanations = BTreeMap<String, Explanation>;
