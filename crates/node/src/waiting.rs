// SPDX-License-Identifier: Apache-2.0
//! What of a desired state waits for something that does not exist.

use std::collections::BTreeMap;

use package::MemberName;
use plan::{Desired, Hook, Hooks, Observed};

/// What waits for something that does not exist, and is left out until then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting {
    /// The hooks whose interface does not exist.
    pub(crate) hooks: Vec<Hook>,
    /// The chains for interfaces that match, of which none exists.
    pub(crate) matches: Vec<Hooks>,
    /// The probes whose target does not exist, with what is missing.
    pub(crate) probes: BTreeMap<MemberName, String>,
}

impl Waiting {
    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.hooks.is_empty() && self.matches.is_empty() && self.probes.is_empty()
    }

    /// What waits for what, in words.
    pub(crate) fn texts(&self) -> Vec<String> {
        let hooks = self.hooks.iter().map(ToString::to_string);
        let matches = self.matches.iter().map(|hooks| format!("{hooks} (no interface matches)"));
        hooks
            .chain(matches)
            .chain(self.probes.iter().map(|(probe, missing)| format!("{probe} ({missing})")))
            .collect()
    }
}

/// Splits off what waits for something that does not exist. What is desired is spread over the interfaces that exist.
pub(crate) fn leave_out(desired: Desired, observed: &Observed) -> (Desired, Waiting) {
    let matches = desired.nowhere(observed).into_iter().cloned().collect();
    let (desired, hooks) = desired.without_missing_interfaces(observed);
    let (desired, probes) = desired.without_missing_targets(observed);
    let missing = |probe: &MemberName| observed.probes.absent.get(probe).cloned().unwrap_or_default();
    let probes = probes.into_iter().map(|probe| (probe.clone(), missing(&probe))).collect();
    (desired, Waiting { hooks, matches, probes })
}
