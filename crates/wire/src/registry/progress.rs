// SPDX-License-Identifier: Apache-2.0
//! How far a package is: counters that somebody may look at while it comes or goes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many bytes of configurations and layers are to come or to go, and how many did.
#[derive(Debug, Default)]
pub struct Progress {
    expected: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// How many bytes there are in all, as far as is known by now.
    pub fn expected_bytes(&self) -> u64 {
        self.expected.load(Relaxed)
    }

    /// How many of them are done.
    pub fn done_bytes(&self) -> u64 {
        self.done.load(Relaxed)
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.expected.fetch_add(bytes, Relaxed);
    }

    pub(super) fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Relaxed);
    }

    /// What was done is to be done again.
    pub(super) fn retreat(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Relaxed);
    }
}
