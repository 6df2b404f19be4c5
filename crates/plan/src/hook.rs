// SPDX-License-Identifier: Apache-2.0
//! The names by which a plan speaks of places and things in a kernel.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use package::{BadPlace, Digest, HookPoint, Interface, Interfaces, MacAddress, MemberName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::MemberSpec;

/// A place in a kernel where a chain runs: an interface and a direction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hook {
    /// The network interface.
    pub interface: Interface,
    /// Where on the interface.
    pub point: HookPoint,
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.interface, self.point)
    }
}

/// The places in a kernel that a chain is for: one, or one on each interface that is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hooks {
    /// Which interfaces are meant.
    pub interfaces: Interfaces,
    /// Where on them.
    pub point: HookPoint,
}

impl Hooks {
    /// The only one, where an interface is meant by its name.
    pub fn only(&self) -> Option<Hook> {
        self.interfaces.name().map(|interface| Hook { interface: interface.clone(), point: self.point })
    }

    /// Whether a hook on an interface with this address is one of them.
    pub fn contain(&self, hook: &Hook, address: Option<MacAddress>) -> bool {
        self.point == hook.point && self.interfaces.contain(&hook.interface, address)
    }

    /// Whether a hook could be one of them, whatever address its interface has.
    pub fn may_contain(&self, hook: &Hook) -> bool {
        let address = match &self.interfaces {
            Interfaces::Addressed { address, .. } => Some(*address),
            Interfaces::Named(_) | Interfaces::Matching { .. } => None,
        };
        self.contain(hook, address)
    }

    /// Those on the interfaces that exist.
    pub(crate) fn among<'a>(
        &'a self,
        interfaces: &'a BTreeMap<Interface, Option<MacAddress>>,
    ) -> impl Iterator<Item = Hook> + 'a {
        let meant =
            interfaces.iter().filter(|(interface, address)| self.interfaces.contain(interface, **address));
        meant.map(|(interface, _)| Hook { interface: interface.clone(), point: self.point })
    }
}

/// A text does not say on which hooks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadHooks {
    /// Something of it is not what it should be.
    #[error(transparent)]
    Place(#[from] BadPlace),
    /// It names interfaces and no hook on them.
    #[error("`{given}` names no hook: behind a slash it must have `xdp`, `tc-ingress` or `tc-egress`")]
    NoPoint {
        /// What was given.
        given: String,
    },
}

impl FromStr for Hooks {
    type Err = BadHooks;

    fn from_str(text: &str) -> Result<Self, BadHooks> {
        let (interfaces, point) = Interfaces::parse_place(text)?;
        let point = point.ok_or_else(|| BadHooks::NoPoint { given: text.to_owned() })?;
        Ok(Self { interfaces, point })
    }
}

impl fmt::Display for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.interfaces, self.point)
    }
}

/// Which packets the programs of an XDP chain take. The kernel wants it to be the same for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Buffers {
    /// Packets that lie in one buffer.
    #[default]
    One,
    /// Packets in several buffers as well (`xdp.frags`, Linux 5.18).
    Many,
}

/// One loaded incarnation of a member.
///
/// A change of a chain loads new instances beside the running ones; the serial number tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Instance {
    /// The member this is an instance of.
    pub member: MemberName,
    /// Counts up for each new instance of the member on its hook.
    pub serial: u64,
}

impl Instance {
    /// What stands for the program of somebody else in the counters of a chain that ends in it. No member has this
    /// number.
    pub fn incumbent() -> Self {
        Self { member: "incumbent".parse().expect("it is a name"), serial: 0 }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.member, self.serial)
    }
}

/// The program that gets the packets of a hook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// The root of spliced members.
    Root(Buffers),
    /// A dispatcher, by its serial number on the hook.
    Dispatcher(u64),
    /// A member that runs alone.
    Alone(Instance),
    /// The first of spliced members, where the kernel lets no root lead to it.
    Head(Instance),
}

impl Default for Entry {
    fn default() -> Self {
        Self::Root(Buffers::default())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(Buffers::One) => f.write_str("the root"),
            Self::Root(Buffers::Many) => f.write_str("the root for several buffers"),
            Self::Dispatcher(serial) => write!(f, "dispatcher {serial}"),
            Self::Alone(instance) => write!(f, "{instance} itself"),
            Self::Head(instance) => write!(f, "{instance} as the head of the chain"),
        }
    }
}

/// The maps of a member, shared by all its instances that run the same object.
///
/// State outlives the instances: a reordered or reconfigured member goes on counting where it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    /// The member that owns the maps.
    pub member: MemberName,
    /// The digest of the object that declares them.
    pub object: Digest,
}

impl State {
    /// The maps of a member that runs this.
    pub fn of(spec: &MemberSpec) -> Self {
        Self { member: spec.name.clone(), object: spec.object }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "maps of `{}` from object {}", self.member, self.object)
    }
}
