// SPDX-License-Identifier: Apache-2.0
//! Why a machine cannot run what is desired, and what can be done about it.

use package::{KernelVersion, Mechanism, MemberName};
use thiserror::Error;

use crate::{Extent, Hook, NotAlone, NotBound, ProbeRefusal, Undispatchable};

/// Why a desired state cannot be reached on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A probe cannot run.
    #[error(transparent)]
    Probe(#[from] ProbeRefusal),
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
    /// An option of a chain has no meaning on its hook.
    #[error("`{option}` has no meaning for the chain on `{hook}`")]
    Misplaced {
        /// The chain.
        hook: Hook,
        /// The option.
        option: &'static str,
    },
    /// TC chains have no positions on this kernel.
    #[error(
        "`position` of the chain on `{hook}` needs TCX, which came with Linux 6.6; this is Linux {kernel}"
    )]
    NoPositions {
        /// The chain.
        hook: Hook,
        /// The running kernel.
        kernel: KernelVersion,
    },
    /// Only a splice leads to somebody else's program.
    #[error(
        "the chain on `{hook}` cannot keep the program of somebody else: its mechanism is `{mechanism}`, not `splice`"
    )]
    KeptBySplice {
        /// The chain.
        hook: Hook,
        /// Its mechanism.
        mechanism: Mechanism,
    },
    /// A member has the name of what stands for somebody else's program.
    #[error(
        "the chain on `{hook}` has a member `incumbent`, which is what its counters call the program of somebody else"
    )]
    NamedIncumbent {
        /// The chain.
        hook: Hook,
    },
    /// The kernel follows fewer tail calls than the chain needs, and then lets packets pass unchecked.
    #[error("the chain on `{hook}` has {members} members{}, but the kernel follows only {limit} tail calls", own_words(*.own))]
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
    /// Members that share a map lay it out in different ways.
    #[error(
        "map `{map}` of {extent} is shared by `{}` and `{}`, which lay it out in different ways: `{}` and `{}`",
        members[0], members[1], layouts[0], layouts[1]
    )]
    SharedLayout {
        /// Who shares it.
        extent: Extent,
        /// The map.
        map: String,
        /// Two of the members.
        members: [MemberName; 2],
        /// The first field that differs, as each has it.
        layouts: [String; 2],
    },
    /// A shared map is laid out in another way than the one that is in use.
    #[error(
        "map `{map}` of {extent} holds state that `{member}` cannot read: it had `{was}`, and `{member}` wants `{becomes}`"
    )]
    SharedState {
        /// Who shares it.
        extent: Extent,
        /// The map.
        map: String,
        /// A member.
        member: MemberName,
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
    /// A member must be loaded for one device, and cannot be.
    #[error(
        "`{member}` on `{hook}` asks the network card about packets (`bpf_xdp_metadata_rx_*`), which only a program may that is \
         loaded for one device: {why}"
    )]
    DeviceBound {
        /// The chain.
        hook: Hook,
        /// The member.
        member: MemberName,
        /// Why not.
        why: NotBound,
    },
    /// A member may throw exceptions, which leave the chain on a way that no splice sees.
    #[error("`{member}` on `{hook}` may throw exceptions (`bpf_throw`), behind which the chain would end")]
    Throws {
        /// The chain.
        hook: Hook,
        /// The member.
        member: MemberName,
    },
    /// A dispatcher was asked for and cannot run the chain.
    #[error("no dispatcher can run the chain on `{hook}`: {why}")]
    NoDispatcher {
        /// The chain.
        hook: Hook,
        /// Why not.
        why: Undispatchable,
    },
    /// Chaining was switched off, and that cannot be.
    #[error("`{hook}` cannot run a program alone: {why}")]
    NotAlone {
        /// The hook.
        hook: Hook,
        /// Why not.
        why: NotAlone,
    },
    /// Neither mechanism can run the chain.
    #[error("{splice}; nor can a dispatcher run it: {dispatcher}")]
    NoMechanism {
        /// Why it cannot be spliced.
        splice: Box<Refusal>,
        /// Why it cannot be dispatched.
        dispatcher: Undispatchable,
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

/// Words about the members' own tail calls, where there are any.
fn own_words(calls: usize) -> String {
    if calls == 0 { String::new() } else { format!(", which make up to {calls} tail calls of their own") }
}

impl Refusal {
    /// The chain that it is about; none where it is about a probe, or a map of several.
    pub fn hook(&self) -> Option<&Hook> {
        match self {
            Self::NoInterface { hook }
            | Self::Occupied { hook, .. }
            | Self::Misplaced { hook, .. }
            | Self::NoPositions { hook, .. }
            | Self::KeptBySplice { hook, .. }
            | Self::NamedIncumbent { hook }
            | Self::TooLong { hook, .. }
            | Self::Layout { hook, .. }
            | Self::UncountedTailCalls { hook, .. }
            | Self::DeviceBound { hook, .. }
            | Self::Throws { hook, .. }
            | Self::NoDispatcher { hook, .. }
            | Self::NotAlone { hook, .. }
            | Self::KernelTooOld { hook, .. } => Some(hook),
            Self::NoMechanism { splice, .. } => splice.hook(),
            Self::Probe(_) | Self::SharedLayout { .. } | Self::SharedState { .. } => None,
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Probe(refusal) => refusal.hint(),
            Self::NoInterface { .. } => "`ip link` lists the interfaces of this network namespace",
            Self::Occupied { .. } => {
                "say `occupied = \"keep\"` in the chain to make it the last member, `occupied = \"replace\"` to put it aside, or \
                 take it off with `ip link set dev <interface> xdp off`"
            }
            Self::Misplaced { .. } => {
                "`mode` and `occupied` are for XDP chains, `position` is for TC chains; leave it out"
            }
            Self::NoPositions { .. } => "leave it out: the chain is a filter with a priority of its own",
            Self::KeptBySplice { .. } => "say `occupied = \"replace\"`, or let the mechanism be chosen",
            Self::NamedIncumbent { .. } => "give the member another name",
            Self::TooLong { .. } => "split the chain, or merge members into one program",
            Self::SharedLayout { .. } => {
                "change all members that share it to releases that agree, in one document"
            }
            Self::Layout { .. } | Self::SharedState { .. } => {
                "to begin with an empty map, say `upgrade = \"fresh\"` in a `[[map]]` of `package.toml`, or run the release \
                 under another name"
            }
            Self::UncountedTailCalls { .. } => {
                "its author can say how many a packet can make: `tail_calls` of the program in `package.toml`"
            }
            Self::DeviceBound { why, .. } => why.hint(),
            Self::Throws { .. } => "its author can return a verdict in place of throwing",
            Self::NoDispatcher { .. } => {
                "leave `mechanism` out of the `[[chain]]`: the plan chooses one that can"
            }
            Self::NotAlone { .. } => {
                "keep one member with `enforcement = \"enforce\"`, or leave `mechanism` out of the `[[chain]]`"
            }
            Self::NoMechanism { splice, .. } => splice.hint(),
            Self::KernelTooOld { .. } => "use a newer kernel, or an older release of the package",
        }
    }
}
