// SPDX-License-Identifier: Apache-2.0
//! What others changed in the kernel, and what else happens: told once, counted, and kept to be asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use kernel::Stir;
use package::{NetworkNamespace, OnDrift};
use plan::{Desired, Hook, Plan, Step, reconcile};
use tokio::sync::watch;
use wire::{EventKind, Problem};

use super::{Engine, steps};
use crate::Rejected;
use crate::events::{Events, Happened};
use crate::resolve::Demand;
use crate::waiting::leave_out;

/// What others changed.
#[derive(Debug, Default)]
pub(crate) struct Drift {
    /// What was done about it.
    repaired: Plan,
    /// What would be done about the rest, as far as it is news.
    left: Plan,
    /// When that was over.
    at: Timestamp,
}

/// What others changed that is left so.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// All of it.
    hooks: BTreeSet<Hook>,
    /// That of it whose chain was taken out.
    pub(super) yielded: BTreeSet<Hook>,
}

impl Drift {
    pub(super) fn repaired(repaired: Plan) -> Self {
        Self { repaired, ..Self::default() }
    }

    pub(super) fn seen_at(self, at: Timestamp) -> Self {
        Self { at, ..self }
    }

    /// What was done.
    pub(super) fn into_repaired(self) -> Plan {
        self.repaired
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.repaired.steps.is_empty() && self.left.steps.is_empty()
    }
}

impl Engine {
    /// What happened, for whoever asks without waiting for the engine.
    pub(crate) fn events(&self) -> Arc<Events> {
        Arc::clone(&self.events)
    }

    /// Is told when another generation is in force.
    pub(crate) fn generations_in_force(&self) -> watch::Receiver<u64> {
        self.in_force.subscribe()
    }

    /// The network namespaces whose changes matter.
    pub(crate) fn namespaces(&self) -> BTreeSet<NetworkNamespace> {
        self.desired.as_ref().map(Desired::namespaces).unwrap_or_default()
    }

    pub(super) fn tell(&self, happened: Happened) {
        self.events.tell((self.parts.clock)(), happened);
    }

    /// As [`Engine::reach`], but for hooks that others changed and whose chain says not to repair that. What waited for its
    /// interface is no such hook, and neither is what is left already.
    pub(super) fn reach_or_leave(&mut self) -> Result<Drift, Rejected> {
        let named = self.in_force();
        let (spread, observed) = self.look(named.clone())?;
        let wanted = self.wanted_of(spread.clone());
        let (desired, waiting) = leave_out(wanted, &observed);
        let before = std::mem::replace(&mut self.waiting, waiting).hooks;
        let plan = reconcile(&desired, &observed)?;
        let changed = plan.steps.iter().filter_map(|planned| planned.step.hook());
        // An interface that came and matches had no chain that others could have changed.
        let is_new = |hook: &Hook| {
            before.contains(hook) || !named.chains().contains_key(hook) && !observed.hooks.contains_key(hook)
        };
        let leave = |hook: &Hook| desired.placement(hook).drift != OnDrift::Repair && !is_new(hook);
        let left: BTreeSet<Hook> = changed.filter(|hook| leave(hook)).cloned().collect();
        let (repaired, left_so) = plan.without_hooks(&left);
        self.carry_out(&repaired, &desired, Demand::InForce)?;
        self.follow_in_user_space(spread);
        let news: BTreeSet<Hook> = left.difference(&self.left.hooks).cloned().collect();
        let yields = |hook: &&Hook| desired.placement(hook).drift == OnDrift::Yield;
        let yielded: Vec<Hook> = news.iter().filter(yields).cloned().collect();
        let gives_way = !yielded.is_empty();
        self.left.yielded.extend(yielded);
        self.left.hooks = left.union(&self.left.yielded).cloned().collect();
        if gives_way {
            self.reach()?;
        }
        let (_, left) = left_so.without_hooks(&news);
        Ok(Drift { repaired, left, ..Drift::default() })
    }

    /// The hooks that others changed and that are left so.
    pub(super) fn left_to_others(&self) -> Vec<String> {
        self.left.hooks.iter().map(ToString::to_string).collect()
    }

    /// Notes what others had changed, with those who were heard to change something just before.
    pub(crate) fn note_drift(&mut self, drift: &Drift, heard: &[Stir]) {
        let mut by: Vec<String> = Vec::new();
        for stir in heard {
            match stir {
                Stir::Call(caller) if !by.contains(&caller.to_string()) => by.push(caller.to_string()),
                Stir::Call(_) | Stir::Network => {}
            }
        }
        for (plan, what) in
            [(&drift.repaired, "repaired in"), (&drift.left, "changed, and left so; repaired it would be in")]
        {
            if plan.steps.is_empty() {
                continue;
            }
            let text = format!("{} {what} {} steps", places(plan), plan.steps.len());
            tracing::warn!(
                steps = plan.steps.len(),
                by = by.join(", "),
                "the kernel had drifted: {text}\n{plan}"
            );
            let happened =
                Happened { steps: steps(plan), by: by.clone(), ..Happened::new(EventKind::Drift, text) };
            // Who did it became known only since.
            self.events.tell(drift.at, happened);
        }
        self.tally.repaired(&drift.repaired);
    }

    /// Notes why what is desired is not reached, or that it is.
    pub(super) fn note_problem(&mut self, problem: Option<Problem>) {
        let before = std::mem::replace(&mut self.problem, problem);
        self.tell_of_change(before.as_ref(), self.problem.as_ref());
    }

    /// Notes why the document of the configured file is not accepted, or that it is.
    pub(crate) fn note_file_problem(&mut self, problem: Option<Problem>) {
        let before = std::mem::replace(&mut self.file_problem, problem);
        self.tell_of_change(before.as_ref(), self.file_problem.as_ref());
    }

    /// Tells of a problem once.
    fn tell_of_change(&self, before: Option<&Problem>, now: Option<&Problem>) {
        if before == now {
            return;
        }
        match (before, now) {
            (_, Some(problem)) => {
                tracing::error!(problem = %problem.kind, "cannot reach the desired state: {problem}");
                self.tell(Happened::new(EventKind::Problem, problem.to_string()));
            }
            (Some(before), None) => {
                tracing::info!(problem = %before.kind, "solved: {before}");
                self.tell(Happened::new(EventKind::Solved, before.to_string()));
            }
            (None, None) => {}
        }
    }
}

/// Where the steps of a plan are taken.
fn places(plan: &Plan) -> String {
    let hooks: BTreeSet<&Hook> = plan.steps.iter().filter_map(|planned| planned.step.hook()).collect();
    let mut places: Vec<String> = hooks.into_iter().map(ToString::to_string).collect();
    if plan.steps.iter().any(|planned| matches!(planned.step, Step::Probe(_))) {
        places.push("the probes".to_owned());
    }
    places.join(", ")
}
