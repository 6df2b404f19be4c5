// SPDX-License-Identifier: Apache-2.0
//! What accounts are called, and what they can be at the hub and for publishers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// The most characters of a handle.
const LONGEST: usize = 39;

/// What an account is called: lower-case letters, digits, and single hyphens between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9](-?[a-z0-9])*$", min_length = 2, max_length = 39)]
pub(crate) struct Handle(String);

/// A text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` is no handle: it must be 2 to {LONGEST} lower-case letters and digits, with single hyphens between them"
)]
pub(crate) struct BadHandle {
    given: String,
}

/// What an account may do at the hub, whoever publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// To fetch what is public, and what publishers let it fetch.
    Reader,
    /// Also to found publishers.
    Contributor,
    /// Also to review what anybody publishes.
    Reviewer,
    /// Everything.
    Administrator,
}

/// What a member may do with what a publisher has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MemberRole {
    /// To fetch it, also what is not public.
    Reader,
    /// Also to push.
    Contributor,
    /// To fetch it, and to review.
    Reviewer,
    /// All of that, to delete and to yank, and to say who is a member.
    Owner,
}

impl Handle {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Handle {
    type Error = BadHandle;

    fn try_from(text: String) -> Result<Self, BadHandle> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_letter);
        let is_handle = (2..=LONGEST).contains(&text.len()) && text.split('-').all(is_part);
        if is_handle { Ok(Self(text)) } else { Err(BadHandle { given: text }) }
    }
}

impl FromStr for Handle {
    type Err = BadHandle;

    fn from_str(text: &str) -> Result<Self, BadHandle> {
        text.to_owned().try_into()
    }
}

impl From<Handle> for String {
    fn from(handle: Handle) -> Self {
        handle.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::Reader, Self::Contributor, Self::Reviewer, Self::Administrator];

    /// As the database has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Contributor => "contributor",
            Self::Reviewer => "reviewer",
            Self::Administrator => "administrator",
        }
    }

    /// What the database has; what it does not know is the least.
    pub(crate) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|role| role.name() == name).unwrap_or(Self::Reader)
    }
}

impl MemberRole {
    pub(crate) const ALL: [Self; 4] = [Self::Reader, Self::Contributor, Self::Reviewer, Self::Owner];

    /// As the database has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Contributor => "contributor",
            Self::Reviewer => "reviewer",
            Self::Owner => "owner",
        }
    }

    /// What the database has; what it does not know is the least.
    pub(crate) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|role| role.name() == name).unwrap_or(Self::Reader)
    }

    /// The roles that are part of it, itself among them.
    pub(crate) fn with_lesser(self) -> &'static [Self] {
        match self {
            Self::Reader => &[Self::Reader],
            Self::Contributor => &[Self::Reader, Self::Contributor],
            Self::Reviewer => &[Self::Reader, Self::Reviewer],
            Self::Owner => &Self::ALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_are_plain() {
        for text in ["ab", "a-b", "0x", "l3af-project", &"a".repeat(LONGEST)] {
            assert_eq!(text.parse::<Handle>().map(String::from), Ok(text.to_owned()));
        }
        for text in ["", "a", "-a", "a-", "a--b", "A1", "a_b", "a.b", "a/b", "é1", &"a".repeat(LONGEST + 1)]
        {
            assert!(text.parse::<Handle>().is_err(), "`{text}`");
        }
    }

    #[test]
    fn roles_are_read_as_they_are_kept() {
        assert!(Role::ALL.into_iter().all(|role| Role::named(role.name()) == role));
        assert!(MemberRole::ALL.into_iter().all(|role| MemberRole::named(role.name()) == role));
        assert_eq!((Role::named("?"), MemberRole::named("?")), (Role::Reader, MemberRole::Reader));
    }
}
