// SPDX-License-Identifier: Apache-2.0
//! `[reports]`: who may report something to the administrators.

use serde::Deserialize;

/// Who may report something to the administrators.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportsConfig {
    /// Whether one need not log in for it. `false`.
    pub anonymous: bool,
    /// How many an account, or an address, may make within an hour. 10.
    pub per_hour: u32,
}

impl Default for ReportsConfig {
    fn default() -> Self {
        Self { anonymous: false, per_hour: 10 }
    }
}
