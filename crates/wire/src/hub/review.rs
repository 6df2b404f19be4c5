// SPDX-License-Identifier: Apache-2.0
//! What people say of releases before they are released, and who may.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use utoipa::ToSchema;

/// What a reviewer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may be released.
    Approve,
    /// It must not be released, and neither must its bytes under another name.
    Reject,
    /// Something must be done first.
    Changes,
    /// Nothing but words.
    Comment,
}

/// A text is not a decision.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is no decision; those are `approve`, `reject`, `changes` and `comment`")]
pub struct UnknownDecision {
    /// What was given.
    pub given: String,
}

/// What a reviewer hands in: a decision is signed by the reviewer's own key, and words alone need not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReview {
    /// The DSSE envelope with the statement; none for words alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub envelope: Option<Value>,
    /// Words alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What a reviewer said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReviewView {
    /// Who, by handle.
    pub reviewer: String,
    /// What.
    pub decision: Decision,
    /// Why, in words.
    pub text: String,
    /// When (RFC 3339).
    pub at: String,
    /// The manifest that refers to the release with the signed statement; none for words alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
}

/// A release that waits for reviewers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// Who publishes it.
    pub publisher: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of its index.
    pub digest: String,
    /// When it was pushed (RFC 3339).
    pub pushed: String,
    /// How many approved it.
    pub approvals: u64,
    /// How many must.
    pub needed: u64,
}

/// A key by which a reviewer signs decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewKey {
    /// The public key, or the two of a hybrid, as PEM.
    pub pem: String,
}

/// A key that the hub takes decisions by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReviewKeyView {
    /// The digest of the key; of a hybrid those of both, with `+` between.
    pub key: String,
    /// The public key, as PEM.
    pub pem: String,
    /// Since when (RFC 3339).
    pub added: String,
}

/// A version of a publisher's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootView {
    /// Its version.
    pub version: u64,
    /// What machines pin.
    pub digest: String,
    /// From when on nothing new is accepted under it (RFC 3339).
    pub expires: String,
}

/// Who must look at releases before they are released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewPolicy {
    /// How many reviewers must approve. With 0, what passes the checks is released.
    pub approvals: u64,
    /// Whether members of the publisher, and whoever pushed it, count as reviewers.
    pub own: bool,
}

/// What a hub is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    /// What it is called.
    pub name: String,
    /// What whoever publishes or pulls with a login must have accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
}

impl Decision {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Approve, Self::Reject, Self::Changes, Self::Comment];

    /// The text of the decision.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Changes => "changes",
            Self::Comment => "comment",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Decision {
    type Err = UnknownDecision;

    fn from_str(text: &str) -> Result<Self, UnknownDecision> {
        let found = Self::ALL.into_iter().find(|decision| decision.as_str() == text);
        found.ok_or_else(|| UnknownDecision { given: text.to_owned() })
    }
}
