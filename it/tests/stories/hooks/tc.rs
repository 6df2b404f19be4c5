// SPDX-License-Identifier: Apache-2.0
//! TC: the same chains on received and sent packets, by link where the kernel has TCX (Linux 6.6), else as a filter.

use std::fs;
use std::process::Command;

use ::package::KernelVersion;
use it::{Pair, ping, run_in, stream_while};

use crate::{packages, scene};

/// A package with a program that lets all packets of a TC hook pass, built once.
pub(crate) fn passing(hook: &str) -> String {
    let object = fs::read(it::repository().join("crates/package/testdata/small.bpf.o")).unwrap();
    packages().from_object(("passing", "0.1.0"), &object, "outgoing", hook).unwrap()
}

/// What `tc` shows of the interface.
fn disciplines(pair: &Pair) -> String {
    run_in(&pair.right.namespace, "tc qdisc show dev right0").unwrap()
}

#[test]
fn chains_on_received_and_sent_packets_count_and_leave_nothing_behind() {
    let (pair, node) = scene();
    let before = disciplines(&pair);
    for hook in ["tc-ingress", "tc-egress"] {
        let (package, on) = (passing(hook), format!("right0/{hook}"));
        for name in ["one", "two"] {
            node.l3af(&["run", &package, "--on", &on, "--name", name]).unwrap();
        }
    }
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    for chain in node.chains().unwrap() {
        assert!(chain.attached);
        assert_eq!(chain.members.len(), 2);
        assert!(chain.members[0].passed.packets >= 10, "{chain:?}");
        assert_eq!(chain.members[0].passed, chain.members[1].seen);
        assert!(chain.members[1].left["ok"].packets >= 10, "{chain:?}");
    }
    let filters = run_in(&pair.right.namespace, "tc filter show dev right0 ingress").unwrap();
    let has_links = crate::kernel() >= KernelVersion { major: 6, minor: 6 };
    assert_eq!(filters.contains("l3af_root"), !has_links, "{filters}");
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert_eq!(disciplines(&pair), before);
}

#[test]
fn a_chain_on_received_packets_changes_under_traffic_and_no_packet_is_lost() {
    let (pair, node) = scene();
    let package = passing("tc-ingress");
    for name in ["one", "two", "three"] {
        node.l3af(&["run", &package, "--on", "right0/tc-ingress", "--name", name]).unwrap();
    }
    let (sent, received, ()) = stream_while(&pair, || {
        for _ in 0..4 {
            node.l3af(&["change", "three", "--at", "1"])?;
            node.l3af(&["change", "one", "--disable"])?;
            node.l3af(&["change", "one", "--enable"])?;
            node.l3af(&["change", "three", "--at", "3", "--proceed", "ok"])?;
            node.l3af(&["change", "three", "--proceed", "ok,pipe"])?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert!(sent > 50, "there was traffic: {sent}");
}

#[test]
fn disciplines_and_filters_of_others_are_used_and_left() {
    let (pair, node) = scene();
    let namespace = &pair.right.namespace;
    run_in(namespace, "tc qdisc add dev right0 clsact").unwrap();
    // A classic program that matches nothing.
    let filter =
        ["tc", "filter", "add", "dev", "right0", "ingress", "prio", "7", "bpf", "bytecode", "1,6 0 0 0"];
    let network = format!("--net=/run/netns/{namespace}");
    assert!(Command::new("nsenter").arg(network).args(filter).status().unwrap().success());
    let (before, filters) = (disciplines(&pair), "tc filter show dev right0 ingress");
    let theirs = run_in(namespace, filters).unwrap();
    let package = passing("tc-ingress");
    node.l3af(&["run", &package, "--on", "right0/tc-ingress", "--name", "one"]).unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(disciplines(&pair), before);
    assert_eq!(run_in(namespace, filters).unwrap(), theirs);
}
