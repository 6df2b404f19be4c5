// SPDX-License-Identifier: Apache-2.0
//! How much of a machine a user program may use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Size;

/// Less than that holds no program that was started.
const LEAST: Size = Size::of(1 << 20);

/// An amount of memory, at least a mebibyte, as in `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemorySize(Size);

/// A share of the time of one core, in percent. More than 100 is more than one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct CpuShare(u32);

/// A text is not an amount of memory.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` is not an amount of memory: write a whole number with `KiB`, `MiB` or `GiB`, at least `1MiB`"
)]
pub struct BadMemorySize {
    /// What was given.
    pub given: String,
}

/// A number is not a share of a core.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a share of a core: it takes 1 to 100000 percent, and 200 is two cores")]
pub struct BadCpuShare {
    /// What was given.
    pub given: u32,
}

impl MemorySize {
    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0.bytes()
    }
}

impl CpuShare {
    /// In percent of one core.
    pub fn percent(self) -> u32 {
        self.0
    }
}

impl FromStr for MemorySize {
    type Err = BadMemorySize;

    fn from_str(text: &str) -> Result<Self, BadMemorySize> {
        let size = text.parse().ok().filter(|size| *size >= LEAST);
        size.map(Self).ok_or_else(|| BadMemorySize { given: text.to_owned() })
    }
}

spelled!(MemorySize, BadMemorySize);

impl TryFrom<u32> for CpuShare {
    type Error = BadCpuShare;

    fn try_from(percent: u32) -> Result<Self, BadCpuShare> {
        if (1..=100_000).contains(&percent) { Ok(Self(percent)) } else { Err(BadCpuShare { given: percent }) }
    }
}

impl From<CpuShare> for u32 {
    fn from(share: CpuShare) -> Self {
        share.0
    }
}

impl fmt::Display for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.exact())
    }
}

impl fmt::Display for CpuShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_memory_have_a_unit_and_hold_a_program() {
        let bytes = |text: &str| text.parse::<MemorySize>().map(MemorySize::bytes);
        assert_eq!([bytes("64MiB"), bytes("64 MiB")], [Ok(64 << 20), Ok(64 << 20)]);
        assert_eq!(bytes("1024KiB"), Ok(1 << 20));
        assert_eq!(bytes("2GiB"), Ok(2 << 30));
        for bad in ["64", "64MB", "", "MiB", "0MiB", "1023KiB", "-1MiB", "+1MiB", "1.5GiB", "17179869184GiB"]
        {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert!(CpuShare::try_from(0).is_err() && CpuShare::try_from(100_001).is_err());
        assert_eq!(CpuShare::try_from(150).unwrap().to_string(), "150%");
    }

    proptest::proptest! {
        #[test]
        fn an_amount_is_read_as_it_is_written(kibibytes in 1024..u64::MAX / 1024) {
            let size = format!("{kibibytes}KiB").parse::<MemorySize>().unwrap();
            assert_eq!(size.to_string().parse::<MemorySize>(), Ok(size));
            assert_eq!(size.bytes(), kibibytes * 1024);
        }

        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            drop(text.parse::<MemorySize>());
        }
    }
}
