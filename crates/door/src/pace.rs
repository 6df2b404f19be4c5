// SPDX-License-Identifier: Apache-2.0
//! How often a caller may ask for something. Each has a bucket that fills up within a minute.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_mins(1);

/// How many callers are told apart. Of more than that, those are forgotten first who asked for nothing lately.
const CALLERS: usize = 1024;

/// The buckets of all callers.
#[derive(Debug)]
pub struct Pace {
    per_minute: NonZeroU32,
    /// When the bucket of each will be full.
    full: Mutex<BTreeMap<String, Instant>>,
}

impl Pace {
    /// So many for each within a minute.
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self { per_minute, full: Mutex::default() }
    }

    /// Counts one call of a caller.
    ///
    /// # Errors
    /// When it were too many; then how long to wait.
    pub fn take(&self, caller: &str, now: Instant) -> Result<(), Duration> {
        let each = MINUTE / self.per_minute.get();
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if full.len() >= CALLERS {
            full.retain(|_, full| *full > now);
        }
        // A bucket that is full a minute from now is empty.
        let next = full.get(caller).copied().unwrap_or(now).max(now) + each;
        let excess = next.saturating_duration_since(now + MINUTE);
        if excess > Duration::ZERO {
            return Err(excess);
        }
        full.insert(caller.to_owned(), next);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_so_many_at_once_and_then_one_at_a_time() {
        let pace = Pace::new(NonZeroU32::new(3).unwrap());
        let now = Instant::now();
        let take = |caller, seconds| pace.take(caller, now + Duration::from_secs(seconds));
        assert!((0..3).all(|_| take("a", 0).is_ok()));
        assert_eq!(take("a", 0), Err(Duration::from_secs(20)));
        assert!(take("b", 0).is_ok(), "another caller has a bucket of its own");
        assert_eq!(take("a", 15), Err(Duration::from_secs(5)));
        assert!(take("a", 20).is_ok());
        assert_eq!(take("a", 20), Err(Duration::from_secs(20)));
        assert!((0..3).all(|_| take("a", 3600).is_ok()) && take("a", 3600).is_err());
    }

    #[test]
    fn callers_are_forgotten_when_their_buckets_are_full() {
        let pace = Pace::new(NonZeroU32::new(60).unwrap());
        let now = Instant::now();
        (0..CALLERS).for_each(|caller| pace.take(&caller.to_string(), now).unwrap());
        pace.take("last", now + MINUTE).unwrap();
        assert_eq!(pace.full.lock().unwrap().len(), 1);
    }
}
