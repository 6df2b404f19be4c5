// SPDX-License-Identifier: Apache-2.0
//! What the kernel of the collector has not confirmed yet, as the kernel here tells of it (`/proc/net/tcp`, `proc_pid_net(5)`).

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// How many bytes of a connection are not confirmed. None: it is not among the connections any more, or nobody tells.
pub(crate) fn bytes(local: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let path = if local.is_ipv4() { "/proc/thread-self/net/tcp" } else { "/proc/thread-self/net/tcp6" };
    find(&fs::read_to_string(path).ok()?, local, peer)
}

fn find(table: &str, local: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let (local, peer) = (spelled(local), spelled(peer));
    let mut rows = table.lines().map(|row| row.split_ascii_whitespace().skip(1));
    let mut row = rows.find(|row| {
        let mut row = row.clone();
        row.next() == Some(local.as_str()) && row.next() == Some(peer.as_str())
    })?;
    let queues = row.nth(3)?;
    u64::from_str_radix(queues.split(':').next()?, 16).ok()
}

/// The address as numbers of 32 bits in the order of this machine, in hexadecimal; then the port.
fn spelled(address: SocketAddr) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(short) => short.octets().to_vec(),
        IpAddr::V6(long) => long.octets().to_vec(),
    };
    let (words, _) = bytes.as_chunks::<4>();
    let words: Vec<String> = words.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect();
    format!("{}:{:04X}", words.concat(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_queue_of_the_connection_is_found_among_others() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
                     0: 0100007F:1283 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n\
                     1: 0207D50A:8AE4 0107D50A:1283 01 000003E8:00000000 01:00000015 00000000 61184\n";
        let (local, peer) = ("10.213.7.2:35556".parse().unwrap(), "10.213.7.1:4739".parse().unwrap());
        assert_eq!(find(table, local, peer), Some(1000));
        assert_eq!(find(table, peer, local), None);
    }

    #[test]
    fn a_connection_of_this_process_is_confirmed_at_once_where_its_peer_reads() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
            let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (local, peer) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            assert_eq!(bytes(local, peer), Some(0));
        }
    }
}
