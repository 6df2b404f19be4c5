// SPDX-License-Identifier: Apache-2.0
//! From what is observed to what is desired, with path copies.
//!
//! A chain is an immutable path. What a new chain shares with the running one at its head and at its tail stays as
//! it is; new instances are made for the rest, linked among themselves and to the shared tail, and one write of one
//! slot puts them into effect. A packet meets the old path or the new one, never a mixture.

use std::collections::{BTreeMap, BTreeSet};

use package::{Difference, HookPoint, KernelVersion, Layout, MemberName};
use thiserror::Error;

use crate::chain::Path;
use crate::{
    Desired, Facts, Hook, Instance, Means, Member, MemberSpec, Needs, Observed, ObservedHook, Plan, Planned,
    Root, Slot, State, Step,
};

/// Why a desired state cannot be reached on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The interface does not exist.
    #[error("there is no interface `{}` for the chain on `{hook}`", hook.interface)]
    NoInterface {
        /// The chain.
        hook: Hook,
    },
    /// Somebody else's program occupies the hook.
    #[error("`{hook}` is occupied by {program}, which is not ours")]
    Occupied {
        /// The hook.
        hook: Hook,
        /// A description of the program.
        program: String,
    },
    /// The kernel follows fewer tail calls than the chain needs, and then lets packets pass unchecked.
    #[error(
        "the chain on `{hook}` needs a tail call for each of its {members} members, and they make up to {own} of their \
         own, but the kernel follows only {limit}"
    )]
    TooLong {
        /// The chain.
        hook: Hook,
        /// How many members it has.
        members: usize,
        /// How many tail calls of their own they make, where those count.
        own: usize,
        /// How many the kernel allows.
        limit: usize,
    },
    /// A map of a new release is laid out in another way than the one that is in use.
    #[error(
        "map `{map}` of `{member}` on `{hook}` holds state that the new release cannot read: it had `{was}`, and wants \
         `{becomes}`"
    )]
    Layout {
        /// The chain.
        hook: Hook,
        /// The member.
        member: MemberName,
        /// The map.
        map: String,
        /// The first field that differs, as it is.
        was: String,
        /// The same as it would be.
        becomes: String,
    },
    /// A member's own tail calls cannot be counted, and share the budget of the chain.
    #[error(
        "`{member}` on `{hook}` leads by tail calls to programs that make some as well, and Linux {kernel} gives a \
         chain one budget for all"
    )]
    UncountedTailCalls {
        /// The chain.
        hook: Hook,
        /// The member.
        member: MemberName,
        /// The running kernel.
        kernel: KernelVersion,
    },
    /// A member may throw exceptions, which leave the chain on a way that no splice sees.
    #[error("`{member}` on `{hook}` may throw exceptions (`bpf_throw`), behind which the chain would end")]
    Throws {
        /// The chain.
        hook: Hook,
        /// The member.
        member: MemberName,
    },
    /// A package needs a newer kernel.
    #[error("package `{package}` on `{hook}` needs Linux {needs}; this is Linux {kernel}")]
    KernelTooOld {
        /// The chain.
        hook: Hook,
        /// The package.
        package: package::PackageName,
        /// What it needs.
        needs: KernelVersion,
        /// The running kernel.
        kernel: KernelVersion,
    },
}

impl Refusal {
    /// What can be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoInterface { .. } => "`ip link` lists the interfaces of this network namespace",
            Self::Occupied { .. } => {
                "ask its owner, or take it off with `ip link set dev <interface> xdp off`"
            }
            Self::TooLong { .. } => "split the chain, or merge members into one program",
            Self::Layout { .. } => {
                "to begin with an empty map, say `upgrade = \"fresh\"` in a `[[map]]` of `package.toml`, or run the release \
                 under another name"
            }
            Self::UncountedTailCalls { .. } => {
                "its author can say how many a packet can make: `tail_calls` of the program in `package.toml`"
            }
            Self::Throws { .. } => "its author can return a verdict in place of throwing",
            Self::KernelTooOld { .. } => "use a newer kernel, or an older release of the package",
        }
    }
}

/// Finds the steps from `observed` to `desired`. They come in three phases over all hooks: prepare beside the
/// running chains, switch hook by hook, clean up; a failure in the first leaves the running chains untouched.
///
/// # Errors
/// When the machine cannot run what is desired; then nothing is planned for any hook.
pub fn reconcile(desired: &Desired, observed: &Observed) -> Result<Plan, Refusal> {
    let mut phases = Phases::default();
    let absent = ObservedHook::default();
    for (hook, members) in desired.chains() {
        admit(hook, members, observed)?;
        let found = observed.hooks.get(hook).unwrap_or(&absent);
        let means = means(hook, &observed.facts);
        HookPlan { hook, found, means, phases: &mut phases }.reach(members)?;
    }
    for (hook, found) in observed.hooks.iter().filter(|(hook, _)| !desired.chains().contains_key(hook)) {
        let means = means(hook, &observed.facts);
        HookPlan { hook, found, means, phases: &mut phases }.clear();
    }
    Ok(phases.into_plan())
}

/// How a hook's root is attached on this kernel.
fn means(hook: &Hook, facts: &Facts) -> Means {
    if hook.point == HookPoint::Xdp || facts.tcx { Means::Link } else { Means::Filter }
}

fn admit(hook: &Hook, members: &[Member], observed: &Observed) -> Result<(), Refusal> {
    let Facts { kernel, .. } = &observed.facts;
    if !observed.interfaces.contains(&hook.interface) {
        return Err(Refusal::NoInterface { hook: hook.clone() });
    }
    if let Some(program) = observed.foreign.get(hook) {
        return Err(Refusal::Occupied { hook: hook.clone(), program: program.clone() });
    }
    admit_tail_calls(hook, members, &observed.facts)?;
    for member in members {
        let manifest = &member.verified().package().manifest;
        let needs = manifest.kernel.min;
        if *kernel < needs {
            let package = manifest.package.name.clone();
            return Err(Refusal::KernelTooOld { hook: hook.clone(), package, needs, kernel: *kernel });
        }
    }
    Ok(())
}

/// A packet never falls out of a chain half-way: one tail call for each member, and the members' own where they count.
fn admit_tail_calls(hook: &Hook, members: &[Member], facts: &Facts) -> Result<(), Refusal> {
    let enabled = || members.iter().filter(|member| member.is_enabled());
    let mut own = 0;
    for member in enabled() {
        let name = || member.spec().name.clone();
        let Needs { tail_calls, throws } = member.needs();
        if throws {
            return Err(Refusal::Throws { hook: hook.clone(), member: name() });
        }
        if facts.tail_calls_shared {
            let (hook, kernel) = (hook.clone(), facts.kernel);
            own += tail_calls.ok_or_else(|| Refusal::UncountedTailCalls { hook, member: name(), kernel })?;
        }
    }
    let (members, limit) = (enabled().count(), facts.tail_calls);
    if members + own > limit {
        return Err(Refusal::TooLong { hook: hook.clone(), members, own, limit });
    }
    Ok(())
}

#[derive(Default)]
struct Phases {
    prepare: Vec<Planned>,
    switch: Vec<Planned>,
    clean: Vec<Planned>,
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
    phases: &'a mut Phases,
}

impl HookPlan<'_> {
    fn reach(mut self, members: &[Member]) -> Result<(), Refusal> {
        self.carry_states(members)?;
        let enabled = members.iter().filter(|member| member.is_enabled());
        let wanted: Vec<&MemberSpec> = enabled.map(Member::spec).collect();
        let path = self.found.path();
        let shared = Shared::between(&path, &wanted);
        let order = self.copy_path(&path, &wanted, &shared);
        if self.found.root != Root::Attached {
            self.attach();
        }
        if self.found.accounted != order {
            let step = Step::Account { hook: self.hook.clone(), order: order.clone() };
            self.switch(step, "each member's packets follow from the order of the chain");
        }
        let kept: BTreeSet<&Instance> = order.iter().collect();
        let states = members.iter().map(|member| state_of(member.spec())).collect();
        self.unload_all_but(&kept);
        self.forget_all_but(&states);
        Ok(())
    }

    /// Lets members that get another object begin with the maps of the one before.
    fn carry_states(&mut self, members: &[Member]) -> Result<(), Refusal> {
        for member in members {
            let to = state_of(member.spec());
            if self.found.states.get(&to).is_some_and(Option::is_some) {
                continue;
            }
            let Some((from, layout)) = self.state_before(&to) else { continue };
            let mut maps = Vec::new();
            for map in layout.0.keys().filter(|map| member.layout().0.contains_key(*map)) {
                match layout.difference(member.layout(), map) {
                    None => maps.push(map.clone()),
                    Some(_) if member.begins_fresh(map) => {}
                    Some(difference) => return Err(self.unreadable(member, map, difference)),
                }
            }
            if !maps.is_empty() {
                let (hook, from) = (self.hook.clone(), from.clone());
                self.prepare(
                    Step::Carry { hook, from, to, maps },
                    "the new release goes on where the old one was",
                );
            }
        }
        Ok(())
    }

    /// The maps that a member has now: those of its instance in the chain, else any that are complete.
    fn state_before(&self, to: &State) -> Option<(&State, &Layout)> {
        let path = self.found.path();
        let running = path.members.iter().map(|(_, spec)| state_of(spec));
        let running = running.filter(|state| state.member == to.member).next();
        let complete =
            self.found.states.iter().filter(|(state, _)| state.member == to.member && *state != to);
        let mut complete = complete.filter_map(|(state, layout)| Some((state, layout.as_ref()?)));
        match running {
            Some(running) => complete.find(|(state, _)| **state == running),
            None => complete.next(),
        }
    }

    fn unreadable(&self, member: &Member, map: &str, difference: Difference) -> Refusal {
        let told = |line: Option<String>| line.unwrap_or_else(|| "nothing more".to_owned());
        Refusal::Layout {
            hook: self.hook.clone(),
            member: member.spec().name.clone(),
            map: map.to_owned(),
            was: told(difference.was),
            becomes: told(difference.becomes),
        }
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
    fn copy_path(&mut self, path: &Path<'_>, wanted: &[&MemberSpec], shared: &Shared) -> Vec<Instance> {
        if self.found.root == Root::Absent {
            self.prepare(Step::CreateRoot { hook: self.hook.clone() }, "the first chain on this hook");
        }
        let middle = &wanted[shared.head..wanted.len() - shared.tail];
        let mut serials = self.fresh_serials();
        let fresh: Vec<Instance> = middle.iter().map(|spec| serials.next(spec)).collect();
        let head = path.members[..shared.head].iter().map(|(instance, _)| (*instance).clone());
        let tail =
            path.members[path.members.len() - shared.tail..].iter().map(|(instance, _)| (*instance).clone());
        let order: Vec<Instance> = head.chain(fresh.iter().cloned()).chain(tail).collect();
        for (instance, spec) in fresh.iter().zip(middle) {
            let spec = Box::new((*spec).clone());
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
            let from = order[..shared.head].last().map_or(Slot::Root, |last| Slot::Instance(last.clone()));
            let to = order.get(shared.head).cloned();
            let step = Step::Link { hook: self.hook.clone(), from, to };
            self.switch(step, "one write puts the new path into effect");
        }
        order
    }

    fn attach(&mut self) {
        if self.found.root == Root::Severed {
            self.switch(Step::Detach { hook: self.hook.clone() }, "its link leads nowhere");
        }
        let reason = match self.means {
            Means::Link => "packets enter the chain from here on",
            Means::Filter => "packets enter the chain from here on; TC programs have links since Linux 6.6",
        };
        self.switch(Step::Attach { hook: self.hook.clone(), means: self.means }, reason);
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
    fn between(path: &Path<'_>, wanted: &[&MemberSpec]) -> Self {
        let same = |(have, want): &((&Instance, &MemberSpec), &&MemberSpec)| have.1 == **want;
        let old = || path.members.iter().copied();
        let head = old().zip(wanted).take_while(same).count();
        // A path that does not end where it should has no tail to share.
        let room = if path.ends { path.members.len().min(wanted.len()) - head } else { 0 };
        let tail = old().rev().zip(wanted.iter().rev()).take(room).take_while(same).count();
        Self { head, tail }
    }

    fn is_whole(&self, path: &Path<'_>, wanted: &[&MemberSpec]) -> bool {
        path.ends && self.head == wanted.len() && self.head == path.members.len()
    }
}

fn state_of(spec: &MemberSpec) -> State {
    State { member: spec.name.clone(), object: spec.object }
}
