// SPDX-License-Identifier: Apache-2.0
//! What a collector adds up is what was sent: over UDP while the program is killed, over TCP while the collector is away.

use std::net::TcpListener;

use it::{Pair, run};

use super::{Got, INGRESS, accept, apply, datagrams, document, process, scene, send};

/// Of a datagram of IPv4.
const HEADERS: u64 = 28;

#[test]
fn totals_over_udp_are_those_of_the_traffic_while_the_program_is_killed_again_and_again() {
    let Some((pair, node)) = scene() else { return };
    let (socket, port) = datagrams(&pair, "127.0.0.1");
    // The shortest timeouts: flows that go on are told of in pieces, those that do not when they are idle.
    let config = format!(
        "collector = \"127.0.0.1\", collector_port = {port}, idle_timeout = 1, active_timeout = 1, path_mtu = 1280"
    );
    apply(&node, &document(&config, INGRESS));
    let mut got = Got::default();
    let (mut sent, mut killed) = (0, 0);
    // Each round has flows of its own, and one that goes on over all of them.
    for round in 0..4_u64 {
        for flow in 0..20_u64 {
            send(&pair, &format!("0.0.0.0:{}", 20_000 + round * 100 + flow), "10.213.7.2:9", 5, 100);
        }
        send(&pair, "0.0.0.0:30000", "10.213.7.2:9", 50, 10);
        sent += 50;
        let goes_on = |got: &Got| got.udp(30_000, 9).0 > (sent - 50) / 2;
        got.receive(&socket, "it is told of the flow that goes on", goes_on);
        if let Some(pid) = process(&node).filter(|_| round < 3) {
            run(&format!("kill -KILL {pid}")).unwrap();
            killed += 1;
        }
    }
    assert!(killed > 0, "it ran at least once");
    // A flow that is never idle is told of all the same.
    let mut steady = 0;
    while !got.has_reason(2) {
        assert!(steady < 300, "a flow that goes on is not told of");
        send(&pair, "0.0.0.0:30001", "10.213.7.2:9", 1, 10);
        steady += 1;
        got.take(&socket);
    }
    let last = |got: &Got| {
        let are_told = (0..20).all(|flow| got.udp(20_300 + flow, 9).0 == 5);
        are_told && got.udp(30_000, 9).0 == sent && got.udp(30_001, 9).0 == steady
    };
    got.receive(&socket, "all is told of", last);
    assert_eq!(got.udp(30_000, 9), (sent, sent * (HEADERS + 10)));
    for flow in (0..4).flat_map(|round| (0..20).map(move |flow| 20_000 + round * 100 + flow)) {
        assert_eq!(got.udp(flow, 9), (5, 5 * (HEADERS + 100)), "{flow}");
    }
    assert!(got.longest <= 1280 - 28, "a datagram of {} bytes is cut into pieces", got.longest);
    assert!(got.has_reason(1), "flows that end are told of when they are idle");
    // Numbers of records are those of one exporter, in their order and without gaps.
    assert!(got.records.keys().copied().eq(0..got.records.len() as u64), "{:?}", got.records.keys());
    follow_each_other(&got);
}

/// Over UDP the session goes on through all processes: sequence numbers too, but for a message that was sent twice.
fn follow_each_other(got: &Got) {
    for pair in got.messages.windows(2) {
        let [(before, records), (next, _)] = pair else { unreachable!("they are two") };
        let is_again = next == before;
        assert!(is_again || *next == before + records, "{:?}", got.messages);
    }
}

/// Packets that a side of a cable sent by TCP, as its kernel counted them.
fn segments(pair: &Pair) -> u64 {
    let table = pair.left.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp")).unwrap().unwrap();
    let mut rows = table.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, numbers) = rows.next().zip(rows.next()).unwrap();
    let column = |name: &str| {
        let mut columns = names.split(' ').zip(numbers.split(' '));
        columns.find(|(found, _)| *found == name).unwrap().1.parse::<u64>().unwrap()
    };
    column("OutSegs") + column("RetransSegs")
}

/// Sends so many bytes over a connection from the left to the right, as fast as it goes.
fn transfer(pair: &Pair, to: &'static str, bytes: usize) {
    use std::io::{Read as _, Write as _};
    let listener = pair.right.inside(move || TcpListener::bind(to)).unwrap().unwrap();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        accept(&listener).read_to_end(&mut all).unwrap();
        all.len()
    });
    let written = pair.left.inside(move || std::net::TcpStream::connect(to)?.write_all(&vec![0; bytes]));
    written.unwrap().unwrap();
    assert_eq!(reader.join().unwrap(), bytes);
}

#[test]
fn over_tcp_nothing_is_lost_while_the_collector_is_away() {
    let Some((pair, node)) = scene() else { return };
    let listener = pair.right.inside(|| TcpListener::bind("[::1]:0")).unwrap().unwrap();
    let address = listener.local_addr().unwrap();
    let config = format!(
        "collector = \"::1\", collector_port = {}, collector_transport = \"tcp\", idle_timeout = 1, active_timeout = 1",
        address.port()
    );
    apply(&node, &document(&config, INGRESS));
    let mut got = Got::default();
    let mut stream = accept(&listener);
    send(&pair, "0.0.0.0:21000", "10.213.7.2:9", 10, 100);
    got.stream(&mut stream, "the first flow is told of", |got| got.udp(21_000, 9).0 == 10);
    // It goes, and what comes meanwhile waits.
    drop((stream, listener));
    for round in 0..3 {
        for flow in 0..30 {
            send(&pair, &format!("[fd00:7::1]:{}", 22_000 + flow), "[fd00:7::2]:9", 3, 1000);
        }
        if let Some(pid) = process(&node).filter(|_| round == 1) {
            run(&format!("kill -KILL {pid}")).unwrap();
        }
    }
    let before = segments(&pair);
    transfer(&pair, "10.213.7.2:8080", 3_000_000);
    let listener = pair.right.inside(move || TcpListener::bind(address)).unwrap().unwrap();
    let mut stream = accept(&listener);
    // Each connection is a session of its own, which begins with templates.
    got.collector = super::decode::Collector::default();
    let first = got.messages.len();
    let is_all = |got: &Got| {
        let ended = got.records.values().any(|record| record.number(0, 4) == 6);
        ended && (0..30).all(|flow| got.udp(22_000 + flow, 9).0 == 9)
    };
    got.stream(&mut stream, "the flows of meanwhile are told of", is_all);
    assert_eq!(got.messages[first].0, 0);
    for flow in 0..30 {
        assert_eq!(got.udp(22_000 + flow, 9), (9, 9 * (40 + 8 + 1000)));
    }
    let sent = segments(&pair) - before;
    let of_tcp = |got: &Got| {
        got.totals()
            .iter()
            .filter(|((protocol, ..), _)| *protocol == 6)
            .fold((0, 0), |sum, (_, total)| (sum.0 + total.0, sum.1 + total.1))
    };
    got.stream(&mut stream, "all segments are told of", |got| of_tcp(got).0 >= sent);
    let (packets, bytes) = of_tcp(&got);
    assert_eq!(packets, sent, "segments that the kernel handles as one are counted as they are on the wire");
    // Headers of 52 bytes with timestamps; a SYN has options of 8 bytes more.
    assert!(bytes >= 3_000_000 + 52 * packets, "{bytes} bytes in {packets} packets");
    assert_eq!(got.udp(21_000, 9), (10, 10 * (HEADERS + 100)), "what came before is not told of again");
    // Who is asked to end tells of what there is.
    send(&pair, "0.0.0.0:23000", "10.213.7.2:9", 7, 100);
    node.l3af(&["stop", "--all"]).unwrap();
    got.stream(&mut stream, "the last flow is told of", |got| got.udp(23_000, 9).0 == 7);
}
