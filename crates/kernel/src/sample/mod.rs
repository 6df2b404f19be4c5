// SPDX-License-Identifier: Apache-2.0
//! Packets that tell of themselves where they leave a chain: which member said what.
//!
//! Each member of a chain that is sampled writes its verdict into a *note*, a value that this processor has for the packet it is
//! busy with. Where the packet leaves, the member tail-calls the [`sampler()`], a program of our own: it looks whether somebody asked
//! for this packet, sends the note with the packet's first bytes to user space, and returns the verdict. So what members may call
//! does not depend on their licence, nor on the room in their stack. A sampler that is not there any more is a tail call that
//! fails, and the member leaves as ever.

mod sampler;

pub(crate) use sampler::{Sampler, sampler};

/// How many bytes of a packet are sent at most.
pub(crate) const SNAP_BYTES: usize = 128;

/// Where things lie in a note.
pub(crate) mod note {
    /// The time when the packet left, in nanoseconds of the clock that does not jump: eight bytes.
    pub(crate) const TIME: i16 = 0;
    /// The length of the packet: four bytes, as all that follow up to the verdicts.
    pub(crate) const LENGTH: i16 = 8;
    /// How many bytes of the packet follow the note.
    pub(crate) const CAPTURED: i16 = 12;
    /// The number of the member at which it left.
    pub(crate) const MEMBER: i16 = 16;
    /// What the hook is told.
    pub(crate) const RETURNED: i16 = 20;
    /// The verdict of each member, in the order of their numbers.
    pub(crate) const VERDICTS: i16 = 24;
    /// How many there is room for: a chain of tail calls has no more members.
    pub(crate) const MOST_VERDICTS: u8 = 34;
    /// What is sent of a note.
    pub(crate) const SENT_BYTES: i16 = 160;
    /// The window of time in which packets are counted.
    pub(crate) const WINDOW: i16 = 160;
    /// How many were sent in it.
    pub(crate) const COUNT: i16 = 168;
    /// How many were asked for and not sent, because there were too many in a window.
    pub(crate) const WITHHELD: i16 = 176;
    /// All of it.
    pub(crate) const BYTES: u32 = 184;
}

/// A packet that left a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// When, in nanoseconds of the clock that runs since the machine started and does not count sleep (`CLOCK_MONOTONIC`).
    pub at_ns: u64,
    /// How long the packet was.
    pub length: u32,
    /// What the hook was told.
    pub returned: i32,
    /// What the members said, from the first to the one at which it left.
    pub verdicts: Vec<i32>,
    /// The beginning of the packet, as it left.
    pub packet: Vec<u8>,
}

impl Sample {
    /// Reads what the sampler sent; none where that is no sample.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let at = |offset: i16| usize::from(offset.unsigned_abs());
        let word = |offset: usize| Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?));
        let member = usize::try_from(word(at(note::MEMBER))?).ok()?;
        if member >= usize::from(note::MOST_VERDICTS) {
            return None;
        }
        let verdicts = (0..=member).map(|number| Some(word(at(note::VERDICTS) + 4 * number)?.cast_signed()));
        let captured = usize::try_from(word(at(note::CAPTURED))?).ok()?;
        let packet = bytes.get(at(note::SENT_BYTES)..)?.get(..captured)?.to_vec();
        Some(Self {
            at_ns: u64::from_ne_bytes(*bytes.get(at(note::TIME)..)?.first_chunk()?),
            length: word(at(note::LENGTH))?,
            returned: word(at(note::RETURNED))?.cast_signed(),
            verdicts: verdicts.collect::<Option<_>>()?,
            packet,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_read_up_to_the_member_where_the_packet_left() {
        let mut bytes = vec![0; 160];
        bytes[..8].copy_from_slice(&7_u64.to_ne_bytes());
        let words = [(8, 60_u32), (12, 3), (16, 1), (20, 1), (24, 2), (28, u32::MAX), (32, 9)];
        for (at, word) in words {
            bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        bytes.extend([1, 2, 3, 0, 0, 0, 0, 0]);
        let read = Sample::parse(&bytes).unwrap();
        let wanted =
            Sample { at_ns: 7, length: 60, returned: 1, verdicts: vec![2, -1], packet: vec![1, 2, 3] };
        assert_eq!(read, wanted);
        bytes[16] = note::MOST_VERDICTS;
        assert_eq!(Sample::parse(&bytes), None);
        assert_eq!(Sample::parse(&bytes[..100]), None);
    }
}
