// SPDX-License-Identifier: Apache-2.0
//! What is wanted of one machine, made of verified packages only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use maps::Contents;
use package::{Digest, Mechanism, MemberName, NetworkNamespace};
use thiserror::Error;
use trust::Verified;

use crate::{Hook, Hooks, Member, Observed, Placement, Probe};

/// How many members of a chain can be sampled: more than tail calls can follow each other.
const MOST_SAMPLED: u8 = 34;

/// The chains and probes that one machine should run.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    chains: BTreeMap<Hook, Vec<Member>>,
    placements: BTreeMap<Hook, Placement>,
    mechanisms: BTreeMap<Hook, Mechanism>,
    /// Chains for whichever interfaces match and have none of their own; the first that matches counts.
    wherever: Vec<Wherever>,
    /// Where none of those is.
    not_at: BTreeSet<Hook>,
    probes: BTreeMap<MemberName, Probe>,
}

/// A chain for interfaces that match, and have none of their own.
#[derive(Debug, Clone)]
struct Wherever {
    hooks: Hooks,
    members: Vec<Member>,
    placement: Placement,
    mechanism: Option<Mechanism>,
}

/// Two probes have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there are two probes named `{probe}`")]
pub struct DuplicateProbe {
    /// The name that is taken.
    pub probe: MemberName,
}

/// Two members of a chain have the same name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the chain on `{place}` has two members named `{member}`")]
pub struct DuplicateMember {
    /// The chain.
    pub place: String,
    /// The name that is taken.
    pub member: MemberName,
}

impl Desired {
    /// Puts a chain on a hook, in the order packets meet its members. A chain without members means none, and none by a
    /// match either.
    ///
    /// # Errors
    /// When two members have the same name.
    pub fn chain(&mut self, hook: Hook, members: Vec<Member>) -> Result<(), DuplicateMember> {
        differ(&members, &hook)?;
        if members.is_empty() {
            self.chains.remove(&hook);
            self.not_at.insert(hook);
        } else {
            self.chains.insert(hook, members);
        }
        Ok(())
    }

    /// Puts a chain on each of these hooks that has no chain of its own, and none by a call before this one.
    ///
    /// # Errors
    /// When two members have the same name.
    pub fn chain_wherever(
        &mut self,
        hooks: Hooks,
        members: Vec<Member>,
        placement: Placement,
        mechanism: Option<Mechanism>,
    ) -> Result<(), DuplicateMember> {
        differ(&members, &hooks)?;
        self.wherever.push(Wherever { hooks, members, placement, mechanism });
        Ok(())
    }

    /// The same, with the chains for interfaces that match on those that exist.
    #[must_use]
    pub fn spread_over(mut self, observed: &Observed) -> Self {
        for wherever in std::mem::take(&mut self.wherever) {
            for hook in wherever.hooks.among(&observed.interfaces) {
                self.put(&wherever, hook);
            }
            self.wherever.push(wherever);
        }
        self
    }

    /// Puts one of those chains on a hook, unless something is said of that already.
    fn put(&mut self, wherever: &Wherever, hook: Hook) {
        let Wherever { members, placement, mechanism, .. } = wherever;
        if self.chains.contains_key(&hook) || self.not_at.contains(&hook) {
            return;
        }
        if members.is_empty() {
            self.not_at.insert(hook);
            return;
        }
        self.placements.insert(hook.clone(), placement.clone());
        self.mechanisms.extend(mechanism.map(|mechanism| (hook.clone(), mechanism)));
        self.chains.insert(hook, members.clone());
    }

    /// The chains for interfaces that match of which there is none.
    pub fn nowhere(&self, observed: &Observed) -> Vec<&Hooks> {
        let hooks = self.wherever.iter().map(|wherever| &wherever.hooks);
        hooks.filter(|hooks| hooks.among(&observed.interfaces).next().is_none()).collect()
    }

    /// Says how the chain on a hook is to be attached.
    pub fn place(&mut self, hook: Hook, placement: Placement) {
        self.placements.insert(hook, placement);
    }

    /// How the chain on a hook is to be attached.
    pub fn placement(&self, hook: &Hook) -> Placement {
        self.placements.get(hook).cloned().unwrap_or_default()
    }

    /// The network namespaces that chains are in, besides that of the daemon.
    pub fn namespaces(&self) -> BTreeSet<NetworkNamespace> {
        let named = self.chains.keys().filter_map(|hook| hook.interface.namespace.as_ref());
        let matching = self.wherever.iter().filter_map(|wherever| wherever.hooks.interfaces.namespace());
        named.chain(matching).cloned().collect()
    }

    /// Says by what mechanism the members of a hook follow each other, where that is not for the plan to choose.
    pub fn set_mechanism(&mut self, hook: Hook, mechanism: Mechanism) {
        self.mechanisms.insert(hook, mechanism);
    }

    /// The mechanism that was asked for on a hook.
    pub fn mechanism(&self, hook: &Hook) -> Option<Mechanism> {
        self.mechanisms.get(hook).copied()
    }

    /// Adds a probe.
    ///
    /// # Errors
    /// When there is one of the same name.
    pub fn probe(&mut self, probe: Probe) -> Result<(), DuplicateProbe> {
        let name = probe.spec().name.clone();
        if self.probes.contains_key(&name) {
            return Err(DuplicateProbe { probe: name });
        }
        self.probes.insert(name, probe);
        Ok(())
    }

    /// The probes by name.
    pub fn probes(&self) -> &BTreeMap<MemberName, Probe> {
        &self.probes
    }

    /// Whether nothing is wanted.
    pub fn is_empty(&self) -> bool {
        self.chains.is_empty() && self.wherever.is_empty() && self.probes.is_empty()
    }

    /// The chains by hook, each in the order packets meet its members. None is empty.
    pub fn chains(&self) -> &BTreeMap<Hook, Vec<Member>> {
        &self.chains
    }

    /// The bytes of an object that some member or probe runs, by their digest.
    pub fn object(&self, digest: &Digest) -> Option<&[u8]> {
        let members = self.members().map(|member| (member.spec().object, member.object()));
        let probes = self.probes.values().map(|probe| (probe.spec().object, probe.object()));
        members.chain(probes).find(|(found, _)| found == digest).map(|(_, object)| object)
    }

    /// What a map holds that some member or probe configures, by its digest.
    pub fn contents(&self, digest: &Digest) -> Option<&Contents> {
        let probes = self.probes.values().map(Probe::configured);
        self.members()
            .map(Member::configured)
            .chain(probes)
            .find_map(|configured| configured.contents(digest))
    }

    /// The verified packages that the members and probes come from, each once.
    pub fn packages(&self) -> Vec<&Arc<Verified>> {
        let mut by_index = BTreeMap::new();
        let probes = self.probes.values().map(Probe::verified);
        for verified in self.members().map(Member::verified).chain(probes) {
            by_index.entry(verified.package().index).or_insert(verified);
        }
        by_index.into_values().collect()
    }

    /// Leaves the chains of these hooks out.
    #[must_use]
    pub fn without_hooks(mut self, hooks: &BTreeSet<Hook>) -> Desired {
        self.chains.retain(|hook, _| !hooks.contains(hook));
        self.not_at.extend(hooks.iter().cloned());
        self
    }

    /// Splits off the chains whose interface does not exist: a machine that lacks one card runs the rest.
    pub fn without_missing_interfaces(mut self, observed: &Observed) -> (Desired, Vec<Hook>) {
        let present = |hook: &Hook| observed.interfaces.contains_key(&hook.interface);
        let missing = self.chains.keys().filter(|hook| !present(hook)).cloned().collect();
        self.chains.retain(|hook, _| present(hook));
        (self, missing)
    }

    /// Lets the probes stay out whose target was looked for and is not there: they wait, and the rest runs. What is
    /// attached needs no target any more.
    pub fn without_missing_targets(mut self, observed: &Observed) -> (Desired, Vec<MemberName>) {
        let probes = &observed.probes;
        let waits = |probe: &Probe| {
            let spec = probe.spec();
            probe.is_enabled() && probes.absent.contains_key(&spec.name) && !probes.is_attached(spec)
        };
        let mut waiting = Vec::new();
        for (name, probe) in self.probes.iter_mut().filter(|(_, probe)| waits(probe)) {
            probe.disable();
            waiting.push(name.clone());
        }
        (self, waiting)
    }

    /// The same with the run time of every member measured.
    #[must_use]
    pub fn timed(mut self) -> Self {
        self.chains.values_mut().flatten().for_each(Member::time);
        self.wherever.iter_mut().flat_map(|wherever| &mut wherever.members).for_each(Member::time);
        self
    }

    /// The same with the verdicts of every member of these hooks told.
    #[must_use]
    pub fn sampled<'a>(mut self, hooks: impl IntoIterator<Item = &'a Hook>) -> Self {
        for hook in hooks {
            let members = self.chains.get_mut(hook).into_iter().flatten();
            let enabled = members.filter(|member| member.is_enabled());
            (0..MOST_SAMPLED).zip(enabled).for_each(|(place, member)| member.sample(place));
        }
        self
    }

    /// The members of all chains, wherever they are.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.chains.values().flatten().chain(self.wherever.iter().flat_map(|wherever| &wherever.members))
    }
}

/// Refuses two members of one name in a chain.
fn differ(members: &[Member], place: &dyn fmt::Display) -> Result<(), DuplicateMember> {
    let mut names = BTreeSet::new();
    let twice = members.iter().find(|member| !names.insert(&member.spec().name));
    twice.map_or(Ok(()), |twice| {
        Err(DuplicateMember { member: twice.spec().name.clone(), place: place.to_string() })
    })
}
