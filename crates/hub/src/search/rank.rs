// SPDX-License-Identifier: Apache-2.0
//! What comes first: text × logarithm of pulls × recency × signed, as a sum of logarithms.
//!
//! All but the text is known when a package is indexed. Recency is a half-life, and all packages age alike, so that the order of two
//! never changes by itself. So a document's place in the index is its rank already, smaller for better: the best matches of a query
//! come first out of the postings, however many there are, and how well the text fits shifts a rank by a fixed distance.

/// A factor of two, in steps of ranks.
const DOUBLE: f64 = 64.0;
/// In so many milliseconds a release loses half of its weight: three years.
const HALF_LIFE_MS: f64 = 3.0 * 365.25 * 86_400_000.0;
/// 2020-01-01, so that numbers are small.
const EPOCH_MS: i64 = 1_577_836_800_000;
/// How many bits of a rank tell packages apart that are equally good.
const SERIAL_BITS: u32 = 24;
/// More than any weight.
const WORST: i64 = 1 << 20;

/// How well a text fits a query, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// The words together are the name.
    Exact,
    /// All words are in the name.
    Name,
    /// All words are in the name, the tags, the shelf or the publisher's name.
    Tags,
    /// All words are somewhere.
    Somewhere,
}

impl Fit {
    pub(super) const ALL: [Self; 4] = [Self::Exact, Self::Name, Self::Tags, Self::Somewhere];

    /// By how much it improves a rank.
    pub(super) fn advantage(self) -> i64 {
        let weight = match self {
            // Nothing else comes before it.
            Self::Exact => WORST,
            // Six times as much as a word somewhere.
            Self::Name => 165,
            // Two and a half times.
            Self::Tags => 85,
            Self::Somewhere => 0,
        };
        weight << SERIAL_BITS
    }
}

/// The rank of a package: unique by its serial number, and the smaller the better.
pub(super) fn rank(pulls: i64, released_ms: i64, is_signed: bool, serial: i64) -> i64 {
    #[expect(clippy::cast_precision_loss, reason = "an order of magnitude is what is wanted")]
    let (pulls, age_ms) = (pulls.max(0) as f64, (released_ms - EPOCH_MS) as f64);
    let popular = (1.0 + (1.0 + pulls).log2()).log2();
    let signed = if is_signed { 0.5 } else { 0.0 };
    let weight = (popular + age_ms / HALF_LIFE_MS + signed) * DOUBLE;
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and is far from that")]
    let weight = (weight.round() as i64).clamp(-WORST / 2, WORST / 2);
    ((WORST - weight) << SERIAL_BITS) | serial
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fit, SERIAL_BITS, rank};

    const YEAR_MS: i64 = 31_557_600_000;

    proptest! {
        #[test]
        fn more_pulls_and_a_later_release_never_make_it_worse(
            pulls in 0..1_000_000_000_i64, more in 0..1_000_000_i64, at in 0..50 * YEAR_MS, later in 0..YEAR_MS
        ) {
            let at = super::EPOCH_MS + at;
            prop_assert!(rank(pulls + more, at, false, 1) <= rank(pulls, at, false, 1));
            prop_assert!(rank(pulls, at + later, false, 1) <= rank(pulls, at, false, 1));
            prop_assert!(rank(pulls, at, true, 1) < rank(pulls, at, false, 1));
        }

        #[test]
        fn two_packages_never_have_the_same_rank(pulls in 0..9_i64, one in 1..1_000_i64, other in 1001..2_000_i64) {
            prop_assert_ne!(rank(pulls, 0, true, one), rank(pulls, 0, true, other));
        }
    }

    #[test]
    fn nothing_is_better_than_the_exact_name() {
        let (unknown, famous) = (rank(0, super::EPOCH_MS, false, 1), rank(i64::MAX, 90 * YEAR_MS, true, 2));
        assert!(unknown - Fit::Exact.advantage() < famous - Fit::Name.advantage());
    }

    #[test]
    fn half_the_weight_is_lost_in_three_years() {
        let gone = rank(0, 50 * YEAR_MS, false, 0) - rank(0, 53 * YEAR_MS, false, 0);
        assert_eq!(gone >> SERIAL_BITS, 64, "one factor of two");
    }
}
