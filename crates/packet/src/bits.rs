// SPDX-License-Identifier: Apache-2.0
//! Numbers in bytes, the highest bit first, as headers have them.

/// The number in so many bits from a bit on. What lies behind the end is zero.
pub(crate) fn read(bytes: &[u8], at: usize, bits: usize) -> u128 {
    (at..at + bits).fold(0, |number, bit| {
        let byte = bytes.get(bit / 8).copied().unwrap_or_default();
        number << 1 | u128::from(byte >> (7 - bit % 8) & 1)
    })
}

/// Puts the lowest bits of a number there. What lies behind the end is lost.
pub(crate) fn write(bytes: &mut [u8], at: usize, bits: usize, number: u128) {
    for bit in 0..bits {
        let place = at + bit;
        if let Some(byte) = bytes.get_mut(place / 8) {
            let mask = 1 << (7 - place % 8);
            let is_set = number >> (bits - 1 - bit) & 1 == 1;
            *byte = if is_set { *byte | mask } else { *byte & !mask };
        }
    }
}
