// SPDX-License-Identifier: Apache-2.0
//! From what is observed to what is desired, with path copies.
//!
//! A chain is an immutable path. What a new chain shares with the running one at its head and at its tail stays as
//! it is; new instances are made for the rest, linked among themselves and to the shared tail, and one write of one
//! slot puts them into effect. A packet meets the old path or the new one, never a mixture.

use std::collections::{BTreeMap, BTreeSet};

use crate::admit::{admit, means};
use crate::carry::carry;
use crate::chain::Path;
use crate::probe;
use crate::{
    Buffers, Desired, Hook, Instance, Means, Member, MemberSpec, Observed, ObservedHook, Plan, Planned,
    Refusal, Root, Slot, State, Step,
};

/// Finds the steps from `observed` to `desired`. They come in three phases over all hooks: prepare beside the
/// running chains, switch hook by hook, clean up; a failure in the first leaves the running chains untouched.
///
/// # Errors
/// When the machine cannot run what is desired; then nothing is planned for any hook.
pub fn reconcile(desired: &Desired, observed: &Observed) -> Result<Plan, Refusal> {
    let mut phases = Phases::default();
    let absent = ObservedHook::default();
    let fragments = observed.facts.fragments;
    // A probe that cannot be attached is noticed before any chain is switched.
    probe::plan(desired, observed, &mut phases)?;
    for (hook, members) in desired.chains() {
        admit(hook, members, observed)?;
        let found = observed.hooks.get(hook).unwrap_or(&absent);
        let means = means(hook, &observed.facts);
        HookPlan { hook, found, means, fragments, phases: &mut phases }.reach(members)?;
    }
    for (hook, found) in observed.hooks.iter().filter(|(hook, _)| !desired.chains().contains_key(hook)) {
        let means = means(hook, &observed.facts);
        HookPlan { hook, found, means, fragments, phases: &mut phases }.clear();
    }
    Ok(phases.into_plan())
}

#[derive(Default)]
pub(crate) struct Phases {
    pub(crate) prepare: Vec<Planned>,
    pub(crate) switch: Vec<Planned>,
    pub(crate) clean: Vec<Planned>,
}

impl Phases {
    fn into_plan(self) -> Plan {
        let mut steps = self.prepare;
        steps.extend(self.switch);
        if self.clean.iter().any(|planned| matches!(planned.step, Step::Unload { .. })) {
            steps.push(Planned {
                step: Step::Settle,
                reason: "packets may still be inside what was replaced",
            });
        }
        steps.extend(self.clean);
        Plan { steps }
    }
}

/// The planning of one hook: its steps go into the phases shared by all.
struct HookPlan<'a> {
    hook: &'a Hook,
    found: &'a ObservedHook,
    means: Means,
    fragments: bool,
    phases: &'a mut Phases,
}

impl HookPlan<'_> {
    fn reach(mut self, members: &[Member]) -> Result<(), Refusal> {
        self.carry_states(members)?;
        let enabled = || members.iter().filter(|member| member.is_enabled());
        let buffers = self.buffers(&enabled().collect::<Vec<_>>());
        let wanted: Vec<MemberSpec> =
            enabled().map(|member| MemberSpec { buffers, ..member.spec().clone() }).collect();
        if !self.found.roots.contains_key(&buffers) {
            let step = Step::CreateRoot { hook: self.hook.clone(), buffers };
            self.prepare(step, "the first chain of its kind on this hook");
        }
        let path = self.found.path_from(buffers);
        let shared = Shared::between(&path, &wanted);
        let order = self.copy_path(&path, &wanted, &shared, buffers);
        if self.found.root != Root::Attached {
            self.attach(buffers);
        } else if self.found.entry != buffers {
            let step = Step::Turn { hook: self.hook.clone(), to: buffers };
            self.switch(step, "all members of a chain take the same kind of packets");
        }
        if self.found.accounted != order {
            let step = Step::Account { hook: self.hook.clone(), order: order.clone() };
            self.switch(step, "each member's packets follow from the order of the chain");
        }
        let kept: BTreeSet<&Instance> = order.iter().collect();
        let states = members.iter().map(|member| State::of(member.spec())).collect();
        self.unload_all_but(&kept);
        self.forget_all_but(&states);
        for buffers in self.found.roots.keys().filter(|other| **other != buffers) {
            let step = Step::DropRoot { hook: self.hook.clone(), buffers: *buffers };
            self.clean(step, "it gets no packets");
        }
        Ok(())
    }

    /// Which packets a chain takes: those in several buffers only where all of its members do.
    fn buffers(&self, enabled: &[&Member]) -> Buffers {
        let all = !enabled.is_empty() && enabled.iter().all(|member| member.needs().buffers == Buffers::Many);
        if all && self.fragments { Buffers::Many } else { Buffers::One }
    }

    /// Lets members that get another object begin with the maps of the one before.
    fn carry_states(&mut self, members: &[Member]) -> Result<(), Refusal> {
        for member in members {
            if let Some(step) = carry(self.hook, self.found, member)? {
                self.prepare(step, "the new release goes on where the old one was");
            }
        }
        Ok(())
    }

    /// Takes the hook down and leaves nothing behind.
    fn clear(mut self) {
        if matches!(self.found.root, Root::Attached | Root::Severed) {
            self.switch(Step::Detach { hook: self.hook.clone() }, "no chain is wanted here");
        }
        self.unload_all_but(&BTreeSet::new());
        self.forget_all_but(&BTreeSet::new());
        self.clean(Step::RemoveRoot { hook: self.hook.clone() }, "no chain is wanted here");
    }

    /// Builds what the new path does not share with the old one; returns the instances of the whole path.
    fn copy_path(
        &mut self,
        path: &Path<'_>,
        wanted: &[MemberSpec],
        shared: &Shared,
        buffers: Buffers,
    ) -> Vec<Instance> {
        let middle = &wanted[shared.head..wanted.len() - shared.tail];
        let mut serials = self.fresh_serials();
        let fresh: Vec<Instance> = middle.iter().map(|spec| serials.next(spec)).collect();
        let head = path.members[..shared.head].iter().map(|(instance, _)| (*instance).clone());
        let tail =
            path.members[path.members.len() - shared.tail..].iter().map(|(instance, _)| (*instance).clone());
        let order: Vec<Instance> = head.chain(fresh.iter().cloned()).chain(tail).collect();
        for (instance, spec) in fresh.iter().zip(middle) {
            let spec = Box::new(spec.clone());
            let step = Step::Load { hook: self.hook.clone(), instance: instance.clone(), spec };
            self.prepare(step, "new in its place in the chain");
        }
        for (at, instance) in fresh.iter().enumerate() {
            if let Some(next) = order.get(shared.head + at + 1) {
                let from = Slot::Instance(instance.clone());
                let step = Step::Link { hook: self.hook.clone(), from, to: Some(next.clone()) };
                self.prepare(step, "not yet reached by packets");
            }
        }
        if !shared.is_whole(path, wanted) {
            let from = order[..shared.head].last();
            let from = from.map_or(Slot::Root(buffers), |last| Slot::Instance(last.clone()));
            let to = order.get(shared.head).cloned();
            let step = Step::Link { hook: self.hook.clone(), from, to };
            self.switch(step, "one write puts the new path into effect");
        }
        order
    }

    fn attach(&mut self, buffers: Buffers) {
        if self.found.root == Root::Severed {
            self.switch(Step::Detach { hook: self.hook.clone() }, "its link leads nowhere");
        }
        let reason = match self.means {
            Means::Link => "packets enter the chain from here on",
            Means::Filter => "packets enter the chain from here on; TC programs have links since Linux 6.6",
        };
        self.switch(Step::Attach { hook: self.hook.clone(), means: self.means, buffers }, reason);
    }

    fn unload_all_but(&mut self, kept: &BTreeSet<&Instance>) {
        for instance in self.found.instances.keys().filter(|instance| !kept.contains(instance)) {
            let step = Step::Unload { hook: self.hook.clone(), instance: instance.clone() };
            self.clean(step, "not in the chain");
        }
    }

    fn forget_all_but(&mut self, kept: &BTreeSet<State>) {
        for state in self.found.states.keys().filter(|state| !kept.contains(state)) {
            let step = Step::Forget { hook: self.hook.clone(), state: state.clone() };
            self.clean(step, "no member uses them");
        }
    }

    fn fresh_serials(&self) -> Serials {
        let mut highest = BTreeMap::new();
        for instance in self.found.instances.keys() {
            // Instances are ordered by member, then by serial: the last one of a member stays.
            highest.insert(instance.member.clone(), instance.serial);
        }
        Serials { highest }
    }

    fn prepare(&mut self, step: Step, reason: &'static str) {
        self.phases.prepare.push(Planned { step, reason });
    }

    fn switch(&mut self, step: Step, reason: &'static str) {
        self.phases.switch.push(Planned { step, reason });
    }

    fn clean(&mut self, step: Step, reason: &'static str) {
        self.phases.clean.push(Planned { step, reason });
    }
}

/// Serial numbers that no instance on the hook has yet.
struct Serials {
    highest: BTreeMap<package::MemberName, u64>,
}

impl Serials {
    fn next(&mut self, spec: &MemberSpec) -> Instance {
        let serial = self.highest.entry(spec.name.clone()).or_insert(0);
        *serial += 1;
        Instance { member: spec.name.clone(), serial: *serial }
    }
}

/// How many members the old and the new path share at either end.
struct Shared {
    head: usize,
    tail: usize,
}

impl Shared {
    fn between(path: &Path<'_>, wanted: &[MemberSpec]) -> Self {
        let same = |(have, want): &((&Instance, &MemberSpec), &MemberSpec)| have.1 == *want;
        let old = || path.members.iter().copied();
        let head = old().zip(wanted).take_while(same).count();
        // A path that does not end where it should has no tail to share.
        let room = if path.ends { path.members.len().min(wanted.len()) - head } else { 0 };
        let tail = old().rev().zip(wanted.iter().rev()).take(room).take_while(same).count();
        Self { head, tail }
    }

    fn is_whole(&self, path: &Path<'_>, wanted: &[MemberSpec]) -> bool {
        path.ends && self.head == wanted.len() && self.head == path.members.len()
    }
}
