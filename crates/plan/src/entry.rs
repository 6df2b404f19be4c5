// SPDX-License-Identifier: Apache-2.0
//! What holds a hook: a root, a dispatcher, which is built anew for each change, a program that runs alone, or the head of
//! a chain.
//!
//! Each is complete beside what runs before one update of the link lets it have the packets.

use crate::admit::means;
use crate::reconcile::HookPlan;
use crate::{Entry, Incumbent, Instance, Means, MemberSpec, Placement, Root, Step};

impl HookPlan<'_> {
    /// Lets an entry have the packets, if it has not.
    pub(crate) fn enter(&mut self, entry: &Entry) {
        if self.found.root != Root::Attached {
            self.attach(entry.clone());
        } else if !self.placement.is_that_of(self.found) {
            let step = Step::Detach { hook: self.hook.clone() };
            self.switch(step, "the kernel has no way to move what is attached; packets pass for a moment");
            self.attach_anew(entry.clone());
        } else if self.found.entry != *entry {
            let reason = match (&self.found.entry, entry) {
                (Entry::Root(_), Entry::Root(_)) => "all members of a chain take the same kind of packets",
                (Entry::Dispatcher(_), Entry::Dispatcher(_)) | (Entry::Head(_), Entry::Head(_)) => {
                    "one update puts the new one into effect"
                }
                (_, Entry::Head(_)) => "the kernel lets no root lead to a program that asks the network card",
                (Entry::Head(_), Entry::Root(_)) => "no member asks the network card",
                _ => self.choice.reason,
            };
            self.switch(Step::Turn { hook: self.hook.clone(), to: entry.clone() }, reason);
        }
    }

    fn attach(&mut self, entry: Entry) {
        // Where somebody else's program is, it was held in place of what leads nowhere.
        if self.found.root == Root::Severed && !self.observed.foreign.contains_key(self.hook) {
            self.switch(Step::Detach { hook: self.hook.clone() }, "its link leads nowhere");
        }
        self.attach_anew(entry);
    }

    fn attach_anew(&mut self, entry: Entry) {
        let is_there = self.observed.foreign.contains_key(self.hook);
        let held = self.found.root != Root::Severed && self.found.incumbent != Incumbent::Absent;
        let means = if is_there || held { Means::Exchange } else { means(self.hook, &self.observed.facts) };
        let reason = match means {
            Means::Link => "packets enter the chain from here on",
            Means::Exchange => "one update gives the chain the packets of the program that is there",
            Means::Filter => "packets enter the chain from here on; TC programs have links since Linux 6.6",
        };
        let Placement { mode, position, .. } = self.placement.clone();
        self.switch(Step::Attach { hook: self.hook.clone(), means, entry, mode, position }, reason);
    }

    /// Removes what could hold the hook in place of its entry.
    pub(crate) fn drop_entries_but(&mut self, entry: &Entry) {
        for buffers in self.found.roots.keys().filter(|other| Entry::Root(**other) != *entry) {
            let step = Step::DropRoot { hook: self.hook.clone(), buffers: *buffers };
            self.clean(step, "it gets no packets");
        }
        self.drop_dispatchers(|serial| Entry::Dispatcher(serial) != *entry);
    }

    /// Removes dispatchers. This comes before their members are unloaded: one that is left names none that is gone, whose
    /// serial number another could get.
    pub(crate) fn drop_dispatchers(&mut self, goes: impl Fn(u64) -> bool) {
        for serial in self.found.dispatchers.keys().filter(|serial| goes(**serial)) {
            let step = Step::DropDispatcher { hook: self.hook.clone(), serial: *serial };
            self.clean(step, "it gets no packets");
        }
    }

    /// Makes sure that there is a dispatcher of these members, in this order. Members that are loaded already stay: a
    /// program can take the place of functions in two dispatchers.
    pub(crate) fn dispatch(&mut self, wanted: &[MemberSpec]) -> (Entry, Vec<Instance>) {
        let order = self.load_missing(wanted, "it takes the place of a function of the dispatcher");
        let complete = self.found.dispatchers.iter().filter(|(_, members)| members.as_ref() == Some(&order));
        let running = complete.clone().find(|(serial, _)| self.found.entry == Entry::Dispatcher(**serial));
        let found = running.or_else(|| complete.clone().next()).map(|(serial, _)| *serial);
        let serial = found.unwrap_or_else(|| {
            let serial = self.found.dispatchers.keys().next_back().map_or(1, |last| last + 1);
            let (hook, members) = (self.hook.clone(), order.clone());
            self.prepare(Step::Dispatch { hook, serial, members }, self.choice.reason);
            serial
        });
        (Entry::Dispatcher(serial), order)
    }

    /// Makes sure that the only member is loaded as its author wrote it.
    pub(crate) fn leave_alone(&mut self, wanted: &[MemberSpec]) -> (Entry, Vec<Instance>) {
        let order = self.load_missing(wanted, "it runs as its author wrote it");
        (Entry::Alone(order[0].clone()), order)
    }

    /// The instances that run these, in order. What is not loaded yet will be.
    fn load_missing(&mut self, wanted: &[MemberSpec], reason: &'static str) -> Vec<Instance> {
        let mut serials = self.fresh_serials();
        let running = self.found.path().members;
        let mut order = Vec::new();
        for spec in wanted {
            let runs = running.iter().find(|(_, found)| *found == spec).map(|(instance, _)| *instance);
            let all = self.found.instances.iter();
            let loaded =
                || all.filter(|(_, found)| found.spec.as_ref() == Some(spec)).map(|(name, _)| name).next();
            let instance = runs.or_else(loaded).cloned().unwrap_or_else(|| {
                let instance = serials.next(spec);
                let (hook, spec) = (self.hook.clone(), Box::new(spec.clone()));
                self.prepare(Step::Load { hook, instance: instance.clone(), spec }, reason);
                instance
            });
            order.push(instance);
        }
        order
    }
}
