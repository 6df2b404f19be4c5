// SPDX-License-Identifier: Apache-2.0
//! What a publisher states about a release: an in-toto Statement v1 with the predicate of this project.
//!
//! For each platform it names the image manifest and every file in the layer, the object that will be loaded among
//! them: a signature for one platform says nothing about another. `docs/release-statement.md` describes every key.

use std::collections::BTreeMap;

use jiff::Timestamp;
use package::{
    Digest, KernelVersion, Package, PackageName, PackagePlatform, Platform, PublisherName, Version,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::VerifiedPayload;

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://l3af.io/release-statement/v1";
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// An in-toto statement about one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    /// What is stated.
    pub predicate: Release,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

/// What is stated about a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Who publishes it.
    pub publisher: PublisherName,
    /// Its name.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// The digest of its index.
    pub index: Digest,
    /// Its licence.
    pub license: String,
    /// The oldest kernel that it runs on.
    pub kernel_min: KernelVersion,
    /// When the statement was made.
    pub created: Timestamp,
    /// From when on it holds no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// What it holds for each platform.
    pub platforms: Vec<ReleasePlatform>,
}

/// What a release holds for one platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasePlatform {
    /// The platform.
    pub platform: Platform,
    /// The format of its objects.
    pub format: Format,
    /// The digest of the image manifest.
    pub manifest: Digest,
    /// The digest of every file in the layer, by path.
    pub files: BTreeMap<String, Digest>,
}

/// The format of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// ELF, as Linux and eBPF for Windows load it.
    Elf,
    /// A native driver of Windows.
    Pe,
}

/// A signed payload is not a statement about a release.
#[derive(Debug, Error)]
pub enum StatementError {
    /// It is not JSON of the right shape.
    #[error("what was signed is not a release statement")]
    Json(#[source] serde_json::Error),
    /// It is a statement about something else.
    #[error("what was signed is a statement of type `{found}`, not `{wanted}`")]
    Type {
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Statement {
    /// States what a package is. `expires` is the time from which on nobody should rely on it.
    pub fn about(package: &Package, created: Timestamp, expires: Option<Timestamp>) -> Self {
        let info = &package.manifest.package;
        let platforms: Vec<ReleasePlatform> = package.platforms.iter().map(platform).collect();
        let name = format!("{}/{}@{}", info.publisher, info.name, info.version);
        let index = Subject { name: name.clone(), digest: sha256(&package.index) };
        let manifests = platforms.iter().map(|platform| Subject {
            name: format!("{name} {}", platform.platform),
            digest: sha256(&platform.manifest),
        });
        Self {
            kind: STATEMENT_TYPE.to_owned(),
            subject: [index].into_iter().chain(manifests).collect(),
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: Release {
                publisher: info.publisher.clone(),
                package: info.name.clone(),
                version: info.version.clone(),
                index: package.index,
                license: info.license.clone(),
                kernel_min: package.manifest.kernel.min,
                created,
                expires,
                platforms,
            },
        }
    }

    /// The bytes to sign.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement has text keys only")
    }

    /// Reads what was verified.
    ///
    /// # Errors
    /// When it is not a statement about a release.
    pub fn parse(verified: &VerifiedPayload<'_>) -> Result<Self, StatementError> {
        let statement: Self = serde_json::from_slice(verified.payload).map_err(StatementError::Json)?;
        for (found, wanted) in
            [(&statement.kind, STATEMENT_TYPE), (&statement.predicate_type, PREDICATE_TYPE)]
        {
            if found != wanted {
                return Err(StatementError::Type { found: found.clone(), wanted });
            }
        }
        Ok(statement)
    }

    /// Whether one of the subjects has this digest.
    pub(crate) fn is_about(&self, digest: &Digest) -> bool {
        self.subject.iter().any(|subject| subject.digest == sha256(digest))
    }
}

fn sha256(digest: &Digest) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), digest.hex())])
}

fn platform(read: &PackagePlatform) -> ReleasePlatform {
    let files = read.files.iter().map(|file| (file.path.clone(), Digest::of(&file.bytes)));
    ReleasePlatform {
        platform: read.platform.clone(),
        format: Format::Elf,
        manifest: read.manifest,
        files: files.collect(),
    }
}
