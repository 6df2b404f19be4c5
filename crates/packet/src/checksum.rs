// SPDX-License-Identifier: Apache-2.0
//! The Internet checksum (RFC 1071).

/// The checksum of bytes, with zero behind an odd one.
pub(crate) fn of(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum = words.map(|word| match *word {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(u16::from_be_bytes([high, 0])),
        _ => 0,
    });
    let mut sum: u64 = sum.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("it was folded into sixteen bits")
}
