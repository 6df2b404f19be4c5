// SPDX-License-Identifier: Apache-2.0
//! What packets that attack are made of: links, networks and transports, each plain and as nobody sends them.

const LINKS: [&str; 4] = [
    "eth",
    "eth / vlan(id=7)",
    "eth(type=qinq) / vlan(id=7) / vlan(id=8)",
    "eth(type=qinq) / vlan(id=7) / vlan(id=8) / vlan(id=9)",
];

const IPV4: [&str; 19] = [
    "ipv4",
    // A router alert; forty bytes of nothing; options of the length 0, of more than there is, and with their pointer outside.
    "ipv4(options=0x94040000)",
    "ipv4(options=0x01*40)",
    "ipv4(options=0x07000000)",
    "ipv4(options=0x07ff0400)",
    "ipv4(options=0x8307ffc0000201)",
    // Fragments: the first, one in the middle, the last, one over the header, one that would end behind 65535 bytes.
    "ipv4(flags=mf, id=9)",
    "ipv4(flags=mf, offset=185, id=9)",
    "ipv4(offset=185, id=9)",
    "ipv4(flags=mf, offset=1, id=9)",
    "ipv4(offset=1, id=9)",
    "ipv4(offset=8191, id=9)",
    "ipv4(flags=df+mf)",
    "ipv4(flags=reserved)",
    // From an address to itself, and to and from addresses that are nobody's.
    "ipv4(src=192.0.2.2)",
    "ipv4(src=127.0.0.1, dst=255.255.255.255, ttl=0)",
    "ipv4 / ah",
    "ipv4 / ipv4",
    "ipv4 / ipv6",
];

const IPV6: [&str; 31] = [
    "ipv6",
    "ipv6 / hop",
    "ipv6 / dest",
    "ipv6 / route",
    // Type 0 with an address to go, which RFC 5095 forbids; segments (RFC 8754) that are not there.
    "ipv6 / route(type=0, left=1, data=0x0000000020010db8000000000000000000000003)",
    "ipv6 / route(type=4, left=255)",
    "ipv6 / ah",
    // An authentication header of a length that is no multiple of 8.
    "ipv6 / ah(icv=0x00*8)",
    "ipv6 / frag",
    "ipv6 / frag(more=1, id=9)",
    "ipv6 / frag(more=1, offset=185, id=9)",
    "ipv6 / frag(offset=185, id=9)",
    "ipv6 / frag(offset=1, id=9)",
    "ipv6 / frag(offset=8191, more=1, id=9)",
    "ipv6 / frag / frag",
    "ipv6 / frag(more=1) / dest",
    "ipv6 / hop / frag(more=1) / ah / dest",
    "ipv6 / hop / dest / route / frag / ah / dest",
    "ipv6 / hop / dest / dest / dest / dest / dest / dest",
    "ipv6 / dest / hop",
    "ipv6 / hop / hop",
    "ipv6 / route / route / route",
    // Options: a jumbogram, one that has a length as well, one that is none; of lengths that lie; an unknown one that wants an answer.
    "ipv6(len=0) / hop(options=0xc20400010000)",
    "ipv6 / hop(options=0xc20400010000)",
    "ipv6(len=0) / hop(options=0xc20400000001)",
    "ipv6(len=0) / hop",
    "ipv6 / hop(options=0x05ff0000)",
    "ipv6 / dest(options=0xc7ff)",
    "ipv6(src=2001:db8::2)",
    "ipv6 / ipv6",
    "ipv6 / ipv4",
];

const TRANSPORTS: [&str; 22] = [
    "tcp",
    "tcp(flags=ack) / \"data\"",
    "tcp(flags=none)",
    "tcp(flags=0xff)",
    "tcp(sport=80, options=mss:1460+sack_ok+ts:1:0+nop+wscale:7)",
    // Options of the lengths 0 and 1, of more than there is, cut, and forty bytes of nothing.
    "tcp(options=0x0200)",
    "tcp(options=0x0201)",
    "tcp(options=0x02ff05b4)",
    "tcp(options=0x0101080a)",
    "tcp(options=0x01010101010101010101010101010101010101010101010101010101010101010101010101010101)",
    "udp / \"query\"",
    "udp(sport=53, dport=53)",
    "udp(sport=0, dport=0)",
    "udp(len=0)",
    "udp / vxlan / eth / ipv4 / udp",
    "icmp",
    "icmp(type=unreachable) / ipv4 / tcp",
    "icmpv6",
    "icmpv6(type=too_big) / ipv6 / tcp",
    "gre / ipv4 / tcp",
    "gre(flags=0x1400, options=0x0000000000000007) / eth / ipv4 / udp",
    "ipv4 / tcp",
];

/// Whole packets that no transport of ours has.
const OTHERS: [&str; 13] = [
    "eth",
    "eth / arp",
    "eth / arp(hardware_bytes=255, protocol_bytes=255)",
    // ESP, SCTP, L2TP, and what comes after the last header.
    "eth / ipv4(proto=50) / 0x0000000100000001 / 0x5a*32",
    "eth / ipv4(proto=132) / 0x3039005000000000 / 0x00*8",
    "eth / ipv4(proto=115) / 0x00*16",
    "eth / ipv6(next=50) / 0x0000000100000001 / 0x5a*32",
    "eth / ipv6(next=59) / \"none\"",
    // Mobility (RFC 6275), host identity (RFC 7401) and shim6 (RFC 5533), which are extension headers as well.
    "eth / ipv6(next=135) / 0x0600000000000000 / tcp",
    "eth / ipv6(next=139) / 0x0600000000000000 / tcp",
    "eth / ipv6(next=140) / 0x0600000000000000 / tcp",
    // MPLS, PPPoE.
    "eth(type=0x8847) / 0x00001140 / ipv4 / tcp",
    "eth(type=0x8864) / 0x1100000100280021 / ipv4 / tcp",
];

fn all<'a>(links: &[&str], networks: impl Iterator<Item = &'a str>, transports: &[&str]) -> Vec<String> {
    let mut texts = Vec::new();
    for network in networks {
        for link in links {
            texts.extend(transports.iter().map(|transport| format!("{link} / {network} / {transport}")));
        }
    }
    texts
}

fn networks() -> impl Iterator<Item = &'static str> {
    IPV4.into_iter().chain(IPV6)
}

/// Every transport in every network on every link.
pub(super) fn whole() -> Vec<String> {
    let mut texts = all(&LINKS, networks(), &TRANSPORTS);
    texts.extend(OTHERS.map(str::to_owned));
    texts
}

/// Those that are cut and made to lie: each part is among them, but not each with every other.
pub(super) fn chosen() -> Vec<String> {
    let plain = || ["ipv4", "ipv6"].into_iter();
    let mut texts = all(&LINKS[..1], networks(), &["tcp", "udp"]);
    texts.extend(all(&LINKS, plain(), &["tcp", "udp"]));
    texts.extend(all(&LINKS[..1], plain(), &TRANSPORTS));
    texts.extend(OTHERS.map(str::to_owned));
    texts
}

/// Chains of headers and payloads that are longer than what programs look at.
pub(super) fn long() -> Vec<String> {
    let mut texts = Vec::new();
    for count in [8, 16, 31, 32, 33, 64, 200] {
        texts.push(format!("eth / ipv6 {} / tcp", "/ dest ".repeat(count)));
        texts.push(format!("eth {} / ipv4 / tcp", "/ vlan ".repeat(count)));
        texts.push(format!("eth {} / tcp", "/ ipv4 ".repeat(count)));
        texts.push(format!("eth {} / udp", "/ ipv6 ".repeat(count.min(80))));
        texts.push(format!("eth {} / tcp", "/ ipv4 / gre ".repeat(count.min(80))));
    }
    for units in [0_u16, 30, 31, 32, 33, 126, 127, 255] {
        let options = 6 + usize::from(units) * 8;
        texts.push(format!("eth / ipv6 / dest(len={units}, options=0x01*{options}) / tcp"));
    }
    for bytes in [200, 256, 1000, 1400, 1500, 2000, 3000, 3400] {
        for head in ["ipv4 / tcp(flags=ack)", "ipv4 / udp", "ipv6 / tcp(flags=ack)", "ipv6 / udp"] {
            texts.push(format!("eth / {head} / 0x5a*{bytes}"));
        }
    }
    texts
}
