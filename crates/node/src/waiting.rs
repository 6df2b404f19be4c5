// SPDX-License-Identifier: Apache-2.0
//! What of a desired state waits for something that does not exist.

use std::collections::BTreeMap;

use package::MemberName;
use plan::{Desired, Hook, Observed};

/// What waits for something that does not exist, and is left out until then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting {
    /// The hooks whose interface does not exist.
    pub(crate) hooks: Vec<Hook>,
    /// The probes whose target does not exist, with what is missing.
    pub(crate) probes: BTreeMap<MemberName, String>,
}

impl Waiting {
    /// What waits for what, in words.
    pub(crate) fn texts(&self) -> Vec<String> {
        let hooks = self.hooks.iter().map(ToString::to_string);
        hooks.chain(self.probes.iter().map(|(probe, missing)| format!("{probe} ({missing})"))).collect()
    }
}

/// Splits off what waits for something that does not exist.
pub(crate) fn leave_out(desired: Desired, observed: &Observed) -> (Desired, Waiting) {
    let (desired, hooks) = desired.without_missing_interfaces(observed);
    let (desired, probes) = desired.without_missing_targets(observed);
    let missing = |probe: &MemberName| observed.probes.absent.get(probe).cloned().unwrap_or_default();
    let probes = probes.into_iter().map(|probe| (probe.clone(), missing(&probe))).collect();
    (desired, Waiting { hooks, probes })
}
