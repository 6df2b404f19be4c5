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

impl Path<'_> {
    /// Its instances, if it is the one that is wanted.
    pub(crate) fn order_if(&self, wanted: &[MemberSpec], end: &Target) -> Option<Vec<Instance>> {
        let is_wanted = self.end == *end && self.members.iter().map(|(_, spec)| *spec).eq(wanted);
        is_wanted.then(|| self.members.iter().map(|(instance, _)| (*instance).clone()).collect())
    }
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
            Entry::Head(instance) => self.path_behind(instance),
        }
    }

    /// The path that begins with an instance, which no slot leads to.
    fn path_behind<'a>(&'a self, head: &'a Instance) -> Path<'a> {
        let Path { members, .. } = self.path_of(std::iter::once(head));
        match self.instances.get(head) {
            Some(found) if !members.is_empty() => self.follow(members, &found.next),
            Some(_) | None => Path { members, end: Target::Foreign },
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
        let members = Vec::new();
        match self.roots.get(&root) {
            Some(target) => self.follow(members, target),
            None => Path { members, end: Target::Nothing },
        }
    }

    /// Goes on from slot to slot behind these members.
    fn follow<'a>(
        &'a self,
        mut members: Vec<(&'a Instance, &'a MemberSpec)>,
        mut target: &'a Target,
    ) -> Path<'a> {
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
