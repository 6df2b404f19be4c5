// SPDX-License-Identifier: Apache-2.0
//! Bounds in C: numbers as the compiler takes them, and the statements that compare with them.

use maps::Number;

use crate::model::{Real, Whole};

/// What a number is held against.
pub(super) struct Bounds {
    /// Whether it is an integer that may be negative.
    signed: bool,
    min: Option<Number>,
    max: Option<Number>,
}

impl From<&Whole> for Bounds {
    fn from(whole: &Whole) -> Self {
        Self { signed: whole.signed, min: whole.min, max: whole.max }
    }
}

impl From<&Real> for Bounds {
    fn from(real: &Real) -> Self {
        Self { signed: false, min: real.min, max: real.max }
    }
}

impl Bounds {
    /// One of them. Beside a number without a sign C takes the sign from the other, so that -1 would be the greatest of all.
    fn literal(&self, bound: Number) -> String {
        let text = literal(bound);
        match bound.magnitude() {
            0..=MOST => text.replace("ULL", "LL"),
            _ if self.signed && !bound.is_negative() => format!("(__int128){text}"),
            _ => text,
        }
    }
}

/// The greatest number that `long long` holds.
const MOST: u128 = i64::MAX as u128;

/// The statements that hold a number against its bounds.
pub(super) fn bounds(value: &str, what: &str, of: &Bounds) -> Vec<String> {
    let min = of.min.map(|min| ("<", min, "at least"));
    let max = of.max.map(|max| (">", max, "at most"));
    let line = |(sign, bound, words): (&str, Number, &str)| {
        let text = of.literal(bound);
        format!("wrong = wrong ? wrong : {value} {sign} {text} ? \"{what} must be {words} {bound}\" : NULL;")
    };
    min.into_iter().chain(max).map(line).collect()
}

/// A number, as C takes it.
pub(super) fn literal(number: Number) -> String {
    let magnitude = number.magnitude();
    let (high, low) = (magnitude >> 64, magnitude & u128::from(u64::MAX));
    match (high, number.is_negative()) {
        (0, false) => format!("{low}ULL"),
        (0, true) if low <= 1 << 63 => format!("(-{}LL - 1)", low - 1),
        (_, false) => format!("((unsigned __int128){high}ULL << 64 | {low}ULL)"),
        (_, true) => format!("(-(__int128)((unsigned __int128){high}ULL << 64 | {low}ULL))"),
    }
}
