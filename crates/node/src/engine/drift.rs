// SPDX-License-Identifier: Apache-2.0
//! What others changed in the kernel, and what else happens: told once, counted, and kept to be asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use kernel::Stir;
use package::NetworkNamespace;
use plan::{Plan, Step};
use tokio::sync::watch;
use wire::{EventKind, Problem};

use super::{Engine, steps};
use crate::events::{Events, Happened};

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
        self.in_force().namespaces()
    }

    pub(super) fn tell(&self, happened: Happened) {
        self.events.tell((self.parts.clock)(), happened);
    }

    /// Notes what was repaired that others had changed, with those who were heard to change something just before.
    pub(crate) fn note_drift(&mut self, plan: &Plan, heard: &[Stir]) {
        let hooks: BTreeSet<_> =
            plan.steps.iter().filter_map(|planned| planned.step.hook()).cloned().collect();
        if plan.steps.is_empty() {
            return;
        }
        let mut by: Vec<String> = Vec::new();
        for stir in heard {
            match stir {
                Stir::Call(caller) if !by.contains(&caller.to_string()) => by.push(caller.to_string()),
                Stir::Call(_) | Stir::Network => {}
            }
        }
        let mut places: Vec<String> = hooks.iter().map(ToString::to_string).collect();
        if plan.steps.iter().any(|planned| matches!(planned.step, Step::Probe(_))) {
            places.push("the probes".to_owned());
        }
        let text = format!("{} repaired in {} steps", places.join(", "), plan.steps.len());
        let seen = by.join(", ");
        tracing::warn!(steps = plan.steps.len(), by = seen, "the kernel had drifted: {text}\n{plan}");
        for hook in hooks {
            *self.repairs.entry(hook).or_default() += 1;
        }
        self.tell(Happened { steps: steps(plan), by, ..Happened::new(EventKind::Drift, text) });
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
