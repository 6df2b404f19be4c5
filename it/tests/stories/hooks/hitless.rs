// SPDX-License-Identifier: Apache-2.0
//! Every change of a chain under load: each packet that was sent leaves the chain once, and arrives.

use std::fs;
use std::time::Duration;

use ::package::KernelVersion;
use it::{Node, Pair, flood_while, repository, run_in, specimen};

use crate::packages;

/// A release of a program that lets all packets pass.
fn release(hook: &str, kind: Kind, version: &str) -> String {
    let (function, object) = match kind {
        Kind::Tc => ("outgoing", fs::read(repository().join("crates/package/testdata/small.bpf.o")).unwrap()),
        Kind::One => ("passes", specimen("passes").unwrap().object),
        Kind::Many => ("passes_fragments", specimen("passes_fragments").unwrap().object),
    };
    packages().from_object(("passes", version), &object, function, hook).unwrap()
}

/// Which program it is: for TC, for XDP packets in one buffer, or in several as well.
#[derive(Clone, Copy)]
enum Kind {
    Tc,
    One,
    Many,
}

/// What is done to a chain of `one`, `two` and `last`. `guest` never is the last member, so that nothing leaves at it: what
/// left at a member is forgotten with it.
const CHANGES: [(&str, &str); 15] = [
    ("insert", "run GUEST --on HOOK --name guest --at 2"),
    ("insert of the same kind", "run FIRST --on HOOK --name other --at 2"),
    ("reorder", "change guest --at 1"),
    ("reorder of the last", "change two --at 5"),
    ("reorder back", "change last --at 5"),
    ("upgrade", "change two --package SECOND"),
    ("proceed set", "change one --proceed WIDER"),
    ("shadow", "change one --enforcement shadow"),
    ("canary", "change one --enforcement canary_50%"),
    ("enforce", "change one --enforcement enforce"),
    ("disable", "change guest --disable"),
    ("enable", "change guest --enable"),
    ("profile, in and out", "profile --for 1"),
    ("remove", "stop guest"),
    ("remove of the same kind", "stop other"),
];

fn every_change_is_hitless(hook: &str) {
    let pair = Pair::new().unwrap();
    for (side, other) in [(&pair.left, &pair.right), (&pair.right, &pair.left)] {
        // Nobody asks for addresses: only the packets of this story are on the cable.
        let link = run_in(&other.namespace, &format!("ip -o link show dev {}", other.interface)).unwrap();
        let address = link.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
        let (to, interface) = (&other.address, &side.interface);
        let known = format!("ip neighbour replace {to} lladdr {address} dev {interface} nud permanent");
        run_in(&side.namespace, &known).unwrap();
    }
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    let has_many = crate::kernel() >= KernelVersion { major: 5, minor: 18 };
    // On XDP the guest takes packets in one buffer only: with it the chain turns to its other root, and back.
    let (kind, guest) = match hook {
        "xdp" => (if has_many { Kind::Many } else { Kind::One }, Kind::One),
        _ => (Kind::Tc, Kind::Tc),
    };
    let on = format!("right0/{hook}");
    let (first, second) = (release(hook, kind, "1.0.0"), release(hook, kind, "1.1.0"));
    let guest = release(hook, guest, "1.0.0");
    for name in ["one", "two", "last"] {
        node.l3af(&["run", &first, "--on", &on, "--name", name]).unwrap();
    }
    let ends = if hook == "tc-egress" { (&pair.right, &pair.left) } else { (&pair.left, &pair.right) };
    // An emulated machine has one processor: who changes the chain needs some of it.
    let pause = Duration::from_millis(crate::rounds(0, 5) as u64);
    for (what, line) in CHANGES {
        let words: Vec<String> = line.split(' ').map(|word| word.replace('_', " ")).collect();
        let words = words.iter().map(|word| match word.as_str() {
            "GUEST" => &guest,
            "FIRST" => &first,
            "SECOND" => &second,
            "HOOK" => &on,
            "WIDER" if hook == "xdp" => "pass,tx",
            "WIDER" => "ok,pipe,unspec",
            word => word,
        });
        let words: Vec<&str> = words.collect();
        let before = left(&node);
        let (sent, received, _) = flood_while(ends, pause, || node.l3af(&words)).unwrap();
        assert_eq!(received, sent, "{hook}: {what}: packets were lost, or came twice");
        assert_eq!(left(&node) - before, sent, "{hook}: {what}: packets were not counted, or twice");
        assert!(sent > 100, "{hook}: {what}: there was no load: {sent}");
    }
}

/// How many packets left the chain, at whichever member.
fn left(node: &Node) -> u64 {
    let members = node.members().unwrap();
    members.iter().flat_map(|member| member.left.values()).map(|count| count.packets).sum()
}

#[test]
fn every_change_of_an_xdp_chain_is_hitless() {
    every_change_is_hitless("xdp");
}

#[test]
fn every_change_of_a_chain_on_received_packets_is_hitless() {
    every_change_is_hitless("tc-ingress");
}

#[test]
fn every_change_of_a_chain_on_sent_packets_is_hitless() {
    every_change_is_hitless("tc-egress");
}
