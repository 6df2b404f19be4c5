// SPDX-License-Identifier: Apache-2.0
//! What is wanted, what was seen, and the steps from one to the other.
//!
//! [`Desired`] is made of verified packages only. [`Observed`] is what a kernel holds, in names and digests.
//! [`reconcile()`] compares the two and returns a [`Plan`]: a list of [`Step`]s that can be printed, compared and
//! stopped after any step, because planning again from what is then observed always arrives.
//!
//! This crate does no I/O, reads no clock and never sees a kernel id or a descriptor.

mod admit;
mod bound;
mod carry;
mod chain;
mod code;
mod configuration;
mod desired;
mod entry;
mod hook;
mod mechanism;
mod member;
mod observed;
mod outside;
mod placement;
mod probe;
mod reconcile;
mod refusal;
mod refusals;
mod shared;
mod step;

pub use bound::{NotBound, Unbindable};
pub use code::{BadCodeDigest, Code, CodeAlgorithm, CodeDigest, ReadOnlyData};
pub use configuration::{Configuration, Configured, Constant, NotConfigured};
pub use desired::{Desired, DuplicateMember, DuplicateProbe};
pub use hook::{BadHooks, Buffers, Entry, Hook, Hooks, Instance, State};
pub use mechanism::{Choice, MOST_DISPATCHED, NotAlone, Undispatchable, choose};
pub use member::{Member, MemberSpec, MemberWish, Needs, PackageRef, Part, Unfit};
pub use observed::{Facts, Observed, ObservedHook, ObservedInstance, Root, Target};
pub use outside::{BadFill, Command, Errand, Fill, Outside, encode};
pub use placement::{Incumbent, Neighbours, Placement, name_in_kernel};
pub use probe::{
    ObservedProbe, ObservedProbes, Probe, ProbeRefusal, ProbeSpec, ProbeStep, ProbeWish, UnfitProbe,
};
pub use reconcile::reconcile;
pub use refusal::Refusal;
pub use refusals::Refusals;
pub use shared::{Extent, SharedMap, Sharing};
pub use step::{Means, Plan, Planned, Slot, Step};
