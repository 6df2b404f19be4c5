// SPDX-License-Identifier: Apache-2.0
//! Kinds of layers, and the numbers by which headers name what follows.

use crate::field::{Field, Tail};
use crate::tables;

/// A kind of layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Ethernet.
    Eth,
    /// A tag of IEEE 802.1Q.
    Vlan,
    /// ARP for IPv4 over Ethernet (RFC 826).
    Arp,
    /// RFC 791.
    Ipv4,
    /// RFC 8200.
    Ipv6,
    /// Hop-by-hop options of IPv6.
    Hop,
    /// A routing header of IPv6.
    Route,
    /// A fragment header of IPv6.
    Frag,
    /// Destination options of IPv6.
    Dest,
    /// An authentication header (RFC 4302).
    Ah,
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
    /// RFC 792.
    Icmp,
    /// RFC 4443.
    Icmpv6,
    /// RFC 2784 and 2890.
    Gre,
    /// RFC 7348.
    Vxlan,
    /// Bytes that nobody looks into.
    Payload,
    /// Bytes behind what the lengths of headers count, as those that fill up a frame.
    Trailer,
}

/// `linux/if_ether.h`.
pub(crate) const ETHER_TYPES: &[(&str, u128)] = &[
    ("ipv4", 0x0800),
    ("arp", 0x0806),
    ("vlan", 0x8100),
    ("qinq", 0x88a8),
    ("ipv6", 0x86dd),
    ("eth", 0x6558),
];

/// The numbers of IANA's registry of protocols, as far as there are layers.
pub(crate) const PROTOCOLS: &[(&str, u128)] = &[
    ("hop", 0),
    ("icmp", 1),
    ("ipv4", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("route", 43),
    ("frag", 44),
    ("gre", 47),
    ("ah", 51),
    ("icmpv6", 58),
    ("none", 59),
    ("dest", 60),
];

/// For experiments, and so for what has no layer (RFC 3692, IEEE 802).
const UNKNOWN_PROTOCOL: u128 = 253;
const UNKNOWN_ETHER_TYPE: u128 = 0x88b5;
const NONE: u128 = 59;
const VXLAN_PORT: u128 = 4789;
const ANY_PORT: u128 = 53;

impl Kind {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Eth,
        Self::Vlan,
        Self::Arp,
        Self::Ipv4,
        Self::Ipv6,
        Self::Hop,
        Self::Route,
        Self::Frag,
        Self::Dest,
        Self::Ah,
        Self::Tcp,
        Self::Udp,
        Self::Icmp,
        Self::Icmpv6,
        Self::Gre,
        Self::Vxlan,
        Self::Payload,
        Self::Trailer,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eth => "eth",
            Self::Vlan => "vlan",
            Self::Arp => "arp",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Hop => "hop",
            Self::Route => "route",
            Self::Frag => "frag",
            Self::Dest => "dest",
            Self::Ah => "ah",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Gre => "gre",
            Self::Vxlan => "vxlan",
            Self::Payload => "payload",
            Self::Trailer => "trailer",
        }
    }

    /// The kind of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether it is bytes and no header.
    pub(crate) fn is_bytes(self) -> bool {
        matches!(self, Self::Payload | Self::Trailer)
    }

    /// Its fields, in their order.
    pub(crate) fn fields(self) -> &'static [Field] {
        tables::fields(self)
    }

    /// What of it has no fixed length.
    pub(crate) fn tail(self) -> Option<&'static Tail> {
        tables::tail(self)
    }

    /// The bytes of its fields.
    pub(crate) fn head_bytes(self) -> usize {
        self.fields().iter().map(|field| field.at + field.bits).max().unwrap_or_default() / 8
    }

    /// The number by which a header of this kind names what follows.
    pub(crate) fn number_of(self, next: Option<Self>) -> u128 {
        let named = |names: &[(&str, u128)]| {
            names
                .iter()
                .find(|(name, _)| next.is_some_and(|next| next.name() == *name))
                .map(|(_, number)| *number)
        };
        match self {
            Self::Eth | Self::Vlan | Self::Gre => named(ETHER_TYPES).unwrap_or(UNKNOWN_ETHER_TYPE),
            Self::Udp if next == Some(Self::Vxlan) => VXLAN_PORT,
            Self::Udp => ANY_PORT,
            Self::Arp
            | Self::Ipv4
            | Self::Ipv6
            | Self::Hop
            | Self::Route
            | Self::Frag
            | Self::Dest
            | Self::Ah
            | Self::Tcp
            | Self::Icmp
            | Self::Icmpv6
            | Self::Vxlan
            | Self::Payload
            | Self::Trailer => {
                named(PROTOCOLS).unwrap_or(if next.is_none() { NONE } else { UNKNOWN_PROTOCOL })
            }
        }
    }

    /// What follows a header of this kind that names it by a number.
    pub(crate) fn next_of(self, number: u128) -> Option<Self> {
        let names = match self {
            Self::Eth | Self::Vlan | Self::Gre => ETHER_TYPES,
            Self::Udp => return (number == VXLAN_PORT).then_some(Self::Vxlan),
            Self::Ipv4 | Self::Ipv6 | Self::Hop | Self::Route | Self::Frag | Self::Dest | Self::Ah => {
                PROTOCOLS
            }
            Self::Vxlan => return Some(Self::Eth),
            Self::Arp | Self::Tcp | Self::Icmp | Self::Icmpv6 | Self::Payload | Self::Trailer => return None,
        };
        let (name, _) = names.iter().find(|(_, known)| *known == number)?;
        Self::named(if *name == "qinq" { "vlan" } else { name })
    }
}
