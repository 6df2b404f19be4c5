// SPDX-License-Identifier: Apache-2.0
//! What there is to verify: what was computed from bytes, and the name under which they came.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use package::{
    Digest, Format, KernelVersion, Named, Package, PackageName, PackagePlatform, Platform, Privileges,
    ProgramKind, ProgramSpec, PublisherName, Version,
};

/// What a single file is called in a statement.
const SINGLE: &str = "object";

/// One release for one platform, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Who publishes it, as it says or as somebody says.
    pub publisher: PublisherName,
    /// Its name.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// The digest of its index; none for a single object.
    pub index: Option<Digest>,
    /// What its user program asks for; nothing where it has none.
    pub privileges: Privileges,
    /// What there is for the platform.
    pub entry: FoundPlatform,
}

/// What there is for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPlatform {
    /// The platform.
    pub platform: Platform,
    /// The format of its objects.
    pub format: Format,
    /// The digest of the image manifest; none for a single object.
    pub manifest: Option<Digest>,
    /// The digest of every file, by path.
    pub files: BTreeMap<String, Digest>,
    /// The oldest kernel that it runs on, where it says so.
    pub kernel_min: Option<KernelVersion>,
    /// The hooks and kinds of probes that its programs are for, where it says so.
    pub hooks: BTreeSet<ProgramKind>,
}

impl Found {
    /// What a package holds for one of its platforms.
    pub fn in_package(package: &Package, entry: &PackagePlatform) -> Self {
        let info = &package.manifest.package;
        let files = entry.files.iter().map(|file| (file.path.clone(), Digest::of(&file.bytes)));
        Self {
            publisher: info.publisher.clone(),
            package: info.name.clone(),
            version: info.version.clone(),
            index: Some(package.index),
            privileges: package
                .manifest
                .user
                .as_ref()
                .map(|user| user.privileges.clone())
                .unwrap_or_default(),
            entry: FoundPlatform {
                platform: entry.platform.clone(),
                format: Format::Elf,
                manifest: Some(entry.manifest),
                files: files.collect(),
                kernel_min: Some(package.manifest.kernel.min),
                hooks: package.manifest.programs.iter().flat_map(ProgramSpec::kinds).collect(),
            },
        }
    }

    /// The digests that a statement about it has among its subjects: those of its index and image manifest, or of the files
    /// where it has no image manifest.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &Digest> {
        let files = self.entry.files.values().filter(|_| self.entry.manifest.is_none());
        self.index.iter().chain(&self.entry.manifest).chain(files)
    }

    /// Whether a digest names it whole: that of its index, else of its image manifest, else of its only file.
    pub(crate) fn is_named(&self, digest: &Digest) -> bool {
        let is_whole = self.index.is_some() || self.entry.manifest.is_some() || self.entry.files.len() == 1;
        is_whole && self.subjects().next() == Some(digest)
    }

    /// What a single object is, under the name that somebody gives it: there is nothing in it that says one.
    pub fn object(named: Named, entry: FoundPlatform) -> Self {
        let Named { publisher, name: package, version } = named;
        Self { publisher, package, version, index: None, privileges: Privileges::default(), entry }
    }

    /// All its digests, each with what it is the digest of.
    pub(crate) fn digests(&self) -> impl Iterator<Item = (String, Digest)> {
        let index = self.index.map(|digest| ("the index".to_owned(), digest));
        let manifest = self.entry.manifest.map(|digest| ("the image manifest".to_owned(), digest));
        let files = self.entry.files.iter().map(|(path, digest)| (format!("the file `{path}`"), *digest));
        index.into_iter().chain(manifest).chain(files)
    }
}

impl FoundPlatform {
    /// A single file for a platform, such as an object or an archive, by its digest. What it is named on a disk means nothing.
    /// What else it is for, only its publisher knows.
    pub fn file(platform: Platform, format: Format, digest: Digest) -> Self {
        let files = BTreeMap::from([(SINGLE.to_owned(), digest)]);
        Self { platform, format, manifest: None, files, kernel_min: None, hooks: BTreeSet::new() }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.publisher, self.package, self.version)
    }
}
