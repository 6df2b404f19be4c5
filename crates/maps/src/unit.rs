// SPDX-License-Identifier: Apache-2.0
//! Units: what one of a number is, and how text with another unit becomes a number of it: `64MiB` of bytes is 67108864.
//!
//! A conversion is exact or refused; nothing is rounded.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Number;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
    /// Minutes.
    Min,
    /// Hours.
    H,
}

/// What one of a number is: `B`, `ms`, `/s`, `packets/s`, or any other word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unit(String);

/// Why text is no amount of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAmount {
    /// It does not begin with a number.
    Number,
    /// It has a unit that does not become this one.
    Unit,
    /// It is no whole number of the unit.
    Inexact,
    /// It is more than any number here.
    Range,
}

/// All units of time, the longest first.
const TIMES: [TimeUnit; 6] =
    [TimeUnit::H, TimeUnit::Min, TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];
/// Prefixes of the SI, and those of IEC 80000-13.
const PREFIXES: [(&str, u128); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

impl TimeUnit {
    /// How it is written behind a number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Us => "us",
            Self::Ms => "ms",
            Self::S => "s",
            Self::Min => "min",
            Self::H => "h",
        }
    }

    /// How many nanoseconds it has.
    pub fn nanoseconds(self) -> u128 {
        match self {
            Self::Ns => 1,
            Self::Us => 1_000,
            Self::Ms => 1_000_000,
            Self::S => 1_000_000_000,
            Self::Min => 60_000_000_000,
            Self::H => 3_600_000_000_000,
        }
    }

    /// The unit of a name.
    pub fn named(name: &str) -> Option<Self> {
        TIMES.into_iter().find(|unit| unit.name() == name)
    }
}

/// So much time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Duration(pub(crate) Number, pub(crate) TimeUnit);

/// In the longest unit of which it is a whole number.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, unit) = *self;
        if number == Number::ZERO {
            return f.write_str("0s");
        }
        let Some(all) = number.magnitude().checked_mul(unit.nanoseconds()) else {
            return write!(f, "{number}{}", unit.name());
        };
        let longest = TIMES.into_iter().find(|longest| all.is_multiple_of(longest.nanoseconds()));
        let longest = longest.unwrap_or(unit);
        write!(f, "{}{}", Number::new(number.is_negative(), all / longest.nanoseconds()), longest.name())
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing<'a> {
    Count,
    Data,
    Time,
    Other(&'a str),
}

/// A unit, taken apart.
#[derive(Debug, Clone, Copy)]
struct Measure<'a> {
    thing: Thing<'a>,
    /// How many bits, nanoseconds or single things it has.
    scale: u128,
    /// Within how many nanoseconds.
    per: Option<u128>,
}

impl<'a> Measure<'a> {
    fn of(text: &'a str) -> Self {
        let rate = text.rsplit_once('/').and_then(|(thing, per)| Some((thing, TimeUnit::named(per)?)));
        let (thing, per) = rate.map_or((text, None), |(thing, per)| (thing, Some(per.nanoseconds())));
        let (thing, scale) = Self::thing(thing);
        Self { thing, scale, per }
    }

    fn thing(text: &'a str) -> (Thing<'a>, u128) {
        if let Some(time) = TimeUnit::named(text) {
            return (Thing::Time, time.nanoseconds());
        }
        let prefix = PREFIXES.into_iter().find(|(prefix, _)| {
            text.strip_prefix(prefix).is_some_and(|rest| matches!(rest, "" | "B" | "bit"))
        });
        let (rest, scale) = prefix.map_or((text, 1), |(prefix, scale)| (&text[prefix.len()..], scale));
        match rest {
            "" => (Thing::Count, scale),
            "B" => (Thing::Data, scale * 8),
            "bit" => (Thing::Data, scale),
            _ => (Thing::Other(text), 1),
        }
    }

    /// Plain counts are counts of whatever is counted.
    fn becomes(&self, other: &Self) -> bool {
        let same = match (self.thing, other.thing) {
            (Thing::Count, Thing::Other(_)) => true,
            (one, other) => one == other,
        };
        same && self.per.is_some() == other.per.is_some()
    }
}

impl Unit {
    /// The unit of a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The number that stands for text such as `100/s`, where this is the unit.
    pub(crate) fn amount(&self, text: &str) -> Result<Number, NotAmount> {
        if let Ok(number) = text.parse() {
            return Ok(number);
        }
        let (negative, size) = text.strip_prefix('-').map_or((false, text), |size| (true, size));
        let end = size.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(size.len());
        let (digits, given) = (&size[..end], size[end..].trim_start());
        let (wanted, given) = (Measure::of(&self.0), if given.is_empty() { &self.0 } else { given });
        let (mantissa, parts) = decimal(digits)?;
        let given = Measure::of(given);
        if !given.becomes(&wanted) {
            return Err(NotAmount::Unit);
        }
        let up = [given.scale, wanted.per.unwrap_or(1)];
        let down = [parts, wanted.scale, given.per.unwrap_or(1)];
        let magnitude = exactly(mantissa, up, down)?;
        if negative && magnitude > 1 << 127 {
            return Err(NotAmount::Range);
        }
        Ok(Number::new(negative, magnitude))
    }
}

impl From<TimeUnit> for Unit {
    fn from(unit: TimeUnit) -> Self {
        Self::new(unit.name())
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `1.5` is 15 of 10 parts.
fn decimal(digits: &str) -> Result<(u128, u128), NotAmount> {
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    if whole.is_empty() || part.is_empty() || part.contains('.') {
        return Err(NotAmount::Number);
    }
    let part = part.trim_end_matches('0');
    let length = u32::try_from(part.len()).ok().ok_or(NotAmount::Range)?;
    let parts = 10_u128.checked_pow(length).ok_or(NotAmount::Range)?;
    let mantissa = format!("{whole}{part}").parse().ok().ok_or(NotAmount::Range)?;
    Ok((mantissa, parts))
}

/// The product of a number with some, divided by others, where it is whole.
fn exactly(number: u128, up: [u128; 2], down: [u128; 3]) -> Result<u128, NotAmount> {
    let (mut number, mut up) = (number, up);
    let mut left = Vec::new();
    for mut by in down {
        for part in up.iter_mut().chain([&mut number]) {
            let common = greatest_common_divisor(*part, by);
            (*part, by) = (*part / common, by / common);
        }
        left.push(by);
    }
    if left.iter().any(|by| *by != 1) && number != 0 {
        return Err(NotAmount::Inexact);
    }
    up.into_iter().try_fold(number, u128::checked_mul).ok_or(NotAmount::Range)
}

/// Of a number that may be zero, and one that is not.
fn greatest_common_divisor(one: u128, other: u128) -> u128 {
    let (mut one, mut other) = (one, other);
    while one != 0 {
        (one, other) = (other % one, one);
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: &str, given: &str, wanted: Result<i64, NotAmount>) {
        assert_eq!(Unit::new(unit).amount(given), wanted.map(Number::from), "{given} in {unit}");
    }

    #[test]
    fn amounts_in_other_units_are_converted_exactly() {
        check("/s", "100/s", Ok(100));
        check("/s", "60/min", Ok(1));
        check("/s", "10k/s", Ok(10_000));
        check("packets/s", "100/s", Ok(100));
        check("packets/s", "100 packets/s", Ok(100));
        check("B", "64MiB", Ok(64 << 20));
        check("B", "1.5 KiB", Ok(1536));
        check("B", "16bit", Ok(2));
        check("B/s", "8Mbit/s", Ok(1_000_000));
        check("ms", "1.5s", Ok(1500));
        check("ms", "250", Ok(250));
        check("ms", "-2s", Ok(-2000));
        check("%", "50%", Ok(50));
    }

    #[test]
    fn what_would_be_rounded_or_is_something_else_is_refused() {
        check("/s", "1/min", Err(NotAmount::Inexact));
        check("s", "250ms", Err(NotAmount::Inexact));
        check("B", "1bit", Err(NotAmount::Inexact));
        check("B", "1.5", Err(NotAmount::Inexact));
        check("B", "10s", Err(NotAmount::Unit));
        check("/s", "10", Ok(10));
        check("/s", "10s", Err(NotAmount::Unit));
        check("B", "x", Err(NotAmount::Number));
        check("B", "1.2.3B", Err(NotAmount::Number));
        check("B", "400000000000000000000000000000000000000", Err(NotAmount::Range));
    }

    #[test]
    fn a_duration_is_told_in_its_longest_unit() {
        let told = |number: i64, unit| Duration(number.into(), unit).to_string();
        assert_eq!(told(250, TimeUnit::Ms), "250ms");
        assert_eq!(told(7_200_000, TimeUnit::Ms), "2h");
        assert_eq!(told(90, TimeUnit::S), "90s");
        assert_eq!(told(-1500, TimeUnit::Us), "-1500us");
        assert_eq!(told(0, TimeUnit::Ns), "0s");
    }

    proptest::proptest! {
        #[test]
        fn a_duration_reads_as_it_is_told(number: i64, which in 0..TIMES.len()) {
            let unit = TIMES[which];
            let told = Duration(number.into(), unit).to_string();
            assert_eq!(Unit::from(unit).amount(&told), Ok(number.into()));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-0-9.]{0,45}[a-zA-Z/ %]{0,6}") {
            for unit in ["", "B", "/s", "ms", "B/s", "x"] {
                let _ = Unit::new(unit).amount(&text);
            }
        }
    }
}
