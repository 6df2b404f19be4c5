// SPDX-License-Identifier: Apache-2.0
//! A whole number of up to 128 bits, with a sign or without: what any integer of C can hold.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A whole number from -2^127 to 2^128 - 1. Zero is never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    magnitude: u128,
}

/// Text that is no whole number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a whole number; write `42`, `-42` or `0x2a`")]
pub struct BadNumber {
    given: String,
}

/// The greatest number that every reader of JSON takes exactly (RFC 7493, section 2.2).
pub const MAX_EXACT: u64 = (1 << 53) - 1;

impl Number {
    /// Zero.
    pub const ZERO: Self = Self { negative: false, magnitude: 0 };

    /// A number by its distance from zero, and the side.
    pub const fn new(negative: bool, magnitude: u128) -> Self {
        Self { negative: negative && magnitude != 0, magnitude }
    }

    /// Reads the lower bits of a word as a number in two's complement, or as one without a sign.
    pub fn of_bits(word: u128, bits: u32, signed: bool) -> Self {
        let unused = 128_u32.saturating_sub(bits);
        let word = word.checked_shl(unused).unwrap_or(0);
        if signed {
            let number = word.cast_signed().checked_shr(unused).unwrap_or(0);
            Self::new(number < 0, number.unsigned_abs())
        } else {
            Self::new(false, word.checked_shr(unused).unwrap_or(0))
        }
    }

    /// The number in two's complement.
    pub fn to_word(self) -> u128 {
        if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude }
    }

    /// The distance from zero.
    pub fn magnitude(self) -> u128 {
        self.magnitude
    }

    /// Whether it is less than zero.
    pub fn is_negative(self) -> bool {
        self.negative
    }

    /// The least and the greatest number of so many bits.
    pub fn range(bits: u32, signed: bool) -> (Self, Self) {
        let all = |bits: u32| u128::MAX.checked_shr(128_u32.saturating_sub(bits)).unwrap_or(0);
        if signed {
            let half = all(bits.saturating_sub(1));
            (Self::new(true, half + 1), Self::new(false, half))
        } else {
            (Self::ZERO, Self::new(false, all(bits)))
        }
    }

    /// The nearest floating point number.
    #[expect(clippy::cast_precision_loss, reason = "the nearest is asked for")]
    pub fn to_f64(self) -> f64 {
        let size = self.magnitude as f64;
        if self.negative { -size } else { size }
    }

    /// The sum, where 128 bits hold it.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.negative == other.negative {
            let magnitude = self.magnitude.checked_add(other.magnitude)?;
            return Some(Self::new(self.negative, magnitude));
        }
        let (large, small) = if self.magnitude >= other.magnitude { (self, other) } else { (other, self) };
        Some(Self::new(large.negative, large.magnitude - small.magnitude))
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self::new(false, number.into())
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::new(false, number.into())
    }
}

impl From<i32> for Number {
    fn from(number: i32) -> Self {
        i64::from(number).into()
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self::new(number < 0, number.unsigned_abs().into())
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude.cmp(&other.magnitude),
            (true, true) => other.magnitude.cmp(&self.magnitude),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        self.magnitude.fmt(f)
    }
}

impl FromStr for Number {
    type Err = BadNumber;

    /// Reads decimal digits, or hexadecimal ones behind `0x`, with a minus sign in front where it is negative.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let read = match digits.strip_prefix("0x") {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u128::from_str_radix(digits, 16).ok()
            }
            None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        };
        let fits = read.filter(|magnitude| !negative || *magnitude <= 1 << 127);
        fits.map(|magnitude| Self::new(negative, magnitude))
            .ok_or_else(|| BadNumber { given: text.to_owned() })
    }
}

/// JSON numbers where every reader takes them exactly, decimal text beyond.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.magnitude) {
            Ok(size) if size <= MAX_EXACT && self.negative => serializer.serialize_i64(-size.cast_signed()),
            Ok(size) if size <= MAX_EXACT => serializer.serialize_u64(size),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, or one as text")
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Number, E> {
                Ok(number.into())
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(number.into())
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Number, E> {
                whole(number).ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// The whole number that a floating point number stands for, where there is no doubt.
pub(crate) fn whole(number: f64) -> Option<Number> {
    #[expect(clippy::cast_precision_loss, reason = "it is exact for this number")]
    let exact = number.fract() == 0.0 && number.abs() <= MAX_EXACT as f64;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and within 53 bits")]
    exact.then(|| (number as i64).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_extremes_have_their_places() {
        assert_eq!(Number::range(8, true), (Number::from(-128), Number::from(127)));
        assert_eq!(Number::range(128, false).1.to_string(), u128::MAX.to_string());
        assert_eq!(Number::range(128, true).0.to_string(), i128::MIN.to_string());
        assert_eq!("-0".parse(), Ok(Number::ZERO));
        assert_eq!("0x10".parse(), Ok(Number::from(16)));
        for bad in ["", "-", "0x", "+1", "1.0", "0x+1", "--1", " 1"] {
            assert!(bad.parse::<Number>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_ordered_and_added_as_in_i128(one: i64, other: i64) {
            let (a, b) = (Number::from(one), Number::from(other));
            prop_assert_eq!(a.cmp(&b), one.cmp(&other));
            let sum = i128::from(one) + i128::from(other);
            prop_assert_eq!(a.checked_add(b).unwrap().to_string(), sum.to_string());
        }

        #[test]
        fn bits_read_as_they_are_written(word: u128, bits in 1..=128_u32, signed: bool) {
            let number = Number::of_bits(word, bits, signed);
            let (min, max) = Number::range(bits, signed);
            prop_assert!(min <= number && number <= max);
            prop_assert_eq!(Number::of_bits(number.to_word(), bits, signed), number);
            prop_assert_eq!(number.to_string().parse(), Ok(number));
            let json = serde_json::to_string(&number).unwrap();
            prop_assert_eq!(serde_json::from_str::<Number>(&json).unwrap(), number);
        }
    }
}
