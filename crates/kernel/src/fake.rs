// SPDX-License-Identifier: Apache-2.0
//! A kernel in memory, for tests of what is built on the port.
//!
//! It keeps the rules it was taught, no more: a green run proves the logic against these rules, not that the rules
//! are those of a kernel. Each rule has a story in `it` that shows it on a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use package::{Attachment, InterfaceName, KernelVersion, MemberName, Object};
use plan::{
    Buffers, Desired, Facts, Hook, Instance, Observed, ObservedHook, ObservedInstance, ObservedProbes, Root,
    Slot, State, Step, Target,
};

use crate::{Kernel, Refused, Runs, Totals, Unseen};

mod probes;

/// A kernel in memory.
#[derive(Debug, Clone)]
pub struct Fake {
    observed: Observed,
}

impl Fake {
    /// A Linux 6.12 with these interfaces and nothing loaded.
    pub fn new(interfaces: impl IntoIterator<Item = InterfaceName>) -> Self {
        let kernel = KernelVersion { major: 6, minor: 12 };
        let lacks = BTreeMap::new();
        let facts =
            Facts { kernel, tcx: true, tail_calls: 33, tail_calls_shared: true, fragments: true, lacks };
        let interfaces: BTreeSet<InterfaceName> = interfaces.into_iter().collect();
        let (hooks, foreign, probes) = (BTreeMap::new(), BTreeMap::new(), ObservedProbes::default());
        Self { observed: Observed { facts, interfaces, hooks, foreign, probes } }
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
            Step::Carry { hook, to, .. } => {
                self.hook(hook).states.entry(to.clone()).or_default();
            }
            Step::Unload { hook, instance } => {
                if let Some(found) = self.hook(hook).instances.get_mut(instance) {
                    found.spec = None;
                }
            }
            Step::Probe(step) => probes::tear(&mut self.observed.probes, step),
            // The root is removed before the folder that held it.
            Step::RemoveRoot { hook } => *self.hook(hook) = ObservedHook::default(),
            // These are single system calls: they happen or they do not.
            Step::Link { .. }
            | Step::Attach { .. }
            | Step::Turn { .. }
            | Step::DropRoot { .. }
            | Step::Detach { .. }
            | Step::Account { .. }
            | Step::Settle
            | Step::Forget { .. } => {}
        }
    }

    /// Takes an interface away, with the link that was on it.
    pub fn remove_interface(&mut self, interface: &InterfaceName) {
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

    fn attach(&mut self, hook: &Hook, buffers: Buffers) -> Result<(), &'static str> {
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
    fn observe(&self) -> Result<Observed, Unseen> {
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
                let found = self.hook(hook);
                let state = State { member: spec.name.clone(), object: spec.object };
                found.states.insert(state, layout.map(|object| object.layout));
                let loaded = ObservedInstance { spec: Some((**spec).clone()), next: Target::Nothing };
                found.instances.insert(instance.clone(), loaded);
                Ok(())
            }
            Step::Link { hook, from, to } => self.link(hook, from, to.as_ref()),
            Step::Attach { hook, buffers, .. } => self.attach(hook, *buffers),
            Step::Detach { hook } => {
                let found = self.hook(hook);
                if found.root != Root::Absent {
                    found.root = Root::Detached;
                }
                Ok(())
            }
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
            Step::RemoveRoot { hook } => {
                self.observed.hooks.remove(hook);
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
}
