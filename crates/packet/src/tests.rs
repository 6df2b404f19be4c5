// SPDX-License-Identifier: Apache-2.0
//! Packets from text to bytes and back.

use proptest::prelude::*;

use crate::{Packet, Pattern, read_capture};

fn bytes(text: &str) -> Vec<u8> {
    text.parse::<Packet>().unwrap_or_else(|bad| panic!("{text}: {bad}")).to_bytes()
}

fn shown(text: &str) -> String {
    Packet::of_bytes(&bytes(text)).to_string()
}

fn refused(text: &str) -> String {
    text.parse::<Packet>().unwrap_err().to_string()
}

fn differences(expected: &str, got: &str) -> String {
    let expected: Pattern = expected.parse().unwrap();
    expected.differences(&bytes(got)).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn hex(bytes: &[u8]) -> String {
    crate::bytes::hex(bytes)
}

/// The sums were computed by another program.
#[test]
fn lengths_and_checksums_follow() {
    let header = bytes("eth / ipv4(len=115, flags=df, proto=udp, src=192.168.0.1, dst=192.168.0.199)");
    assert_eq!(hex(&header[14..]), "0x45000073000040004011b861c0a80001c0a800c7");
    let syn = bytes("eth / ipv4 / tcp(dport=443, options=mss:1460)");
    assert_eq!(
        hex(&syn),
        "0x020000000002020000000001080045000\
         02c000000004006f6c8c0000201c0000202c00001bb000000000000000060\
         02ffff52670000020405b4"
    );
    assert_eq!(hex(&bytes("eth / ipv6 / udp / \"hi\"")[54..]), "0xc0000035000a7bc66869");
}

#[test]
fn what_follows_is_not_said() {
    for text in [
        "eth / ipv4 / tcp",
        "eth(src=02:00:00:00:00:09) / vlan(id=7) / ipv4(ttl=1) / udp(dport=53) / payload(\"a\")",
        "eth / vlan(id=7) / vlan(id=8) / ipv6(src=::1) / tcp(flags=syn+ack, options=mss:1460+sack_ok+ts:1:0+nop+wscale:7)",
        "eth / ipv6 / hop / dest(options=0x010203040506) / route / frag(more=1, id=9) / ah / icmpv6",
        "eth / ipv4(flags=mf, offset=1, proto=tcp) / payload(0x00*64)",
        "eth / ipv4(ihl=15, checksum=0x1) / icmp(type=reply)",
        "eth / arp(op=reply) / trailer(0x00*18)",
        "eth / ipv4 / udp / trailer(0x00*14)",
        "eth / ipv4 / udp(dport=4789) / vxlan(vni=7) / eth / ipv4 / gre / ipv6 / payload(0xff)",
        "payload(0x0102)",
        "payload()",
    ] {
        let bytes = bytes(text);
        assert_eq!(
            Packet::of_bytes(&bytes).to_string().parse::<Packet>().unwrap().to_bytes(),
            bytes,
            "{text}"
        );
    }
    insta::assert_snapshot!(shown("eth / vlan(7) / ipv4(ttl=64) / tcp(dport=80,flags = syn)"), @"eth / vlan(id=7) / ipv4 / tcp");
    insta::assert_snapshot!(shown("eth/ipv4/udp/\"say \\\"hi\\\"\\n\""), @r#"eth / ipv4 / udp / payload("say \"hi\"\n")"#);
    insta::assert_snapshot!(shown("eth / ipv4 / tcp / cut(40)"), @"eth / ipv4(len=40, proto=tcp) / payload(0xc00000500000)");
    insta::assert_snapshot!(shown("eth / ipv6(len=9) / tcp"), @"eth / ipv6(next=tcp) / payload(0xc00000500000000000) / trailer(0x0000005002ffff941d0000)");
    insta::assert_snapshot!(shown("0x0102"), @"payload(0x0102)");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    insta::assert_snapshot!(refused(""), @"column 1: expected a layer, such as `ipv4`, found the end");
    insta::assert_snapshot!(refused("eth / ipv5"), @"column 7: there is no layer `ipv5`; there are eth, vlan, arp, ipv4, ipv6, hop, route, frag, dest, ah, tcp, udp, icmp, icmpv6, gre, vxlan, payload, trailer");
    insta::assert_snapshot!(refused("eth / ipv4(tll=3)"), @"column 12: `ipv4` has no field `tll`; it has version, ihl, dscp, ecn, len, id, flags, offset, ttl, proto, checksum, src, dst, options");
    insta::assert_snapshot!(refused("eth / ipv4(ttl=256)"), @"column 16: `256` cannot be `ttl`: it takes a number from 0 to 255");
    insta::assert_snapshot!(refused("eth / ipv4(src=192.0.2)"), @"column 16: `192.0.2` cannot be `src`: it takes an address such as 192.0.2.1");
    insta::assert_snapshot!(refused("eth / tcp(flags=sin)"), @"column 17: `sin` cannot be `flags`: it takes some of syn, ack, fin, rst, psh, urg, ece, cwr, joined by `+`, or `none`, or a number");
    insta::assert_snapshot!(refused("eth / tcp(dport=1, dport=2)"), @"column 20: `dport` is said twice");
    insta::assert_snapshot!(refused("eth / tcp(options=mss)"), @"column 19: `mss` cannot be `options`: it takes options joined by `+`: mss:1460, wscale:7, sack_ok, ts:1:0, nop, end, or 0x and their bytes");
    insta::assert_snapshot!(refused("eth ipv4"), @"column 5: expected `/` and a layer, or the end, found `ipv4`");
    insta::assert_snapshot!(refused("eth / ipv4(ttl)"), @"column 15: expected a field, `=` and what it is, found `)`");
    insta::assert_snapshot!(refused("eth / 0x012"), @"column 7: expected bytes: `0x` and two digits for each, or text in quotes, found `0x012`");
    insta::assert_snapshot!(refused("eth / \"a"), @r#"column 9: expected `"`, found the end"#);
    insta::assert_snapshot!(refused("eth / ipv4(..)"), @"column 12: expected a field, `=` and what it is, found `..)`");
    insta::assert_snapshot!(refused("eth / 0x00*70000"), @"column 7: the packet has more than 65535 bytes");
}

#[test]
fn a_difference_is_one_of_fields() {
    insta::assert_snapshot!(differences("eth / ipv4(ttl=63) / tcp", "eth / ipv4 / tcp"), @"ipv4.ttl: expected 63, got 64");
    insta::assert_snapshot!(differences("eth / ipv4 / tcp", "eth / ipv4 / tcp(checksum=0)"), @"tcp.checksum: expected 0x6b8e, got 0x0");
    insta::assert_snapshot!(differences("eth / ipv4 / tcp", "eth / ipv6 / tcp"), @"packet: expected eth / ipv4 / tcp, got eth / ipv6 / tcp");
    insta::assert_snapshot!(differences("eth / ipv4 / tcp / \"abc\"", "eth / ipv4 / tcp / \"abd\""), @r#"payload: expected "abc", got "abd""#);
    insta::assert_snapshot!(differences("eth / ipv4 / tcp / 0x00*64", "eth / ipv4 / tcp / 0x00*65"), @"payload from byte 64: expected 0x (64 bytes in all), got 0x00 (65 bytes in all)");
    assert_eq!(
        differences("eth(..) / ipv4(ttl=63, ..) / ..", "eth(src=02:00:00:00:00:07) / ipv4(ttl=63) / udp"),
        ""
    );
    insta::assert_snapshot!(differences("eth(..) / ipv4(ttl=63, ..) / ..", "eth / ipv4 / udp"), @"ipv4.ttl: expected 63, got 64");
    insta::assert_snapshot!(differences("eth(..) / ipv4(..)", "eth / ipv4 / udp"), @"packet: expected eth(..) / ipv4(..), got eth / ipv4 / udp");
}

#[test]
fn the_examples_of_the_documentation_are_packets() {
    let text = include_str!("../../../docs/testing.md");
    let lines = text.lines().map(|line| line.split("   ").next().unwrap_or_default());
    let examples: Vec<&str> =
        lines.filter(|line| line.starts_with("eth") || line.starts_with("0xff")).collect();
    assert!(examples.len() > 8, "{examples:?}");
    for example in examples {
        assert!(example.parse::<Pattern>().is_ok(), "{example}: {:?}", example.parse::<Pattern>());
    }
}

#[test]
fn captures_are_read_in_either_order() {
    let packet = bytes("eth / ipv4 / tcp");
    let length = u32::try_from(packet.len()).unwrap();
    let pcap = |word: fn(u32) -> [u8; 4]| {
        let head = [0xa1b2_c3d4, 0, 0, 0, 65535, 1, 0, 0, length, length].map(word);
        [head.concat(), packet.clone()].concat()
    };
    let pcapng = |word: fn(u32) -> [u8; 4], link: [u8; 4]| {
        let padded = packet.len().next_multiple_of(4);
        let block = u32::try_from(32 + padded).unwrap();
        let mut bytes = [0x0a0d_0d0a, 28, 0x1a2b_3c4d, 0, 0, 0, 28, 1, 20].map(word).concat();
        bytes.extend(link);
        bytes.extend([0, 20, 6, block, 0, 0, 0, length, length].map(word).concat());
        bytes.extend(&packet);
        bytes.resize(bytes.len() + padded - packet.len(), 0);
        bytes.extend(word(block));
        bytes
    };
    assert_eq!(read_capture(&pcap(u32::to_le_bytes)), Ok(vec![packet.clone()]));
    assert_eq!(read_capture(&pcap(u32::to_be_bytes)), Ok(vec![packet.clone()]));
    assert_eq!(read_capture(&pcapng(u32::to_le_bytes, [1, 0, 0, 0])), Ok(vec![packet.clone()]));
    assert_eq!(read_capture(&pcapng(u32::to_be_bytes, [0, 1, 0, 0])), Ok(vec![packet.clone()]));
    let cut = pcap(u32::to_le_bytes);
    insta::assert_snapshot!(read_capture(&cut[..60]).unwrap_err(), @"it ends within packet 1");
    insta::assert_snapshot!(read_capture(b"GIF89a").unwrap_err(), @"it is neither pcap nor pcapng");
}

/// Packets that begin like real ones, and are wrong in a few places.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![
        "eth / vlan(7) / ipv4 / tcp(options=mss:1460+nop+wscale:7) / \"abc\"",
        "eth / ipv6 / hop / route / frag / ah / dest / udp / 0x010203",
        "eth / ipv4 / udp / vxlan / eth / ipv6 / icmpv6 / \"ping\" / trailer(0x0000)",
        "eth / ipv4(options=0x94040000) / gre(flags=0x1600, options=0x00*12) / ipv4 / icmp",
        "eth / arp / trailer(0x00*18)",
    ]);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (whole, changes, any::<prop::sample::Index>()).prop_map(|(text, changes, end)| {
        let mut packet = bytes(text);
        for (at, byte) in changes {
            let at = at.index(packet.len());
            packet[at] = byte;
        }
        packet.truncate(end.index(packet.len() + 1));
        packet
    })
}

proptest! {
    #[test]
    fn any_bytes_have_a_text_that_gives_them(packet in prop_oneof![nearly(), prop::collection::vec(any::<u8>(), 0..200)]) {
        let text = Packet::of_bytes(&packet).to_string();
        prop_assert_eq!(text.parse::<Packet>().map(|read| read.to_bytes()), Ok(packet), "{}", text);
    }

    #[test]
    fn bytes_differ_where_they_differ(one in nearly(), other in nearly()) {
        let expected = Pattern::from(Packet::of_bytes(&one));
        prop_assert_eq!(expected.differences(&other).is_empty(), one == other);
        let again: Pattern = expected.to_string().parse().unwrap();
        prop_assert!(again.differences(&one).is_empty());
    }

    #[test]
    fn a_pattern_has_one_form(layers in prop::collection::vec(prop::sample::select(vec![
        "eth", "eth(..)", "ipv4(ttl=3, ..)", "payload(..)", "payload()", "\"a\"", "0x", "hop(options=0x, ..)",
    ]), 1..5), is_open: bool) {
        let text = layers.join(" / ") + if is_open { " / .." } else { "" };
        let shown = text.parse::<Pattern>().unwrap().to_string();
        prop_assert_eq!(shown.parse::<Pattern>().unwrap().to_string(), shown);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z0-9=,()/ .\"\\\\*+:x]{0,60}") {
        drop(text.parse::<Pattern>());
    }

    #[test]
    fn no_bytes_make_the_reader_of_captures_panic(head in prop::sample::select(vec![0xd4c3_b2a1_u32, 0xa1b2_c3d4, 0x0a0d_0d0a]), bytes: Vec<u8>) {
        drop(read_capture(&[&head.to_be_bytes()[..], &bytes].concat()));
    }
}
