// SPDX-License-Identifier: Apache-2.0
//! Packets of a capture: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), in either byte order.

use thiserror::Error;

/// Ethernet, as the link type of both formats.
const ETHERNET: u32 = 1;
/// So many packets of a capture are read at most.
const MOST: usize = 100_000;

/// A file is no capture that can be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadCapture {
    /// It begins with something else.
    #[error("it is neither pcap nor pcapng")]
    Unknown,
    /// It ends within something.
    #[error("it ends within packet {number}")]
    Cut {
        /// The packet, from 1.
        number: usize,
    },
    /// It is of something else than Ethernet.
    #[error("its packets are of link type {found}, and only Ethernet (1) can be read")]
    Link {
        /// The number of its link type.
        found: u32,
    },
    /// It holds too many.
    #[error("it has more than {MOST} packets")]
    TooMany,
}

/// The packets of a capture, as far as they were captured.
///
/// # Errors
/// When it is no capture, or not one of Ethernet.
pub fn read_capture(bytes: &[u8]) -> Result<Vec<Vec<u8>>, BadCapture> {
    match bytes {
        [0xd4, 0xc3, 0xb2, 0xa1, ..] | [0x4d, 0x3c, 0xb2, 0xa1, ..] => pcap(bytes, u32::from_le_bytes),
        [0xa1, 0xb2, 0xc3, 0xd4, ..] | [0xa1, 0xb2, 0x3c, 0x4d, ..] => pcap(bytes, u32::from_be_bytes),
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => pcapng(bytes),
        _ => Err(BadCapture::Unknown),
    }
}

type Order = fn([u8; 4]) -> u32;

fn word(bytes: &[u8], at: usize, order: Order) -> Option<usize> {
    let word = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    usize::try_from(order(word)).ok()
}

fn pcap(bytes: &[u8], order: Order) -> Result<Vec<Vec<u8>>, BadCapture> {
    let link = word(bytes, 20, order).ok_or(BadCapture::Unknown)?;
    check_link(link & 0x0fff_ffff)?;
    let (mut packets, mut at) = (Vec::new(), 24);
    while at < bytes.len() {
        let cut = BadCapture::Cut { number: packets.len() + 1 };
        let length = word(bytes, at + 8, order).ok_or_else(|| cut.clone())?;
        let packet = (at + 16).checked_add(length).and_then(|end| bytes.get(at + 16..end)).ok_or(cut)?;
        keep(&mut packets, packet)?;
        at += 16 + length;
    }
    Ok(packets)
}

fn pcapng(bytes: &[u8]) -> Result<Vec<Vec<u8>>, BadCapture> {
    const INTERFACE: usize = 1;
    const SIMPLE: usize = 3;
    const ENHANCED: usize = 6;
    let (mut packets, mut at) = (Vec::new(), 0);
    let mut order: Order = u32::from_le_bytes;
    while at < bytes.len() {
        let cut = || BadCapture::Cut { number: packets.len() + 1 };
        // Its type reads alike in both orders.
        if bytes[at..].starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            let is_big = bytes.get(at + 8..at + 12) == Some(&[0x1a, 0x2b, 0x3c, 0x4d]);
            order = if is_big { u32::from_be_bytes } else { u32::from_le_bytes };
        }
        let (kind, length) = word(bytes, at, order).zip(word(bytes, at + 4, order)).ok_or_else(cut)?;
        let block =
            at.checked_add(length).and_then(|end| bytes.get(at..end)).filter(|block| block.len() >= 12);
        let block = block.ok_or_else(cut)?;
        let packet = match kind {
            INTERFACE => {
                let link = word(block, 8, order).ok_or_else(cut)?;
                // Sixteen bits of link type, and sixteen that are reserved.
                let link = if order(1_u32.to_le_bytes()) == 1 { link & 0xffff } else { link >> 16 };
                check_link(link)?;
                None
            }
            ENHANCED => {
                let length = word(block, 20, order).ok_or_else(cut)?;
                Some(28_usize.checked_add(length).and_then(|end| block.get(28..end)).ok_or_else(cut)?)
            }
            SIMPLE => {
                let length = word(block, 8, order).ok_or_else(cut)?;
                let captured = block.get(12..block.len() - 4).unwrap_or_default();
                Some(captured.get(..length).unwrap_or(captured))
            }
            _ => None,
        };
        if let Some(packet) = packet {
            keep(&mut packets, packet)?;
        }
        at += length;
    }
    Ok(packets)
}

fn keep(packets: &mut Vec<Vec<u8>>, packet: &[u8]) -> Result<(), BadCapture> {
    if packets.len() >= MOST {
        return Err(BadCapture::TooMany);
    }
    packets.push(packet.to_vec());
    Ok(())
}

fn check_link(link: usize) -> Result<(), BadCapture> {
    let found = u32::try_from(link).unwrap_or(u32::MAX);
    if found == ETHERNET { Ok(()) } else { Err(BadCapture::Link { found }) }
}
