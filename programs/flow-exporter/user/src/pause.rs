// SPDX-License-Identifier: Apache-2.0
//! When it is, and how long to wait after something failed.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

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
        let (monotonic, unix) = (clock_gettime(ClockId::Monotonic), clock_gettime(ClockId::Realtime));
        let ahead_ns = nanoseconds(unix) - nanoseconds(monotonic);
        // The time of a message has 32 bits and begins anew in 2106 (RFC 7011, section 3.1).
        let seconds = u32::try_from(unix.tv_sec & i64::from(u32::MAX)).unwrap_or_default();
        let ns = u64::try_from(nanoseconds(monotonic)).unwrap_or_default();
        Self { ns, seconds, clock: Clock { ahead_ns } }
    }

    /// The time so much later, in nanoseconds.
    pub(crate) fn after(&self, time: Duration) -> u64 {
        self.ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    }
}

fn nanoseconds(time: Timespec) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
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
