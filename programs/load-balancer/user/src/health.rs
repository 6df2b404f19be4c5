// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Whether a backend is well, by what its checks said: not by one of them, but by several in a row.

use std::time::Duration;

use crate::maglev::mixed;

/// How many checks in a row change something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    /// Successes, until a backend that was ill is well.
    pub(crate) rise: u32,
    /// Failures, until a backend that was well is ill.
    pub(crate) fall: u32,
}

/// What checks say of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// It was not checked so far.
    Unknown,
    /// It is well; so many checks in a row failed.
    Up(u32),
    /// It is ill; so many checks in a row succeeded.
    Down(u32),
}

impl Health {
    /// What it is after one more check. The first check decides alone.
    pub(crate) fn after(self, succeeded: bool, thresholds: Thresholds) -> Self {
        match (self, succeeded) {
            (Self::Unknown | Self::Up(_), true) => Self::Up(0),
            (Self::Unknown | Self::Down(_), false) => Self::Down(0),
            (Self::Up(failures), false) if failures + 1 >= thresholds.fall => Self::Down(0),
            (Self::Up(failures), false) => Self::Up(failures + 1),
            (Self::Down(successes), true) if successes + 1 >= thresholds.rise => Self::Up(0),
            (Self::Down(successes), true) => Self::Down(successes + 1),
        }
    }

    pub(crate) fn is_up(self) -> bool {
        matches!(self, Self::Up(_))
    }

    /// How many checks in a row said the contrary of what it is.
    pub(crate) fn streak(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Up(streak) | Self::Down(streak) => streak,
        }
    }
}

/// How long to wait for the next check: the interval, and up to a tenth of it more or less, so that checks do not come all at once.
/// Of one backend (`seed`), each wait (`turn`) is another one.
pub(crate) fn pause(interval: Duration, seed: u64, turn: u64) -> Duration {
    /// In parts of the interval.
    const PARTS: u32 = 1000;
    let spread = mixed(seed.rotate_left(32) ^ turn) % u64::from(PARTS / 5 + 1);
    let spread = u32::try_from(spread).unwrap_or_default();
    interval * (PARTS - PARTS / 10 + spread) / PARTS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { rise: 2, fall: 3 };

    fn told(begin: Health, checks: &str) -> Health {
        checks.bytes().fold(begin, |health, check| health.after(check == b'+', THRESHOLDS))
    }

    #[test]
    fn the_first_check_decides() {
        assert_eq!(told(Health::Unknown, "+"), Health::Up(0));
        assert_eq!(told(Health::Unknown, "-"), Health::Down(0));
    }

    #[test]
    fn a_backend_falls_and_rises_by_checks_in_a_row() {
        assert_eq!(told(Health::Up(0), "--"), Health::Up(2));
        assert_eq!(told(Health::Up(0), "--+--"), Health::Up(2));
        assert_eq!(told(Health::Up(0), "---"), Health::Down(0));
        assert_eq!(told(Health::Down(0), "+-+"), Health::Down(1));
        assert_eq!(told(Health::Down(0), "++"), Health::Up(0));
    }

    proptest! {
        #[test]
        fn it_never_changes_without_as_many_in_a_row(checks in "[+-]{1,60}", rise in 1_u32..6, fall in 1_u32..6) {
            let thresholds = Thresholds { rise, fall };
            let mut health = Health::Up(0);
            let mut row = (b' ', 0);
            for check in checks.bytes() {
                row = (check, if row.0 == check { row.1 + 1 } else { 1 });
                let next = health.after(check == b'+', thresholds);
                if next.is_up() != health.is_up() {
                    prop_assert_eq!(row, if next.is_up() { (b'+', rise) } else { (b'-', fall) });
                }
                health = next;
            }
        }

        #[test]
        fn pauses_are_near_the_interval(milliseconds in 100_u64..300_000, seed: u64, turn: u64) {
            let interval = Duration::from_millis(milliseconds);
            let pause = pause(interval, seed, turn);
            prop_assert!(pause >= interval.mul_f64(0.9) && pause <= interval.mul_f64(1.1), "{pause:?}");
        }
    }
}
