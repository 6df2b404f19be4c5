// SPDX-License-Identifier: Apache-2.0
//! What a machine trusts no longer, whoever signed it: keys, releases, digests.

use std::fmt;
use std::str::FromStr;

use package::{Digest, PackageName, PublisherName, Version};
use semver::{Comparator, Op, Prerelease, VersionReq};
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
            && self.versions.include(&found.version)
    }
}

impl Versions {
    /// Nothing is left out because of how its version is written: build metadata make no difference (Semantic Versioning
    /// 2.0, item 10), and a pre-release is revoked where it or what it led to is.
    fn include(&self, version: &Version) -> bool {
        match self {
            Self::One(one) => one == version || (one.build.is_empty() && one.cmp_precedence(version).is_eq()),
            Self::Matching(condition) => {
                let released = Version::new(version.major, version.minor, version.patch);
                condition.matches(&released) || with_pre_releases(condition, version).matches(version)
            }
        }
    }
}

/// The condition, for versions in their plain order. As Cargo understands conditions, a pre-release meets one only where
/// that names a pre-release of the same version: here something that always holds does so.
fn with_pre_releases(condition: &VersionReq, version: &Version) -> VersionReq {
    let always = Comparator {
        op: Op::GreaterEq,
        major: version.major,
        minor: Some(version.minor),
        patch: Some(version.patch),
        pre: Prerelease::new("0").expect("a digit is an identifier"),
    };
    // `<1.2` is `<1.2.0`, and its pre-releases are before it.
    let whole = |part: &Comparator| {
        let number = |given: Option<u64>| if part.op == Op::Less { given.or(Some(0)) } else { given };
        Comparator { minor: number(part.minor), patch: number(part.patch), ..part.clone() }
    };
    VersionReq { comparators: condition.comparators.iter().map(whole).chain([always]).collect() }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn revokes(releases: &str, version: &str) -> bool {
        let releases: Releases = format!("a/b@{releases}").parse().unwrap();
        releases.versions.include(&version.parse().unwrap())
    }

    #[test]
    fn no_version_escapes_by_how_it_is_written() {
        for (releases, version) in [
            ("1.2.0", "1.2.0"),
            ("1.2.0", "1.2.0+other"),
            ("1.2.0+one", "1.2.0+one"),
            ("*", "0.0.1-rc.1"),
            ("<1.2.3", "1.2.2"),
            ("<1.2.3", "1.2.2+build"),
            ("<1.2.3", "1.2.2-rc.1"),
            ("<1.2.3", "1.2.3-rc.1"),
            ("<1.2", "1.2.0-rc.1"),
            ("<1", "1.0.0-rc.1"),
            (">=1.2.3", "1.2.3-rc.1"),
            ("~1.2", "1.2.5-rc.1"),
            ("1.2.*", "1.2.5-rc.1"),
        ] {
            assert!(revokes(releases, version), "{releases} {version}");
        }
    }

    #[test]
    fn what_is_not_named_is_not_revoked() {
        for (releases, version) in [
            ("1.2.0", "1.2.1"),
            ("1.2.0", "1.2.0-rc.1"),
            ("1.2.0+one", "1.2.0"),
            ("<1.2.3", "1.2.3"),
            ("<1.2.3", "1.2.4-rc.1"),
            ("<1.2", "1.2.0"),
            ("<1.2", "1.2.1-rc.1"),
            (">1.2.3", "1.2.3-rc.1"),
            ("~1.2", "1.3.0-rc.1"),
        ] {
            assert!(!revokes(releases, version), "{releases} {version}");
        }
    }

    proptest::proptest! {
        #[test]
        fn names_read_as_they_are_written(version in "[0-9]\\.[0-9]\\.[0-9](-[a-z]{1,3})?", operator in "[<>~^]?") {
            let releases: Releases = format!("a/b@{operator}{version}").parse().unwrap();
            assert_eq!(releases.to_string().parse(), Ok(releases));
        }
    }
}
