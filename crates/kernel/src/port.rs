// SPDX-License-Identifier: Apache-2.0
//! The port through which a plan reaches a kernel, and the executor that walks a plan through it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::PathBuf;

use package::{Attachment, Enforcement, FlowFilter, MemberName, NetworkNamespace, Share};
use plan::{Desired, Hook, Instance, Observed, PackageRef, Plan, Step};
use thiserror::Error;

use crate::ledger::Totals;
use crate::{Holdings, Samples};

/// What one kernel offers: the truth, single steps, and counters.
pub trait Kernel: Holdings {
    /// Reads what the kernel holds now: the interfaces of the daemon's own network namespace, of these, and of those in
    /// which anything of ours is.
    ///
    /// # Errors
    /// When the kernel or the file system of pins cannot be read.
    fn observe(&self, namespaces: &BTreeSet<NetworkNamespace>) -> Result<Observed, Unseen>;

    /// Looks shortly whether anything changed that [`Kernel::observe`] tells of the same namespaces. None where only that can
    /// tell, as always just after a change.
    ///
    /// # Errors
    /// When the kernel or the file system of pins cannot be read.
    fn glance(&mut self, namespaces: &BTreeSet<NetworkNamespace>) -> Result<Option<Glance>, Unseen>;

    /// Carries out one step. Objects that the step loads are taken from `desired`.
    ///
    /// # Errors
    /// When the kernel refuses; what the step had begun is taken back, or is found by the next observation.
    fn execute(&mut self, step: &Step, desired: &Desired) -> Result<(), Refused>;

    /// Ends a plan. Where that stopped, what it wrote to maps that run on is taken back; everything else that it did is found by the
    /// next observation.
    ///
    /// # Errors
    /// When something cannot be taken back.
    fn end(&mut self, ended: Ended) -> Result<(), Refused>;

    /// What is missing of what a probe attaches to; none where it is there, or only attaching can tell.
    fn missing(&self, attachment: &Attachment) -> Option<String>;

    /// How often each instance of a probe ran, while the kernel counts that (`kernel.bpf_stats_enabled`).
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    fn runs(&self) -> Result<BTreeMap<Instance, Runs>, Unseen>;

    /// What each member of a hook's chain saw, let go and passed on.
    ///
    /// # Errors
    /// When the counters cannot be read.
    fn totals(&self, hook: &Hook) -> Result<BTreeMap<MemberName, Totals>, Unseen>;

    /// Lets packets that leave the chain of a hook tell of themselves, where they match and are in the share: those that meet
    /// members which are loaded from now on with a number for that (`MemberSpec::sampled`). It ends with what is returned.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn sample(&mut self, hook: &Hook, filter: FlowFilter, share: Option<Share>) -> Result<Samples, Unseen>;
}

/// How a plan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All of it was carried out.
    Done,
    /// A step was refused.
    Halted,
}

/// What was seen in a short look. While two of them are equal, nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance(pub(crate) u64);

/// How often a program ran, and for how long in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Runs {
    /// How often.
    pub count: u64,
    /// All runs together, in nanoseconds.
    pub nanoseconds: u64,
}

/// A cause from the layer below.
pub type Cause = Box<dyn Error + Send + Sync>;

/// The kernel could not be asked.
#[derive(Debug, Error)]
#[error("could not read {what}")]
pub struct Unseen {
    /// What was to be read.
    pub what: String,
    /// Why it could not.
    #[source]
    pub source: Cause,
}

/// The kernel, or the splice, refused a step.
#[derive(Debug, Error)]
pub enum Refused {
    /// The verifier rejected the program as its author wrote it.
    #[error("the kernel's verifier rejects `{function}`: {line}")]
    Verifier {
        /// The program.
        function: String,
        /// The last telling line of the verifier's log.
        line: String,
        /// The whole log.
        log: String,
    },
    /// The program loads as it is but not as a member of a chain.
    #[error("`{function}` runs alone but not in a chain: {line}")]
    Splice {
        /// The program.
        function: String,
        /// Why, in a line.
        line: String,
        /// The verifier's log of the last variant that was tried; empty when none was.
        log: String,
    },
    /// The verdict of a program that changes packets cannot be overruled.
    #[error("`{function}` cannot run in `{enforcement}`, as a change cannot be taken back: {effect}")]
    Effect {
        /// The program.
        function: String,
        /// How it was to run.
        enforcement: Enforcement,
        /// What it does.
        effect: crate::Effect,
    },
    /// A system call failed.
    #[error("could not {action}")]
    Action {
        /// What was to be done.
        action: String,
        /// Why it could not.
        #[source]
        source: Cause,
    },
}

/// A plan stopped at a step. What was done before it is found by the next observation.
#[derive(Debug, Error)]
#[error("stopped at step {number} of {total}: {step}{}", left.as_ref().map(|left| format!("; and {left}")).unwrap_or_default())]
pub struct Halted {
    /// Which step, counted from 1.
    pub number: usize,
    /// How many steps the plan has.
    pub total: usize,
    /// The step, as text.
    pub step: String,
    /// Where the whole verifier log was written, if there is one.
    pub log: Option<PathBuf>,
    /// What could not be taken back.
    pub left: Option<Box<Refused>>,
    /// Why.
    #[source]
    pub refused: Refused,
}

impl Refused {
    /// The whole verifier log, where there is one.
    pub fn log(&self) -> Option<&str> {
        match self {
            Self::Verifier { log, .. } | Self::Splice { log, .. } if !log.is_empty() => Some(log),
            Self::Verifier { .. } | Self::Splice { .. } | Self::Effect { .. } | Self::Action { .. } => None,
        }
    }

    pub(crate) fn action(action: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Action { action: action.into(), source: source.into() }
    }
}

impl Unseen {
    pub(crate) fn new(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self { what: what.into(), source: source.into() }
    }
}

/// Starts the user program of a package, which is no work of the kernel's.
pub type Start<'a> = dyn FnMut(&dyn Kernel, &PackageRef) -> Result<(), Cause> + 'a;

/// Carries out a plan step by step, where no user program is to be started.
///
/// # Errors
/// When a step is refused.
pub fn apply(kernel: &mut dyn Kernel, plan: &Plan, desired: &Desired) -> Result<(), Halted> {
    apply_with(kernel, plan, desired, &mut |_, _| Ok(()))
}

/// Carries out a plan step by step. It makes no choices: it stops at the first step that is refused.
///
/// # Errors
/// When a step is refused.
pub fn apply_with(
    kernel: &mut dyn Kernel,
    plan: &Plan,
    desired: &Desired,
    start: &mut Start<'_>,
) -> Result<(), Halted> {
    let walked = walk(kernel, plan, desired, start);
    let ended = kernel.end(if walked.is_ok() { Ended::Done } else { Ended::Halted });
    walked.map_err(|halted| Halted { left: ended.err().map(Box::new), ..halted })
}

fn walk(
    kernel: &mut dyn Kernel,
    plan: &Plan,
    desired: &Desired,
    start: &mut Start<'_>,
) -> Result<(), Halted> {
    for (index, planned) in plan.steps.iter().enumerate() {
        let done = if let Step::Start { package } = &planned.step {
            start(kernel, package).map_err(|cause| Refused::action(planned.step.to_string(), cause))
        } else {
            kernel.execute(&planned.step, desired)
        };
        done.map_err(|refused| Halted {
            number: index + 1,
            total: plan.steps.len(),
            step: planned.step.to_string(),
            log: None,
            left: None,
            refused,
        })?;
    }
    Ok(())
}
