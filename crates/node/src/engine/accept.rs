// SPDX-License-Identifier: Apache-2.0
//! Taking on a document as the next generation: on trial where somebody must confirm it, and as if nothing had been asked where
//! any part of it is refused.

use std::collections::BTreeSet;

use package::MemberName;
use plan::Hooks;
use wire::{Applied, Document, EventKind};

use super::drift::Left;
use super::{Engine, Way, steps};
use crate::access::Asker;
use crate::events::Happened;
use crate::fetch::Fetched;
use crate::generation::Generation;
use crate::resolve::{Demand, Resolved};
use crate::trial::Trial;
use crate::{Rejected, check, watchdog};

/// What whoever asks for a document says of it besides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions {
    /// The generation that must be in force.
    pub expected: Option<u64>,
    /// For how many seconds the next one is on trial.
    pub trial: Option<u32>,
}

/// On what terms a document is accepted.
#[derive(Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) demand: Demand,
    /// The generation that must be in force.
    pub(super) expected: Option<u64>,
    /// For how many seconds the next one is on trial.
    pub(super) trial: Option<u32>,
    /// The generation that it brings back.
    pub(super) again: Option<u64>,
    /// Who gave it.
    pub(super) asker: &'a Asker,
}

impl<'a> Order<'a> {
    pub(super) fn new(demand: Demand, asker: &'a Asker) -> Self {
        Self { demand, expected: None, trial: None, again: None, asker }
    }
}

impl Engine {
    /// Accepts a document as the next generation and reaches it. `fetched` is what its references into registries stand for. With a
    /// trial, the generation before returns after so many seconds, unless somebody confirms this one.
    ///
    /// # Errors
    /// When any part of it is refused; then the generation before is in force as if nothing had been asked.
    pub fn apply(
        &mut self,
        document: Document,
        Conditions { expected, trial }: Conditions,
        fetched: &Fetched,
        asker: &Asker,
    ) -> Result<Applied, Rejected> {
        self.may_call()?;
        if let Some(seconds) = trial.filter(|seconds| !(1..=86_400).contains(seconds)) {
            return Err(Rejected::TrialTime { seconds });
        }
        self.accept(document, Order { expected, trial, ..Order::new(Demand::New, asker) }, fetched)
    }

    /// Accepts the document of the configured file, unless it was accepted already, or given up.
    ///
    /// # Errors
    /// When any part of it is refused; then the generation before is in force as if nothing had been asked.
    pub(crate) fn apply_file(
        &mut self,
        document: Document,
        fetched: &Fetched,
        asker: &Asker,
    ) -> Result<(), Rejected> {
        self.may_apply()?;
        let last = self.generations.numbers().map_err(unkept)?.last().copied();
        let is_known = last.is_some_and(|last| self.kept(last).is_ok_and(|kept| kept.document == document));
        // After everything was taken off by hand, the file was written again.
        if is_known && !self.generations.is_detached() {
            return Ok(());
        }
        self.accept(document, Order::new(Demand::New, asker), fetched).map(drop)
    }

    /// Takes a member out of its chain; `None` takes all members out of all chains, and ends a trial for that.
    ///
    /// # Errors
    /// When there is no such member, or the rest cannot be reached.
    pub fn stop(
        &mut self,
        member: Option<&MemberName>,
        hooks: Option<&Hooks>,
        asker: &Asker,
    ) -> Result<Applied, Rejected> {
        self.may_call()?;
        let mut document = Document::default();
        if let Some(member) = member {
            document = self.current()?.map(|generation| generation.document).unwrap_or_default();
            remove_member(&mut document, member, hooks)?;
        } else {
            self.may_stop_all(asker)?;
            self.end_trial_on_paper("everything was taken off by hand")?;
        }
        // What is trusted no longer must not keep anybody from taking members out.
        self.accept(document, Order::new(Demand::InForce, asker), &Fetched::default())
    }

    pub(super) fn accept(
        &mut self,
        document: Document,
        order: Order<'_>,
        fetched: &Fetched,
    ) -> Result<Applied, Rejected> {
        let outcome = self.try_accept(document, order, fetched);
        self.tally.ended(&outcome);
        outcome
    }

    fn try_accept(
        &mut self,
        document: Document,
        order: Order<'_>,
        fetched: &Fetched,
    ) -> Result<Applied, Rejected> {
        self.may_apply()?;
        let before = self.current()?;
        let previous = before.as_ref().map_or(0, |generation| generation.number);
        super::history::expect(order.expected, previous)?;
        if let Some(Trial { number, .. }) = self.trial()? {
            return Err(Rejected::OnTrial { number });
        }
        // Whatever comes of it, what runs then is verified again soon: somebody looked at the policy for this.
        self.trust.make_due();
        let policy = self.policy_for(&document, order.demand)?;
        let Resolved { desired, packages, mut explanations, withdrawn, .. } =
            self.resolve(&document, &policy, order.demand, fetched)?;
        self.may_change(order.asker, before.as_ref(), (&document, &packages))?;
        if let (Demand::InForce, Some(before)) = (order.demand, before) {
            // What is only taken on was accepted for the reasons of then.
            explanations = before.explanations;
            explanations.retain(|reference, _| packages.contains_key(reference));
        }
        let has_checks = !self.settle_checks(&document)?.is_empty();
        let (spread, observed) = self.look(desired.clone())?;
        let Way { plan, waiting } = self.way_from(&observed, &spread, &document)?;
        let number = self.next_number(previous)?;
        let trial = trial_of(number, order, has_checks)?;
        let (accepted, again) = ((self.parts.clock)(), order.again);
        let generation = Generation {
            number,
            previous,
            accepted,
            by: order.asker.by(),
            document,
            packages,
            explanations,
            again,
            given_up: None,
        };
        self.keep(&generation, trial.as_ref())?;
        if let Err(halted) = self.carry_out(&plan, &spread, order.demand) {
            self.withdraw(&generation);
            return Err(halted);
        }
        self.tally.changed(&plan);
        let mut notes = Vec::new();
        if let Some(trial) = &trial {
            self.begin_trial(trial);
            notes.push(on_trial(trial, previous, has_checks));
        }
        notes.extend(self.remember(&desired).err().map(|forgotten| {
            let problem = forgotten.problem();
            tracing::error!(problem = %problem.kind, "{problem}");
            format!("{problem}; until that is mended, older releases are accepted again")
        }));
        self.desired = Some(desired);
        self.inherits = false;
        self.left = Left::default();
        // Who is which member may have changed.
        self.sampling.clear();
        self.follow_in_user_space(spread);
        self.user_programs.try_again();
        self.waiting = waiting;
        self.note_problem(None);
        self.raise(withdrawn);
        // What is kept too long is in nobody's way.
        if let Err(rejected) = self.tidy_up() {
            tracing::warn!("{}", rejected.problem());
        }
        let steps = steps(&plan);
        let what = again.map_or_else(String::new, |again| format!(", which brings {again} back"));
        let text = format!("generation {number}{what}: {} steps", steps.len());
        let by = order.asker.by().into_iter().collect();
        self.tell(Happened { steps: steps.clone(), by, ..Happened::new(EventKind::Accepted, text) });
        self.in_force.send_replace(number);
        Ok(Applied { generation: number, steps, notes })
    }

    /// Refuses callers where a file says what is desired, and all where nothing is applied.
    pub(super) fn may_call(&self) -> Result<(), Rejected> {
        self.may_apply()?;
        let config = &self.parts.config;
        let file = config.document.as_ref().map(|file| format!("the file `{}`", file.display()));
        let owner =
            file.or_else(|| config.l3afd.as_ref().map(|_| "the callers of the API of l3afd v1".to_owned()));
        owner.map_or(Ok(()), |owner| Err(Rejected::Owned { owner }))
    }

    /// Refuses where whoever started the daemon wants nothing applied.
    pub(super) fn may_apply(&self) -> Result<(), Rejected> {
        if self.parts.config.safe { Err(Rejected::Safe) } else { Ok(()) }
    }

    /// A number that no generation has, or had and is kept.
    fn next_number(&self, previous: u64) -> Result<u64, Rejected> {
        let numbers = self.generations.numbers().map_err(unkept)?;
        Ok(numbers.last().map_or(previous, |last| previous.max(*last)) + 1)
    }

    /// Writes a generation down before its first step: whatever happens from then on, somebody brings the one before back
    /// where it is on trial.
    fn keep(&mut self, generation: &Generation, trial: Option<&Trial>) -> Result<(), Rejected> {
        self.generations.accept(generation, trial).map_err(unkept)?;
        self.checks_pass = false;
        trial.map_or(Ok(()), |_| watchdog::start(&self.parts.config)).map_err(|source| {
            self.withdraw(generation);
            Rejected::NoWatchdog(source)
        })
    }

    /// Counts the time of a trial from now on, when the change is in effect.
    fn begin_trial(&mut self, trial: &Trial) {
        if let Err(error) = self.generations.begin_trial(trial) {
            // The trial takes somewhat longer.
            tracing::warn!(generation = trial.number, "cannot write when the trial began: {error}");
        }
    }

    /// Returns to what was in force before a generation that the kernel refused.
    fn withdraw(&mut self, generation: &Generation) {
        if let Err(source) = self.generations.withdraw(generation) {
            self.note_problem(Some(Rejected::State { action: "withdraw the generation", source }.problem()));
        }
        // A generation that was never taken up says nothing about what ran before this one, and neither does none.
        if self.desired.is_none() && (generation.previous != 0 || self.inherits) {
            return;
        }
        if let Err(rejected) = self.reach() {
            self.note_problem(Some(rejected.problem()));
        }
    }
}

/// The trial of a new generation: the one that was asked for, or the one that its checks need. What was in force already
/// passed its checks when it was new.
fn trial_of(number: u64, order: Order<'_>, has_checks: bool) -> Result<Option<Trial>, Rejected> {
    let by_checks = (has_checks && order.demand == Demand::New).then_some(check::TRIAL_SECONDS);
    let trial = order.trial.or(by_checks).map(|seconds| Trial::of(number, seconds, order.trial.is_some()));
    trial.transpose().map_err(unkept)
}

/// What whoever asked should know of a trial.
fn on_trial(trial: &Trial, back_to: u64, has_checks: bool) -> String {
    let Trial { number, seconds, by_hand, .. } = trial;
    let keeps = match (by_hand, has_checks) {
        (true, true) => format!("`l3af confirm` keeps {number} once its checks pass"),
        (true, false) => format!("`l3af confirm` keeps {number}"),
        (false, _) => format!("its checks keep {number} when they pass"),
    };
    match back_to {
        0 => format!("on trial: nothing runs any more in {seconds} s; {keeps}"),
        _ => format!("on trial: generation {back_to} returns in {seconds} s; {keeps}"),
    }
}

/// Takes a member, a probe or a deployment out of a document, with the checks of what it drops.
fn remove_member(
    document: &mut Document,
    member: &MemberName,
    hooks: Option<&Hooks>,
) -> Result<(), Rejected> {
    let mut found = false;
    for chain in &mut document.chains {
        let here = hooks.is_none_or(|hooks| hooks.interfaces == chain.interface && hooks.point == chain.hook);
        if here {
            let before = chain.members.len();
            chain
                .members
                .retain(|candidate| candidate.name != *member && candidate.deployment() != Some(member));
            found |= chain.members.len() < before;
        }
    }
    document.chains.retain(|chain| !chain.members.is_empty());
    if hooks.is_none() {
        let before = document.probes.len();
        document.probes.retain(|probe| probe.name != *member && probe.deployment() != Some(member));
        found |= document.probes.len() < before;
    }
    if !found {
        return Err(Rejected::NoMember { member: member.clone() });
    }
    let mut deployments = std::mem::take(&mut document.deployments);
    let deployed: BTreeSet<&MemberName> = document.deployed().collect();
    deployments.retain(|deployment| deployed.contains(&deployment.name));
    document.deployments = deployments;
    let mut checks = std::mem::take(&mut document.checks);
    checks.retain(|wanted| {
        wanted.drops.as_ref().is_none_or(|bound| super::health::has_member(document, bound))
    });
    document.checks = checks;
    Ok(())
}

fn unkept(source: std::io::Error) -> Rejected {
    Rejected::State { action: "keep the generation", source }
}
