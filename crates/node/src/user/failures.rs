// SPDX-License-Identifier: Apache-2.0
//! When a user program that ends again and again is given up for a while: systemd's `StartLimitBurst=` and
//! `StartLimitIntervalSec=`, with ends in place of starts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How many ends within how long are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patience {
    pub(super) most: u32,
    pub(super) window: Duration,
}

/// When a program ended, as far as that still counts.
#[derive(Debug)]
pub(super) struct Failures {
    patience: Patience,
    times: VecDeque<Instant>,
}

impl Failures {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, times: VecDeque::new() }
    }

    /// Notes that it ended. Returns whether that was once too often; then the count begins anew.
    pub(super) fn are_too_many(&mut self, now: Instant) -> bool {
        self.times.retain(|time| now.duration_since(*time) < self.patience.window);
        self.times.push_back(now);
        let too_many = self.times.len() >= usize::try_from(self.patience.most).unwrap_or(usize::MAX);
        if too_many {
            self.times.clear();
        }
        too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { most: 3, window: Duration::from_secs(10) };

    /// What is said to ends at these seconds.
    fn said(seconds: &[u64]) -> Vec<bool> {
        let (mut failures, begin) = (Failures::new(PATIENCE), Instant::now());
        seconds.iter().map(|second| failures.are_too_many(begin + Duration::from_secs(*second))).collect()
    }

    #[test]
    fn only_ends_within_the_window_count() {
        assert_eq!(said(&[0, 1, 2, 3]), [false, false, true, false]);
        assert_eq!(said(&[0, 9, 10, 19, 20, 21]), [false, false, false, false, false, true]);
        assert_eq!(said(&[0, 20, 40, 60, 80, 100]), [false; 6]);
    }

    proptest::proptest! {
        #[test]
        fn it_is_given_up_only_after_so_many_ends_within_the_window(gaps in proptest::collection::vec(0_u64..12, 0..60)) {
            let times: Vec<u64> = gaps.iter().scan(0, |time, gap| { *time += gap; Some(*time) }).collect();
            let most = PATIENCE.most as usize;
            let mut last = None;
            for (index, too_many) in said(&times).into_iter().enumerate() {
                let first = (index + 1).checked_sub(most);
                let fresh = first.filter(|first| last.is_none_or(|last| *first > last));
                let expected = fresh.is_some_and(|first| times[index] - times[first] < PATIENCE.window.as_secs());
                assert_eq!(too_many, expected, "{times:?} at {index}");
                if too_many { last = Some(index); }
            }
        }
    }
}
