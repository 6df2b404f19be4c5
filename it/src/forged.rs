// SPDX-License-Identifier: Apache-2.0
//! Packets from addresses that their sender does not have, as floods send them. They stay in the namespaces of a story.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, bail};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto};

use crate::Side;

const UDP: u8 = 17;
const TCP: u8 = 6;
const HOPS: u8 = 64;

/// Who sends forged packets from a side.
#[derive(Debug)]
pub struct Forger {
    ipv4: OwnedFd,
    ipv6: OwnedFd,
}

/// A segment of TCP without data.
#[derive(Debug, Clone, Copy)]
pub struct Segment {
    /// Whom it claims to be from.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// SYN is 2, ACK is 16.
    pub flags: u8,
    /// Its sequence number.
    pub sequence: u32,
    /// The number that it acknowledges.
    pub acknowledged: u32,
}

impl Segment {
    /// As a packet of IP.
    ///
    /// # Errors
    /// When the addresses are of two families.
    pub fn packet(&self) -> Result<Vec<u8>> {
        const WORDS: u8 = 5;
        let mut tcp = ports(self.source, self.destination);
        tcp.extend(self.sequence.to_be_bytes());
        tcp.extend(self.acknowledged.to_be_bytes());
        // The window, the checksum, and that nothing is urgent.
        tcp.extend([WORDS << 4, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        packet((self.source.ip(), self.destination.ip()), TCP, tcp, 16)
    }
}

/// A datagram of UDP as a packet of IP.
///
/// # Errors
/// When the addresses are of two families, or there is too much of it.
pub fn forged_datagram(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Result<Vec<u8>> {
    let mut udp = ports(source, destination);
    udp.extend(u16::try_from(payload.len() + 8)?.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    packet((source.ip(), destination.ip()), UDP, udp, 6)
}

impl Forger {
    /// Opens sockets in the namespace of a side.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or refuses; it needs root.
    pub fn new(side: &Side) -> Result<Self> {
        let open = |family| {
            let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
            side.inside(move || rustix::net::socket_with(family, kind, flags, Some(ipproto::RAW)))
        };
        Ok(Self { ipv4: open(AddressFamily::INET)??, ipv6: open(AddressFamily::INET6)?? })
    }

    /// Sends a packet of IP, as its bytes are.
    ///
    /// # Errors
    /// When there is no way to its destination.
    pub fn send(&self, packet: &[u8]) -> Result<()> {
        let is_ipv4 = packet.first().is_some_and(|first| first >> 4 == 4);
        let (socket, to) = if is_ipv4 {
            (&self.ipv4, IpAddr::from(array::<4>(packet, 16)?))
        } else {
            (&self.ipv6, IpAddr::from(array::<16>(packet, 24)?))
        };
        rustix::net::sendto(socket, packet, SendFlags::empty(), &SocketAddr::new(to, 0))?;
        Ok(())
    }
}

fn array<const BYTES: usize>(packet: &[u8], at: usize) -> Result<[u8; BYTES]> {
    let bytes = packet.get(at..at + BYTES).context("the packet has no destination")?;
    Ok(bytes.try_into()?)
}

fn ports(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat()
}

/// Puts an IP header in front, and the checksum at its place.
fn packet(
    (source, destination): (IpAddr, IpAddr),
    protocol: u8,
    mut rest: Vec<u8>,
    at: usize,
) -> Result<Vec<u8>> {
    let length = u16::try_from(rest.len())?;
    let (addresses, mut header) = match (source, destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let [high, low] = (length + 20).to_be_bytes();
            // The kernel fills in the identification and the checksum.
            (
                [from.octets(), to.octets()].concat(),
                vec![0x45, 0, high, low, 0, 0, 0, 0, HOPS, protocol, 0, 0],
            )
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let [high, low] = length.to_be_bytes();
            ([from.octets(), to.octets()].concat(), vec![0x60, 0, 0, 0, high, low, protocol, HOPS])
        }
        _ => bail!("{source} and {destination} are of two families"),
    };
    let pseudo = [addresses.clone(), vec![0, protocol], length.to_be_bytes().to_vec(), rest.clone()].concat();
    rest[at..at + 2].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    header.extend(addresses);
    header.extend(rest);
    Ok(header)
}

/// The sum of RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("it was folded to sixteen bits")
}
