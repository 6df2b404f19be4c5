// SPDX-License-Identifier: Apache-2.0
//! `tcp-retransmits`: which segments are sent again, and why.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use it::{Pair, run_in};

use super::{Events, assert_refused, attach, document, inode, package, wait_for_metric};
use crate::scene;

/// From now on what one side sends reaches nobody: the other end has another hardware address, as far as it knows.
fn misdirect(pair: &Pair, address: &str) {
    let line = format!(
        "ip neigh replace {address} lladdr 02:00:00:00:00:99 dev {} nud permanent",
        pair.left.interface
    );
    run_in(&pair.left.namespace, &line).unwrap();
}

/// Sends something over a connection that was there, and can be no longer. Returns both ends.
fn send_in_vain(pair: &Pair, address: &str, port: u16) -> (TcpStream, TcpStream) {
    let end: SocketAddr = if address.contains(':') {
        format!("[{address}]:{port}").parse().unwrap()
    } else {
        format!("{address}:{port}").parse().unwrap()
    };
    let listener = pair.right.inside(move || TcpListener::bind(end).unwrap()).unwrap();
    let mut stream = pair.left.inside(move || TcpStream::connect(end).unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    misdirect(pair, address);
    stream.write_all(&[7; 100]).unwrap();
    (stream, other)
}

#[test]
fn segments_that_are_sent_again_are_told_with_the_reason() {
    let (pair, node) = scene();
    assert!(attach(&node, (5, 7), &package("tcp-retransmits"), &[("again", "on_retransmit", "")]));
    let left = &pair.left;
    for (side, address) in [(&pair.left, "fd00:213::1"), (&pair.right, "fd00:213::2")] {
        run_in(&side.namespace, &format!("sysctl -qw net.ipv6.conf.{}.disable_ipv6=0", side.interface))
            .unwrap();
        run_in(&side.namespace, &format!("ip address add {address}/64 dev {} nodad", side.interface))
            .unwrap();
    }
    // A segment of a connection, over both versions of IP.
    let _streams = [send_in_vain(&pair, "10.213.7.2", 8301), send_in_vain(&pair, "fd00:213::2", 8302)];
    // And one that begins a connection.
    misdirect(&pair, "10.213.7.99");
    let handshake = left.inside(|| {
        let nobody = "10.213.7.99:8303".parse().unwrap();
        TcpStream::connect_timeout(&nobody, Duration::from_secs(5)).err()
    });

    let events = Events::of(&node, "again", "retransmits");
    let netns = inode(format!("/run/netns/{}", left.namespace));
    let own = |port: u16| {
        move |event: &serde_json::Value| {
            event["netns"] == netns && event["remote_port"] == port && event["reason"] != "PROBE"
        }
    };
    let over_ipv4 = events.next(own(8301));
    assert_eq!((&over_ipv4["local"], &over_ipv4["remote"]), (&"10.213.7.1".into(), &"10.213.7.2".into()));
    assert_eq!((&over_ipv4["reason"], &over_ipv4["bytes"]), (&"TIMEOUT".into(), &100.into()), "{over_ipv4}");
    assert!(over_ipv4["total"].as_u64().unwrap() >= 1, "{over_ipv4}");
    assert_eq!(over_ipv4["state"], "ESTABLISHED", "{over_ipv4}");
    let over_ipv6 = events.next(own(8302));
    assert_eq!((&over_ipv6["local"], &over_ipv6["remote"]), (&"fd00:213::1".into(), &"fd00:213::2".into()));
    assert!(handshake.unwrap().is_some());
    let begun = events.next(own(8303));
    assert_eq!((&begun["reason"], &begun["state"]), (&"HANDSHAKE".into(), &"SYN_SENT".into()), "{begun}");
    for (network, port, reason) in
        [("10.213.7.0", 8301, "TIMEOUT"), ("fd00:213::", 8302, "TIMEOUT"), ("10.213.7.0", 8303, "HANDSHAKE")]
    {
        let labels = format!("member=\"again\",network=\"{network}\",port=\"{port}\",reason=\"{reason}\"");
        wait_for_metric(&node, &format!("l3af_map_tcp_retransmits_sent_again_segments{{{labels}}}"), 1);
    }
}

#[test]
fn segments_are_counted_under_networks_of_the_size_that_was_said() {
    let (pair, node) = scene();
    let config = "config = { ipv4_prefix = 8, tell = false }";
    let package = package("tcp-retransmits");
    assert!(attach(&node, (5, 7), &package, &[("again", "on_retransmit", config)]));
    let _stream = send_in_vain(&pair, "10.213.7.2", 8304);
    let labels = "member=\"again\",network=\"10.0.0.0\",port=\"8304\",reason=\"TIMEOUT\"";
    wait_for_metric(&node, &format!("l3af_map_tcp_retransmits_sent_again_bytes{{{labels}}}"), 100);
    for (config, words) in [("ipv4_prefix = 33", "ipv4_prefix"), ("ipv6_prefix = 129", "ipv6_prefix")] {
        let rest = format!("config = {{ {config} }}");
        assert_refused(&node, &document(&package, &[("again", "on_retransmit", &rest)]), words);
    }
}
