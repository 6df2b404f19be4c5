// SPDX-License-Identifier: Apache-2.0
//! What is measured: a program, how it is configured, what it knows, and the packet that it meets.

use package::HookPoint;

/// `XDP_*` of `linux/bpf.h`.
const DROP: i32 = 1;
const PASS: i32 = 2;
const TX: i32 = 3;
/// `TC_ACT_UNSPEC` of `linux/pkt_cls.h`.
const UNSPEC: i32 = -1;

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

/// A list of a million addresses that are blocked.
const BLOCK_LIST: &[Entries] = &[
    Entries { map: "hosts_ipv4_a", count: 1_000_000, entry: "{\"key\": \"{ipv4}\", \"value\": \"block\"}" },
    Entries { map: "feed", count: 1, entry: "{\"key\": 0, \"value\": \"a\"}" },
];

/// One of TC.
const TC: Case = Case { point: HookPoint::TcIngress, verdict: UNSPEC, ..XDP };

/// All of them.
pub(super) const CASES: &[Case] = &[
    Case {
        package: "connlimit",
        traffic: "pass",
        before: &["eth / ipv4 / tcp(seq=100)", "eth / ipv4 / tcp(seq=101, ack=7, flags=ack)"],
        packet: "eth / ipv4 / tcp(seq=101, ack=7, flags=ack)",
        ..XDP
    },
    Case {
        package: "connlimit",
        traffic: "drop",
        config: "{\"connections_per_source\": 0}",
        packet: "eth / ipv4 / tcp",
        verdict: DROP,
        ..XDP
    },
    // A segment of a connection that it does not know: nothing of it is counted.
    Case { package: "connlimit", traffic: "unknown", ..XDP },
    Case { package: "load-balancer", traffic: "pass", ..XDP },
    Case {
        package: "load-balancer",
        traffic: "forward",
        config: "{\"next_hop_mac\": \"02:00:00:00:00:fe\"}",
        entries: BALANCED,
        packet: "eth / ipv4(dst=192.0.2.1) / tcp(dport=80, flags=ack)",
        verdict: TX,
        changes_packet: true,
        ..XDP
    },
    Case { package: "load-balancer", traffic: "unknown", packet: "eth / arp", ..XDP },
    Case { package: "ratelimit", traffic: "pass", ..XDP },
    Case {
        package: "ratelimit",
        traffic: "drop",
        config: "{\"connections_per_second\": 1, \"burst\": 1}",
        before: &["eth / ipv4 / tcp"],
        packet: "eth / ipv4 / tcp",
        verdict: DROP,
        ..XDP
    },
    // As many as the clock can tell apart: each is looked up, judged and paid for.
    Case { package: "ratelimit", traffic: "counted", config: "{\"packets_per_second\": 999999999}", ..XDP },
    Case {
        package: "ratelimit",
        traffic: "counted by sender",
        config: "{\"per\": \"source\", \"packets_per_second\": 999999999}",
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
    Case { package: "ddos-guard", traffic: "pass", entries: BLOCK_LIST, ..XDP },
    Case {
        package: "ddos-guard",
        traffic: "drop",
        entries: BLOCK_LIST,
        packet: "eth / ipv4(src=11.0.0.7) / udp",
        verdict: DROP,
        ..XDP
    },
    Case { package: "ddos-guard", traffic: "unknown", packet: "eth / arp", ..XDP },
    Case {
        package: "traffic-mirror",
        function: Some("mirror_ingress"),
        traffic: "pass",
        config: "{\"mirror_rules\": {\"0\": {\"protocol\": \"udp\"}}}",
        ..TC
    },
    Case {
        package: "traffic-mirror",
        function: Some("mirror_ingress"),
        traffic: "unknown",
        packet: "eth / arp / 0x00*20",
        ..TC
    },
];

/// A service with one backend.
const BALANCED: &[Entries] = &[
    Entries {
        map: "services",
        count: 1,
        entry: "{\"key\": {\"address\": \"192.0.2.1\", \"port\": 80, \"protocol\": \"tcp\"}, \"value\": {\"pool\": 0}}",
    },
    Entries {
        map: "targets",
        count: 2,
        entry: "{\"key\": {number}, \"value\": {\"address\": \"10.0.0.1\", \"source\": \"10.0.0.9\", \"state\": \"open\", \
                \"encapsulation\": \"ipip\", \"incarnation\": 0}}",
    },
    Entries { map: "pools", count: 1, entry: "{\"key\": 0, \"value\": {\"table\": 0, \"generation\": 1}}" },
    Entries {
        map: "tables",
        count: 8193,
        entry: "{\"key\": {number}, \"value\": {\"slots\": [{\"now\": 1}, {\"now\": 1}, {\"now\": 1}, {\"now\": 1}, {\"now\": 1}, \
                {\"now\": 1}, {\"now\": 1}, {\"now\": 1}]}}",
    },
];
