// SPDX-License-Identifier: Apache-2.0
//! Sizes as people write them, such as `2GiB`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// The units, the largest first. They are powers of two (IEC 80000-13); `GB` would mean one thing to some and another to others.
const UNITS: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(u64);

/// A text is no size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` is no size: write a whole number and one of `B`, `KiB`, `MiB`, `GiB` and `TiB`, as in `2GiB`"
)]
pub struct BadSize {
    /// What was given.
    pub given: String,
}

impl Size {
    /// So many bytes.
    pub const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes it is.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let bad = || BadSize { given: text.to_owned() };
        let unit = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(bad)?;
        let (number, unit) = text.split_at(unit);
        let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(bad)?;
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        bytes.map(Self).ok_or_else(bad)
    }
}

impl TryFrom<String> for Size {
    type Error = BadSize;

    fn try_from(text: String) -> Result<Self, BadSize> {
        text.parse()
    }
}

impl Size {
    /// In the largest unit that leaves a whole number, as it is read.
    pub(crate) fn exact(self) -> String {
        let whole = UNITS.into_iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        let (name, factor) = whole.unwrap_or(("B", 1));
        format!("{}{name}", self.0 / factor)
    }
}

/// For people: in the largest unit of which there is one, with a tenth where it is not whole.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS.into_iter().find(|(_, factor)| self.0 >= *factor);
        let (name, factor) = fitting.unwrap_or(("B", 1));
        let tenths = self.0 % factor * 10 / factor;
        match (self.0 / factor, tenths) {
            (whole, 0) => write!(f, "{whole} {name}"),
            (whole, tenths) => write!(f, "{whole}.{tenths} {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        let read = |text: &str| text.parse::<Size>().map(Size::bytes).map_err(|bad| bad.to_string());
        assert_eq!(read("2GiB"), Ok(2 << 30));
        assert_eq!(read("512 MiB"), Ok(512 << 20));
        assert_eq!(read("0B"), Ok(0));
        for bad in ["", "2", "GiB", "2GB", "-1GiB", "1.5GiB", "99999999999TiB", "2GiB ", "\u{664}MiB"] {
            assert!(read(bad).unwrap_err().contains("is no size"), "{bad}");
        }
    }

    #[test]
    fn a_size_is_told_in_the_largest_unit() {
        let told = |bytes| Size::of(bytes).to_string();
        assert_eq!([told(0), told(1023), told(1024)], ["0 B", "1023 B", "1 KiB"]);
        assert_eq!([told(1_600_000), told(3 << 30)], ["1.5 MiB", "3 GiB"]);
    }
}
