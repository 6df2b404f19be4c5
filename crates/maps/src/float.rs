// SPDX-License-Identifier: Apache-2.0
//! Floating point numbers of 2, 4 and 8 bytes (IEEE 754), and how JSON has those that it has no numbers for.

use std::cmp::Ordering;
use std::fmt;

/// The exponent and the fraction of a kind of floating point number, in bits.
#[derive(Debug, Clone, Copy)]
struct Kind {
    exponent: u32,
    fraction: u32,
}

/// How a floating point number is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shown {
    /// As a number.
    Number(f64),
    /// As `"Infinity"` or `"-Infinity"`.
    Infinity {
        /// Which of them.
        negative: bool,
    },
    /// As `"NaN"`.
    NotANumber,
    /// As `"NaN:0x…"`: one with other bits than the usual.
    Payload(u64),
}

impl Kind {
    fn of(bytes: usize) -> Self {
        match bytes {
            2 => Self { exponent: 5, fraction: 10 },
            4 => Self { exponent: 8, fraction: 23 },
            _ => Self { exponent: 11, fraction: 52 },
        }
    }

    fn infinity(self) -> u64 {
        ((1 << self.exponent) - 1) << self.fraction
    }

    fn not_a_number(self) -> u64 {
        self.infinity() | 1 << (self.fraction - 1)
    }

    fn sign(self) -> u64 {
        1 << (self.exponent + self.fraction)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Infinity { negative: false } => f.write_str("Infinity"),
            Self::Infinity { negative: true } => f.write_str("-Infinity"),
            Self::NotANumber => f.write_str("NaN"),
            Self::Payload(bits) => write!(f, "NaN:{bits:#x}"),
        }
    }
}

/// Reads the bits of a number of so many bytes. One of 4 bytes is the shortest decimal number that becomes it again.
pub(crate) fn show(bits: u64, bytes: usize) -> Shown {
    let kind = Kind::of(bytes);
    let size = bits & !kind.sign();
    if size == kind.infinity() {
        return Shown::Infinity { negative: bits != size };
    }
    if size > kind.infinity() {
        return if bits == kind.not_a_number() { Shown::NotANumber } else { Shown::Payload(bits) };
    }
    Shown::Number(match bytes {
        2 => half(bits, kind),
        4 => {
            let short = f32::from_bits(u32::try_from(bits).unwrap_or(0));
            // What is printed of any number can be read.
            short.to_string().parse().unwrap_or_else(|_| short.into())
        }
        _ => f64::from_bits(bits),
    })
}

/// Every number of two bytes is one of eight bytes.
fn half(bits: u64, kind: Kind) -> f64 {
    let fraction = bits & ((1 << kind.fraction) - 1);
    let exponent = (bits & !kind.sign()) >> kind.fraction;
    #[expect(clippy::cast_precision_loss, reason = "it has eleven bits")]
    let (whole, power) = match exponent {
        0 => (fraction as f64, -24),
        exponent => ((fraction | 1 << kind.fraction) as f64, i32::try_from(exponent).unwrap_or(0) - 25),
    };
    let size = whole * 2_f64.powi(power);
    if bits & kind.sign() == 0 { size } else { -size }
}

/// The bits of the nearest number of so many bytes, ties to the even one; none where there is only infinity.
pub(crate) fn nearest(number: f64, bytes: usize) -> Option<u64> {
    match bytes {
        2 => nearest_half(number),
        4 => {
            #[expect(clippy::cast_possible_truncation, reason = "the nearest is asked for")]
            let short = number as f32;
            short.is_finite().then(|| short.to_bits().into())
        }
        _ => Some(number.to_bits()),
    }
}

fn nearest_half(number: f64) -> Option<u64> {
    let kind = Kind::of(2);
    let sign = if number.is_sign_negative() { kind.sign() } else { 0 };
    let size = number.abs();
    // Numbers of two bytes are ordered as their bits are.
    let (mut low, mut high) = (0, kind.infinity());
    while high - low > 1 {
        let middle = low.midpoint(high);
        if half(middle, kind) <= size { low = middle } else { high = middle }
    }
    let (under, over) = (half(low, kind), half(low + 1, kind));
    // Behind the greatest comes what would be the next, half of the way to which rounds down.
    let middle = under + (over - under) / 2.0;
    let up = match size.total_cmp(&middle) {
        Ordering::Greater => true,
        Ordering::Equal => low % 2 == 1,
        Ordering::Less => false,
    };
    let bits = if up { low + 1 } else { low };
    (bits < kind.infinity()).then_some(sign | bits)
}

/// The bits of a number that JSON has a name for.
pub(crate) fn named(text: &str, bytes: usize) -> Option<u64> {
    let kind = Kind::of(bytes);
    match text {
        "NaN" => Some(kind.not_a_number()),
        "Infinity" => Some(kind.infinity()),
        "-Infinity" => Some(kind.sign() | kind.infinity()),
        _ => {
            let bits = u64::from_str_radix(text.strip_prefix("NaN:0x")?, 16).ok()?;
            let fits = bits < kind.sign().saturating_mul(2) || bytes == 8;
            (fits && bits & !kind.sign() > kind.infinity()).then_some(bits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(bits: u64, bytes: usize) -> Option<u64> {
        match show(bits, bytes) {
            Shown::Number(number) => nearest(number, bytes),
            other @ (Shown::Infinity { .. } | Shown::NotANumber | Shown::Payload(_)) => {
                named(&other.to_string(), bytes)
            }
        }
    }

    #[test]
    fn every_number_of_two_bytes_reads_as_it_is_shown() {
        for bits in 0..=0xffff {
            assert_eq!(again(bits, 2), Some(bits), "{bits:#x}");
        }
        assert_eq!(nearest(65_519.0, 2), Some(0x7bff));
        assert_eq!(nearest(65_520.0, 2), None);
        assert_eq!(nearest(1e39, 4), None);
        assert_eq!(show(0x3c00, 2), Shown::Number(1.0));
        assert_eq!(show(0.1_f32.to_bits().into(), 4), Shown::Number(0.1));
    }

    proptest::proptest! {
        #[test]
        fn numbers_read_as_they_are_shown(short: u32, long: u64) {
            assert_eq!(again(short.into(), 4), Some(short.into()));
            assert_eq!(again(long, 8), Some(long));
        }
    }
}
