// SPDX-License-Identifier: Apache-2.0
//! The chain as packets meet it: followed from slot to slot, as a tail call would, or as a dispatcher calls it.

use crate::{Buffers, Entry, Instance, MemberSpec, ObservedHook, Root, Target};

/// What a packet meets that enters at the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path<'a> {
    /// The instances in order.
    pub(crate) members: Vec<(&'a Instance, &'a MemberSpec)>,
    /// What the slot of the last of them leads to: never one of them, and something foreign where they go in a circle.
    pub(crate) end: Target,
}

impl ObservedHook {
    /// The instances that a packet meets, in order. Empty when the hook receives none.
    pub fn order(&self) -> Vec<Instance> {
        if self.root != Root::Attached {
            return Vec::new();
        }
        self.path().members.into_iter().map(|(instance, _)| instance.clone()).collect()
    }

    /// The path that begins at what gets packets or would, whether it receives packets or not.
    pub(crate) fn path(&self) -> Path<'_> {
        match &self.entry {
            Entry::Root(buffers) => self.path_from(*buffers),
            Entry::Dispatcher(serial) => {
                self.path_of(self.dispatchers.get(serial).into_iter().flatten().flatten())
            }
            Entry::Alone(instance) => self.path_of(std::iter::once(instance)),
        }
    }

    /// The path of instances that are not linked among themselves. One that is gone ends it.
    fn path_of<'a>(&'a self, instances: impl Iterator<Item = &'a Instance>) -> Path<'a> {
        let found = |instance| {
            let (name, found) = self.instances.get_key_value(instance)?;
            Some((name, found.spec.as_ref()?))
        };
        Path { members: instances.map_while(found).collect(), end: Target::Nothing }
    }

    /// The path that begins at one of the roots.
    pub(crate) fn path_from(&self, root: Buffers) -> Path<'_> {
        let mut members: Vec<(&Instance, &MemberSpec)> = Vec::new();
        let Some(mut target) = self.roots.get(&root) else {
            return Path { members, end: Target::Nothing };
        };
        // A path visits an instance once; more visits than instances is a circle.
        for _ in 0..=self.instances.len() {
            let Target::Instance(name) = target else {
                return Path { members, end: target.clone() };
            };
            let Some((name, found)) = self.instances.get_key_value(name) else { break };
            let Some(spec) = &found.spec else { break };
            members.push((name, spec));
            target = &found.next;
        }
        Path { members, end: Target::Foreign }
    }
}
