// SPDX-License-Identifier: Apache-2.0
//! What is measured: a program, how it is configured, what it knows, and the packet that it meets.

use package::HookPoint;

/// `XDP_*` of `linux/bpf.h`.
const DROP: i32 = 1;
const PASS: i32 = 2;

/// A program and a packet.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) package: &'static str,
    /// The program; the first one of the package where there is none.
    pub(super) function: Option<&'static str>,
    pub(super) point: HookPoint,
    /// What the packet is to it.
    pub(super) traffic: &'static str,
    /// As in a document, in JSON.
    pub(super) config: &'static str,
    pub(super) entries: &'static [Entries],
    /// Packets that it meets before.
    pub(super) before: &'static [&'static str],
    pub(super) packet: &'static str,
    pub(super) verdict: i32,
    /// Whether it leaves another packet, or state after which the next run is another one.
    pub(super) changes_packet: bool,
}

/// Entries of a map: `{number}` and `{ipv4}` in the JSON of an entry count up from 0 and from 11.0.0.0.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) map: &'static str,
    pub(super) count: u32,
    pub(super) entry: &'static str,
}

/// One of XDP without configuration or state.
const XDP: Case = Case {
    package: "",
    function: None,
    point: HookPoint::Xdp,
    traffic: "",
    config: "{}",
    entries: &[],
    before: &[],
    packet: "eth / ipv4 / tcp(flags=ack)",
    verdict: PASS,
    changes_packet: false,
};

/// All of them.
pub(super) const CASES: &[Case] = &[
    Case { package: "ratelimit", traffic: "pass", ..XDP },
    Case {
        package: "ratelimit",
        traffic: "drop",
        config: "{\"connections_per_second\": 0}",
        packet: "eth / ipv4 / tcp",
        verdict: DROP,
        ..XDP
    },
    Case { package: "ratelimit", traffic: "unknown", packet: "eth / arp", ..XDP },
    Case { package: "sanity", traffic: "pass", ..XDP },
    Case {
        package: "sanity",
        traffic: "drop",
        packet: "eth / ipv4 / tcp(flags=syn+fin)",
        verdict: DROP,
        ..XDP
    },
    Case { package: "sanity", traffic: "unknown", packet: "eth / arp", ..XDP },
];
