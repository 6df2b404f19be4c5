// SPDX-License-Identifier: Apache-2.0
//! The byte order of an object, and so of the values in its maps.

use serde::{Deserialize, Serialize};

/// A byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    /// The least byte first.
    Little,
    /// The greatest byte first.
    Big,
}

impl Endian {
    /// Reads up to sixteen bytes as a number without a sign.
    pub fn read(self, bytes: &[u8]) -> u128 {
        let push = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, push),
            Self::Big => bytes.iter().fold(0, push),
        }
    }

    /// Writes the lower bytes of a number, as many as there is room for, which is sixteen at most.
    pub fn write(self, number: u128, room: &mut [u8]) {
        let wide = number.to_le_bytes();
        let held = wide.iter().chain(std::iter::repeat(&0));
        match self {
            Self::Little => room.iter_mut().zip(held).for_each(|(to, from)| *to = *from),
            Self::Big => room.iter_mut().rev().zip(held).for_each(|(to, from)| *to = *from),
        }
    }
}
