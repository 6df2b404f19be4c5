// SPDX-License-Identifier: Apache-2.0
//! What the engine tells: how it is, what runs, and why that is trusted. Nothing here changes anything.

use plan::choose;
use wire::{ChainView, Chains, EventKind, Explained, ProbeView, Probes, State, Status, UserProgramName};

use super::Engine;
use crate::generation::Generation;
use crate::metrics::{Family, Metrics, text};
use crate::own_metrics;
use crate::standing::rulings;
use crate::user::{Named, NotNamed};
use crate::{Rejected, view};

impl Engine {
    /// The document in force, with its number; an empty one with the number 0 when there is none.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn desired(&self) -> Result<wire::Generation, Rejected> {
        Ok(self.current()?.map_or_else(wire::Generation::default, Generation::into_view))
    }

    /// Why each package of the document in force was accepted, and why it is trusted no longer where it is not.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn explanations(&self) -> Result<Vec<Explained>, Rejected> {
        let Some(generation) = self.current()? else { return Ok(Vec::new()) };
        let explained = generation.packages.iter().map(|(reference, pinned)| Explained {
            package: reference.clone(),
            digest: pinned.index.to_string(),
            accepted: generation.explanations.get(reference).map(rulings).unwrap_or_default(),
            withdrawn: self.trust.withdrawn(reference).map(rulings).unwrap_or_default(),
        });
        Ok(explained.collect())
    }

    /// The chains as they are in the kernel, with their counters.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub fn chains(&self) -> Result<Chains, Rejected> {
        Ok(Chains { mode: self.trust.mode(), chains: self.chain_views()? })
    }

    /// The probes as they are in the kernel.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub fn probes(&self) -> Result<Probes, Rejected> {
        let observed = self.observe(&self.in_force())?;
        let runs = self.parts.kernel.runs()?;
        let views = observed.probes.instances.iter().filter_map(|(instance, found)| {
            view::probe(instance, found, runs.get(instance).copied().unwrap_or_default())
        });
        let probes: Vec<ProbeView> = views.collect();
        Ok(Probes { mode: self.trust.mode(), probes })
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// When the state or the kernel cannot be read.
    pub fn status(&self) -> Result<Status, Rejected> {
        let state = if self.parts.config.safe {
            State::Safe
        } else if self.generations.is_detached() {
            State::Detached
        } else if self.problem.is_some() || self.file_problem.is_some() {
            State::Refused
        } else if self.waiting.is_empty() {
            State::Converged
        } else {
            State::Waiting
        };
        // A memory that cannot be read is a problem that is told already.
        let looked = self.memory.read().ok().and_then(|remembered| remembered.looked);
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.trust.mode(),
            generation: self.current()?.map_or(0, |generation| generation.number),
            unconfirmed: self.unconfirmed()?,
            state,
            problem: self.problem.clone().or_else(|| self.file_problem.clone()),
            document: self.parts.config.document.as_ref().map(|file| file.display().to_string()),
            waiting_for: self.waiting.texts(),
            alarms: self.trust.alarms().to_vec(),
            looked: looked.map(|at| at.to_string()),
            user_programs: self.user_programs.views(),
            left: self.left_to_others(),
            drifts: self.tally.repairs.values().sum(),
            last_drift: self.events.last(EventKind::Drift),
            notices: Vec::new(),
            kernel: self.observe(&self.in_force())?.facts.kernel.to_string(),
            pins: self.parts.config.pins.display().to_string(),
        })
    }

    /// What can be measured of the node, as `OpenMetrics`.
    ///
    /// # Errors
    /// When the state or the kernel cannot be read.
    pub fn metrics(&self) -> Result<String, Rejected> {
        Ok(text(&self.families()?, ""))
    }

    /// The same as values.
    ///
    /// # Errors
    /// When the state or the kernel cannot be read.
    pub(crate) fn families(&self) -> Result<Vec<Family>, Rejected> {
        let looked = self.memory.read()?.looked;
        let age = looked.map(|looked| (self.parts.clock)().duration_since(looked));
        let size = self.store.size();
        let size = size.map_err(|source| Rejected::State { action: "look at the packages", source })?;
        let metrics = Metrics {
            mode: self.trust.mode(),
            alarms: self.trust.alarms().len(),
            knowledge_age: age.map(|age| age.as_secs().max(0)),
            generation: self.current()?.map_or(0, |generation| generation.number),
            store_bytes: [size, self.parts.config.store_max.bytes()],
            chains: &self.chain_views()?,
            tally: &self.tally,
            user_programs: &self.user_programs.views(),
        };
        let mut families = metrics.families();
        families.extend(own_metrics::families());
        Ok(families)
    }

    /// The user program that somebody names.
    ///
    /// # Errors
    /// When there is none, or several.
    pub(crate) fn user_program(&self, name: &UserProgramName) -> Result<Named, Rejected> {
        self.user_programs.find(name).map_err(|not| match not {
            NotNamed::Unknown => Rejected::NoUserProgram { name: name.to_string() },
            NotNamed::Several(names) => Rejected::SeveralUserPrograms { name: name.to_string(), names },
        })
    }

    fn chain_views(&self) -> Result<Vec<ChainView>, Rejected> {
        let desired = self.in_force();
        let observed = self.observe(&desired)?;
        let desired = desired.spread_over(&observed);
        let views = observed.hooks.iter().map(|(hook, found)| {
            let is_wanted = desired.chains().contains_key(hook);
            let chosen = choose(hook, &desired, &observed.facts).ok().filter(|_| is_wanted);
            let kernel = &self.parts.kernel;
            Ok(view::chain(hook, found, (&kernel.totals(hook)?, &kernel.program_ids(hook)?), chosen))
        });
        views.collect()
    }
}
