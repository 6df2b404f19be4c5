// SPDX-License-Identifier: Apache-2.0
//! Flows: what the programs in the kernel count, how counts of several turns are added, and what became of the packets.

use std::net::IpAddr;

/// How many checkpoints a chain has at most.
pub(crate) const CHECKPOINTS: usize = 4;
/// FIN and RST (RFC 9293, section 3.1).
const ENDS: u16 = 0x01 | 0x04;

/// What the packets of a flow have in common. Unknown interfaces, and ports that there are none of, are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ingress_interface: u32,
    pub(crate) egress_interface: u32,
    pub(crate) source_port: u16,
    /// Of ICMP: type and code.
    pub(crate) destination_port: u16,
    pub(crate) vlan: u16,
    pub(crate) protocol: u8,
    pub(crate) traffic_class: u8,
    pub(crate) ip_version: u8,
    /// 0 received, 1 sent (`flowDirection`).
    pub(crate) direction: u8,
    /// How many stood in the chain.
    pub(crate) checkpoints: u8,
    pub(crate) sampling_random: u8,
    pub(crate) sampling_one_in: u32,
}

/// Packets, and their bytes of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Amount {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Amount {
    fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_add(other.packets),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_sub(other.packets),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What was counted of a flow. Times are those of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    pub(crate) all: Amount,
    /// What came to each checkpoint.
    pub(crate) reached: [Amount; CHECKPOINTS],
    pub(crate) tcp_flags: u16,
}

impl Counts {
    /// Both together.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            first_ns: self.first_ns.min(other.first_ns),
            last_ns: self.last_ns.max(other.last_ns),
            all: self.all.plus(other.all),
            reached: std::array::from_fn(|index| self.reached[index].plus(other.reached[index])),
            tcp_flags: self.tcp_flags | other.tcp_flags,
        }
    }

    /// Whether TCP said that it ends.
    pub(crate) fn has_ended(&self) -> bool {
        self.tcp_flags & ENDS != 0
    }
}

/// A flow that waits to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) counts: Counts,
    /// The turn that was added last.
    pub(crate) turn: u64,
}

/// Why a flow is told of (`flowEndReason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum EndReason {
    Idle = 1,
    Active = 2,
    End = 3,
    Forced = 4,
    Resources = 5,
}

impl EndReason {
    /// The one with a number.
    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Idle,
            2 => Self::Active,
            3 => Self::End,
            5 => Self::Resources,
            _ => Self::Forced,
        }
    }
}

/// A flow that is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) key: Key,
    pub(crate) counts: Counts,
    pub(crate) reason: EndReason,
}

/// What became of packets in their chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// There is no checkpoint.
    Unobserved,
    /// They reached all checkpoints.
    Passed,
    /// They did not reach this checkpoint, from 1, and reached those before.
    Left(u8),
}

impl Told {
    /// The packets of the flow by what became of them: each is in exactly one amount, none of which is nothing.
    pub(crate) fn fates(&self) -> Vec<(Fate, Amount)> {
        let checkpoints = usize::from(self.key.checkpoints).min(CHECKPOINTS);
        let mut here = self.counts.all;
        let mut fates = Vec::with_capacity(checkpoints + 1);
        for (number, reached) in (1..).zip(&self.counts.reached[..checkpoints]) {
            // A checkpoint sees no packet that was not counted before.
            let next =
                Amount { packets: reached.packets.min(here.packets), bytes: reached.bytes.min(here.bytes) };
            fates.push((Fate::Left(number), here.minus(next)));
            here = next;
        }
        fates.push((if checkpoints == 0 { Fate::Unobserved } else { Fate::Passed }, here));
        fates.retain(|(_, amount)| amount.packets > 0);
        fates
    }
}
