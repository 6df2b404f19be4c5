// SPDX-License-Identifier: Apache-2.0
//! Going back: to a generation that is kept, by hand, or by itself when one is on trial and nobody confirms it.

use std::io;
use std::time::Duration;

use wire::{Applied, EventKind, GenerationSummary, Unconfirmed};

use super::Engine;
use super::accept::Order;
use crate::Rejected;
use crate::access::Asker;
use crate::events::Happened;
use crate::fetch::Fetched;
use crate::generation::Generation;
use crate::resolve::Demand;
use crate::trial::Trial;

impl Engine {
    /// Brings back the document of a generation that is kept, with the packages that it had; without a number that of the one
    /// before. Nothing is fetched. A generation that is on trial ends its trial that way.
    ///
    /// # Errors
    /// When it is not kept, something of it is not trusted, or it cannot be reached.
    pub fn roll_back(
        &mut self,
        to: Option<u64>,
        expected: Option<u64>,
        asker: &Asker,
    ) -> Result<Applied, Rejected> {
        self.may_call()?;
        let current = self.current()?.unwrap_or_else(Generation::none);
        let back = to.unwrap_or(current.previous);
        if let Some(trial) = self.trial()?.filter(|_| back == current.previous) {
            expect(expected, current.number)?;
            let kept = self.kept(back)?;
            self.may_change(asker, Some(&current), (&kept.document, &kept.packages))?;
            let steps = self.return_from(&trial, "somebody rolled it back")?;
            return Ok(Applied { generation: back, steps, notes: Vec::new() });
        }
        let Generation { document, packages, .. } = self.kept(back)?;
        let order = Order { expected, again: Some(back), ..Order::new(Demand::Again, asker) };
        self.accept(document, order, &Fetched(packages))
    }

    /// Ends the trial of the generation in force well.
    ///
    /// # Errors
    /// When no generation is on trial, or another than was expected, or its checks did not pass so far.
    pub fn confirm(&mut self, expected: Option<u64>) -> Result<wire::Generation, Rejected> {
        let trial = self.trial()?.ok_or(Rejected::NoTrial)?;
        expect(expected, trial.number)?;
        if !self.checks_pass && !self.settle_checks(&self.kept(trial.number)?.document)?.is_empty() {
            return Err(Rejected::ChecksPending { number: trial.number });
        }
        self.generations.confirm(&trial).map_err(|source| state("confirm the generation", source))?;
        tracing::info!(generation = trial.number, "confirmed");
        self.tell(Happened::new(EventKind::Confirmed, format!("generation {} stays", trial.number)));
        self.desired()
    }

    /// The generations that are kept, the newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn history(&self) -> Result<Vec<GenerationSummary>, Rejected> {
        let unread = |source| state("read the generations", source);
        let current = self.current()?.map_or(0, |generation| generation.number);
        let numbers = self.generations.numbers().map_err(unread)?;
        let summaries = numbers.into_iter().rev().map(|number| {
            let generation = self.generations.read(number).map_err(unread)?;
            let chains = &generation.document.chains;
            Ok(GenerationSummary {
                number,
                previous: generation.previous,
                accepted: generation.accepted.to_string(),
                by: generation.by,
                in_force: number == current,
                again: generation.again,
                given_up: generation.given_up,
                chains: chains.len(),
                members: chains.iter().map(|chain| chain.members.len()).sum(),
                probes: generation.document.probes.len(),
            })
        });
        summaries.collect()
    }

    /// A generation that is kept.
    ///
    /// # Errors
    /// When it is not, or cannot be read.
    pub fn generation(&self, number: u64) -> Result<wire::Generation, Rejected> {
        self.kept(number).map(Generation::into_view)
    }

    /// Ends a trial whose time is over in place of a daemon that does not. User programs are left to the daemon that comes.
    ///
    /// # Errors
    /// When the generation before cannot be reached.
    pub fn stand_in(&mut self) -> Result<(), Rejected> {
        self.is_stand_in = true;
        self.tick().map(drop)
    }

    /// How long the trial that goes on takes still; none where its time is over and it could not be ended.
    pub(crate) fn trial_left(&self) -> Option<Duration> {
        // What cannot be read is told at the next comparison.
        self.trial().ok().flatten().map(|trial| trial.left()).filter(|left| !left.is_zero())
    }

    /// The generation that waits to be confirmed, if one does.
    pub(super) fn unconfirmed(&self) -> Result<Option<Unconfirmed>, Rejected> {
        let Some(trial) = self.trial()? else { return Ok(None) };
        let back_to = self.kept(trial.number)?.previous;
        Ok(Some(Unconfirmed { generation: trial.number, seconds_left: trial.left().as_secs(), back_to }))
    }

    /// Returns to the generation before when the one in force was on trial for long enough.
    pub(super) fn end_trial_in_time(&mut self) -> Result<(), Rejected> {
        match self.trial()? {
            Some(trial) if trial.left().is_zero() && !trial.by_hand && self.checks_pass => {
                self.confirm(None).map(drop)
            }
            Some(trial) if trial.left().is_zero() => {
                let who = if trial.by_hand { "nobody confirmed it" } else { "its checks did not pass" };
                self.return_from(&trial, &format!("{who} within {} s", trial.seconds)).map(drop)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Has the generation before in force again, where nothing is applied and a trial waits for an end.
    pub(super) fn end_trial_on_paper(&mut self, why: &str) -> Result<(), Rejected> {
        let Some(trial) = self.trial()? else { return Ok(()) };
        self.generations.return_from(&trial, why).map_err(not_returned)?;
        tracing::warn!(generation = trial.number, "given up: {why}");
        self.tell(Happened::new(EventKind::GivenUp, format!("generation {}: {why}", trial.number)));
        Ok(())
    }

    /// Ends what the last end of the machine left of trials.
    pub(super) fn settle_trial(&self) -> Result<(), Rejected> {
        self.generations.settle_trial().map_err(not_returned)
    }

    /// Has the generation before in force again. It is what is wanted from then on, also where it cannot be reached at once.
    pub(super) fn return_from(&mut self, trial: &Trial, why: &str) -> Result<Vec<String>, Rejected> {
        self.generations.return_from(trial, why).map_err(not_returned)?;
        tracing::warn!(generation = trial.number, "given up, the one before returns: {why}");
        self.trust.make_due();
        self.desired = None;
        if self.current()?.is_none() {
            self.desired = Some(plan::Desired::default());
        }
        self.verify_again()?;
        let steps = super::steps(&self.reach()?);
        self.note_problem(None);
        let text = format!("generation {}: {why}; the one before is in force again", trial.number);
        self.tell(Happened { steps: steps.clone(), ..Happened::new(EventKind::GivenUp, text) });
        self.in_force.send_replace(trial.number);
        Ok(steps)
    }

    pub(super) fn trial(&self) -> Result<Option<Trial>, Rejected> {
        self.generations.trial().map_err(|source| state("read what is on trial", source))
    }

    pub(super) fn kept(&self, number: u64) -> Result<Generation, Rejected> {
        if number == 0 {
            return Ok(Generation::none());
        }
        self.generations.read(number).map_err(|source| {
            let is_gone = source.kind() == io::ErrorKind::NotFound;
            if is_gone { Rejected::NoGeneration { number } } else { state("read the generation", source) }
        })
    }
}

/// Refuses when somebody else changed the desired state meanwhile.
pub(super) fn expect(expected: Option<u64>, current: u64) -> Result<(), Rejected> {
    match expected.filter(|expected| *expected != current) {
        Some(expected) => Err(Rejected::Changed { expected, current }),
        None => Ok(()),
    }
}

fn not_returned(source: io::Error) -> Rejected {
    state("return to the generation before", source)
}

fn state(action: &'static str, source: io::Error) -> Rejected {
    Rejected::State { action, source }
}
