// SPDX-License-Identifier: Apache-2.0
//! A kernel in memory, for tests of what is built on the port.
//!
//! It keeps the rules it was taught, no more: a green run proves the logic against these rules, not that the rules
//! are those of a kernel. Each rule has a story in `it` that shows it on a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use package::{Interface, KernelVersion, MemberName, NetworkNamespace, Object};
use plan::{
    Buffers, Desired, Facts, Hook, Incumbent, Instance, Means, Observed, ObservedHook, ObservedInstance,
    Root, SharedMap, Slot, State, Step, Target,
};

use crate::{Kernel, Refused, Totals, Unseen};

/// A kernel in memory.
#[derive(Debug, Clone)]
pub struct Fake {
    observed: Observed,
}

impl Fake {
    /// A Linux 6.12 with these interfaces and nothing loaded.
    pub fn new(interfaces: impl IntoIterator<Item = Interface>) -> Self {
        let kernel = KernelVersion { major: 6, minor: 12 };
        let facts = Facts { kernel, tcx: true, tail_calls: 33, tail_calls_shared: true, fragments: true };
        let interfaces: BTreeSet<Interface> = interfaces.into_iter().collect();
        Self {
            observed: Observed {
                facts,
                interfaces,
                hooks: BTreeMap::new(),
                shared: BTreeMap::new(),
                foreign: BTreeMap::new(),
            },
        }
    }

    /// Does half of a step, as a daemon does that is killed in the middle of it.
    pub fn tear(&mut self, step: &Step) {
        match step {
            Step::CreateRoot { hook, buffers } => {
                self.hook(hook).roots.remove(buffers);
            }
            Step::Load { hook, instance, spec } => {
                let found = self.hook(hook);
                found
                    .instances
                    .insert(instance.clone(), ObservedInstance { spec: None, next: Target::Nothing });
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
            | Step::Forget { .. }
            | Step::ForgetShared { .. } => {}
        }
    }

    /// Takes an interface away, with the link that was on it.
    pub fn remove_interface(&mut self, interface: &Interface) {
        self.observed.interfaces.remove(interface);
        for (hook, found) in &mut self.observed.hooks {
            if hook.interface == *interface && found.root == Root::Attached {
                found.root = Root::Severed;
            }
        }
    }

    /// Lets somebody else detach the root of a hook.
    pub fn sever(&mut self, hook: &Hook) {
        let found = self.hook(hook);
        if found.root == Root::Attached {
            found.root = Root::Severed;
        }
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

    fn hook(&mut self, hook: &Hook) -> &mut ObservedHook {
        self.observed.hooks.entry(hook.clone()).or_default()
    }

    fn link(&mut self, hook: &Hook, from: &Slot, to: Option<&Instance>) -> Result<(), &'static str> {
        let found = self.hook(hook);
        if to.is_some_and(|to| !found.is_loaded(to)) {
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

    fn turn(&mut self, hook: &Hook, to: Buffers) -> Result<(), &'static str> {
        let found = self.hook(hook);
        if found.root != Root::Attached || !found.roots.contains_key(&to) {
            return Err("there is no link, or no such root");
        }
        found.entry = to;
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

    fn attach(&mut self, hook: &Hook, means: Means, buffers: Buffers) -> Result<(), &'static str> {
        let exchanged = self.observed.foreign.remove(hook).is_some();
        if exchanged != (means == Means::Exchange) {
            return Err("the hook is occupied, or is not");
        }
        if !self.observed.interfaces.contains(&hook.interface) {
            return Err("there is no such interface");
        }
        let found = self.hook(hook);
        if !found.roots.contains_key(&buffers) {
            return Err("there is no such root");
        }
        match found.root {
            Root::Detached => (found.root, found.entry) = (Root::Attached, buffers),
            Root::Absent => return Err("there is no root"),
            Root::Attached | Root::Severed => return Err("the link has a pin already"),
        }
        Ok(())
    }
}

/// The rules that need to look at a hook.
trait Rules {
    fn is_loaded(&self, instance: &Instance) -> bool;
}

impl Rules for ObservedHook {
    fn is_loaded(&self, instance: &Instance) -> bool {
        self.instances.get(instance).is_some_and(|found| found.spec.is_some())
    }
}

impl Kernel for Fake {
    fn observe(&self, _: &BTreeSet<NetworkNamespace>) -> Result<Observed, Unseen> {
        Ok(self.observed.clone())
    }

    fn execute(&mut self, step: &Step, desired: &Desired) -> Result<(), Refused> {
        let result = match step {
            Step::CreateRoot { hook, buffers } => {
                let found = self.hook(hook);
                found.roots.insert(*buffers, Target::Nothing);
                if found.root == Root::Absent {
                    (found.root, found.entry) = (Root::Detached, *buffers);
                }
                Ok(())
            }
            Step::Turn { hook, to } => self.turn(hook, *to),
            Step::DropRoot { hook, buffers } => {
                self.hook(hook).roots.remove(buffers);
                Ok(())
            }
            Step::Load { spec, .. } if desired.object(&spec.object).is_none() => {
                Err("no package holds the object")
            }
            Step::Carry { hook, from, to, .. } => {
                let found = self.hook(hook);
                if found.states.get(from).is_some_and(Option::is_some) {
                    found.states.entry(to.clone()).or_default();
                    Ok(())
                } else {
                    Err("there are no such maps")
                }
            }
            Step::Load { hook, instance, spec } => {
                let layout = desired.object(&spec.object).and_then(|object| Object::parse(object).ok());
                let layout = layout.map(|object| object.layout);
                let state = State { member: spec.name.clone(), object: spec.object };
                self.hook(hook).states.insert(state, layout.clone());
                let shared = SharedMap::of(hook, spec).map(|shared| (shared, layout.clone()));
                self.observed.shared.extend(shared);
                let found = self.hook(hook);
                let loaded = ObservedInstance { spec: Some((**spec).clone()), next: Target::Nothing };
                found.instances.insert(instance.clone(), loaded);
                Ok(())
            }
            Step::Link { hook, from, to } => self.link(hook, from, to.as_ref()),
            Step::Attach { hook, means, buffers, .. } => self.attach(hook, *means, *buffers),
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
            Step::Settle => Ok(()),
            Step::Unload { hook, instance } => {
                self.hook(hook).instances.remove(instance);
                Ok(())
            }
            Step::Forget { hook, state } => {
                self.hook(hook).states.remove(state);
                Ok(())
            }
            Step::ForgetShared { shared } => {
                self.observed.shared.remove(shared);
                Ok(())
            }
            Step::RemoveRoot { hook } => {
                self.observed.hooks.remove(hook);
                Ok(())
            }
        };
        result.map_err(|why| Refused::action(step.to_string(), io::Error::other(why)))
    }

    fn totals(&self, _: &Hook) -> Result<BTreeMap<MemberName, Totals>, Unseen> {
        Ok(BTreeMap::new())
    }
}
