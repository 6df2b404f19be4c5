// SPDX-License-Identifier: Apache-2.0
//! Why a machine cannot run what is desired, and what can be done about it.

use package::{KernelVersion, MemberName};
use thiserror::Error;

use crate::{Hook, ProbeRefusal};

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

/// Words about the members' own tail calls, where there are any.
fn own_words(calls: usize) -> String {
    if calls == 0 { String::new() } else { format!(", which make up to {calls} tail calls of their own") }
}

impl Refusal {
    /// What can be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Probe(refusal) => refusal.hint(),
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
