// SPDX-License-Identifier: Apache-2.0
//! The one owner of the kernel: accepts desired states, reaches them, keeps them, and tells what it sees.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use kernel::{Halted, Kernel, Refused};
use package::{MemberName, Platform};
use plan::{Desired, Hook, Observed, Plan, choose, reconcile};
use wire::{Applied, ChainView, Document, Planned, ProbeView, Problem, Profile, State, Status};

use crate::fetch::{Fetched, is_remote};
use crate::generation::{Generation, Generations, Pinned};
use crate::resolve::{Resolved, Resolver, read_policy};
use crate::store::Store;
use crate::waiting::{Waiting, leave_out};
use crate::{Config, Rejected, view};

/// What an engine is made of.
pub struct Parts {
    /// The kernel it owns.
    pub kernel: Box<dyn Kernel + Send>,
    /// Where it keeps its files.
    pub config: Config,
    /// What packages must be built for.
    pub machine: Platform,
    /// Where the time comes from.
    pub clock: fn() -> jiff::Timestamp,
}

/// The daemon without its sockets.
pub struct Engine {
    parts: Parts,
    generations: Generations,
    store: Store,
    /// What is wanted now; empty until a generation was resolved.
    desired: Desired,
    /// What of it waits for something that does not exist.
    waiting: Waiting,
    problem: Option<Problem>,
    mode: String,
    /// Until when run times are measured.
    profiled_until: Option<jiff::Timestamp>,
}

impl Engine {
    /// An engine that has not looked at anything yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            generations: Generations::new(&parts.config.state),
            store: Store::new(&parts.config.state),
            desired: Desired::default(),
            waiting: Waiting::default(),
            problem: None,
            mode: String::new(),
            profiled_until: None,
            parts,
        }
    }

    /// Takes up the generation in force: verifies its packages again from the store and adopts what already runs.
    ///
    /// # Errors
    /// When it cannot be reached; what runs is left as it is.
    pub fn resume(&mut self) -> Result<(), Rejected> {
        let result = self.take_up();
        self.problem = result.as_ref().err().map(Rejected::problem);
        result
    }

    /// Says loudly when nothing is verified, and plainly when nothing can be.
    pub fn warn_of_mode(&self) {
        if self.mode == "normal" {
            tracing::warn!("mode `normal`: packages are NOT verified, anything that is applied runs");
        } else {
            tracing::info!(policy = %self.parts.config.policy.display(), "packages are verified");
        }
    }

    /// Compares the kernel with what is wanted, and repairs what differs. Returns what it did.
    ///
    /// # Errors
    /// When it cannot be repaired.
    pub fn tick(&mut self) -> Result<Plan, Rejected> {
        if self.desired.is_empty() || self.generations.is_detached() {
            return Ok(Plan::default());
        }
        if self.profiled_until.is_some_and(|end| (self.parts.clock)() >= end) {
            tracing::info!("run times are no longer measured");
            return self.end_profile().map(|_| Plan::default());
        }
        let result = self.reach();
        self.problem = result.as_ref().err().map(Rejected::problem);
        result
    }

    /// Accepts a document as the next generation and reaches it. `expected` is the generation that the caller saw, `fetched`
    /// what its references into registries stand for.
    ///
    /// # Errors
    /// When any part of it is refused; then the generation before is in force as if nothing had been asked.
    pub fn apply(
        &mut self,
        document: Document,
        expected: Option<u64>,
        fetched: &Fetched,
    ) -> Result<Applied, Rejected> {
        self.accept(document, expected, &fetched.0)
    }

    /// The steps that a document would take. Nothing is changed.
    ///
    /// # Errors
    /// When the document would be refused before its first step.
    pub fn plan(&mut self, document: &Document, fetched: &Fetched) -> Result<Planned, Rejected> {
        let resolved = self.resolve(document, &fetched.0)?;
        let (plan, _) = self.way_to(&resolved.desired)?;
        Ok(Planned { steps: steps(&plan) })
    }

    /// Takes a member out of its chain; `None` takes all members out of all chains.
    ///
    /// # Errors
    /// When there is no such member, or the rest cannot be reached.
    pub fn stop(&mut self, member: Option<&MemberName>, hook: Option<&Hook>) -> Result<Applied, Rejected> {
        let generation = self.current()?;
        let (mut document, kept) = generation.map_or_else(
            || (Document::default(), BTreeMap::new()),
            |generation| (generation.document, generation.packages),
        );
        match member {
            Some(member) => remove_member(&mut document, member, hook)?,
            None => document = Document::default(),
        }
        self.accept(document, None, &kept)
    }

    /// Measures the run time of all members for a while, by instances that are swapped in and out again.
    ///
    /// # Errors
    /// When they cannot be reached.
    pub fn profile(&mut self, profile: Profile) -> Result<Planned, Rejected> {
        let Profile { seconds } = profile;
        if !(1..=3600).contains(&seconds) {
            return Err(Rejected::ProfileTime { seconds });
        }
        let end = (self.parts.clock)().checked_add(jiff::SignedDuration::from_secs(i64::from(seconds)));
        self.profiled_until = end.ok();
        self.reach_profile()
    }

    /// Ends measuring.
    ///
    /// # Errors
    /// When the members that run without cannot be reached; the next comparison tries again.
    pub fn end_profile(&mut self) -> Result<Planned, Rejected> {
        self.profiled_until = None;
        self.reach_profile()
    }

    /// What references into registries stand for in the generation in force.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn in_force(&self) -> Result<Fetched, Rejected> {
        let packages = self.current()?.map(|generation| generation.packages).unwrap_or_default();
        Ok(Fetched(packages.into_iter().filter(|(reference, _)| is_remote(reference)).collect()))
    }

    /// The document in force, with its number; an empty one with the number 0 when there is none.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn desired(&self) -> Result<wire::Generation, Rejected> {
        let generation = self.current()?;
        Ok(generation.map_or_else(wire::Generation::default, |generation| wire::Generation {
            number: generation.number,
            document: generation.document,
        }))
    }

    /// The chains as they are in the kernel, with their counters.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub fn chains(&self) -> Result<Vec<ChainView>, Rejected> {
        let observed = self.observe(&self.desired)?;
        observed
            .hooks
            .iter()
            .map(|(hook, found)| {
                let is_wanted = self.desired.chains().contains_key(hook);
                let chosen = choose(hook, &self.desired, &observed.facts).ok().filter(|_| is_wanted);
                Ok(view::chain(hook, found, &self.parts.kernel.totals(hook)?, chosen))
            })
            .collect()
    }

    /// The probes as they are in the kernel.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub fn probes(&self) -> Result<Vec<ProbeView>, Rejected> {
        let observed = self.observe(&self.desired)?;
        let runs = self.parts.kernel.runs()?;
        let views = observed.probes.instances.iter().filter_map(|(instance, found)| {
            view::probe(instance, found, runs.get(instance).copied().unwrap_or_default())
        });
        Ok(views.collect())
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// When the state or the kernel cannot be read.
    pub fn status(&self) -> Result<Status, Rejected> {
        let state = if self.generations.is_detached() {
            State::Detached
        } else if self.problem.is_some() {
            State::Refused
        } else if self.waiting.hooks.is_empty() && self.waiting.probes.is_empty() {
            State::Converged
        } else {
            State::Waiting
        };
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.mode.clone(),
            generation: self.current()?.map_or(0, |generation| generation.number),
            state,
            problem: self.problem.clone(),
            waiting_for: self.waiting.texts(),
            kernel: self.observe(&self.desired)?.facts.kernel.to_string(),
            pins: self.parts.config.pins.display().to_string(),
        })
    }

    fn take_up(&mut self) -> Result<(), Rejected> {
        self.mode = read_policy(&self.parts.config.policy)?.mode().to_string();
        let Some(generation) = self.current()? else { return Ok(()) };
        if self.generations.is_detached() {
            return Ok(());
        }
        self.desired = self.resolve(&generation.document, &generation.packages)?.desired;
        self.reach().map(drop)
    }

    fn accept(
        &mut self,
        document: Document,
        expected: Option<u64>,
        kept: &BTreeMap<String, Pinned>,
    ) -> Result<Applied, Rejected> {
        let before = self.current()?;
        let previous = before.as_ref().map_or(0, |generation| generation.number);
        if let Some(expected) = expected.filter(|expected| *expected != previous) {
            return Err(Rejected::Changed { expected, current: previous });
        }
        let Resolved { desired, packages, notes } = self.resolve(&document, kept)?;
        let (plan, waiting) = self.way_to(&desired)?;
        let accepted = (self.parts.clock)();
        let generation = Generation { number: previous + 1, previous, accepted, document, packages };
        self.generations
            .accept(&generation)
            .map_err(|source| Rejected::State { action: "keep the generation", source })?;
        if let Err(halted) = self.carry_out(&plan, &desired) {
            self.give_up(&generation);
            return Err(halted);
        }
        self.desired = desired;
        self.waiting = waiting;
        self.problem = None;
        Ok(Applied { generation: generation.number, steps: steps(&plan), notes })
    }

    /// The plan to a new desired state, and what it leaves out: what waits already may go on waiting, and nothing new
    /// begins with that.
    fn way_to(&self, desired: &Desired) -> Result<(Plan, Waiting), Rejected> {
        let observed = self.look(desired)?;
        let (present, waiting) = leave_out(desired.clone(), &observed);
        let waits_already = waiting.hooks.iter().all(|hook| self.waiting.hooks.contains(hook))
            && waiting.probes.keys().all(|probe| self.waiting.probes.contains_key(probe));
        Ok((reconcile(if waits_already { &present } else { desired }, &observed)?, waiting))
    }

    /// Reads the kernel, and looks for what the probes that are not attached would attach to.
    fn look(&self, desired: &Desired) -> Result<Observed, Rejected> {
        let mut observed = self.observe(desired)?;
        for (name, probe) in desired.probes().iter().filter(|(_, probe)| probe.is_enabled()) {
            if !observed.probes.is_attached(probe.spec())
                && let Some(missing) = self.parts.kernel.missing(&probe.spec().attach)
            {
                observed.probes.absent.insert(name.clone(), missing);
            }
        }
        Ok(observed)
    }

    fn reach_profile(&mut self) -> Result<Planned, Rejected> {
        if self.generations.is_detached() {
            return Ok(Planned { steps: Vec::new() });
        }
        let reached = self.reach();
        if reached.is_err() {
            // A member that cannot be timed runs on without.
            self.profiled_until = None;
        }
        Ok(Planned { steps: steps(&reached?) })
    }

    /// What is wanted now: while it is measured, with timing.
    fn wanted(&self) -> Desired {
        let desired = self.desired.clone();
        match self.profiled_until {
            Some(end) if (self.parts.clock)() < end => desired.timed(),
            Some(_) | None => desired,
        }
    }

    /// Returns to what was in force before a generation that the kernel refused.
    fn give_up(&mut self, generation: &Generation) {
        if let Err(source) = self.generations.withdraw(generation) {
            self.problem = Some(Rejected::State { action: "withdraw the generation", source }.problem());
        }
        if let Err(rejected) = self.reach() {
            self.problem = Some(rejected.problem());
        }
    }

    /// Plans from what is observed now to what is wanted, leaving out what has no interface, and carries it out.
    fn reach(&mut self) -> Result<Plan, Rejected> {
        let wanted = self.wanted();
        let observed = self.look(&wanted)?;
        let (desired, waiting) = leave_out(wanted, &observed);
        self.waiting = waiting;
        let plan = reconcile(&desired, &observed)?;
        self.carry_out(&plan, &desired)?;
        Ok(plan)
    }

    fn observe(&self, desired: &Desired) -> Result<Observed, Rejected> {
        Ok(self.parts.kernel.observe(&desired.namespaces())?)
    }

    fn carry_out(&mut self, plan: &Plan, desired: &Desired) -> Result<(), Rejected> {
        kernel::apply(self.parts.kernel.as_mut(), plan, desired).map_err(|mut halted| {
            halted.log = self.keep_log(&halted);
            Rejected::Halted(Box::new(halted))
        })
    }

    /// Writes a verifier's log to a file of its own. Without the file the refusal still has its telling line.
    fn keep_log(&self, halted: &Halted) -> Option<PathBuf> {
        let (Refused::Verifier { function, log, .. } | Refused::Splice { function, log, .. }) =
            &halted.refused
        else {
            return None;
        };
        let folder = self.parts.config.state.join("logs");
        let path = folder.join(format!("verifier-{function}.log"));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, log));
        (!log.is_empty() && written.is_ok()).then_some(path)
    }

    fn resolve(
        &mut self,
        document: &Document,
        kept: &BTreeMap<String, Pinned>,
    ) -> Result<Resolved, Rejected> {
        let policy = read_policy(&self.parts.config.policy)?;
        self.mode = policy.mode().to_string();
        let resolver = Resolver {
            store: &self.store,
            policy: &policy,
            machine: &self.parts.machine,
            now: (self.parts.clock)(),
        };
        resolver.resolve(document, kept)
    }

    fn current(&self) -> Result<Option<Generation>, Rejected> {
        self.generations.current().map_err(|source| Rejected::State { action: "read the generation", source })
    }
}

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

fn remove_member(document: &mut Document, member: &MemberName, hook: Option<&Hook>) -> Result<(), Rejected> {
    let mut found = false;
    for chain in &mut document.chains {
        let here = hook.is_none_or(|hook| hook.interface == chain.interface && hook.point == chain.hook);
        if here {
            let before = chain.members.len();
            chain.members.retain(|candidate| candidate.name != *member);
            found |= chain.members.len() < before;
        }
    }
    document.chains.retain(|chain| !chain.members.is_empty());
    if hook.is_none() {
        let before = document.probes.len();
        document.probes.retain(|probe| probe.name != *member);
        found |= document.probes.len() < before;
    }
    if found { Ok(()) } else { Err(Rejected::NoMember { member: member.clone() }) }
}
