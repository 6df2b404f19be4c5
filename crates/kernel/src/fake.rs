// SPDX-License-Identifier: Apache-2.0
//! A kernel in memory, for tests of what is built on the port.
//!
//! It keeps the rules it was taught, no more: a green run proves the logic against these rules, not that the rules
//! are those of a kernel. Each rule has a story in `it` that shows it on a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use package::{
    Attachment, FlowFilter, Interface, KernelVersion, Mechanism, MemberName, NetworkNamespace, Object, Share,
};
use plan::{
    Desired, Entry, Facts, Hook, Incumbent, Instance, Means, MemberSpec, Observed, ObservedHook,
    ObservedInstance, ObservedProbes, ProbeSpec, Root, SharedMap, Slot, State, Step, Target, Unbindable,
};

use crate::{Ended, Glance, Holdings, Kernel, Refused, Runs, Samples, Totals, Unseen};

mod probes;

/// A kernel in memory.
#[derive(Debug, Clone)]
pub struct Fake {
    observed: Observed,
}

impl Fake {
    /// A Linux 6.12 with these interfaces and nothing loaded.
    pub fn new(interfaces: impl IntoIterator<Item = Interface>) -> Self {
        let kernel = KernelVersion { major: 6, minor: 12 };
        let facts = Facts {
            kernel,
            tcx: true,
            tail_calls: 33,
            tail_calls_shared: true,
            fragments: true,
            device_bound: true,
            extensions: true,
            lacks: BTreeMap::new(),
        };
        let interfaces: BTreeMap<Interface, _> =
            interfaces.into_iter().map(|interface| (interface, None)).collect();
        Self {
            observed: Observed {
                facts,
                interfaces,
                unbindable: BTreeMap::new(),
                hooks: BTreeMap::new(),
                shared: BTreeMap::new(),
                foreign: BTreeMap::new(),
                probes: ObservedProbes::default(),
            },
        }
    }

    /// Lets no program take the place of a function of another one.
    pub fn forbid_extensions(&mut self) {
        self.observed.facts.extensions = false;
    }

    /// Does half of a step, as a daemon does that is killed in the middle of it.
    pub fn tear(&mut self, step: &Step) {
        match step {
            Step::CreateRoot { hook, buffers } => {
                self.hook(hook).roots.remove(buffers);
            }
            Step::Load { hook, instance, spec } => {
                let found = self.hook(hook);
                found.instances.insert(
                    instance.clone(),
                    ObservedInstance { spec: None, code: None, next: Target::Nothing },
                );
                found.states.entry(State { member: spec.name.clone(), object: spec.object }).or_default();
            }
            Step::Hold { hook } => self.hook(hook).incumbent = Incumbent::Absent,
            Step::Carry { hook, to, .. } => {
                self.hook(hook).states.entry(to.clone()).or_default();
            }
            Step::Unload { hook, instance } => {
                if let Some(found) = self.hook(hook).instances.get_mut(instance) {
                    found.spec = None;
                }
            }
            Step::Dispatch { hook, serial, .. } => drop(self.hook(hook).dispatchers.insert(*serial, None)),
            Step::DropDispatcher { hook, serial } => {
                if let Some(found) = self.hook(hook).dispatchers.get_mut(serial) {
                    *found = None;
                }
            }
            Step::Probe(step) => probes::tear(&mut self.observed.probes, step),
            // The root is removed before the folder that held it.
            Step::RemoveRoot { hook } => *self.hook(hook) = ObservedHook::default(),
            // These are single system calls: they happen or they do not.
            Step::Link { .. }
            | Step::LinkIncumbent { .. }
            | Step::Include { .. }
            | Step::Attach { .. }
            | Step::Turn { .. }
            | Step::DropRoot { .. }
            | Step::Detach { .. }
            | Step::Account { .. }
            | Step::Settle
            | Step::Start { .. }
            | Step::Forget { .. }
            | Step::ForgetShared { .. } => {}
        }
    }

    /// Takes an interface away, with the link that was on it.
    pub fn remove_interface(&mut self, interface: &Interface) {
        self.observed.interfaces.remove(interface);
        for (hook, found) in &mut self.observed.hooks {
            if hook.interface != *interface {
                continue;
            }
            if found.root == Root::Attached {
                found.root = Root::Severed;
            }
            for instance in found.instances.values_mut() {
                instance.spec.take_if(|spec| spec.device_bound);
            }
        }
    }

    /// Makes an interface, or one of the same name anew.
    pub fn add_interface(&mut self, interface: Interface) {
        self.observed.interfaces.insert(interface, None);
    }

    /// Makes it a kernel that knows no programs which are bound to a device, as before Linux 6.3.
    pub fn age(&mut self) {
        self.observed.facts.kernel = KernelVersion { major: 6, minor: 1 };
        self.observed.facts.device_bound = false;
    }

    /// Lets an interface have no program that is bound to it.
    pub fn forbid_binding(&mut self, interface: Interface, why: Unbindable) {
        self.observed.unbindable.insert(interface, why);
    }

    /// Lets somebody else detach the root of a hook.
    pub fn sever(&mut self, hook: &Hook) {
        let found = self.hook(hook);
        if found.root == Root::Attached {
            found.root = Root::Severed;
        }
    }

    /// Lets somebody else take a function of the dispatcher of a hook away from the member that took its place.
    pub fn unlink(&mut self, hook: &Hook) {
        self.hook(hook).dispatchers.values_mut().for_each(|members| *members = None);
    }

    /// Lets somebody else write a program of theirs into a slot.
    pub fn tamper(&mut self, hook: &Hook, slot: &Slot) {
        let found = self.hook(hook);
        match slot {
            Slot::Root(buffers) => drop(found.roots.insert(*buffers, Target::Foreign)),
            Slot::Instance(instance) => {
                if let Some(found) = found.instances.get_mut(instance) {
                    found.next = Target::Foreign;
                }
            }
        }
    }

    /// Lets somebody else have a hook.
    pub fn occupy(&mut self, hook: &Hook) {
        self.observed.foreign.insert(hook.clone(), "a program".to_owned());
    }

    /// Lets somebody else detach a probe.
    pub fn sever_probe(&mut self, instance: &Instance) {
        if let Some(found) = self.observed.probes.instances.get_mut(instance) {
            found.attached = false;
        }
    }

    /// Takes away what a probe attaches to.
    pub fn lose_target(&mut self, probe: &MemberName) {
        self.observed.probes.absent.insert(probe.clone(), "it is gone".to_owned());
    }

    fn hook(&mut self, hook: &Hook) -> &mut ObservedHook {
        self.observed.hooks.entry(hook.clone()).or_default()
    }

    fn link(&mut self, hook: &Hook, from: &Slot, to: Option<&Instance>) -> Result<(), &'static str> {
        let found = self.hook(hook);
        // The kernel puts no program that is bound to a device into a program array.
        if to.is_some_and(|to| found.loaded_as(to) != Some(Mechanism::Splice) || found.is_bound(to)) {
            return Err("there is no such program to point to");
        }
        let target = to.cloned().map_or(Target::Nothing, Target::Instance);
        match from {
            Slot::Root(buffers) => *found.roots.get_mut(buffers).ok_or("there is no such root")? = target,
            Slot::Instance(instance) => {
                found.instances.get_mut(instance).ok_or("there is no such slot")?.next = target;
            }
        }
        Ok(())
    }

    fn turn(&mut self, hook: &Hook, to: &Entry) -> Result<(), &'static str> {
        let found = self.hook(hook);
        if found.root != Root::Attached || !found.has(to) {
            return Err("there is no link, or no such entry");
        }
        found.entry = to.clone();
        Ok(())
    }

    fn link_incumbent(&mut self, hook: &Hook, from: &Slot) -> Result<(), &'static str> {
        let found = self.hook(hook);
        if found.incumbent != Incumbent::Member {
            return Err("there is no such program to point to");
        }
        let slot = match from {
            Slot::Root(buffers) => found.roots.get_mut(buffers),
            Slot::Instance(instance) => found.instances.get_mut(instance).map(|found| &mut found.next),
        };
        *slot.ok_or("there is no such slot")? = Target::Incumbent;
        Ok(())
    }

    /// Somebody else's program gets its packets back with the link that was theirs.
    fn detach(&mut self, hook: &Hook) {
        let found = self.hook(hook);
        let held = std::mem::take(&mut found.incumbent) != Incumbent::Absent;
        if held && found.root == Root::Attached {
            self.occupy(hook);
        }
        let found = self.hook(hook);
        if found.root != Root::Absent {
            found.root = Root::Detached;
        }
    }

    fn attach(&mut self, hook: &Hook, means: Means, entry: &Entry) -> Result<(), &'static str> {
        let exchanged = self.observed.foreign.remove(hook).is_some();
        if exchanged != (means == Means::Exchange) {
            return Err("the hook is occupied, or is not");
        }
        if !self.observed.interfaces.contains_key(&hook.interface) {
            return Err("there is no such interface");
        }
        let found = self.hook(hook);
        if !found.has(entry) {
            return Err("there is no such entry");
        }
        match found.root {
            Root::Detached | Root::Absent => (found.root, found.entry) = (Root::Attached, entry.clone()),
            Root::Attached | Root::Severed => return Err("the link has a pin already"),
        }
        Ok(())
    }

    fn unload(&mut self, hook: &Hook, instance: &Instance) -> Result<(), &'static str> {
        let found = self.hook(hook);
        // It would run on there, under a name that another instance could get.
        if found.dispatchers.values().flatten().any(|members| members.contains(instance)) {
            return Err("a dispatcher runs it");
        }
        found.instances.remove(instance);
        Ok(())
    }

    /// What is removed may be gone already.
    fn remove(&mut self, step: &Step) {
        if let Step::DropDispatcher { hook, serial } = step {
            self.hook(hook).dispatchers.remove(serial);
        } else if let Step::DropRoot { hook, buffers } = step {
            self.hook(hook).roots.remove(buffers);
        } else if let Step::Forget { hook, state } = step {
            self.hook(hook).states.remove(state);
        } else if let Step::ForgetShared { shared } = step {
            self.observed.shared.remove(shared);
        } else if let Step::RemoveRoot { hook } = step {
            self.observed.hooks.remove(hook);
        }
    }

    fn carry(&mut self, hook: &Hook, from: &State, to: &State) -> Result<(), &'static str> {
        let found = self.hook(hook);
        if !found.states.get(from).is_some_and(Option::is_some) {
            return Err("there are no such maps");
        }
        found.states.entry(to.clone()).or_default();
        Ok(())
    }

    fn dispatch(&mut self, hook: &Hook, serial: u64, members: &[Instance]) -> Result<(), &'static str> {
        let found = self.hook(hook);
        if members.iter().any(|member| found.loaded_as(member) != Some(Mechanism::Dispatcher)) {
            return Err("there is no such program to take the place of a function");
        }
        found.dispatchers.insert(serial, Some(members.to_vec()));
        Ok(())
    }
}

/// The rules that need to look at a hook.
trait Rules {
    /// As what an instance is loaded; none where it is not.
    fn loaded_as(&self, instance: &Instance) -> Option<Mechanism>;
    /// Whether an instance is bound to the device of the hook.
    fn is_bound(&self, instance: &Instance) -> bool;
    /// Whether there is a program that could hold the hook.
    fn has(&self, entry: &Entry) -> bool;
    /// What is told to hold a hook that nothing is attached to: the first that could.
    fn first_entry(&self) -> Entry;
}

impl Rules for ObservedHook {
    fn loaded_as(&self, instance: &Instance) -> Option<Mechanism> {
        self.instances.get(instance)?.spec.as_ref().map(|spec| spec.mechanism)
    }

    fn is_bound(&self, instance: &Instance) -> bool {
        let spec = self.instances.get(instance).and_then(|found| found.spec.as_ref());
        spec.is_some_and(|spec| spec.device_bound)
    }

    fn has(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Root(buffers) => self.roots.contains_key(buffers),
            Entry::Dispatcher(serial) => self.dispatchers.get(serial).is_some_and(Option::is_some),
            Entry::Alone(instance) => self.loaded_as(instance) == Some(Mechanism::Alone),
            Entry::Head(instance) => {
                self.loaded_as(instance) == Some(Mechanism::Splice) && self.is_bound(instance)
            }
        }
    }

    fn first_entry(&self) -> Entry {
        let roots = self.roots.keys().copied().map(Entry::Root);
        let dispatchers = self.dispatchers.keys().copied().map(Entry::Dispatcher);
        let own =
            self.instances.keys().flat_map(|name| [Entry::Alone(name.clone()), Entry::Head(name.clone())]);
        let own = own.filter(|entry| self.has(entry));
        roots.chain(dispatchers).chain(own).next().unwrap_or_default()
    }
}

impl Holdings for Fake {
    fn inherit(&mut self, _: &Path, _: &Path) -> Result<BTreeSet<Hook>, Unseen> {
        Ok(BTreeSet::new())
    }

    fn expose(&mut self, _: &Path, _: &[(&Hook, &MemberSpec)]) -> Result<(), Unseen> {
        Ok(())
    }

    fn expose_program(&mut self, _: &Hook, _: &MemberSpec, _: &Path) -> Result<(), Unseen> {
        Ok(())
    }

    fn maps(&self, _: &Hook, _: &MemberSpec) -> Result<BTreeMap<String, PathBuf>, Unseen> {
        Ok(BTreeMap::new())
    }

    fn probe_maps(&self, _: &ProbeSpec) -> Result<BTreeMap<String, PathBuf>, Unseen> {
        Ok(BTreeMap::new())
    }

    fn program_ids(&self, _: &Hook) -> Result<BTreeMap<Instance, u32>, Unseen> {
        Ok(BTreeMap::new())
    }
}

impl Kernel for Fake {
    fn end(&mut self, _: Ended) -> Result<(), Refused> {
        Ok(())
    }

    fn observe(&self, _: &BTreeSet<NetworkNamespace>) -> Result<Observed, Unseen> {
        let mut observed = self.observed.clone();
        for found in observed.hooks.values_mut().filter(|found| found.root != Root::Attached) {
            found.entry = found.first_entry();
        }
        Ok(observed)
    }

    fn glance(&mut self, _: &BTreeSet<NetworkNamespace>) -> Result<Option<Glance>, Unseen> {
        Ok(None)
    }

    fn execute(&mut self, step: &Step, desired: &Desired) -> Result<(), Refused> {
        let result = match step {
            Step::CreateRoot { hook, buffers } => {
                let found = self.hook(hook);
                found.roots.insert(*buffers, Target::Nothing);
                if found.root == Root::Absent {
                    (found.root, found.entry) = (Root::Detached, Entry::Root(*buffers));
                }
                Ok(())
            }
            Step::Dispatch { hook, serial, members } => self.dispatch(hook, *serial, members),
            Step::Turn { hook, to } => self.turn(hook, to),
            Step::Load { spec, .. } if desired.object(&spec.object).is_none() => {
                Err("no package holds the object")
            }
            Step::Carry { hook, from, to, .. } => self.carry(hook, from, to),
            Step::Load { hook, instance, spec } => {
                let layout = desired.object(&spec.object).and_then(|object| Object::parse(object).ok());
                let layout = layout.map(|object| object.layout);
                let state = State { member: spec.name.clone(), object: spec.object };
                self.hook(hook).states.insert(state, layout.clone());
                let shared = SharedMap::of(hook, spec).into_iter().map(|shared| (shared, layout.clone()));
                self.observed.shared.extend(shared);
                let found = self.hook(hook);
                let loaded =
                    ObservedInstance { spec: Some((**spec).clone()), code: None, next: Target::Nothing };
                found.instances.insert(instance.clone(), loaded);
                Ok(())
            }
            Step::Link { hook, from, to } => self.link(hook, from, to.as_ref()),
            Step::Attach { hook, means, entry, .. } => self.attach(hook, *means, entry),
            Step::Detach { hook } => {
                self.detach(hook);
                Ok(())
            }
            Step::Hold { hook } => {
                self.hook(hook).incumbent = Incumbent::Held;
                Ok(())
            }
            Step::Include { hook } => {
                self.hook(hook).incumbent = Incumbent::Member;
                Ok(())
            }
            Step::LinkIncumbent { hook, from } => self.link_incumbent(hook, from),
            Step::Account { hook, order } => {
                self.hook(hook).accounted.clone_from(order);
                Ok(())
            }
            Step::Unload { hook, instance } => self.unload(hook, instance),
            Step::Start { .. } => Ok(()),
            Step::DropDispatcher { .. }
            | Step::DropRoot { .. }
            | Step::Forget { .. }
            | Step::ForgetShared { .. }
            | Step::RemoveRoot { .. }
            | Step::Settle => {
                self.remove(step);
                Ok(())
            }
            Step::Probe(step) => probes::execute(&mut self.observed.probes, step, desired),
        };
        result.map_err(|why| Refused::action(step.to_string(), io::Error::other(why)))
    }

    /// Everything is there but what [`Fake::lose_target`] took.
    fn missing(&self, _: &Attachment) -> Option<String> {
        None
    }

    fn runs(&self) -> Result<BTreeMap<Instance, Runs>, Unseen> {
        Ok(BTreeMap::new())
    }

    fn totals(&self, _: &Hook) -> Result<BTreeMap<MemberName, Totals>, Unseen> {
        Ok(BTreeMap::new())
    }

    fn sample(&mut self, hook: &Hook, _: FlowFilter, _: Option<Share>) -> Result<Samples, Unseen> {
        Err(Unseen::new(format!("the packets of `{hook}`"), "there are none"))
    }
}
