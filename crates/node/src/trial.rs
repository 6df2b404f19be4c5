// SPDX-License-Identifier: Apache-2.0
//! A generation on trial: it is in force until somebody confirms it in time, or else the one before returns.
//!
//! Time is that since the machine started, sleep included (`CLOCK_BOOTTIME`): a clock that is set ends no trial, and a restart
//! of the machine ends every one.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::durable;

/// How long a change may take to be in effect. A daemon that takes longer hangs.
const TO_APPLY: Duration = Duration::from_mins(1);

/// Who is on trial, and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// The generation.
    pub(crate) number: u64,
    /// Since when the machine runs, as a name (`/proc/sys/kernel/random/boot_id`).
    boot: String,
    /// For how long the machine will have run when the trial ends.
    until: Duration,
    /// For how long the trial was meant to be.
    pub(crate) seconds: u32,
    /// Whether somebody must confirm it; else it is enough that its checks pass.
    pub(crate) by_hand: bool,
}

impl Trial {
    /// A trial that is about to begin. Its time counts from when the change is in effect; until then there is some for that.
    pub(crate) fn of(number: u64, seconds: u32, by_hand: bool) -> io::Result<Self> {
        let trial = Self { number, boot: boot()?, until: Duration::ZERO, seconds, by_hand };
        Ok(Self { until: uptime() + TO_APPLY + trial.length(), ..trial })
    }

    /// The same trial, now that the change is in effect.
    pub(crate) fn begun(&self) -> Self {
        Self { until: uptime() + self.length(), ..self.clone() }
    }

    /// How long it goes on.
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_sub(uptime())
    }

    /// Whether it is this one, begun or not.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.number, &self.boot) == (other.number, &other.boot)
    }

    fn length(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds))
    }

    /// Whether the machine was not started again meanwhile. Where that cannot be told it was.
    pub(crate) fn is_of_this_boot(&self) -> bool {
        boot().is_ok_and(|boot| boot == self.boot)
    }
}

/// The file that keeps it: `<state>/trial.json`.
#[derive(Debug)]
pub(crate) struct TrialFile {
    path: PathBuf,
}

impl TrialFile {
    pub(crate) fn new(state: &Path) -> Self {
        Self { path: state.join("trial.json") }
    }

    pub(crate) fn read(&self) -> io::Result<Option<Trial>> {
        durable::read_json(&self.path)
    }

    pub(crate) fn write(&self, trial: &Trial) -> io::Result<()> {
        durable::write_json(&self.path, trial)
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        durable::remove(&self.path)
    }
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// For how long the machine has been running.
fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or_default(),
        u32::try_from(now.tv_nsec).unwrap_or_default(),
    )
}
