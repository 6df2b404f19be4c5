// SPDX-License-Identifier: Apache-2.0
//! One ICMP echo request and the answer to it (RFC 792; for IPv6 RFC 4443, section 4).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recv, sendto};

/// Asks, and waits so long for the answer.
pub(super) fn ping(address: IpAddr, patience: Duration) -> io::Result<()> {
    let (family, protocol, kind) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, Echo { request: 8, reply: 0 }),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, Echo { request: 128, reply: 129 }),
    };
    let socket = rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol))?;
    // Everybody's answers come in; a number that nobody else has just now finds ours.
    let number = std::process::id().to_be_bytes();
    sendto(&socket, &kind.message(number), SendFlags::empty(), &SocketAddr::new(address, 0))?;
    let begin = Instant::now();
    let mut buffer = [0; 1500];
    loop {
        let left = patience.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no answer within {} s", patience.as_secs()),
            ));
        }
        set_socket_timeout(&socket, Timeout::Recv, Some(left))?;
        match recv(&socket, &mut buffer, RecvFlags::empty()) {
            Ok((length, _)) if kind.answers(message(address, &buffer[..length]), number) => return Ok(()),
            Ok(_) | Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The types of the two messages.
struct Echo {
    request: u8,
    reply: u8,
}

impl Echo {
    /// Type, code, checksum, identifier, sequence number. Over IPv6 the kernel writes the checksum.
    fn message(&self, number: [u8; 4]) -> [u8; 8] {
        let [a, b, c, d] = number;
        let [high, low] = checksum([self.request, 0, 0, 0, a, b, c, d]).to_be_bytes();
        [self.request, 0, high, low, a, b, c, d]
    }

    fn answers(&self, message: &[u8], number: [u8; 4]) -> bool {
        message.first() == Some(&self.reply) && message.get(4..8) == Some(&number[..])
    }
}

/// The ones' complement of the ones' complement sum of all words (RFC 1071).
fn checksum(message: [u8; 8]) -> u16 {
    let words = message.chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).expect("it was folded twice")
}

/// What came behind the header of IPv4, which raw sockets hand over; there is none before a message over IPv6.
fn message(from: IpAddr, packet: &[u8]) -> &[u8] {
    let header = match (from, packet.first()) {
        (IpAddr::V4(_), Some(first)) => usize::from(first & 0xf) * 4,
        (IpAddr::V4(_), None) | (IpAddr::V6(_), _) => 0,
    };
    packet.get(header..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_sum_that_adds_up_and_only_its_own_answer_counts() {
        let kind = Echo { request: 8, reply: 0 };
        let number = [0x12, 0x34, 0, 1];
        let request = kind.message(number);
        let words = request.chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
        let sum: u32 = words.sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
        assert!(!kind.answers(&request, number), "the request itself comes back over loopback");
        let reply = [0, 0, 9, 9, 0x12, 0x34, 0, 1];
        assert!(kind.answers(&reply, number));
        assert!(!kind.answers(&reply, [0x12, 0x34, 0, 2]) && !kind.answers(&reply[..6], number));
        let mut packet = vec![0x46; 24];
        packet.extend(reply);
        assert_eq!(message("192.0.2.1".parse().unwrap(), &packet), reply);
        assert_eq!(message("192.0.2.1".parse().unwrap(), &[0x4f]), [0; 0]);
        assert_eq!(message("2001:db8::1".parse().unwrap(), &reply), reply);
    }
}
