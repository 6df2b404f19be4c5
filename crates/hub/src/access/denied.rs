// SPDX-License-Identifier: Apache-2.0
//! Why somebody may not do something.

use std::fmt;

use thiserror::Error;

use super::action::{Action, Resource};

/// Somebody may not do that.
#[derive(Debug, Error)]
pub(crate) enum Denied {
    /// What was shown is not, or no longer, good.
    #[error("these credentials do not count: {problem}")]
    Credentials { problem: &'static str },
    /// A rule says so.
    #[error("`{caller}` may not {action} {resource}: {why}")]
    Rule { caller: String, action: Action, resource: Resource, why: Why, is_anonymous: bool },
    /// It was tried too often.
    #[error("too many attempts")]
    TooOften { wait_s: u64 },
    /// Nobody can tell.
    #[error("the database does not say who may do that")]
    Unknown(#[from] sqlx::Error),
}

/// Which rule says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// These policies forbid it.
    Forbidden(Vec<String>),
    /// None permits it.
    Unpermitted,
    /// The token is for other things.
    Scope,
    /// A token makes no other.
    TokenByToken,
    /// The account was closed.
    Closed,
}

impl Denied {
    /// That something was tried too often, and may be tried again after so many milliseconds.
    pub(crate) fn too_often(wait_ms: i64) -> Self {
        Self::TooOften { wait_s: u64::try_from(wait_ms).unwrap_or(0).div_ceil(1000).max(1) }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Credentials { .. } | Self::Rule { is_anonymous: true, .. } => 401,
            Self::Rule { is_anonymous: false, .. } => 403,
            Self::TooOften { .. } => 429,
            Self::Unknown(_) => 503,
        }
    }

    /// The code in an error of the OCI distribution specification.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Credentials { .. } | Self::Rule { is_anonymous: true, .. } => "UNAUTHORIZED",
            Self::Rule { is_anonymous: false, .. } => "DENIED",
            Self::TooOften { .. } => "TOOMANYREQUESTS",
            Self::Unknown(_) => "UNAVAILABLE",
        }
    }

    /// What to do.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Credentials { .. } => "make another token, or log in again".to_owned(),
            Self::Rule { is_anonymous: true, .. } => "log in first".to_owned(),
            Self::Rule { why: Why::Scope, .. } => "make a token with a scope for that".to_owned(),
            Self::Rule { why: Why::TokenByToken, .. } => "log in by the password, or in a browser".to_owned(),
            Self::Rule { .. } => {
                "an owner of the publisher can make you a member; docs/hub-access.md tells who may do what"
                    .to_owned()
            }
            Self::TooOften { wait_s } => format!("wait {wait_s} s"),
            Self::Unknown(_) => "try again later".to_owned(),
        }
    }

    /// How many seconds to wait before it is tried again.
    pub(crate) fn wait_s(&self) -> Option<u64> {
        match self {
            Self::TooOften { wait_s } => Some(*wait_s),
            Self::Unknown(_) => Some(5),
            Self::Credentials { .. } | Self::Rule { .. } => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(policies) => {
                let policies: Vec<String> = policies.iter().map(|policy| format!("`{policy}`")).collect();
                write!(f, "forbidden by rule {}", policies.join(", "))
            }
            Self::Unpermitted => f.write_str("no rule permits it"),
            Self::Scope => f.write_str("rule `token-scope`: the token is not for that"),
            Self::TokenByToken => f.write_str("rule `token-by-token`: a token makes no other"),
            Self::Closed => f.write_str("rule `closed`: the account was closed"),
        }
    }
}
