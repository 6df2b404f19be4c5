// SPDX-License-Identifier: Apache-2.0
//! What the headers look like, one table for each kind. Places are in bits.

use crate::Kind;
use crate::field::Unsaid::{
    HeaderUnits, Is, Length, LengthBehind, Next, SumOfAll, SumOfHeader, SumWithAddresses,
};
use crate::field::{Field, Form, Tail, Unsaid};
use crate::kind::{ETHER_TYPES, PROTOCOLS};

const fn field(name: &'static str, (at, bits): (usize, usize), form: Form, unsaid: Unsaid) -> Field {
    Field { name, at, bits, form, unsaid }
}

/// Addresses that are nobody's: locally administered ones, and those for documentation (RFC 5737, RFC 3849).
const HERE_MAC: u128 = 0x0200_0000_0001;
const THERE_MAC: u128 = 0x0200_0000_0002;
const HERE_IPV4: u128 = 0xc000_0201;
const THERE_IPV4: u128 = 0xc000_0202;
const HERE_IPV6: u128 = 0x2001_0db8_0000_0000_0000_0000_0000_0001;
const THERE_IPV6: u128 = 0x2001_0db8_0000_0000_0000_0000_0000_0002;
/// The first port that is nobody's (RFC 6335).
const HERE_PORT: u128 = 49152;

static ETH: [Field; 3] = [
    field("dst", (0, 48), Form::Mac, Is(THERE_MAC)),
    field("src", (48, 48), Form::Mac, Is(HERE_MAC)),
    field("type", (96, 16), Form::Names(ETHER_TYPES), Next),
];

static VLAN: [Field; 4] = [
    field("id", (4, 12), Form::Number, Is(1)),
    field("priority", (0, 3), Form::Number, Is(0)),
    field("dei", (3, 1), Form::Number, Is(0)),
    field("type", (16, 16), Form::Names(ETHER_TYPES), Next),
];

static ARP: [Field; 9] = [
    field("hardware", (0, 16), Form::Number, Is(1)),
    field("protocol", (16, 16), Form::Hex, Is(0x0800)),
    field("hardware_bytes", (32, 8), Form::Number, Is(6)),
    field("protocol_bytes", (40, 8), Form::Number, Is(4)),
    field("op", (48, 16), Form::Names(&[("request", 1), ("reply", 2)]), Is(1)),
    field("sender_mac", (64, 48), Form::Mac, Is(HERE_MAC)),
    field("sender", (112, 32), Form::Ipv4, Is(HERE_IPV4)),
    field("target_mac", (144, 48), Form::Mac, Is(0)),
    field("target", (192, 32), Form::Ipv4, Is(THERE_IPV4)),
];

static IPV4: [Field; 13] = [
    field("version", (0, 4), Form::Number, Is(4)),
    field("ihl", (4, 4), Form::Number, HeaderUnits { unit: 4, less: 0 }),
    field("dscp", (8, 6), Form::Number, Is(0)),
    field("ecn", (14, 2), Form::Number, Is(0)),
    field("len", (16, 16), Form::Number, Length),
    field("id", (32, 16), Form::Number, Is(0)),
    field("flags", (48, 3), Form::Flags(&[("reserved", 4), ("df", 2), ("mf", 1)]), Is(0)),
    field("offset", (51, 13), Form::Number, Is(0)),
    field("ttl", (64, 8), Form::Number, Is(64)),
    field("proto", (72, 8), Form::Names(PROTOCOLS), Next),
    field("checksum", (80, 16), Form::Hex, SumOfHeader),
    field("src", (96, 32), Form::Ipv4, Is(HERE_IPV4)),
    field("dst", (128, 32), Form::Ipv4, Is(THERE_IPV4)),
];

static IPV6: [Field; 8] = [
    field("version", (0, 4), Form::Number, Is(6)),
    field("class", (4, 8), Form::Number, Is(0)),
    field("flow", (12, 20), Form::Hex, Is(0)),
    field("len", (32, 16), Form::Number, LengthBehind),
    field("next", (48, 8), Form::Names(PROTOCOLS), Next),
    field("hops", (56, 8), Form::Number, Is(64)),
    field("src", (64, 128), Form::Ipv6, Is(HERE_IPV6)),
    field("dst", (192, 128), Form::Ipv6, Is(THERE_IPV6)),
];

static OPTIONS: [Field; 2] = [
    field("next", (0, 8), Form::Names(PROTOCOLS), Next),
    field("len", (8, 8), Form::Number, HeaderUnits { unit: 8, less: 1 }),
];

static ROUTE: [Field; 4] = [
    field("next", (0, 8), Form::Names(PROTOCOLS), Next),
    field("len", (8, 8), Form::Number, HeaderUnits { unit: 8, less: 1 }),
    field("type", (16, 8), Form::Number, Is(0)),
    field("left", (24, 8), Form::Number, Is(0)),
];

static FRAG: [Field; 6] = [
    field("next", (0, 8), Form::Names(PROTOCOLS), Next),
    field("reserved", (8, 8), Form::Number, Is(0)),
    field("offset", (16, 13), Form::Number, Is(0)),
    field("reserved2", (29, 2), Form::Number, Is(0)),
    field("more", (31, 1), Form::Number, Is(0)),
    field("id", (32, 32), Form::Number, Is(0)),
];

static AH: [Field; 5] = [
    field("next", (0, 8), Form::Names(PROTOCOLS), Next),
    field("len", (8, 8), Form::Number, HeaderUnits { unit: 4, less: 2 }),
    field("reserved", (16, 16), Form::Number, Is(0)),
    field("spi", (32, 32), Form::Hex, Is(1)),
    field("seq", (64, 32), Form::Number, Is(0)),
];

const TCP_FLAGS: &[(&str, u128)] =
    &[("syn", 2), ("ack", 16), ("fin", 1), ("rst", 4), ("psh", 8), ("urg", 32), ("ece", 64), ("cwr", 128)];

static TCP: [Field; 10] = [
    field("sport", (0, 16), Form::Number, Is(HERE_PORT)),
    field("dport", (16, 16), Form::Number, Is(80)),
    field("seq", (32, 32), Form::Number, Is(0)),
    field("ack", (64, 32), Form::Number, Is(0)),
    field("words", (96, 4), Form::Number, HeaderUnits { unit: 4, less: 0 }),
    field("reserved", (100, 4), Form::Number, Is(0)),
    field("flags", (104, 8), Form::Flags(TCP_FLAGS), Is(2)),
    field("window", (112, 16), Form::Number, Is(65535)),
    field("checksum", (128, 16), Form::Hex, SumWithAddresses),
    field("urgent", (144, 16), Form::Number, Is(0)),
];

static UDP: [Field; 4] = [
    field("sport", (0, 16), Form::Number, Is(HERE_PORT)),
    field("dport", (16, 16), Form::Number, Next),
    field("len", (32, 16), Form::Number, Length),
    field("checksum", (48, 16), Form::Hex, SumWithAddresses),
];

static ICMP: [Field; 5] = [
    field(
        "type",
        (0, 8),
        Form::Names(&[("reply", 0), ("unreachable", 3), ("request", 8), ("exceeded", 11)]),
        Is(8),
    ),
    field("code", (8, 8), Form::Number, Is(0)),
    field("checksum", (16, 16), Form::Hex, SumOfAll),
    field("id", (32, 16), Form::Number, Is(1)),
    field("seq", (48, 16), Form::Number, Is(1)),
];

const ICMPV6_TYPES: &[(&str, u128)] = &[
    ("unreachable", 1),
    ("too_big", 2),
    ("exceeded", 3),
    ("problem", 4),
    ("request", 128),
    ("reply", 129),
    ("router_solicitation", 133),
    ("router_advertisement", 134),
    ("neighbor_solicitation", 135),
    ("neighbor_advertisement", 136),
];

static ICMPV6: [Field; 5] = [
    field("type", (0, 8), Form::Names(ICMPV6_TYPES), Is(128)),
    field("code", (8, 8), Form::Number, Is(0)),
    field("checksum", (16, 16), Form::Hex, SumWithAddresses),
    field("id", (32, 16), Form::Number, Is(1)),
    field("seq", (48, 16), Form::Number, Is(1)),
];

static GRE: [Field; 3] = [
    field("flags", (0, 13), Form::Hex, Is(0)),
    field("version", (13, 3), Form::Number, Is(0)),
    field("type", (16, 16), Form::Names(ETHER_TYPES), Next),
];

static VXLAN: [Field; 4] = [
    field("flags", (0, 8), Form::Hex, Is(8)),
    field("reserved", (8, 24), Form::Hex, Is(0)),
    field("vni", (32, 24), Form::Number, Is(1)),
    field("reserved2", (56, 8), Form::Hex, Is(0)),
];

/// The fields of a kind.
pub(crate) fn fields(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Eth => &ETH,
        Kind::Vlan => &VLAN,
        Kind::Arp => &ARP,
        Kind::Ipv4 => &IPV4,
        Kind::Ipv6 => &IPV6,
        Kind::Hop | Kind::Dest => &OPTIONS,
        Kind::Route => &ROUTE,
        Kind::Frag => &FRAG,
        Kind::Ah => &AH,
        Kind::Tcp => &TCP,
        Kind::Udp => &UDP,
        Kind::Icmp => &ICMP,
        Kind::Icmpv6 => &ICMPV6,
        Kind::Gre => &GRE,
        Kind::Vxlan => &VXLAN,
        Kind::Payload | Kind::Trailer => &[],
    }
}

/// The end of a kind that has no fixed length.
pub(crate) fn tail(kind: Kind) -> Option<&'static Tail> {
    static IP_OPTIONS: Tail = Tail { name: "options", unit: 4, unsaid: &[] };
    // PadN over the four bytes that are left (RFC 8200, 4.2).
    static IPV6_OPTIONS: Tail = Tail { name: "options", unit: 8, unsaid: &[1, 4, 0, 0, 0, 0] };
    static ROUTE_DATA: Tail = Tail { name: "data", unit: 8, unsaid: &[0; 4] };
    static AH_VALUE: Tail = Tail { name: "icv", unit: 4, unsaid: &[0; 12] };
    static GRE_OPTIONS: Tail = Tail { name: "options", unit: 4, unsaid: &[] };
    static BYTES: Tail = Tail { name: "bytes", unit: 1, unsaid: &[] };
    match kind {
        Kind::Ipv4 | Kind::Tcp => Some(&IP_OPTIONS),
        Kind::Hop | Kind::Dest => Some(&IPV6_OPTIONS),
        Kind::Route => Some(&ROUTE_DATA),
        Kind::Ah => Some(&AH_VALUE),
        Kind::Gre => Some(&GRE_OPTIONS),
        Kind::Payload | Kind::Trailer => Some(&BYTES),
        Kind::Eth
        | Kind::Vlan
        | Kind::Arp
        | Kind::Ipv6
        | Kind::Frag
        | Kind::Udp
        | Kind::Icmp
        | Kind::Icmpv6
        | Kind::Vxlan => None,
    }
}
