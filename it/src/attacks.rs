// SPDX-License-Identifier: Apache-2.0
//! Packets that attack whoever reads headers: cut at every byte, with lengths that lie, with more tags, options and extension headers
//! than anybody has, and with noise in them. They are the same each time.

mod bases;
mod lies;

use std::collections::HashSet;

use anyhow::Result;

use crate::{Dice, frame};

/// The kernel takes no shorter packet in a test run.
pub const LEAST_BYTES: usize = 14;
/// Nor a longer one in one piece.
pub const MOST_BYTES: usize = 3520;

/// How many copies of whole packets have noise in them.
const NOISY: usize = 6000;
/// How many packets are nothing but noise behind the addresses of Ethernet.
const NOISE: usize = 2000;

/// The packets, each once, always in the same order.
///
/// # Errors
/// When a packet that others are made of is no packet; a test of this module shows that they are.
pub fn attacks() -> Result<Vec<Vec<u8>>> {
    let mut packets = Distinct::default();
    let whole = bases::whole();
    for text in &whole {
        let bytes = frame(text)?;
        packets.add(padded(&bytes));
        packets.add(bytes);
    }
    for text in bases::chosen() {
        let bytes = frame(&text)?;
        for length in LEAST_BYTES..bytes.len() {
            packets.add(bytes[..length].to_vec());
        }
        for text in lies::of(&text) {
            packets.add(frame(&text)?);
        }
    }
    for text in bases::long() {
        packets.add(frame(&text)?);
    }
    let mut dice = Dice::new();
    for _ in 0..NOISY {
        let mut bytes = frame(&whole[dice.index(whole.len())])?;
        disturb(&mut bytes, &mut dice);
        packets.add(bytes);
    }
    for _ in 0..NOISE {
        packets.add(noise(&mut dice));
    }
    Ok(packets.list)
}

/// Packets, each once.
#[derive(Debug, Default)]
struct Distinct {
    list: Vec<Vec<u8>>,
    seen: HashSet<Vec<u8>>,
}

impl Distinct {
    fn add(&mut self, bytes: Vec<u8>) {
        if (LEAST_BYTES..=MOST_BYTES).contains(&bytes.len()) && self.seen.insert(bytes.clone()) {
            self.list.push(bytes);
        }
    }
}

/// With bytes behind it that no length counts.
fn padded(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0xa5; 17]].concat()
}

/// Changes some bytes, most of them where headers are.
fn disturb(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(6) {
        let at = if dice.below(4) == 0 { dice.index(bytes.len()) } else { 12 + dice.index(60) };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = [dice.byte(), 0, 1, 0x7f, 0x80, 0xff][dice.index(6)];
        }
    }
    match dice.below(6) {
        0 => bytes.truncate(LEAST_BYTES + dice.index(bytes.len())),
        1 => bytes.extend((0..dice.index(64)).map(|_| dice.byte())),
        _ => {}
    }
}

fn noise(dice: &mut Dice) -> Vec<u8> {
    const ETHER_TYPES: [[u8; 2]; 6] =
        [[0x08, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0xa8], [0x08, 0x06], [0x88, 0x47]];
    let mut bytes: Vec<u8> = (0..LEAST_BYTES + dice.index(200)).map(|_| dice.byte()).collect();
    if let Some(kind) = ETHER_TYPES.get(dice.index(7)) {
        bytes[12..14].copy_from_slice(kind);
        // The version, so that some of it is read further.
        let version = bytes.get_mut(14).zip(Some(if kind[0] == 0x86 { 0x60 } else { 0x40 }));
        if let Some((byte, version)) = version.filter(|_| dice.below(2) == 0) {
            *byte = version | (*byte & 0xf);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn all() -> &'static Vec<Vec<u8>> {
        static ALL: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| attacks().unwrap());
        &ALL
    }

    fn has(packets: &[Vec<u8>], text: &str) -> bool {
        packets.contains(&frame(text).unwrap())
    }

    #[test]
    fn they_are_many_and_the_same_each_time_and_all_differ() {
        let packets = all();
        assert_eq!(*packets, attacks().unwrap());
        assert!((30_000..100_000).contains(&packets.len()), "{}", packets.len());
        assert_eq!(packets.iter().collect::<HashSet<_>>().len(), packets.len());
    }

    #[test]
    fn packets_are_cut_at_every_byte() {
        let packets = all();
        for whole in ["eth / ipv4 / tcp", "eth / ipv6 / hop / udp", "eth / vlan(id=7) / ipv6 / tcp"] {
            let length = frame(whole).unwrap().len();
            for cut in LEAST_BYTES..length {
                assert!(has(packets, &format!("{whole} / cut({cut})")), "{whole} at {cut}");
            }
        }
    }

    #[test]
    fn lengths_and_versions_lie() {
        let packets = all();
        for lie in [
            "eth / ipv4(ihl=4) / tcp",
            "eth / ipv4(ihl=15) / tcp",
            "eth / ipv4(version=6) / udp",
            "eth / ipv4(len=0) / tcp",
            "eth / ipv4(len=65535) / udp",
            "eth / ipv4 / tcp(words=4)",
            "eth / ipv4 / udp(len=7)",
            "eth / ipv6(len=1) / tcp",
            "eth / ipv6 / hop(len=255) / tcp",
            "eth / ipv6 / ah(len=0) / udp",
            "eth / vlan(id=7) / ipv4(ihl=6) / tcp",
            "eth(type=qinq) / vlan(id=7) / vlan(id=8) / vlan(id=9) / ipv6 / gre / ipv4 / tcp",
        ] {
            assert!(has(packets, lie), "{lie}");
        }
    }
}
