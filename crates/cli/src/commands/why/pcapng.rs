// SPDX-License-Identifier: Apache-2.0
//! A capture for other tools: pcapng (draft-ietf-opsawg-pcapng), with the hook as the interface of each packet, and who decided as its
//! comment.

use std::io::{self, Write};

use wire::PacketView;

/// A file that grows by packets.
pub(super) struct Pcapng<W> {
    file: W,
    /// The hooks that have a block, in the order of their numbers.
    hooks: Vec<String>,
}

/// Types of blocks.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
/// Numbers of options: a comment is one in every block, the others are of interfaces.
const END: u16 = 0;
const COMMENT: u16 = 1;
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;

impl<W: Write> Pcapng<W> {
    /// Begins with the header of a section.
    pub(super) fn begin(mut file: W) -> io::Result<Self> {
        const BYTE_ORDER: u32 = 0x1a2b_3c4d;
        const UNKNOWN_LENGTH: u64 = u64::MAX;
        let version = [1_u16, 0].map(u16::to_le_bytes).concat();
        let body = [&BYTE_ORDER.to_le_bytes()[..], &version, &UNKNOWN_LENGTH.to_le_bytes()].concat();
        block(&mut file, SECTION, &body)?;
        Ok(Self { file, hooks: Vec::new() })
    }

    /// Writes a packet, and the interface before its first one.
    pub(super) fn packet(&mut self, packet: &PacketView) -> io::Result<()> {
        let bytes = packet.packet().ok_or_else(|| io::Error::other("the daemon sent no packet"))?;
        let at: jiff::Timestamp = packet.at.parse().map_err(io::Error::other)?;
        let at = u64::try_from(at.as_nanosecond()).map_err(io::Error::other)?;
        let interface = self.interface(&packet.hook)?;
        let captured = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
        let words = [interface, (at >> 32) as u32, at as u32, captured, packet.length];
        let mut body = words.map(u32::to_le_bytes).concat();
        pad(&mut body, &bytes);
        option(&mut body, COMMENT, packet.explanation().as_bytes())?;
        option(&mut body, END, &[])?;
        block(&mut self.file, PACKET, &body)
    }

    /// Gives the file back.
    pub(super) fn end(self) -> W {
        self.file
    }

    fn interface(&mut self, hook: &str) -> io::Result<u32> {
        const ETHERNET: u32 = 1;
        const NANOSECONDS: u8 = 9;
        if let Some(number) = self.hooks.iter().position(|known| known == hook) {
            return u32::try_from(number).map_err(io::Error::other);
        }
        // No limit to the length of what is captured is told.
        let mut body = [ETHERNET, 0].map(u32::to_le_bytes).concat();
        option(&mut body, NAME, hook.as_bytes())?;
        option(&mut body, RESOLUTION, &[NANOSECONDS])?;
        option(&mut body, END, &[])?;
        block(&mut self.file, INTERFACE, &body)?;
        self.hooks.push(hook.to_owned());
        u32::try_from(self.hooks.len() - 1).map_err(io::Error::other)
    }
}

/// A block, with its length in front and behind.
fn block(file: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 12).map_err(io::Error::other)?.to_le_bytes();
    file.write_all(&[&kind.to_le_bytes()[..], &length, body, &length].concat())
}

fn option(body: &mut Vec<u8>, number: u16, value: &[u8]) -> io::Result<()> {
    let length = u16::try_from(value.len()).map_err(io::Error::other)?;
    body.extend([number, length].map(u16::to_le_bytes).concat());
    pad(body, value);
    Ok(())
}

/// Adds bytes, up to a whole number of words.
fn pad(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_words_with_their_length_at_both_ends() {
        let packet = |hook: &str| PacketView {
            at: "2030-01-01T00:00:00.000000001Z".to_owned(),
            hook: hook.to_owned(),
            passed: Vec::new(),
            decided: None,
            flow: None,
            length: 60,
            bytes: "AQID".to_owned(),
        };
        let mut file = Pcapng::begin(Vec::new()).unwrap();
        for hook in ["eth0/xdp", "eth0/tc-egress", "eth0/xdp"] {
            file.packet(&packet(hook)).unwrap();
        }
        let bytes = file.end();
        let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
        let (mut at, mut kinds) = (0, Vec::new());
        while at < bytes.len() {
            let length = usize::try_from(word(at + 4)).unwrap();
            assert_eq!((length % 4, word(at + length - 4)), (0, word(at + 4)));
            kinds.push(word(at));
            at += length;
        }
        assert_eq!(kinds, [SECTION, INTERFACE, PACKET, INTERFACE, PACKET, PACKET]);
    }
}
