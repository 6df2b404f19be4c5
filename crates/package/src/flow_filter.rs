// SPDX-License-Identifier: Apache-2.0
//! Which flows somebody asks for: `tcp 10.0.0.0/8:* > 10.0.0.2:443`, any part of which may be left out.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Flow;
use crate::flow::{PROTOCOLS, end, protocol_name};

/// Which flows are asked for. All that is said must hold; a filter that says nothing takes every packet, also what is no IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct FlowFilter {
    /// Version 4 or 6 of IP.
    pub version: Option<u8>,
    /// The protocol over IP (IANA).
    pub protocol: Option<u8>,
    /// Who sends.
    pub source: FlowEnd,
    /// To whom.
    pub destination: FlowEnd,
    /// Whether the way back is asked for as well.
    pub both_ways: bool,
}

/// One end of the flows that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowEnd {
    /// An address, and how many bits of it must be the same.
    pub network: Option<(IpAddr, u8)>,
    /// The port.
    pub port: Option<u16>,
}

/// A text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{word}` is not understood in a filter; one looks like `tcp 10.0.0.0/8 > 10.0.0.2:443`, `udp *:53`, `icmp` or `ip6 [fe80::1]:* <> *`"
)]
pub struct BadFlowFilter {
    /// What is not understood.
    pub word: String,
}

impl FlowFilter {
    /// Whether every packet is asked for, also what is no IP.
    pub fn takes_all(&self) -> bool {
        *self == Self { both_ways: self.both_ways, ..Self::default() }
    }

    /// Whether a packet is asked for; it has no flow where it is no IP.
    pub fn takes(&self, flow: Option<&Flow>) -> bool {
        let Some(flow) = flow else { return self.takes_all() };
        let [from, to] = flow.ports.map_or([None; 2], |ports| ports.map(Some));
        let version = if flow.source.is_ipv4() { 4 } else { 6 };
        self.version.is_none_or(|wanted| wanted == version)
            && self.protocol.is_none_or(|wanted| wanted == flow.protocol)
            && self.ways().any(|(source, destination)| {
                source.takes(flow.source, from) && destination.takes(flow.destination, to)
            })
    }

    /// Source and destination, one way or both.
    pub fn ways(&self) -> impl Iterator<Item = (FlowEnd, FlowEnd)> + use<> {
        let back = self.both_ways.then_some((self.destination, self.source));
        std::iter::once((self.source, self.destination)).chain(back)
    }
}

impl FlowEnd {
    fn takes(&self, address: IpAddr, port: Option<u16>) -> bool {
        self.network.is_none_or(|(network, bits)| is_within(address, network, bits))
            && self.port.is_none_or(|wanted| port == Some(wanted))
    }

    fn parse(text: &str) -> Option<Self> {
        let network = |text: &str| -> Option<Option<(IpAddr, u8)>> {
            if text == "*" || text.is_empty() {
                return Some(None);
            }
            let (address, bits) =
                text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
            let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
            Some(Some((address, bits)))
        };
        let port = |text: &str| if text == "*" { Some(None) } else { text.parse().ok().map(Some) };
        // An address of version 6 has colons itself: without brackets it stands alone.
        let is_bare = !text.contains('[') && text.matches(':').count() > 1;
        let cut = if is_bare { None } else { text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) };
        match cut {
            Some((address, number)) => Some(Self { network: network(address)?, port: port(number)? }),
            None => Some(Self { network: network(text)?, port: None }),
        }
    }
}

/// Whether the first bits of two addresses of the same version are the same.
fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            u64::from(one.to_bits() ^ other.to_bits()) >> (32 - u32::from(bits.min(32))) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differ = one.to_bits() ^ other.to_bits();
            differ.leading_zeros() >= u32::from(bits.min(128))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

impl FromStr for FlowFilter {
    type Err = BadFlowFilter;

    fn from_str(text: &str) -> Result<Self, BadFlowFilter> {
        const BOTH: &str = "\u{0}";
        let apart = text.replace("<>", BOTH).replace('>', " > ").replace(BOTH, " <> ");
        let mut words = apart.split_ascii_whitespace().peekable();
        let bad = |word: &str| BadFlowFilter { word: word.to_owned() };
        let mut filter = Self::default();
        let versions = [("ip", 4), ("ip4", 4), ("ip6", 6)];
        if let Some((_, version)) =
            words.peek().and_then(|word| versions.iter().find(|(name, _)| name == word))
        {
            filter.version = Some(*version);
            words.next();
        }
        if let Some((_, number)) =
            words.peek().and_then(|word| PROTOCOLS.iter().find(|(name, _)| name == word))
        {
            filter.protocol = Some(*number);
            words.next();
        } else if words.next_if_eq(&"protocol").is_some() {
            let number = words.next().unwrap_or("protocol");
            filter.protocol = Some(number.parse().ok().ok_or_else(|| bad(number))?);
        }
        let next_end = |words: &mut std::iter::Peekable<std::str::SplitAsciiWhitespace<'_>>| {
            words.next().map(|word| FlowEnd::parse(word).ok_or_else(|| bad(word))).transpose()
        };
        if let Some(source) = next_end(&mut words)? {
            filter.source = source;
            match words.next() {
                // One end alone is that of a flow in either direction.
                None => filter.both_ways = source != FlowEnd::default(),
                Some(way @ (">" | "<>")) => {
                    filter.both_ways = way == "<>";
                    filter.destination = next_end(&mut words)?.unwrap_or_default();
                }
                Some(other) => return Err(bad(other)),
            }
        }
        words.next().map_or(Ok(filter), |rest| Err(bad(rest)))
    }
}

impl fmt::Display for FlowEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, port } = self;
        match (network, port) {
            (None, None) => f.write_str("*"),
            (None, Some(port)) => write!(f, "*:{port}"),
            (Some((address, bits)), port) if *bits == if address.is_ipv4() { 32 } else { 128 } => {
                f.write_str(&end(*address, *port))
            }
            (Some((address, bits)), None) => write!(f, "{address}/{bits}"),
            (Some((IpAddr::V4(address), bits)), Some(port)) => write!(f, "{address}/{bits}:{port}"),
            (Some((IpAddr::V6(address), bits)), Some(port)) => write!(f, "[{address}]/{bits}:{port}"),
        }
    }
}

impl fmt::Display for FlowFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(
            self.version.map(|version| if version == 4 { "ip".to_owned() } else { "ip6".to_owned() }),
        );
        words.extend(self.protocol.map(protocol_name));
        let ends = [self.source, self.destination];
        if ends != [FlowEnd::default(); 2] {
            let way = if self.both_ways { "<>" } else { ">" };
            words.push(format!("{} {way} {}", self.source, self.destination));
        }
        f.write_str(&words.join(" "))
    }
}

spelled!(FlowFilter, BadFlowFilter);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        text.parse::<FlowFilter>().map_or_else(|bad| bad.word, |filter| format!("={filter}"))
    }

    #[test]
    fn any_part_may_be_left_out() {
        let cases = [
            ("", "="),
            ("tcp", "=tcp"),
            ("ip6 udp", "=ip6 udp"),
            ("protocol 89", "=protocol 89"),
            ("tcp 10.0.0.1:* > 10.0.0.2:443", "=tcp 10.0.0.1 > 10.0.0.2:443"),
            ("10.0.0.0/8>*", "=10.0.0.0/8 > *"),
            ("udp *:53", "=udp *:53 <> *"),
            ("fe80::1", "=fe80::1 <> *"),
            ("[fe80::]/64:22 <> *", "=[fe80::]/64:22 <> *"),
            ("* > :80", "=* > *:80"),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let cases = [
            ("tpc 10.0.0.1", "tpc"),
            ("tcp 10.0.0.1 10.0.0.2", "10.0.0.2"),
            ("tcp 10.0.0.1/33", "10.0.0.1/33"),
            ("udp *:70000", "*:70000"),
            ("protocol x", "x"),
            ("tcp a > b > c", "a"),
        ];
        for (text, word) in cases {
            assert_eq!(read(text), word, "{text}");
        }
    }

    fn flow(source: &str, destination: &str, ports: Option<[u16; 2]>) -> Flow {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        Flow { protocol: 6, source, destination, ports, tcp_flags: None, icmp: None }
    }

    #[test]
    fn a_filter_takes_what_it_says() {
        let there = flow("10.0.0.1", "10.0.0.2", Some([1000, 443]));
        let back = flow("10.0.0.2", "10.0.0.1", Some([443, 1000]));
        let takes = |filter: &str| {
            let filter: FlowFilter = filter.parse().unwrap();
            [Some(&there), Some(&back), None].map(|flow| filter.takes(flow))
        };
        assert_eq!(takes(""), [true, true, true]);
        assert_eq!(takes("tcp"), [true, true, false]);
        assert_eq!(takes("udp"), [false, false, false]);
        assert_eq!(takes("10.0.0.1 > *:443"), [true, false, false]);
        assert_eq!(takes("*:443"), [true, true, false]);
        assert_eq!(takes("10.0.0.0/31 > *"), [true, false, false]);
        assert_eq!(takes("ip6"), [false, false, false]);
        let fragment = flow("10.0.0.1", "10.0.0.2", None);
        assert!(!"* > *:443".parse::<FlowFilter>().unwrap().takes(Some(&fragment)));
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_the_same(
            protocol: Option<u8>, addresses: [Option<std::net::Ipv6Addr>; 2], bits: [u8; 2], ports: [Option<u16>; 2], both_ways: bool,
        ) {
            let end = |at: usize| FlowEnd { network: addresses[at].map(|address| (address.into(), bits[at] % 129)), port: ports[at] };
            let mut filter = FlowFilter { version: None, protocol, source: end(0), destination: end(1), both_ways };
            // Where no end is said, there is no way.
            filter.both_ways &= [filter.source, filter.destination] != [FlowEnd::default(); 2];
            prop_assert_eq!(filter.to_string().parse(), Ok(filter));
        }

        #[test]
        fn any_text_is_a_filter_or_none(text: String) {
            drop(text.parse::<FlowFilter>());
        }
    }
}
