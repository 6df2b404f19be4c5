// SPDX-License-Identifier: Apache-2.0
//! How far a release is on its way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// How far a release is on its way from being pushed to being had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits to be checked.
    Pending,
    /// It is being checked.
    Checking,
    /// It passed the checks and waits for reviewers.
    Review,
    /// A check failed or a reviewer asks for something. What is pushed beside it has it checked again.
    ChangesAsked,
    /// Everybody may have it.
    Released,
    /// Reviewers refused it. Its bytes are refused under any other name.
    Rejected,
    /// Everybody may have it who names its digest or version, and nobody is led to it.
    Yanked,
    /// It is gone, and its version is never used again.
    Deleted,
    /// An administrator took it down: nobody is given it, and its bytes are refused under any other name.
    TakenDown,
}

/// A text is not a state of a release.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a state of a release")]
pub struct UnknownState {
    /// What was given.
    pub given: String,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Checking,
        Self::Review,
        Self::ChangesAsked,
        Self::Released,
        Self::Rejected,
        Self::Yanked,
        Self::Deleted,
        Self::TakenDown,
    ];

    /// The text of the state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Checking => "checking",
            Self::Review => "review",
            Self::ChangesAsked => "changes-asked",
            Self::Released => "released",
            Self::Rejected => "rejected",
            Self::Yanked => "yanked",
            Self::Deleted => "deleted",
            Self::TakenDown => "taken-down",
        }
    }

    /// Whether everybody may have the release.
    pub fn is_public(self) -> bool {
        matches!(self, Self::Released | Self::Yanked)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| UnknownState { given: text.to_owned() })
    }
}
