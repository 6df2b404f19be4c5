// SPDX-License-Identifier: Apache-2.0
//! Programs that are bound to a device: they ask the network card about packets (`bpf_xdp_metadata_rx_*`), which the kernel
//! allows to a program that is loaded for one device (`BPF_F_XDP_DEV_BOUND_ONLY`, Linux 6.3).
//!
//! The kernel puts none of them into a program array (`bpf_prog_map_compatible` of `kernel/bpf/core.c`). So one is the first
//! of its spliced chain and holds the hook itself, or it takes the place of a function of a dispatcher, which is then loaded
//! for the device.

use package::{HookPoint, KernelVersion, XdpMode};
use thiserror::Error;

use crate::{Hook, Member, Observed, Placement, Refusal};

/// Why a program that is bound to a device cannot run at a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotBound {
    /// The kernel knows no such programs.
    #[error("that came with Linux 6.3, and this is Linux {kernel}")]
    Kernel {
        /// The running kernel.
        kernel: KernelVersion,
    },
    /// The interface cannot have one.
    #[error(transparent)]
    Interface(#[from] Unbindable),
    /// The chain was asked to run where the card is not asked.
    #[error("such a program runs in the driver, and the chain is to run in mode `{mode}`")]
    Mode {
        /// The mode that was asked for.
        mode: XdpMode,
    },
    /// Another member comes before it.
    #[error(
        "the kernel puts no such program into a program array, so that it can only be the first member of a splice"
    )]
    NotFirst,
}

/// Why an interface cannot have a program that is bound to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unbindable {
    /// Its driver leaves XDP programs to the generic code, which has no card to ask.
    #[error("the driver of the interface runs no XDP programs")]
    NoDriver,
    /// It keeps the mode of the program that was there before. Linux 6.18 updates such a link to a program that is bound to
    /// the device, which then takes memory of the generic code for that of the driver.
    #[error("the program of somebody else that has the interface runs in generic mode")]
    Generic,
}

impl NotBound {
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Kernel { .. } => "use a newer kernel, or a release that does without what the card tells",
            Self::Interface(Unbindable::NoDriver) => "run it on an interface whose driver runs XDP programs",
            Self::Interface(Unbindable::Generic) => {
                "take that program off first: `ip link set dev <interface> xdp off`"
            }
            Self::Mode { .. } => "leave `mode` out of the `[[chain]]`, or say `mode = \"native\"`",
            Self::NotFirst => "move it to the front of its chain",
        }
    }
}

/// Says which member cannot be bound to the interface of a hook.
pub(crate) fn admit(
    hook: &Hook,
    members: &[Member],
    placement: &Placement,
    observed: &Observed,
) -> Result<(), Refusal> {
    let Some(member) = members.iter().find(|member| is_bound(member)) else { return Ok(()) };
    let refuse =
        |why| Err(Refusal::DeviceBound { hook: hook.clone(), member: member.spec().name.clone(), why });
    if !observed.facts.device_bound {
        return refuse(NotBound::Kernel { kernel: observed.facts.kernel });
    }
    match (placement.mode, observed.unbindable.get(&hook.interface)) {
        (Some(mode @ (XdpMode::Generic | XdpMode::Offloaded)), _) => refuse(NotBound::Mode { mode }),
        (None | Some(XdpMode::Native), Some(why)) => refuse(NotBound::Interface(*why)),
        (None | Some(XdpMode::Native), None) => Ok(()),
    }
}

/// The placement of a chain, whose mode is no longer open where a member is bound to the device.
pub(crate) fn place(members: &[Member], placement: Placement) -> Placement {
    if members.iter().any(is_bound) {
        return Placement { mode: Some(XdpMode::Native), ..placement };
    }
    placement
}

/// A splice has one at its head at most.
pub(crate) fn admit_splice(hook: &Hook, enabled: &[&Member]) -> Result<(), Refusal> {
    match enabled.iter().skip(1).find(|member| is_bound(member)) {
        None => Ok(()),
        Some(member) => Err(Refusal::DeviceBound {
            hook: hook.clone(),
            member: member.spec().name.clone(),
            why: NotBound::NotFirst,
        }),
    }
}

/// Whether the first member holds the hook by itself, in place of a root.
pub(crate) fn is_headed(enabled: &[&Member]) -> bool {
    enabled.first().is_some_and(|first| is_bound(first))
}

fn is_bound(member: &Member) -> bool {
    member.is_enabled() && member.spec().device_bound
}

/// Whether a program for a hook is to be bound to its device. TC programs cannot be, and their verifier refuses to call what
/// asks the card.
pub(crate) fn must_be_bound(point: HookPoint, object: &package::Object) -> bool {
    point == HookPoint::Xdp && object.asks_the_card()
}
