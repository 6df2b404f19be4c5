// SPDX-License-Identifier: Apache-2.0
//! What a machine trusts no longer, whoever signed it: keys, releases, digests.

use std::fmt;
use std::str::FromStr;

use package::{Digest, PackageName, PublisherName, Version};
use semver::VersionReq;
use serde::Deserialize;
use thiserror::Error;

use crate::KeyId;
use crate::found::Found;

/// Something that is trusted no longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// What.
    pub revoked: Revoked,
    /// Why, for those who meet it.
    pub reason: String,
}

/// What can be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// A key: it counts for nothing, also under what it signed before.
    Key(KeyId),
    /// Releases of a package.
    Release(Releases),
    /// Bytes: an index, an image manifest, or a file, under any name.
    Digest(Digest),
}

/// One or several releases of a package: `example/ratelimit@1.2.0`, `example/ratelimit@<1.2.3`, `example/ratelimit@*`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Releases {
    publisher: PublisherName,
    package: PackageName,
    versions: Versions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Versions {
    One(Version),
    Matching(VersionReq),
}

/// A text names no releases.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` names no releases: it must be `PUBLISHER/PACKAGE@VERSION`, or have a condition such as `<1.2.3` or `*` in place of the version"
)]
pub struct BadReleases {
    given: String,
}

impl Revoked {
    /// What of a release this revokes; `None` when it does not.
    pub(crate) fn concerns(&self, found: &Found) -> Option<String> {
        match self {
            Self::Key(_) => None,
            Self::Release(releases) => releases.include(found).then(|| releases.to_string()),
            Self::Digest(digest) => found.digests().find(|(_, own)| own == digest).map(|(what, _)| what),
        }
    }
}

impl Releases {
    fn include(&self, found: &Found) -> bool {
        self.publisher == found.publisher
            && self.package == found.package
            && match &self.versions {
                Versions::One(version) => *version == found.version,
                Versions::Matching(condition) => {
                    *condition == VersionReq::STAR || condition.matches(&found.version)
                }
            }
    }
}

impl FromStr for Releases {
    type Err = BadReleases;

    fn from_str(text: &str) -> Result<Self, BadReleases> {
        let read = || {
            let (name, versions) = text.split_once('@')?;
            let (publisher, package) = name.split_once('/')?;
            // A bare version is one version, and not all that are compatible with it.
            let versions = match versions.parse() {
                Ok(version) => Versions::One(version),
                Err(_) => Versions::Matching(versions.parse().ok()?),
            };
            Some(Self { publisher: publisher.parse().ok()?, package: package.parse().ok()?, versions })
        };
        read().ok_or_else(|| BadReleases { given: text.to_owned() })
    }
}

impl TryFrom<String> for Releases {
    type Error = BadReleases;

    fn try_from(text: String) -> Result<Self, BadReleases> {
        text.parse()
    }
}

impl fmt::Display for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@", self.publisher, self.package)?;
        match &self.versions {
            Versions::One(version) => version.fmt(f),
            Versions::Matching(condition) => condition.fmt(f),
        }
    }
}
