// SPDX-License-Identifier: Apache-2.0
//! What was done since the daemon started, as numbers.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Hook, Plan};

/// What was done since the daemon started.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How often each hook was repaired.
    pub(crate) repairs: BTreeMap<Hook, u64>,
    /// How often each hook was changed as somebody asked.
    pub(crate) changes: BTreeMap<Hook, u64>,
    /// How many documents were accepted and reached.
    pub(crate) accepted: u64,
    /// How many were not.
    pub(crate) refused: u64,
}

impl Tally {
    /// Notes a repair of drift.
    pub(super) fn repaired(&mut self, plan: &Plan) {
        count(&mut self.repairs, plan);
    }

    /// Notes a change that somebody asked for.
    pub(super) fn changed(&mut self, plan: &Plan) {
        count(&mut self.changes, plan);
    }

    /// Notes whether a document is in force.
    pub(super) fn ended<T, E>(&mut self, outcome: &Result<T, E>) {
        *(if outcome.is_ok() { &mut self.accepted } else { &mut self.refused }) += 1;
    }
}

/// Each hook that a plan has steps for counts once.
fn count(counts: &mut BTreeMap<Hook, u64>, plan: &Plan) {
    let hooks: BTreeSet<&Hook> = plan.steps.iter().filter_map(|planned| planned.step.hook()).collect();
    for hook in hooks {
        *counts.entry(hook.clone()).or_default() += 1;
    }
}
