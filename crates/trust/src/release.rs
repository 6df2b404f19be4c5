// SPDX-License-Identifier: Apache-2.0
//! What a publisher states about a release.
//!
//! For each platform it names the image manifest and every file in the layer, the object that will be loaded among
//! them: a signature for one platform says nothing about another. `docs/release-statement.md` describes every key.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use package::{
    Digest, Format, KernelVersion, Package, PackageName, Platform, ProgramKind, PublisherName, Version,
};
use serde::{Deserialize, Serialize};

use crate::Pen;
use crate::found::{Found, FoundPlatform};
use crate::in_toto::{Predicate, Statement, Subject};

/// What is stated about a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Who publishes it.
    pub publisher: PublisherName,
    /// Its name.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// The digest of its index; none for a single object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Digest>,
    /// Its licence, an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// The Private Enterprise Number that the publisher claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pen: Option<Pen>,
    /// When the statement was made.
    pub created: Timestamp,
    /// From when on it holds no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The digest of the envelope of the statement about the release before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// What it holds for each platform.
    pub platforms: Vec<ReleasePlatform>,
}

/// What a release holds for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleasePlatform {
    /// The platform.
    pub platform: Platform,
    /// The format of its objects.
    pub format: Format,
    /// The digest of the image manifest; none for a single object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// The digest of every file in the layer, by path.
    pub files: BTreeMap<String, Digest>,
    /// The oldest kernel that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_min: Option<KernelVersion>,
    /// The hooks and kinds of probes that its programs are for.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hooks: BTreeSet<ProgramKind>,
}

/// What a publisher says beside what is in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// When the statement is made.
    pub created: Timestamp,
    /// From when on nobody should rely on it.
    pub expires: Option<Timestamp>,
    /// The digest of the envelope of the statement about the release before.
    pub previous: Option<Digest>,
    /// The Private Enterprise Number that the publisher claims.
    pub pen: Option<Pen>,
}

impl Terms {
    /// A statement that is made now, and holds as long as its keys do.
    pub fn from(created: Timestamp) -> Self {
        Self { created, expires: None, previous: None, pen: None }
    }
}

impl Predicate for Release {
    const TYPE: &'static str = "https://l3af.io/release-statement/v1";
    const WHAT: &'static str = "a release statement";
}

impl Statement<Release> {
    /// States what a package is.
    pub fn about(package: &Package, terms: Terms) -> Self {
        let every = package.platforms.iter().map(|entry| Found::in_package(package, entry));
        Self::of(&every.collect::<Vec<_>>(), Some(package.manifest.package.license.clone()), terms)
    }

    /// States what a single object is.
    pub fn about_object(object: &Found, license: Option<String>, terms: Terms) -> Self {
        Self::of(std::slice::from_ref(object), license, terms)
    }

    /// `found` is the same release for each platform; there is at least one.
    fn of(found: &[Found], license: Option<String>, terms: Terms) -> Self {
        let Found { publisher, package, version, index, .. } = found[0].clone();
        let name = format!("{publisher}/{package}@{version}");
        let platforms = found.iter().map(|found| &found.entry);
        let manifests = platforms.clone().flat_map(|entry| {
            let name = format!("{name} {}", entry.platform);
            // Of a single object the file itself is what other tools can look for.
            let digests: Vec<Digest> =
                entry.manifest.map_or_else(|| entry.files.values().copied().collect(), |digest| vec![digest]);
            digests.into_iter().map(move |digest| Subject::new(name.clone(), &digest))
        });
        let subject =
            index.iter().map(|digest| Subject::new(name.clone(), digest)).chain(manifests).collect();
        let platforms = platforms.cloned().map(ReleasePlatform::from).collect();
        let Terms { created, expires, previous, pen } = terms;
        let release = Release {
            publisher,
            package,
            version,
            index,
            license,
            pen,
            created,
            expires,
            previous,
            platforms,
        };
        Self::new(subject, release)
    }
}

impl From<FoundPlatform> for ReleasePlatform {
    fn from(found: FoundPlatform) -> Self {
        let FoundPlatform { platform, format, manifest, files, kernel_min, hooks } = found;
        Self { platform, format, manifest, files, kernel_min, hooks }
    }
}
