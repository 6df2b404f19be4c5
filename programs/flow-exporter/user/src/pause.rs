// SPDX-License-Identifier: Apache-2.0
//! When it is, and how long to wait after something failed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::record::Clock;

/// The first wait; each one after is twice as long, up to the last.
const FIRST: Duration = Duration::from_millis(250);
const LAST: Duration = Duration::from_secs(30);

/// When it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// By `CLOCK_MONOTONIC`, as programs in the kernel have it.
    pub(crate) ns: u64,
    /// Since 1970.
    pub(crate) seconds: u32,
    pub(crate) clock: Clock,
}

impl Now {
    /// Looks at the clocks.
    pub(crate) fn read() -> Self {
        let monotonic = clock_gettime(ClockId::Monotonic);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ns = u64::try_from(monotonic.tv_sec).unwrap_or_default() * 1_000_000_000
            + u64::try_from(monotonic.tv_nsec).unwrap_or_default();
        let unix_ns = i128::try_from(since_1970.as_nanos()).unwrap_or_default();
        // `exportTime` has 32 bits and begins anew in 2106 (RFC 7011, section 3.1).
        let seconds = u32::try_from(since_1970.as_secs() & u64::from(u32::MAX)).unwrap_or_default();
        Self { ns, seconds, clock: Clock { ahead_ns: unix_ns - i128::from(ns) } }
    }

    /// The time so much later, in nanoseconds.
    pub(crate) fn after(&self, time: Duration) -> u64 {
        self.ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// Waits that become longer.
#[derive(Debug)]
pub(crate) struct Pause {
    until_ns: u64,
    next: Duration,
}

impl Pause {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { until_ns: 0, next: FIRST }
    }

    /// Whether something may be tried.
    pub(crate) fn is_over(&self, now: &Now) -> bool {
        now.ns >= self.until_ns
    }

    /// It failed. Returns whether it did not fail the time before, so that it is worth a line in the log.
    pub(crate) fn lengthen(&mut self, now: &Now) -> bool {
        let is_first = self.next == FIRST;
        self.until_ns = now.after(self.next);
        self.next = (self.next * 2).min(LAST);
        is_first
    }

    /// It succeeded.
    pub(crate) fn end(&mut self) {
        *self = Self::new();
    }
}
