// SPDX-License-Identifier: Apache-2.0
//! The flow of a packet: who sends what to whom, read from the beginning of an Ethernet frame. VLAN tags are skipped.
//!
//! What is cut off, or is no IP, has no flow. Nothing is believed of lengths but that the bytes are there.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// Who sends what to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The number of the protocol over IP (IANA).
    pub protocol: u8,
    /// Who sends.
    pub source: IpAddr,
    /// To whom.
    pub destination: IpAddr,
    /// The ports of both, where the protocol has some and they are in the packet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<[u16; 2]>,
    /// The flags of TCP (RFC 9293, section 3.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_flags: Option<u8>,
    /// Type and code of ICMP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icmp: Option<[u8; 2]>,
}

/// Protocols over IP by name (IANA).
pub(crate) const PROTOCOLS: [(&str, u8); 8] = [
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("icmp6", 58),
    ("sctp", 132),
    ("udplite", 136),
];

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP_6: u8 = 58;
const SCTP: u8 = 132;
/// Extension headers of IPv6 that are as long as their second byte says (RFC 8200, section 4).
const EXTENSIONS: [u8; 4] = [0, 43, 60, 135];
const FRAGMENT: u8 = 44;
/// More would be nobody's packet.
const MOST_EXTENSIONS: usize = 8;

/// Reads numbers in network order.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn skip(self, bytes: usize) -> Option<Self> {
        self.0.get(bytes..).map(Self)
    }

    fn byte(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn half(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    /// What follows an extension header of IPv6 of this kind, and what lies behind it; nothing behind a later fragment.
    fn extension(self, kind: u8) -> Option<(u8, Option<Self>)> {
        let length = match kind {
            FRAGMENT => 8,
            kind if EXTENSIONS.contains(&kind) => 8 + usize::from(self.byte(1)?) * 8,
            _ => return None,
        };
        let is_later = kind == FRAGMENT && self.half(2)? & 0xfff8 != 0;
        Some((self.byte(0)?, self.skip(length).filter(|_| !is_later)))
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }
}

impl Flow {
    /// Reads the flow of an Ethernet frame.
    pub fn read(frame: &[u8]) -> Option<Self> {
        const TAGS: [u16; 2] = [0x8100, 0x88a8];
        const MOST_TAGS: usize = 2;
        let mut rest = Bytes(frame).skip(12)?;
        for _ in 0..MOST_TAGS {
            if TAGS.contains(&rest.half(0)?) {
                rest = rest.skip(4)?;
            }
        }
        match rest.half(0)? {
            0x0800 => Self::version_4(rest.skip(2)?),
            0x86dd => Self::version_6(rest.skip(2)?),
            _ => None,
        }
    }

    fn version_4(header: Bytes<'_>) -> Option<Self> {
        let first = header.byte(0)?;
        if first >> 4 != 4 {
            return None;
        }
        let length = usize::from(first & 0xf) * 4;
        let (source, destination) =
            (Ipv4Addr::from(header.array::<4>(12)?), Ipv4Addr::from(header.array::<4>(16)?));
        let is_first = header.half(6)? << 3 == 0;
        let flow = Self::of(header.byte(9)?, source.into(), destination.into());
        Some(header.skip(length).filter(|_| is_first).map_or(flow, |rest| flow.with(rest)))
    }

    fn version_6(header: Bytes<'_>) -> Option<Self> {
        const HEADER: usize = 40;
        if header.byte(0)? >> 4 != 6 {
            return None;
        }
        let (source, destination) =
            (Ipv6Addr::from(header.array::<16>(8)?), Ipv6Addr::from(header.array::<16>(24)?));
        let mut next = header.byte(6)?;
        let mut rest = header.skip(HEADER);
        for _ in 0..MOST_EXTENSIONS {
            let Some((kind, behind)) = rest.and_then(|extension| extension.extension(next)) else { break };
            (next, rest) = (kind, behind);
        }
        let flow = Self::of(next, source.into(), destination.into());
        Some(rest.map_or(flow, |rest| flow.with(rest)))
    }

    fn of(protocol: u8, source: IpAddr, destination: IpAddr) -> Self {
        Self { protocol, source, destination, ports: None, tcp_flags: None, icmp: None }
    }

    /// The same with what the header behind IP tells.
    fn with(self, rest: Bytes<'_>) -> Self {
        let ports = || Some([rest.half(0)?, rest.half(2)?]);
        match self.protocol {
            TCP => Self { ports: ports(), tcp_flags: rest.byte(13), ..self },
            UDP | SCTP => Self { ports: ports(), ..self },
            ICMP | ICMP_6 => Self { icmp: rest.array(0), ..self },
            _ => self,
        }
    }

    /// The name of the protocol, or its number.
    pub fn protocol_name(&self) -> String {
        protocol_name(self.protocol)
    }
}

pub(crate) fn protocol_name(protocol: u8) -> String {
    let known = PROTOCOLS.iter().find(|(_, number)| *number == protocol);
    known.map_or_else(|| format!("protocol {protocol}"), |(name, _)| (*name).to_owned())
}

/// An address with a port as URLs have it.
pub(crate) fn end(address: IpAddr, port: Option<impl fmt::Display>) -> String {
    match (address, port) {
        (address, None) => address.to_string(),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
        let [from, to] = self.ports.map_or([None; 2], |ports| ports.map(Some));
        write!(f, "{} {} > {}", self.protocol_name(), end(self.source, from), end(self.destination, to))?;
        if let Some(flags) = self.tcp_flags {
            let set = FLAGS.iter().enumerate().filter(|(bit, _)| flags & 1 << bit != 0);
            let set: Vec<&str> = set.map(|(_, name)| *name).collect();
            write!(f, " [{}]", set.join(" "))?;
        }
        if let Some([kind, code]) = self.icmp {
            write!(f, " type {kind} code {code}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame from hexadecimal digits behind the two addresses.
    fn read(hex: &str) -> String {
        let digits: String = hex.split_ascii_whitespace().collect();
        let mut frame = vec![0; 12];
        frame.extend(
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()),
        );
        Flow::read(&frame).map_or_else(|| "none".to_owned(), |flow| flow.to_string())
    }

    const VERSION_4: &str = "45000028 00004000 4006 0000 0a000001 0a000002";
    const PORTS: &str = "03e801bb 00000000 00000000 5012 0000 0000 0000";
    const VERSION_6: &str =
        "60000000 0014 TT 40 fe800000000000000000000000000001 fe800000000000000000000000000002";

    #[test]
    fn flows_of_both_versions_are_read_behind_tags() {
        assert_eq!(read(&format!("0800 {VERSION_4} {PORTS}")), "tcp 10.0.0.1:1000 > 10.0.0.2:443 [SYN ACK]");
        assert_eq!(
            read(&format!("88a8 0001 8100 0002 0800 {VERSION_4} {PORTS}")),
            "tcp 10.0.0.1:1000 > 10.0.0.2:443 [SYN ACK]"
        );
        let udp = VERSION_6.replace("TT", "11");
        assert_eq!(read(&format!("86dd {udp} 0035 1234")), "udp [fe80::1]:53 > [fe80::2]:4660");
        let echo = VERSION_6.replace("TT", "3a");
        assert_eq!(read(&format!("86dd {echo} 8000")), "icmp6 fe80::1 > fe80::2 type 128 code 0");
    }

    #[test]
    fn ports_are_read_behind_extension_headers_and_not_from_later_fragments() {
        let options = VERSION_6.replace("TT", "00");
        assert_eq!(
            read(&format!("86dd {options} 1100 000000000000 0035 1234")),
            "udp [fe80::1]:53 > [fe80::2]:4660"
        );
        let fragment = VERSION_6.replace("TT", "2c");
        assert_eq!(
            read(&format!("86dd {fragment} 1100 0001 00000000 0035 1234")),
            "udp [fe80::1]:53 > [fe80::2]:4660"
        );
        assert_eq!(read(&format!("86dd {fragment} 1100 0101 00000000 0035 1234")), "udp fe80::1 > fe80::2");
        let later = VERSION_4.replace("4000 4006", "0010 4006");
        assert_eq!(read(&format!("0800 {later} {PORTS}")), "tcp 10.0.0.1 > 10.0.0.2");
    }

    #[test]
    fn what_is_no_ip_has_no_flow() {
        assert_eq!(read("0806 0001"), "none");
        assert_eq!(read("0800 65"), "none");
        assert_eq!(read(""), "none");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(frame: Vec<u8>, kind in 0_usize..4) {
            let mut frame = frame;
            let kinds: [[u8; 2]; 4] = [[8, 0], [0x86, 0xdd], [0x81, 0], [0, 0]];
            if let Some(place) = frame.get_mut(12..14) {
                place.copy_from_slice(&kinds[kind]);
            }
            drop(Flow::read(&frame).map(|flow| flow.to_string()));
        }
    }
}
