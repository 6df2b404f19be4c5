// SPDX-License-Identifier: Apache-2.0
//! What an administrator takes down: a package, a release, or bytes by their digest. Nobody is given it any more, its bytes are
//! refused under any name, and whoever asks is told why.
//!
//! Digests that are withheld are rows of their own ([`withheld`]), which nothing that is revealed comes past; so what others share
//! with it stays, and what is hidden stays hidden. It can be taken back until the bytes are erased, at a time that is said at
//! the beginning.

mod erase;
mod lift;
mod reach;
mod take;
mod view;
pub(crate) mod withheld;

use std::fmt;
use std::str::FromStr;

use axum::http::StatusCode;
use package::{PackageName, Version};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;
use wire::hub::Severity;

use crate::registry::PublisherName;

pub(crate) use self::erase::erase;
pub(super) use self::lift::lift;
pub(super) use self::take::take;
pub(super) use self::view::{Takedown, after, find};

/// For how many days the bytes stay where nobody says otherwise.
const USUAL_DAYS: u32 = 30;
/// For how many days at most.
const MOST_DAYS: u32 = 3650;
/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 4096;

/// Why something is taken down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    /// It does harm.
    Malware,
    /// The law demands it, or somebody's rights.
    Legal,
    /// Something is in it that nobody should know.
    Secret,
    /// It breaks the rules of the hub.
    Abuse,
}

/// What is to be taken down: bytes, a release, or a package with all of its releases.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTakedown {
    /// Bytes, in whatever repository they are: `sha256:…`. Without it, `publisher` and `name` say what.
    #[serde(default)]
    pub(super) digest: Option<String>,
    #[serde(default)]
    pub(super) publisher: Option<PublisherName>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) name: Option<PackageName>,
    /// One release. Without it, all of the package, and whatever is pushed there.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) version: Option<Version>,
    pub(super) class: Class,
    /// What everybody is told.
    #[schema(min_length = 1, max_length = 4096)]
    pub(super) reason: String,
    /// After how many days the bytes are erased, from when on it cannot be taken back: 30, where it is left out.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 3650)]
    pub(super) erase_after_days: Option<u32>,
    /// The report that led to it.
    #[serde(default)]
    pub(super) report: Option<String>,
}

/// What a takedown is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Package { publisher: String, name: String },
    Release { publisher: String, name: String, version: String },
    Digest(String),
}

/// Something is not taken down, or not taken back.
#[derive(Debug, Error)]
pub(super) enum Untaken {
    /// There is nothing of that name.
    #[error("there is no {what} `{name}`")]
    Missing { what: &'static str, name: String },
    /// It does not say what, or why.
    #[error("{0}")]
    Invalid(String),
    /// It was taken back before.
    #[error("the takedown was taken back already")]
    Lifted,
    /// There is nothing to give back.
    #[error("the bytes were erased at {at}")]
    Erased { at: String },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl Class {
    const ALL: [Self; 4] = [Self::Malware, Self::Legal, Self::Secret, Self::Abuse];

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Malware => "malware",
            Self::Legal => "legal",
            Self::Secret => "secret",
            Self::Abuse => "abuse",
        }
    }

    /// The status of an answer to who asks for it: 451 where the law demands it (RFC 7725). Clients take 403 for a login that is
    /// not good enough.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::Legal => StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS,
            Self::Malware | Self::Secret | Self::Abuse => StatusCode::GONE,
        }
    }

    /// Whether it is about the objects too, and not only about the archives that they came in: what a README gave away is no fault
    /// of the program.
    fn is_about_objects(self) -> bool {
        matches!(self, Self::Malware | Self::Legal)
    }

    fn severity(self) -> Severity {
        match self {
            Self::Malware => Severity::Critical,
            Self::Secret => Severity::High,
            Self::Legal | Self::Abuse => Severity::Low,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Class {
    type Err = sqlx::Error;

    fn from_str(name: &str) -> Result<Self, sqlx::Error> {
        let unknown = || sqlx::Error::Decode(format!("`{name}` is no class of takedowns").into());
        Self::ALL.into_iter().find(|class| class.name() == name).ok_or_else(unknown)
    }
}

impl NewTakedown {
    /// What it is about.
    pub(super) fn target(&self) -> Result<Target, Untaken> {
        let whole = "say either `digest`, or `publisher` and `name`, and `version` for one release";
        match (&self.digest, &self.publisher, &self.name, &self.version) {
            (Some(digest), None, None, None) => {
                let digest: crate::ContentDigest =
                    digest.parse().map_err(|bad: crate::BadDigest| Untaken::Invalid(bad.to_string()))?;
                Ok(Target::Digest(digest.to_string()))
            }
            (None, Some(publisher), Some(name), version) => {
                let (publisher, name) = (publisher.to_string(), name.to_string());
                Ok(match version {
                    Some(version) => Target::Release { publisher, name, version: version.to_string() },
                    None => Target::Package { publisher, name },
                })
            }
            _ => Err(Untaken::Invalid(whole.to_owned())),
        }
    }

    /// When its bytes are erased.
    fn erase_ms(&self, now_ms: i64) -> Result<i64, Untaken> {
        let days = self.erase_after_days.unwrap_or(USUAL_DAYS);
        if days > MOST_DAYS {
            return Err(Untaken::Invalid(format!("`erase_after_days` is {MOST_DAYS} at most")));
        }
        Ok(now_ms + i64::from(days) * 86_400_000)
    }

    fn check_reason(&self) -> Result<(), Untaken> {
        if self.reason.trim().is_empty() || self.reason.len() > MAX_REASON_BYTES {
            return Err(Untaken::Invalid(format!("a reason has 1 to {MAX_REASON_BYTES} bytes")));
        }
        Ok(())
    }
}

impl Target {
    /// The publisher, the package, the version and the digest; what it does not name is empty.
    fn parts(&self) -> [&str; 4] {
        match self {
            Self::Package { publisher, name } => [publisher, name, "", ""],
            Self::Release { publisher, name, version } => [publisher, name, version, ""],
            Self::Digest(digest) => ["", "", "", digest],
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { publisher, name } => write!(f, "{publisher}/{name}"),
            Self::Release { publisher, name, version } => write!(f, "{publisher}/{name} {version}"),
            Self::Digest(digest) => f.write_str(digest),
        }
    }
}

impl Untaken {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Missing { .. } => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Lifted | Self::Erased { .. } => StatusCode::CONFLICT,
            Self::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "look for it in the list; it may be spelt otherwise",
            Self::Invalid(_) => "`/api/v1/openapi.json` says what is accepted",
            Self::Lifted => "nothing is left to do",
            Self::Erased { .. } => "its publisher can push another version",
            Self::Database(_) => "try again later",
        }
    }
}
