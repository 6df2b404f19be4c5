// SPDX-License-Identifier: Apache-2.0
//! From what is observed to what is desired, with path copies.
//!
//! A chain is an immutable path. What a new chain shares with the running one at its head and at its tail stays as
//! it is; new instances are made for the rest, linked among themselves and to the shared tail, and one write of one
//! slot puts them into effect. A packet meets the old path or the new one, never a mixture.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use package::{Digest, Mechanism, Occupied};
use trust::Verified;

use crate::admit::admit;
use crate::bound;
use crate::carry::carry;
use crate::chain::Path;
use crate::mechanism::{Choice, choose};
use crate::probe;
use crate::refusals::Found;
use crate::shared::wanted;
use crate::{
    Buffers, Desired, Entry, Hook, Incumbent, Instance, Member, MemberSpec, Observed, ObservedHook,
    PackageRef, Placement, Plan, Planned, Refusals, Root, Slot, State, Step, Target,
};

/// Finds the steps from `observed` to `desired`. They come in three phases over all hooks: prepare beside the
/// running chains, switch hook by hook, clean up; a failure in the first leaves the running chains untouched.
///
/// # Errors
/// When the machine cannot run what is desired, with all reasons; then nothing is planned for any hook.
pub fn reconcile(desired: &Desired, observed: &Observed) -> Result<Plan, Refusals> {
    let (mut phases, mut refusals) = (Phases::default(), Found::default());
    let absent = ObservedHook::default();
    // A probe that cannot be attached is noticed before any chain is switched.
    probe::plan(desired, observed, &mut phases, &mut refusals);
    for (hook, members) in desired.chains() {
        let placement = desired.placement(hook);
        admit(hook, members, &placement, observed, &mut refusals);
        let choice = choose(hook, desired, &observed.facts);
        let Some(choice) = refusals.take(choice) else { continue };
        let placement = bound::place(members, placement);
        let found = observed.hooks.get(hook).unwrap_or(&absent);
        HookPlan { hook, found, placement, choice, observed, phases: &mut phases }
            .reach(members, &mut refusals);
    }
    for (hook, found) in observed.hooks.iter().filter(|(hook, _)| !desired.chains().contains_key(hook)) {
        let choice = Choice { mechanism: Mechanism::Splice, reason: "no chain is wanted here" };
        let placement = Placement::default();
        HookPlan { hook, found, placement, choice, observed, phases: &mut phases }.clear();
    }
    phases.start_before_packets(desired);
    let wanted = wanted(desired, observed, &mut refusals);
    refusals.refuse()?;
    for shared in observed.shared.keys().filter(|shared| !wanted.contains(shared)) {
        let step = Step::ForgetShared { shared: shared.clone() };
        phases.clean.push(Planned { step, reason: "no member uses it" });
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
    /// Has the user programs that are to be ready before packets come started, of packages of which anything is loaded.
    fn start_before_packets(&mut self, desired: &Desired) {
        let loaded = self.prepare.iter().filter_map(|planned| planned.step.loads());
        let loaded: BTreeMap<Digest, &PackageRef> = loaded.map(|package| (package.index, package)).collect();
        let is_awaited = |verified: &&Arc<Verified>| {
            let user = verified.package().manifest.user.as_ref();
            user.is_some_and(|user| user.ready_seconds.is_some())
        };
        let awaited = desired.packages().into_iter().filter(is_awaited);
        let packages = awaited.filter_map(|verified| loaded.get(&verified.package().index).copied());
        let steps = packages.map(|package| Planned {
            step: Step::Start { package: Box::new(package.clone()) },
            reason: "it is to be ready before packets come",
        });
        let steps: Vec<Planned> = steps.collect();
        self.prepare.extend(steps);
    }

    fn into_plan(self) -> Plan {
        let mut steps = self.prepare;
        steps.extend(self.switch);
        let ends = |planned: &Planned| {
            matches!(planned.step, Step::Unload { .. } | Step::DropDispatcher { .. } | Step::DropRoot { .. })
        };
        if self.clean.iter().any(ends) {
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
pub(crate) struct HookPlan<'a> {
    pub(crate) hook: &'a Hook,
    pub(crate) found: &'a ObservedHook,
    pub(crate) placement: Placement,
    pub(crate) choice: Choice,
    pub(crate) observed: &'a Observed,
    phases: &'a mut Phases,
}

impl HookPlan<'_> {
    fn reach(mut self, members: &[Member], refusals: &mut Found) {
        self.carry_states(members, refusals);
        let enabled: Vec<&Member> = members.iter().filter(|member| member.is_enabled()).collect();
        let (buffers, mechanism) = (self.buffers(&enabled), self.choice.mechanism);
        let wanted: Vec<MemberSpec> =
            enabled.iter().map(|member| MemberSpec { buffers, mechanism, ..member.spec().clone() }).collect();
        let end = self.end();
        let (entry, mut order) = match mechanism {
            Mechanism::Splice => self.splice((&wanted, &end), buffers),
            Mechanism::Dispatcher => self.dispatch(&wanted),
            Mechanism::Alone => self.leave_alone(&wanted),
        };
        self.enter(&entry);
        if end == Target::Incumbent {
            order.push(Instance::incumbent());
        }
        if self.found.accounted != order {
            let step = Step::Account { hook: self.hook.clone(), order: order.clone() };
            self.switch(step, "each member's packets follow from the order of the chain");
        }
        let kept: BTreeSet<&Instance> = order.iter().collect();
        let states = members.iter().map(|member| State::of(member.spec())).collect();
        self.drop_entries_but(&entry);
        self.unload_all_but(&kept);
        self.forget_all_but(&states);
    }

    /// Makes sure that there is a path of these members, which a root leads to or the first of them begins.
    fn splice(
        &mut self,
        (wanted, end): (&[MemberSpec], &Target),
        buffers: Buffers,
    ) -> (Entry, Vec<Instance>) {
        let running = self.found.path();
        if wanted.first().is_some_and(|first| first.device_bound) {
            let order = running.order_if(wanted, end);
            let order = order.unwrap_or_else(|| self.copy_path(&running, (wanted, end), None));
            return (Entry::Head(order[0].clone()), order);
        }
        if !self.found.roots.contains_key(&buffers) {
            let step = Step::CreateRoot { hook: self.hook.clone(), buffers };
            self.prepare(step, self.choice.reason);
        }
        let order = self.found.path_from(buffers).order_if(wanted, end);
        // What runs behind another entry does not begin as this path does, but it may end so.
        let order = order.unwrap_or_else(|| self.copy_path(&running, (wanted, end), Some(buffers)));
        (Entry::Root(buffers), order)
    }

    /// Where the chain ends: in the program of somebody else, if that is to be kept. What is needed for it is prepared.
    fn end(&mut self) -> Target {
        let is_there = self.observed.foreign.contains_key(self.hook);
        // What was held for a link that leads nowhere goes with it.
        let held = if self.found.root == Root::Severed { Incumbent::Absent } else { self.found.incumbent };
        if is_there && held == Incumbent::Absent {
            let step = Step::Hold { hook: self.hook.clone() };
            self.prepare(step, "it can have its packets again");
        } else if held == Incumbent::Absent {
            return Target::Nothing;
        }
        if self.placement.occupied != Occupied::Keep {
            return Target::Nothing;
        }
        if held != Incumbent::Member {
            let step = Step::Include { hook: self.hook.clone() };
            self.prepare(step, "packets that pass the chain meet it as before");
        }
        Target::Incumbent
    }

    /// Which packets a chain takes: those in several buffers only where all of its members do.
    fn buffers(&self, enabled: &[&Member]) -> Buffers {
        let all = !enabled.is_empty() && enabled.iter().all(|member| member.needs().buffers == Buffers::Many);
        // Whether somebody else's program takes packets in several buffers cannot be seen.
        let all = all && self.placement.occupied != Occupied::Keep;
        if all && self.observed.facts.fragments { Buffers::Many } else { Buffers::One }
    }

    /// Lets members that get another object begin with the maps of the one before.
    fn carry_states(&mut self, members: &[Member], refusals: &mut Found) {
        for member in members {
            if let Some(step) = refusals.take(carry(self.hook, self.found, member)).flatten() {
                self.prepare(step, "the new release goes on where the old one was");
            }
        }
    }

    /// Takes the hook down and leaves nothing behind.
    fn clear(mut self) {
        if matches!(self.found.root, Root::Attached | Root::Severed) {
            self.switch(Step::Detach { hook: self.hook.clone() }, "no chain is wanted here");
        }
        self.drop_dispatchers(|_| true);
        self.unload_all_but(&BTreeSet::new());
        self.forget_all_but(&BTreeSet::new());
        self.clean(Step::RemoveRoot { hook: self.hook.clone() }, "no chain is wanted here");
    }

    /// Builds what the new path does not share with the old one; returns the instances of the whole path. What leads to the
    /// new ones is the last of those at the head that stay, else a root, else the link.
    fn copy_path(
        &mut self,
        path: &Path<'_>,
        (wanted, end): (&[MemberSpec], &Target),
        root: Option<Buffers>,
    ) -> Vec<Instance> {
        let shared = Shared::between(path, (wanted, end));
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
            let next = order.get(shared.head + at + 1);
            if next.is_some() || *end == Target::Incumbent {
                let step = self.link(Slot::Instance(instance.clone()), next, end);
                self.prepare(step, "not yet reached by packets");
            }
        }
        let from = order[..shared.head].last().map(|last| Slot::Instance(last.clone()));
        if let Some(from) = from.or(root.map(Slot::Root)) {
            let step = self.link(from, order.get(shared.head), end);
            self.switch(step, "one write puts the new path into effect");
        }
        order
    }

    /// The write of a slot: it leads to the next member, and behind the last one to the end.
    fn link(&self, from: Slot, next: Option<&Instance>, end: &Target) -> Step {
        let hook = self.hook.clone();
        match next {
            None if *end == Target::Incumbent => Step::LinkIncumbent { hook, from },
            next => Step::Link { hook, from, to: next.cloned() },
        }
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

    pub(crate) fn fresh_serials(&self) -> Serials {
        let mut highest = BTreeMap::new();
        for instance in self.found.instances.keys() {
            // Instances are ordered by member, then by serial: the last one of a member stays.
            highest.insert(instance.member.clone(), instance.serial);
        }
        Serials { highest }
    }

    pub(crate) fn prepare(&mut self, step: Step, reason: &'static str) {
        self.phases.prepare.push(Planned { step, reason });
    }

    pub(crate) fn switch(&mut self, step: Step, reason: &'static str) {
        self.phases.switch.push(Planned { step, reason });
    }

    pub(crate) fn clean(&mut self, step: Step, reason: &'static str) {
        self.phases.clean.push(Planned { step, reason });
    }
}

/// Serial numbers that no instance on the hook has yet.
pub(crate) struct Serials {
    highest: BTreeMap<package::MemberName, u64>,
}

impl Serials {
    pub(crate) fn next(&mut self, spec: &MemberSpec) -> Instance {
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
    fn between(path: &Path<'_>, (wanted, end): (&[MemberSpec], &Target)) -> Self {
        let same = |(have, want): &((&Instance, &MemberSpec), &MemberSpec)| have.1 == *want;
        let old = || path.members.iter().copied();
        let head = old().zip(wanted).take_while(same).count();
        // A path that does not end where it should has no tail to share.
        let room = if path.end == *end { path.members.len().min(wanted.len()) - head } else { 0 };
        let tail = old().rev().zip(wanted.iter().rev()).take(room).take_while(same).count();
        Self { head, tail }
    }
}
