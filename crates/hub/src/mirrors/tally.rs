// SPDX-License-Identifier: Apache-2.0
//! How often rules were carried out by this hub, and what became of releases, for its metrics.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use super::rows::Outcome;

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    whole: AtomicU64,
    halted: AtomicU64,
    mirrored: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    gone: AtomicU64,
    removed: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    /// Counts a run.
    pub(super) fn ran(&self, was_whole: bool) {
        let counter = if was_whole { &self.whole } else { &self.halted };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what newly became of a release.
    pub(super) fn became(&self, outcome: Outcome) {
        self.of(outcome).fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes that were fetched.
    pub(super) fn fetched(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn of(&self, outcome: Outcome) -> &AtomicU64 {
        match outcome {
            Outcome::Mirrored => &self.mirrored,
            Outcome::Refused => &self.refused,
            Outcome::Failed => &self.failed,
            Outcome::Gone => &self.gone,
            Outcome::Removed => &self.removed,
        }
    }

    /// Writes what was counted, as `OpenMetrics` has it.
    ///
    /// # Errors
    /// Those of the text.
    pub(crate) fn write(&self, text: &mut impl Write) -> fmt::Result {
        writeln!(text, "# TYPE l3af_hub_mirror_runs counter")?;
        writeln!(text, "# HELP l3af_hub_mirror_runs Rules of mirrors that were carried out.")?;
        for (result, counter) in [("whole", &self.whole), ("halted", &self.halted)] {
            let count = counter.load(Ordering::Relaxed);
            writeln!(text, "l3af_hub_mirror_runs_total{{result=\"{result}\"}} {count}")?;
        }
        writeln!(text, "# TYPE l3af_hub_mirror_releases counter")?;
        writeln!(text, "# HELP l3af_hub_mirror_releases Releases that became so by a rule of a mirror.")?;
        for outcome in Outcome::ALL {
            let (name, count) = (outcome.name(), self.of(outcome).load(Ordering::Relaxed));
            writeln!(text, "l3af_hub_mirror_releases_total{{outcome=\"{name}\"}} {count}")?;
        }
        writeln!(text, "# TYPE l3af_hub_mirror_fetched_bytes counter")?;
        writeln!(text, "# UNIT l3af_hub_mirror_fetched_bytes bytes")?;
        writeln!(text, "# HELP l3af_hub_mirror_fetched_bytes Bytes that were fetched for mirrors.")?;
        writeln!(text, "l3af_hub_mirror_fetched_bytes_total {}", self.bytes.load(Ordering::Relaxed))
    }
}
