// SPDX-License-Identifier: Apache-2.0
//! `tcp-retransmits`: which segments are sent again, and why.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use it::{Pair, run_in};

use super::{Events, assert_refused, attach, document, fill, inode, package, wait_for_metric};
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
    drop(events);
    fill(&node, "again", &["sent_again", "retransmits"]);
    let nobody = "10.213.7.99:8305".parse().unwrap();
    left.inside(move || TcpStream::connect_timeout(&nobody, Duration::from_secs(5)).unwrap_err()).unwrap();
    let others = "{member=\"again\",network=\"::\",port=\"0\",reason=\"ANY\"}";
    wait_for_metric(&node, &format!("l3af_map_tcp_retransmits_sent_again_segments{others}"), 1);
    wait_for_metric(&node, "l3af_map_tcp_retransmits_untold_events{member=\"again\",key=\"0\"}", 1);
}

#[test]
fn a_segment_is_sent_again_fast_where_later_ones_were_acknowledged() {
    let (pair, node) = scene();
    assert!(attach(&node, (5, 7), &package("tcp-retransmits"), &[("again", "on_retransmit", "")]));
    let (left, end) = (&pair.left, "10.213.7.2:8306");
    // No timer is so patient by itself that a machine with much else to do gets there in time.
    let route = format!("ip route replace 10.213.7.0/24 dev {} rto_min 30s", left.interface);
    run_in(&left.namespace, &route).unwrap();
    let listener = pair.right.inside(move || TcpListener::bind(end).unwrap()).unwrap();
    let mut stream = left.inside(move || TcpStream::connect(end).unwrap()).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    stream.set_nodelay(true).unwrap();
    misdirect(&pair, "10.213.7.2");
    stream.write_all(&[1; 100]).unwrap();
    run_in(&left.namespace, &format!("ip neigh del 10.213.7.2 dev {}", left.interface)).unwrap();
    for _ in 0..5 {
        stream.write_all(&[2; 50]).unwrap();
    }
    other.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    other.read_exact(&mut [0; 350]).unwrap();
    let events = Events::of(&node, "again", "retransmits");
    let again = events.next(|event| event["remote_port"] == 8306);
    assert_eq!((&again["reason"], &again["bytes"]), (&"FAST".into(), &100.into()), "{again}");
    assert_eq!(again["in_a_row"], 0, "{again}");
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
