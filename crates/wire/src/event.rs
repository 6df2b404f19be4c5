// SPDX-License-Identifier: Apache-2.0
//! What happened on a node.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Something happened on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Greater than that of all events before, also of earlier runs of the daemon.
    pub number: u64,
    /// When (RFC 3339).
    pub at: String,
    /// What kind of thing.
    pub kind: EventKind,
    /// What, in words.
    pub text: String,
    /// The steps that were taken for it, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Who did it, where that was seen: processes, and their commands of bpf(2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
}

/// Kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A document became the desired state, and was reached.
    Accepted,
    /// A generation on trial stays.
    Confirmed,
    /// A generation on trial was given up for the one before.
    GivenUp,
    /// Somebody else changed the kernel, and it was repaired.
    Drift,
    /// What is desired cannot be reached, or not be verified.
    Problem,
    /// A problem is over.
    Solved,
    /// A package is trusted no longer.
    Alarm,
    /// An alarm is over.
    AlarmOver,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::GivenUp => "given up",
            Self::Drift => "drift",
            Self::Problem => "problem",
            Self::Solved => "solved",
            Self::Alarm => "alarm",
            Self::AlarmOver => "alarm over",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {:<10} {}", self.at, self.kind, self.text)?;
        if self.by.is_empty() { Ok(()) } else { write!(f, "; {}", self.by.join(", ")) }
    }
}
