// SPDX-License-Identifier: Apache-2.0
//! `l3af why`: packets tell which members they passed and which one decided, on every hook, and nothing is left of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use ::package::{Flow, FlowEnd, FlowFilter};
use it::{Node, connect, ping, run, specimen};
use kernel::{Membership, Trial};
use wire::{PacketView, Sampled};

use crate::{packages, scene};

/// Runs `l3af why` while something happens again and again, and returns the packets.
fn why(node: &Node, arguments: &[&str], happens: impl Fn()) -> Vec<PacketView> {
    let arguments = [&["why", "--json"], arguments].concat();
    let printed = thread::scope(|scope| {
        let listening = scope.spawn(|| node.l3af(&arguments));
        while !listening.is_finished() {
            happens();
        }
        listening.join().unwrap().unwrap()
    });
    let told = printed.lines().map(|line| serde_json::from_str(line).unwrap());
    let packets = told.filter_map(|told| match told {
        Sampled::Packet(packet) => Some(*packet),
        Sampled::Begun { .. } | Sampled::Missed { .. } | Sampled::Ended { .. } => None,
    });
    packets.collect()
}

/// Begins to listen for an hour.
fn listen(node: &Node) -> Child {
    let mut child = Command::new(it::binary("l3af").unwrap())
        .arg("--socket")
        .arg(node.socket())
        .args(["why", "right0", "--for", "1h"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "listening on right0/xdp\n");
    child
}

fn instances(node: &Node) -> Vec<String> {
    node.members().unwrap().into_iter().map(|member| member.instance).collect()
}

#[test]
fn a_packet_tells_who_let_it_pass_and_who_dropped_it() {
    let (pair, node) = scene();
    let limited = "ratelimit:config = { connections_per_second = 1, burst = 1 }";
    node.apply(&packages().document("right0", &["sanity", limited])).unwrap().success().unwrap();
    let filter = format!("tcp {} > {}:8080", pair.left.address, pair.right.address);
    // Several rounds of twenty: what passes in a second may have passed before anybody listened.
    let packets = why(&node, &["right0", &filter, "--count", "90", "--for", "1m"], || {
        connect(&pair, 8080, 20).unwrap();
    });
    assert_eq!(packets.len(), 90);
    for packet in &packets {
        let flow = packet.flow.unwrap();
        assert_eq!(
            (flow.destination.to_string(), flow.ports.unwrap()[1]),
            (pair.right.address.clone(), 8080)
        );
        assert_eq!(
            (packet.hook.as_str(), packet.passed[0].to_string().as_str()),
            ("right0/xdp", "sanity (pass)")
        );
        assert_eq!(packet.packet().unwrap().len(), usize::try_from(packet.length).unwrap().min(128));
    }
    let dropped = packets.iter().find(|packet| packet.decided.is_some()).unwrap();
    assert_eq!(dropped.explanation(), "passed: sanity; decided: ratelimit (drop)");
    assert_eq!(dropped.flow.unwrap().tcp_flags, Some(2), "{dropped}");
    assert!(packets.iter().any(|packet| packet.explanation() == "passed: sanity, ratelimit"), "{packets:?}");
}

#[test]
fn nothing_is_left_when_nobody_listens_any_more() {
    let (pair, mut node) = scene();
    node.apply(&packages().document("right0", &["sanity", "ratelimit"])).unwrap().success().unwrap();
    let mut child = listen(&node);
    let busy = node.cli(&["why", "right0"]).unwrap();
    assert!(busy.stderr.contains("somebody else samples the packets of `right0/xdp`"), "{}", busy.stderr);
    let noting = instances(&node);
    child.kill().unwrap();
    child.wait().unwrap();
    node.wait("others are swapped in", || instances(&node) != noting);
    let packets = why(&node, &["right0", "icmp", "--count", "2"], || assert_eq!(ping(&pair, 2).unwrap(), 2));
    assert_eq!(packets.len(), 2);

    // A daemon that was killed leaves members that note; the next one swaps them out, and packets pass meanwhile.
    let mut child = listen(&node);
    let noting = instances(&node);
    node.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    node.restart().unwrap();
    node.wait("others are swapped in", || instances(&node) != noting);
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    assert_eq!(node.status().unwrap().state, wire::State::Converged);
}

#[test]
fn members_in_shadow_say_what_they_would_have_done() {
    let (pair, node) = scene();
    let limited = "ratelimit:enforcement = \"shadow\"\nconfig = { connections_per_second = 1, burst = 1 }";
    node.apply(&packages().document("right0", &["sanity", limited])).unwrap().success().unwrap();
    let packets = why(&node, &["right0/xdp", "tcp", "*:8080", "--count", "30", "--for", "1m"], || {
        connect(&pair, 8080, 20).unwrap();
    });
    let words = "passed: sanity, ratelimit (drop, not enforced)";
    assert!(packets.iter().any(|packet| packet.explanation() == words), "{packets:?}");
    assert!(packets.iter().all(|packet| packet.decided.is_none()), "{packets:?}");
}

#[test]
fn sent_and_received_packets_tell_of_tc_chains_and_go_into_a_capture() {
    let (pair, node) = scene();
    for hook in ["tc-ingress", "tc-egress"] {
        let (package, on) = (crate::hooks::tc::passing(hook), format!("right0/{hook}"));
        for name in ["one", "two"] {
            node.l3af(&["run", &package, "--on", &on, "--name", name]).unwrap();
        }
    }
    let capture = packages().path("why.pcapng");
    let arguments =
        ["right0", "icmp", &pair.left.address, "--count", "20", "--for", "1m", "--pcap", &capture];
    let packets = why(&node, &arguments, || assert_eq!(ping(&pair, 10).unwrap(), 10));
    assert_eq!(packets.len(), 20);
    for hook in ["right0/tc-ingress", "right0/tc-egress"] {
        let packet = packets.iter().find(|packet| packet.hook == hook).unwrap();
        assert_eq!(packet.explanation(), "passed: one, two");
        assert_eq!(packet.flow.unwrap().protocol_name(), "icmp");
    }
    let fields = "-T fields -E separator=; -e frame.interface_name -e frame.comment -e ip.dst -e frame.len";
    let read = run(&format!("tshark -n -r {capture} {fields}")).unwrap();
    assert_eq!(read.lines().count(), 20, "{read}");
    let line = format!("right0/tc-egress;passed: one, two;{};98", pair.left.address);
    assert!(read.lines().any(|found| found == line), "{read}");
}

#[test]
fn what_cannot_be_sampled_is_refused_with_the_reason() {
    let (_pair, node) = scene();
    let alone =
        packages().document("right0", &["sanity"]).replace("xdp\"\n", "xdp\"\nmechanism = \"alone\"\n");
    node.apply(&alone).unwrap().success().unwrap();
    let cases = [
        (&["why", "right0"][..], "`right0/xdp` has the mechanism `alone`, under which packets cannot tell"),
        (&["why", "nowhere0"], "no chain is wanted on `nowhere0`"),
        (&["why", "right0/tc-egress"], "no chain is wanted on `right0/tc-egress`"),
        (&["why", "right0", "tpc"], "`tpc` is not understood in a filter"),
        (&["why", "right0", "--for", "0"], "1 to 3600 seconds, not for 0"),
    ];
    for (arguments, words) in cases {
        let refused = node.cli(arguments).unwrap();
        assert!(!refused.ok && refused.stderr.contains(words), "{words}: {}", refused.stderr);
    }
}

/// Filters that ask for a flow, or for something like it.
fn filters(flow: &Flow) -> Vec<FlowFilter> {
    let bits = if flow.source.is_ipv4() { 32 } else { 128 };
    let source = FlowEnd { network: Some((flow.source, bits)), port: flow.ports.map(|[port, _]| port) };
    let destination =
        FlowEnd { network: Some((flow.destination, bits)), port: flow.ports.map(|[_, port]| port) };
    let version = Some(if flow.source.is_ipv4() { 4 } else { 6 });
    let exact = FlowFilter { version, protocol: Some(flow.protocol), source, destination, both_ways: false };
    let anybody = FlowEnd::default();
    let near = |end: FlowEnd| FlowEnd { network: end.network.map(|(address, _)| (address, 30)), port: None };
    let port = |end: FlowEnd| FlowEnd { network: None, ..end };
    vec![
        exact,
        FlowFilter { source: destination, destination: source, both_ways: true, ..exact },
        FlowFilter { protocol: exact.protocol, ..FlowFilter::default() },
        FlowFilter { version, ..FlowFilter::default() },
        FlowFilter {
            source: near(source),
            destination: near(destination),
            both_ways: true,
            ..FlowFilter::default()
        },
        FlowFilter { source: port(source), destination: anybody, both_ways: true, ..FlowFilter::default() },
    ]
}

#[test]
fn what_the_kernel_leaves_out_nobody_asked_for() {
    let frames = crate::hooks::corpus::frames(80);
    let (mut kept, mut left_out) = (0, 0);
    for name in ["passes", "tc_classifier"] {
        let specimen = specimen(name).unwrap();
        let short = if specimen.is_tc { 62 } else { 0 };
        let frames: Vec<_> = frames.iter().filter(|frame| frame.len() > short).collect();
        let flows: Vec<Flow> = frames.iter().filter_map(|frame| Flow::read(frame)).collect();
        for filter in flows.iter().step_by(4).flat_map(filters) {
            let candidate = crate::hooks::corpus::programs(&specimen).remove(0);
            let how = Membership { sampled: Some(filter), ..Membership::default_for(candidate.point) };
            let mut chain = Trial::chain(candidate.point, &[(candidate, how)]).unwrap();
            for frame in &frames {
                chain.run(frame, 1).unwrap();
            }
            let sent: Vec<Vec<u8>> =
                chain.samples().unwrap().into_iter().map(|sample| sample.packet).collect();
            let begin = |frame: &[u8]| frame[..frame.len().min(128)].to_vec();
            for frame in frames.iter().filter(|frame| filter.takes(Flow::read(&begin(frame)).as_ref())) {
                assert!(sent.contains(&begin(frame)), "`{filter}` leaves out {frame:02x?}");
            }
            kept += sent.len();
            left_out += frames.len() - sent.len();
        }
    }
    assert!(left_out > kept, "{left_out} of {} are left out", kept + left_out);
}
