// SPDX-License-Identifier: Apache-2.0
//! Packages and their releases as a hub tells of them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use package::{KernelVersion, Platform, Version};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use super::{Price, Rating, State};

/// What a release says of itself, and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Facts {
    /// What it does, in one line.
    pub description: String,
    /// The shelf it stands on.
    pub category: String,
    /// The part of the shelf.
    pub subcategory: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Its licence, as an SPDX expression.
    pub license: String,
    /// Where it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Where its source is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The oldest kernel that it runs on, such as `6.1`.
    #[schema(value_type = String)]
    pub kernel_min: KernelVersion,
    /// What it was built for, such as `linux/amd64`.
    pub platforms: Vec<String>,
    /// What its programs attach to, such as `xdp` and `kprobe`.
    pub hooks: BTreeSet<String>,
    /// What the kernel calls its programs, such as `sched_cls`.
    pub program_types: BTreeSet<String>,
    /// Its programs.
    pub programs: Vec<String>,
    /// The maps of its objects.
    pub maps: BTreeSet<String>,
    /// Whether it reads structures of the kernel only where loaders adjust it (CO-RE).
    pub co_re: bool,
    /// Whether it has a program for user space.
    pub user_program: bool,
    /// The size of all that is fetched for one platform, the largest, in bytes.
    pub size_bytes: u64,
}

/// A release as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseView {
    /// Its version.
    #[schema(value_type = String)]
    pub version: Version,
    /// The digest of its index.
    pub digest: String,
    /// How far it is.
    pub state: State,
    /// Why, where somebody said so: why it was yanked, rejected, or what is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was pushed (RFC 3339).
    pub pushed: String,
    /// When it was released (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// What it says of itself; none before it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// Who signed it, as far as the checks verified: the version of the publisher's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// How often it was pulled.
    pub pulls: u64,
    /// What is known to be wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<Advisory>,
}

/// A package: the release that most people want, and what is around it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PackageView {
    /// Who publishes it.
    pub publisher: String,
    /// Its name.
    pub name: String,
    /// The newest release of the channel `stable`, or of `candidate` where there is no other.
    pub latest: ReleaseView,
    /// How often its releases were pulled.
    pub pulls: u64,
    /// Until when pulls are counted (RFC 3339); none before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_until: Option<String>,
    /// What it became, as `publisher/name`: new versions are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
    /// What it was before, as `publisher/name`: older versions are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    /// What is asked for it; none where it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// What people think of it; none where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rating>,
}

/// Which releases somebody takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// Releases without a pre-release version.
    #[default]
    Stable,
    /// Those, and pre-releases.
    Candidate,
}

/// A text is not a channel.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is no channel; those are `stable` and `candidate`")]
pub struct UnknownChannel {
    /// What was given.
    pub given: String,
}

/// The release that fits a range, a kernel and a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resolved {
    /// Its version.
    #[schema(value_type = String)]
    pub version: Version,
    /// The digest of its index.
    pub digest: String,
    /// How it is pulled: `hub.example.org/l3af/ratelimit:1.2.0@sha256:…`.
    pub reference: String,
    /// What is known to be wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<Advisory>,
    /// What the package became, as `publisher/name`: new versions are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
}

/// Why a release is yanked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Yank {
    /// What people should know.
    pub reason: String,
}

/// How bad it is what an advisory tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A nuisance.
    Low,
    /// To be mended soon.
    Medium,
    /// To be mended at once.
    High,
    /// To be stopped.
    Critical,
}

/// What is wrong with some releases of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAdvisory {
    /// The versions that it is about, such as `>=1.2.0, <1.2.4`.
    pub range: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub title: String,
    /// The whole story, and what to do.
    pub text: String,
}

/// An advisory that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Advisory {
    /// Its id.
    pub id: String,
    /// The versions that it is about.
    pub range: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub title: String,
    /// The whole story, and what to do.
    pub text: String,
    /// When it was published (RFC 3339).
    pub published: String,
}

impl Facts {
    /// Whether it runs on a platform.
    pub fn runs_on(&self, platform: &Platform) -> bool {
        let platform = platform.to_string();
        self.platforms.contains(&platform)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Stable => "stable",
            Self::Candidate => "candidate",
        })
    }
}

impl FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        match text {
            "stable" => Ok(Self::Stable),
            "candidate" => Ok(Self::Candidate),
            _ => Err(UnknownChannel { given: text.to_owned() }),
        }
    }
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The text of the severity.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}
