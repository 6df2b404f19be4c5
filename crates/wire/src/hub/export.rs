// SPDX-License-Identifier: Apache-2.0
//! What a folder says of itself into which a hub wrote packages: `docs/hub-mirrors.md` describes it.
//!
//! `export.json` names for each package a document by its digest, and that names its releases and all that refers to them. So the
//! folder is what the last `export.json` says that was written whole.

use package::{Digest, Version};
use serde::{Deserialize, Serialize};

use super::{Advisory, Channel, Facts, State};

/// `export.json`: what there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// The version of this form.
    pub format: u32,
    /// Where it comes from: the address of the hub.
    pub source: String,
    /// When it was written (RFC 3339).
    pub made: String,
    /// The packages, by publisher and then by name.
    pub packages: Vec<ListedPackage>,
}

/// A package in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPackage {
    /// Who publishes it.
    pub publisher: String,
    /// Its name.
    pub name: String,
    /// The blob with its [`ExportedPackage`].
    pub document: Digest,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedPackage {
    /// Who publishes it.
    pub publisher: String,
    /// Its name.
    pub name: String,
    /// Its releases, the greatest version first.
    pub releases: Vec<ExportedRelease>,
    /// What is known to be wrong with some of them, the latest first.
    pub advisories: Vec<Advisory>,
}

/// A release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedRelease {
    /// Its version.
    pub version: Version,
    /// The digest of its index.
    pub digest: Digest,
    /// Whether it is released, yanked or taken down.
    pub state: State,
    /// Why it was yanked or taken down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The narrowest channel that it is in.
    pub channel: Channel,
    /// When it was released (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// What it says of itself: its shelf among that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// What refers to it, and what refers to that.
    pub referrers: Vec<Referring>,
}

/// A manifest that is about another one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Referring {
    /// The manifest that it is about.
    pub subject: Digest,
    /// Its own digest.
    pub digest: Digest,
}

impl Export {
    /// The version of the form that is written and read.
    pub const FORMAT: u32 = 1;
}
