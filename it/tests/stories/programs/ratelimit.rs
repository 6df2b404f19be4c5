// SPDX-License-Identifier: Apache-2.0
//! `ratelimit`: the rate that is measured is the one that was asked for.
//!
//! What passes is counted where it arrives, by sockets that have room for all of it and are read at the end. A sender is ahead of the
//! limit all the time, or well below it; when the machine lets it wait it makes up for that, and the burst is long enough for both.

use std::collections::VecDeque;
use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use it::{Node, Pair, Side, repository, run_in};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use serde_json::Value;

use crate::{is_emulated, packages, scene};

/// For how long traffic is offered.
const LASTING: Duration = Duration::from_secs(2);
/// Ports that get more than the limit, and those that get less, one for each way.
const ABOVE: u16 = 9000;
const BELOW: u16 = 9010;

/// How packets get to the other side.
#[derive(Debug, Clone, Copy)]
struct Way {
    from: IpAddr,
    to: IpAddr,
    /// What is in front of the payload of UDP.
    header_bytes: usize,
}

/// Puts a tag of priority 5 and no VLAN (IEEE 802.1Q, VLAN 0) into frames for 10.213.77.0/24. Devices of VLANs leave that to the card,
/// and a pair of virtual ones hands tags over beside the frame, where no program of XDP sees them.
const TAGS: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int tags(struct __sk_buff *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(ethernet + 1);
	__be16 tag[] = { bpf_htons(ETH_P_8021Q), bpf_htons(0xa000), bpf_htons(ETH_P_IP) };

	if ((void *)(ip + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP))
		return TC_ACT_UNSPEC;
	if ((ip->daddr & bpf_htonl(0xffffff00)) != bpf_htonl(0x0ad54d00))
		return TC_ACT_UNSPEC;
	if (bpf_skb_adjust_room(ctx, sizeof(struct vlan_hdr), 1, 0))
		return TC_ACT_SHOT;
	bpf_skb_store_bytes(ctx, 2 * ETH_ALEN, tag, sizeof(tag), 0);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

/// A daemon on the left that tags frames.
fn tagging(pair: &Pair) -> Node {
    static PACKAGE: OnceLock<String> = OnceLock::new();
    let manifest = "[[program]]\nfunction = \"tags\"\nobject = \"tags.bpf.o\"\nsource = \"tags.bpf.c\"\nhook = \"tc-egress\"\n";
    let package = PACKAGE.get_or_init(|| packages().from_source(("tags", "1.0.0"), TAGS, manifest).unwrap());
    let node = Node::start(&pair.left, &packages().policy()).unwrap();
    node.l3af(&["run", package, "--on", "left0/tc-egress"]).unwrap();
    node
}

/// IPv4, IPv6, and IPv4 with a tag.
fn ways(pair: &Pair) -> ([Way; 3], Node) {
    for (side, last) in [(&pair.left, 1), (&pair.right, 2)] {
        let (name, device) = (&side.namespace, &side.interface);
        run_in(name, &format!("sysctl -qw net.ipv6.conf.{device}.disable_ipv6=0")).unwrap();
        run_in(name, &format!("ip address add fd00:213::{last}/64 dev {device} nodad")).unwrap();
        run_in(name, &format!("ip address add 10.213.77.{last}/24 dev {device}")).unwrap();
    }
    let way = |net: &str, header_bytes| Way {
        from: format!("{net}1").parse().unwrap(),
        to: format!("{net}2").parse().unwrap(),
        header_bytes,
    };
    ([way("10.213.7.", 42), way("fd00:213::", 62), way("10.213.77.", 46)], tagging(pair))
}

/// A chain of one member with this configuration, in TOML.
fn configure(node: &Node, config: &str) {
    let member = format!("ratelimit:{config}");
    node.apply(&packages().document("right0", &[&member])).unwrap().success().unwrap();
}

/// What a map holds, as JSON.
fn held(node: &Node, member: &str, map: &str) -> Vec<Value> {
    let told = node.l3af(&["get", member, map, "--json"]).unwrap();
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many packets ended so.
fn outcome(node: &Node, member: &str, name: &str) -> u64 {
    let outcomes = held(node, member, "outcomes");
    let found = outcomes.iter().find(|entry| entry["key"] == name).unwrap();
    found["value"]["packets"].as_u64().unwrap()
}

/// A socket with room for all that comes while nobody reads.
fn inbox(side: &Side, address: SocketAddr) -> UdpSocket {
    let socket = side.inside(move || UdpSocket::bind(address)).unwrap().unwrap();
    sockopt::set_socket_recv_buffer_size_force(&socket, 64 << 20).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    socket
}

/// Sends so many datagrams at once.
fn burst(socket: &UdpSocket, to: SocketAddr, count: u32, bytes: usize) {
    for _ in 0..count {
        assert_eq!(socket.send_to(&[0; 2048][..bytes], to).unwrap(), bytes);
    }
}

/// How many datagrams came, and the bytes of their payloads.
fn drained(socket: &UdpSocket) -> (u64, u64) {
    let mut came = (0, 0);
    let mut buffer = [0; 2048];
    while let Ok(bytes) = socket.recv(&mut buffer) {
        came = (came.0 + 1, came.1 + u64::try_from(bytes).unwrap());
    }
    came
}

/// Does something so often in a second, and makes up for what it missed, also at the end. Returns how often, and the time from the
/// first to the last.
fn paced(per_second: u32, mut act: impl FnMut(u32)) -> (u32, Duration) {
    let begin = Instant::now();
    let mut done = 0;
    loop {
        act(done);
        done += 1;
        let (now, next) = (begin.elapsed(), Duration::from_secs(1) / per_second * done);
        if next > now && now >= LASTING {
            return (done, now);
        }
        thread::sleep(next.saturating_sub(now));
    }
}

/// Sends datagrams from left to right on a thread of its own.
fn send(
    pair: &Pair,
    way: Way,
    (port, per_second): (u16, u32),
    payload: fn(u32) -> usize,
) -> thread::JoinHandle<(u32, Duration)> {
    let from = SocketAddr::new(way.from, 0);
    let socket = pair.left.inside(move || UdpSocket::bind(from)).unwrap().unwrap();
    let to = SocketAddr::new(way.to, port);
    thread::spawn(move || {
        paced(per_second, |number| {
            // A datagram that finds no room in the cable is as good as not sent.
            let _sent = socket.send_to(&[0; 2048][..payload(number)], to);
        })
    })
}

/// Whether what passed is the burst, which is as much as in a second, and the rate, within 2 %.
#[track_caller]
fn is_rate(passed: u64, rate: u32, time: Duration) -> bool {
    is_rate_between(passed, rate, (time, time))
}

/// The same where what was offered last was offered between two times. More than the limit must never pass; there is less where the
/// machine was so busy that the cable had no room for what was offered.
#[track_caller]
fn is_rate_between(passed: u64, rate: u32, (least, most): (Duration, Duration)) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand, or a million")]
    let beyond = (passed as f64 / f64::from(rate)) - 1.0;
    assert!(
        beyond < most.as_secs_f64() * 1.02,
        "{passed} passed in {most:?}: what may in {} s",
        1.0 + beyond
    );
    beyond > least.as_secs_f64() * 0.98
}

/// Has something succeed once in some times, each with ports of its own.
#[track_caller]
fn once(what: impl Fn(u16) -> bool) {
    assert!((0..4).any(|time| what(20 * time)), "it never was so, on a machine however busy");
}

#[test]
fn packets_pass_at_the_rate_that_was_asked_for_and_none_is_lost_below_it() {
    const RATE: u32 = 1000;
    let (pair, node) = scene();
    let (ways, _tagging) = ways(&pair);
    configure(
        &node,
        &format!("config = {{ packets_per_second = {RATE}, first_port = {ABOVE}, last_port = 9099 }}"),
    );
    once(|offset| {
        let mut is_so = true;
        let streams = (0..).zip(ways).map(|(index, way)| {
            let open = |first: u16, share: u32| {
                let port = first + index + offset;
                let socket = inbox(&pair.right, SocketAddr::new(way.to, port));
                (socket, send(&pair, way, (port, RATE * share / 10), |_| 20))
            };
            (open(ABOVE, 30), open(BELOW, 8))
        });
        for ((above, sender), (below, slow)) in streams.collect::<Vec<_>>() {
            let (_, time) = sender.join().unwrap();
            is_so &= is_rate(drained(&above).0, RATE, time);
            let (sent, _) = slow.join().unwrap();
            is_so &= drained(&below).0 == u64::from(sent);
        }
        is_so
    });
    assert!(outcome(&node, "ratelimit", "over_packets") > 3 * u64::from(RATE));
    assert_eq!(outcome(&node, "ratelimit", "over_bytes"), 0);
}

#[test]
fn bytes_of_frames_pass_at_the_rate_that_was_asked_for() {
    const RATE: u32 = 500_000;
    let (pair, node) = scene();
    let (ways, _tagging) = ways(&pair);
    configure(
        &node,
        &format!("config = {{ bytes_per_second = \"{RATE}B/s\", first_port = {ABOVE}, last_port = 9099 }}"),
    );
    // From 60 to 1259 bytes, 659 on average.
    let payload = |number: u32| 60 + usize::try_from(number * 401 % 1200).unwrap();
    once(|offset| {
        let mut is_so = true;
        let streams = (0..).zip(ways).map(|(index, way)| {
            let open = |first: u16, per_second: u32| {
                let port = first + index + offset;
                let socket = inbox(&pair.right, SocketAddr::new(way.to, port));
                (socket, send(&pair, way, (port, per_second), payload))
            };
            (way, open(ABOVE, 2200), open(BELOW, 550))
        });
        for (way, (above, sender), (below, slow)) in streams.collect::<Vec<_>>() {
            let (_, time) = sender.join().unwrap();
            let (packets, bytes) = drained(&above);
            is_so &= is_rate(bytes + packets * u64::try_from(way.header_bytes).unwrap(), RATE, time);
            let (sent, _) = slow.join().unwrap();
            is_so &= drained(&below).0 == u64::from(sent);
        }
        is_so
    });
    assert!(outcome(&node, "ratelimit", "over_bytes") > 0);
    assert_eq!(outcome(&node, "ratelimit", "over_packets"), 0);
}

/// A listener that accepts when it is asked, and all that came until then.
fn listener(side: &Side, address: SocketAddr) -> TcpListener {
    let listen = move || -> rustix::io::Result<OwnedFd> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, 4096)?;
        Ok(socket)
    };
    side.inside(listen).unwrap().unwrap().into()
}

fn accepted(listener: &TcpListener) -> u64 {
    std::iter::from_fn(|| listener.accept().ok()).map(|_| 1).sum()
}

/// Opens connections from left to right on a thread of its own. Each is given up before TCP would try a second time.
/// Returns how many, the time from the first to the last, and until nothing was tried any more.
fn open(pair: &Pair, way: Way, port: u16, per_second: u32) -> thread::JoinHandle<(u32, Duration, Duration)> {
    let side = pair.left.namespace.clone();
    let left = Side { namespace: side, interface: String::new(), address: String::new() };
    let to = SocketAddr::new(way.to, port);
    let begin = move || -> rustix::io::Result<OwnedFd> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
        match rustix::net::connect(&socket, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error),
        }
    };
    let most = usize::try_from(per_second / 3).unwrap();
    let connect = move || {
        let (mut sockets, start) = (VecDeque::new(), Instant::now());
        let (opened, time) = paced(per_second, |_| {
            sockets.push_back(begin().unwrap());
            if sockets.len() > most {
                sockets.pop_front();
            }
        });
        thread::sleep(Duration::from_millis(30));
        sockets.retain(|socket| rustix::net::getpeername(socket).is_ok());
        (opened, time, start.elapsed())
    };
    thread::spawn(move || left.inside(connect).unwrap())
}

#[test]
fn connections_come_at_the_rate_that_was_asked_for_and_none_is_refused_below_it() {
    const RATE: u32 = 100;
    let (pair, node) = scene();
    let (ways, _tagging) = ways(&pair);
    configure(&node, &format!("config = {{ connections_per_second = {RATE} }}"));
    once(|offset| {
        let mut is_so = true;
        let streams = (0..).zip(ways).map(|(index, way)| {
            let begin = |first: u16, share: u32| {
                let port = first + index + offset;
                let listener = listener(&pair.right, SocketAddr::new(way.to, port));
                (listener, open(&pair, way, port, RATE * share / 10))
            };
            (begin(ABOVE, 30), begin(BELOW, 8))
        });
        for ((above, opener), (below, slow)) in streams.collect::<Vec<_>>() {
            let (_, time, end) = opener.join().unwrap();
            is_so &= is_rate_between(accepted(&above), RATE, (time, end));
            let (opened, ..) = slow.join().unwrap();
            is_so &= accepted(&below) == u64::from(opened);
        }
        is_so
    });
    assert!(outcome(&node, "ratelimit", "over_connections") > 3 * u64::from(RATE));
}

#[test]
fn a_sender_above_its_limit_takes_nothing_from_one_below() {
    const RATE: u32 = 500;
    let (pair, node) = scene();
    let ([ipv4, ipv6, vlan], _tagging) = ways(&pair);
    run_in(&pair.left.namespace, "ip address add 10.213.7.3/24 dev left0").unwrap();
    run_in(&pair.left.namespace, "ip address add fd00:213:0:1::1/64 dev left0 nodad").unwrap();
    let other = |from: &str, way: Way| Way { from: from.parse().unwrap(), ..way };
    configure(
        &node,
        &format!(
            "config = {{ per = \"source\", packets_per_second = {RATE}, protocol = \"udp\", talkers_sample = 1 }}"
        ),
    );
    let above = [ipv4, ipv6, vlan];
    let below = [other("10.213.7.3", ipv4), other("fd00:213:0:1::1", ipv6)];
    let stream = |index: u16, way: Way, share: u32| {
        let port = ABOVE + index;
        let socket = inbox(&pair.right, SocketAddr::new(way.to, port));
        (socket, send(&pair, way, (port, RATE * share / 10), |_| 20))
    };
    once(|offset| {
        let fast: Vec<_> = (0..).zip(above).map(|(index, way)| stream(index + offset, way, 30)).collect();
        let slow: Vec<_> = (10..).zip(below).map(|(index, way)| stream(index + offset, way, 8)).collect();
        let mut is_so = true;
        for (socket, sender) in fast {
            let (_, time) = sender.join().unwrap();
            is_so &= is_rate(drained(&socket).0, RATE, time);
        }
        for (socket, sender) in slow {
            let (sent, _) = sender.join().unwrap();
            is_so &= drained(&socket).0 == u64::from(sent);
        }
        is_so
    });
    assert_talkers(&node);
}

/// Those above their limit are told apart from those below, by `l3af` and as metrics.
#[track_caller]
fn assert_talkers(node: &Node) {
    let talkers = held(node, "ratelimit", "talkers");
    let dropped = |source: &str, port: u16| {
        let is_it = |entry: &&Value| entry["key"]["source"] == source && entry["key"]["port"] == port;
        talkers.iter().find(is_it).unwrap()["value"]["dropped_packets"].as_u64().unwrap()
    };
    assert!(dropped("10.213.7.1", 9000) > 0, "{talkers:?}");
    assert!(dropped("fd00:213::", 9001) > 0, "{talkers:?}");
    assert!(dropped("10.213.77.1", 9002) > 0, "{talkers:?}");
    assert_eq!((dropped("10.213.7.3", 9010), dropped("fd00:213:0:1::", 9011)), (0, 0));
    let line = format!("curl -s --unix-socket {} http://l3afd/metrics", node.socket().display());
    let metrics = it::run(&line).unwrap();
    let of_talker = |line: &&str| {
        line.starts_with("l3af_map_ratelimit_talkers_dropped_packets{")
            && line.contains("source=\"10.213.7.1\",port=\"9000\"")
    };
    let told = metrics.lines().find(of_talker).unwrap();
    assert!(told.ends_with(&format!(" {}", dropped("10.213.7.1", 9000))), "{told}");
    let passed = outcome(node, "ratelimit", "passed");
    let counted = format!("outcome=\"passed\"}} {passed}");
    assert!(metrics.contains(&counted), "{metrics}");
}

/// One datagram from each of many addresses that nobody has.
fn flood_from_many(pair: &Pair, senders: u32) {
    run_in(&pair.left.namespace, "ip route add local 198.18.0.0/15 dev lo").unwrap();
    let to: SocketAddr = format!("{}:9", pair.right.address).parse().unwrap();
    let flood = move || -> std::io::Result<()> {
        for number in 0..senders {
            let [_, second, third, fourth] = number.to_be_bytes();
            let from = UdpSocket::bind(SocketAddr::from(([198, 18 + second, third, fourth], 0)))?;
            from.send_to(&[0; 1400], to)?;
        }
        Ok(())
    };
    pair.left.inside(flood).unwrap().unwrap();
}

#[test]
fn a_flood_of_made_up_senders_clears_nobodys_debt_and_is_bounded() {
    // Slots in all, and those who share an allowance where there is none left.
    const SLOTS: u64 = 65_536;
    const SHARED: u64 = 8_192;
    // More than there are slots; emulated it would take too long.
    let senders: u32 = if is_emulated() { 2_000 } else { 80_000 };
    let (pair, node) = scene();
    // A frame of 1442 bytes owes for more than a minute.
    let config =
        "config = { per = \"source\", bytes_per_second = \"20B/s\", protocol = \"udp\", talkers_sample = 1 }";
    configure(&node, config);
    let to: SocketAddr = format!("{}:9000", pair.right.address).parse().unwrap();
    let inbox = inbox(&pair.right, to);
    let own = pair.left.inside(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
    own.send_to(&[0; 1400], to).unwrap();
    assert_eq!(drained(&inbox).0, 1);
    flood_from_many(&pair, senders);
    let counted = |name| outcome(&node, "ratelimit", name);
    assert_eq!((drained(&inbox).0, counted("over_bytes")), (0, 0));
    own.send_to(&[0; 1400], to).unwrap();
    assert_eq!((drained(&inbox).0, counted("over_bytes")), (0, 1), "it owes still, by a slot of its own");
    let (passed, shared, over) = (counted("passed"), counted("passed_crowded"), counted("over_crowded"));
    // The cable may have had no room for some.
    assert!(passed + shared + over <= u64::from(senders) + 1);
    assert!(passed <= SLOTS && shared <= SHARED, "{passed} and {shared}");
    if passed + shared + over > SLOTS {
        assert!(shared > 0, "more senders than slots");
    }
    // Senders that were seen once have all seats, and make room for one that is seen more often.
    let talks = |source: &str| {
        let talkers = held(&node, "ratelimit", "talkers");
        assert!(talkers.len() <= 128, "{talkers:?}");
        talkers.iter().any(|entry| entry["key"]["source"] == source)
    };
    run_in(&pair.left.namespace, "ip address add 10.213.7.3/24 dev left0").unwrap();
    let busy = pair.left.inside(|| UdpSocket::bind("10.213.7.3:0")).unwrap().unwrap();
    burst(&busy, to, 500, 1400);
    assert!(talks("10.213.7.3"));
}

#[test]
fn what_is_owed_survives_an_upgrade() {
    for (per, map) in [("port", "ratelimit_ports"), ("source", "ratelimit_sources")] {
        let (pair, node) = scene();
        let config = format!(
            "config = {{ per = \"{per}\", packets_per_second = 1, packet_burst = 100, protocol = \"udp\" }}"
        );
        configure(&node, &config);
        let to: SocketAddr = format!("{}:9000", pair.right.address).parse().unwrap();
        let inbox = inbox(&pair.right, to);
        let own = pair.left.inside(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
        let begin = Instant::now();
        let pass = || {
            burst(&own, to, 150, 20);
            drained(&inbox).0
        };
        let first = pass();
        assert!((100..=101 + begin.elapsed().as_secs()).contains(&first), "{first} of {map}");
        node.l3af(&["change", "ratelimit", "--package", &next_release()]).unwrap();
        assert_eq!(node.members().unwrap()[0].version, "0.2.0");
        let second = pass();
        assert!(first + second <= 101 + begin.elapsed().as_secs(), "{first} and {second} of {map}");
    }
}

/// The package as it is, but for its version and a default.
fn next_release() -> String {
    let path = packages().path("ratelimit-next");
    if fs::exists(&path).unwrap() {
        return path;
    }
    let folder = tempfile::tempdir().unwrap();
    let programs = repository().join("programs");
    let copy = |name: &str| format!("cp -r {} {}", programs.join(name).display(), folder.path().display());
    for name in ["ratelimit", "include"] {
        it::run(&copy(name)).unwrap();
    }
    let changed = |file: &str, from: &str, to: &str| {
        let file = folder.path().join("ratelimit").join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(file, text.replace(from, to)).unwrap();
    };
    changed("package.toml", "version = \"0.1.0\"", "version = \"0.2.0\"");
    changed("ratelimit.bpf.c", "talkers_sample = 16", "talkers_sample = 8");
    let source = folder.path().join("ratelimit");
    packages().l3af(&["build", &source.to_string_lossy(), "--output", &path]).unwrap().success().unwrap();
    packages().l3af(&["sign", &path, "--key", "key"]).unwrap().success().unwrap();
    path
}

#[test]
fn in_shadow_it_counts_what_it_would_drop() {
    let (pair, node) = scene();
    let config =
        "config = { packets_per_second = 1, packet_burst = 10, first_port = 9000, last_port = 9000 }";
    let package = packages().path("ratelimit");
    let member = |name: &str, enforcement: &str| {
        format!(
            "[[chain.member]]\nname = \"{name}\"\npackage = \"{package}\"\nenforcement = \"{enforcement}\"\n{config}\n"
        )
    };
    // Both meet the same packets: what the first would drop passes it, and the second drops it.
    let chain = "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n";
    let document = [chain, &member("trial", "shadow"), &member("limit", "enforce")].concat();
    node.apply(&document).unwrap().success().unwrap();
    let to: SocketAddr = format!("{}:9000", pair.right.address).parse().unwrap();
    let inbox = inbox(&pair.right, to);
    let own = pair.left.inside(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
    burst(&own, to, 200, 20);
    let passed = drained(&inbox).0;
    let members = node.members().unwrap();
    let (would, did) = (members[0].shadowed["drop"].packets, members[1].left["drop"].packets);
    assert_eq!(would, outcome(&node, "trial", "over_packets"));
    assert_eq!(did, outcome(&node, "limit", "over_packets"));
    assert_eq!(passed, outcome(&node, "limit", "passed"));
    // They look at the clock one after the other, so a packet that is due in between may be judged twice.
    assert!(would.abs_diff(did) <= 1 && did > 100, "{would} and {did}");
}

#[test]
fn limits_are_set_while_packets_come_and_told_where_they_are_wrong() {
    let (pair, node) = scene();
    configure(&node, "config = { connections_per_second = 1 }");
    let to: SocketAddr = format!("{}:9000", pair.right.address).parse().unwrap();
    let inbox = inbox(&pair.right, to);
    let own = pair.left.inside(|| UdpSocket::bind("0.0.0.0:0")).unwrap().unwrap();
    let pass = || {
        burst(&own, to, 20, 20);
        drained(&inbox).0
    };
    assert_eq!(pass(), 20);
    node.l3af(&["set", "ratelimit", "ports", r#"9000={"packets": "60/min", "packet_burst": 5}"#]).unwrap();
    assert!((5..=7).contains(&pass()));
    let address = &pair.left.address;
    node.l3af(&["set", "ratelimit", "sources_ipv4", &format!(r#"{address}={{"packets": "1G/s"}}"#)]).unwrap();
    assert_eq!(pass(), 20);
    for (config, words) in [
        ("bytes_per_second = \"2TB/s\"", "config/bytes_per_second"),
        ("connections_per_second = \"1kB/s\"", "config/connections_per_second"),
        ("per = \"colour\"", "config/per"),
        ("source_bits_ipv4 = 33", "config/source_bits_ipv4"),
        ("ports = { 443 = { packets = \"2G/s\" } }", "config/ports/443/packets"),
        ("sources_ipv4 = { \"192.0.2.0/24\" = { bits = 33 } }", "config/sources_ipv4/192.0.2.0~124/bits"),
        ("sources_ipv6 = { \"192.0.2.0/24\" = {} }", "config/sources_ipv6/192.0.2.0~124"),
    ] {
        let document = packages().document("right0", &[&format!("ratelimit:config = {{ {config} }}")]);
        let refused = node.apply(&document).unwrap();
        assert!(!refused.ok && refused.stderr.contains(words), "{config}: {}", refused.stderr);
    }
    // What is refused has changed nothing.
    assert_eq!(pass(), 20);
}
