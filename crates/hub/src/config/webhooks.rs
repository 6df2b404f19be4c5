// SPDX-License-Identifier: Apache-2.0
//! `[webhooks]`: what is told to others when something happens.

use serde::Deserialize;

use crate::events::Reach;

/// What is told to others when something happens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WebhooksConfig {
    /// Whether addresses of this machine and of private networks may be told, and addresses without TLS. `false`: whoever may
    /// have webhooks could look around there otherwise.
    pub anywhere: bool,
}

impl WebhooksConfig {
    /// Where requests may go.
    pub(crate) fn reach(&self) -> Reach {
        if self.anywhere { Reach::Anywhere } else { Reach::Public }
    }
}
