// SPDX-License-Identifier: Apache-2.0
//! When what nobody needs is removed: the section `[sweep]`.

use serde::Deserialize;

/// When what nobody needs is removed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SweepConfig {
    /// How often it is looked for. 600.
    pub every_seconds: u64,
    /// For how long it stays after it was last pushed or needed: a push of a large image takes its time. 86400, a day.
    pub grace_seconds: u64,
    /// For how long an upload can be gone on with after its last piece. 86400, a day.
    pub upload_seconds: u64,
    /// How often objects are looked for that no row knows, which a crash may leave behind. 86400, a day.
    pub strays_every_seconds: u64,
}

impl Default for SweepConfig {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self { every_seconds: 600, grace_seconds: DAY, upload_seconds: DAY, strays_every_seconds: DAY }
    }
}
