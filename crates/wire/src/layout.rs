// SPDX-License-Identifier: Apache-2.0
//! A package as a folder: an OCI image layout (image-spec 1.1) with the index of one package and its statements.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use package::{
    ARTIFACT_TYPE, Blob, BlobError, Blobs, Descriptor, Digest, INDEX_MEDIA_TYPE, Index, MANIFEST_MEDIA_TYPE,
    MAX_MANIFEST_BYTES, Packed, Referrer, ReferrerKind, ReferrerManifest,
};
use thiserror::Error;

use crate::Shelf;

/// The file that makes a folder a layout.
const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// The most referrers of a kind that are read from a folder.
const MAX_REFERRERS: usize = 256;

/// A folder with a package.
#[derive(Debug, Clone)]
pub struct Layout {
    folder: PathBuf,
}

/// A folder cannot be used as a layout.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// It is not one.
    #[error("`{}` is not an OCI layout: it has no usable `{file}`", folder.display())]
    NotALayout {
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        file: &'static str,
        /// Why it cannot be used.
        #[source]
        source: io::Error,
    },
    /// It holds no package, or several.
    #[error("`{}` holds {count} packages, and must hold one", folder.display())]
    Packages {
        /// The folder.
        folder: PathBuf,
        /// How many it holds.
        count: usize,
    },
    /// A statement in it, or something else that refers to the package, cannot be read.
    #[error("the statement or root {digest} in `{}` cannot be read", folder.display())]
    Referrer {
        /// The folder.
        folder: PathBuf,
        /// Its manifest or document.
        digest: Digest,
        /// Why not.
        #[source]
        source: BlobError,
    },
    /// It cannot be written.
    #[error("cannot write `{}`", path.display())]
    Unwritten {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Layout {
    /// Uses a folder that is a layout.
    ///
    /// # Errors
    /// When it is not one.
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        let layout = Self { folder: folder.to_owned() };
        let found = layout.folder.join("oci-layout");
        fs::metadata(found).map_err(|source| layout.not_a_layout("oci-layout", source))?;
        Ok(layout)
    }

    /// Makes a folder the layout of a package, in place of what was in it under the same names.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(folder: &Path, packed: &Packed) -> Result<Self, LayoutError> {
        let layout = Self { folder: folder.to_owned() };
        layout.keep(&packed.blobs)?;
        layout.complete(packed.index.clone())?;
        Ok(layout)
    }

    /// A folder that becomes a layout: blobs come in by [`Shelf::keep`], and the package by [`Layout::complete`].
    pub fn begin(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Lists the package whose blobs are all there, in place of what was listed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn complete(&self, package: Descriptor) -> Result<(), LayoutError> {
        self.put(Path::new("oci-layout"), MARKER.as_bytes())?;
        self.list(vec![package])
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The digest of the package's index.
    ///
    /// # Errors
    /// When the folder does not hold exactly one package.
    pub fn index(&self) -> Result<Digest, LayoutError> {
        self.package().map(|descriptor| descriptor.digest)
    }

    /// What refers to the package, of one kind.
    ///
    /// # Errors
    /// When some of it cannot be read.
    pub fn referrers(&self, kind: ReferrerKind) -> Result<Vec<Vec<u8>>, LayoutError> {
        let package = self.index()?;
        let listed = self.listed()?;
        let is_it = |entry: &&Descriptor| entry.artifact_type.as_deref() == Some(kind.artifact_type());
        let mut found = Vec::new();
        for entry in listed.manifests.iter().filter(is_it).take(MAX_REFERRERS) {
            let manifest = self.referrer_blob(&entry.digest)?;
            let Some((is, subject, document)) = ReferrerManifest::parse(&manifest) else { continue };
            if is == kind && subject == package {
                found.push(self.referrer_blob(&document.digest)?);
            }
        }
        Ok(found)
    }

    /// Adds something that refers to the package.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn refer(&self, referrer: &Referrer) -> Result<(), LayoutError> {
        let ReferrerManifest { descriptor, blobs } = referrer.manifest(&self.package()?);
        self.keep(&blobs)?;
        let mut listed = self.listed()?.manifests;
        if !listed.contains(&descriptor) {
            listed.push(descriptor);
        }
        self.list(listed)
    }

    /// Whether what is in it is a package, and not an image of others.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn is_package(&self) -> Result<bool, LayoutError> {
        Ok(self.listed()?.manifests.iter().any(is_package))
    }

    /// What is in it: the index of a package, or an image of others.
    ///
    /// # Errors
    /// When the folder does not hold exactly one.
    pub fn package(&self) -> Result<Descriptor, LayoutError> {
        let listed = self.listed()?.manifests;
        let wanted = if listed.iter().any(is_package) { is_package } else { is_image };
        let mut packages: Vec<Descriptor> = listed.into_iter().filter(wanted).collect();
        match (packages.pop(), packages.len()) {
            (Some(only), 0) => Ok(only),
            (last, before) => {
                let count = before + usize::from(last.is_some());
                Err(LayoutError::Packages { folder: self.folder.clone(), count })
            }
        }
    }

    fn referrer_blob(&self, digest: &Digest) -> Result<Vec<u8>, LayoutError> {
        self.blob(digest, MAX_MANIFEST_BYTES).map_err(|source| LayoutError::Referrer {
            folder: self.folder.clone(),
            digest: *digest,
            source,
        })
    }

    fn listed(&self) -> Result<Index, LayoutError> {
        let read = read_bounded(&self.folder.join("index.json"), MAX_MANIFEST_BYTES);
        let parsed = read.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
        parsed.map_err(|source| self.not_a_layout("index.json", source))
    }

    fn list(&self, manifests: Vec<Descriptor>) -> Result<(), LayoutError> {
        let index = Index {
            schema_version: 2,
            media_type: Some(INDEX_MEDIA_TYPE.to_owned()),
            artifact_type: None,
            manifests,
            annotations: std::collections::BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&index).expect("an index has text keys only");
        self.put(Path::new("index.json"), &bytes)
    }

    fn keep(&self, blobs: &[Blob]) -> Result<(), LayoutError> {
        blobs.iter().try_for_each(|blob| self.put(&blob_path(&blob.digest()), &blob.bytes))
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
        let path = self.folder.join(path);
        put(&path, bytes).map_err(|source| LayoutError::Unwritten { path, source })
    }

    fn not_a_layout(&self, file: &'static str, source: io::Error) -> LayoutError {
        LayoutError::NotALayout { folder: self.folder.clone(), file, source }
    }
}

impl Blobs for Layout {
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        match read_bounded(&self.folder.join(blob_path(digest)), max_bytes) {
            Ok(bytes) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BlobError::Missing),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(BlobError::TooLarge),
            Err(error) => Err(BlobError::Other(error.into())),
        }
    }
}

fn is_package(entry: &Descriptor) -> bool {
    entry.media_type == INDEX_MEDIA_TYPE && entry.artifact_type.as_deref() == Some(ARTIFACT_TYPE)
}

fn is_image(entry: &Descriptor) -> bool {
    let kinds = [INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE];
    entry.artifact_type.is_none() && kinds.contains(&entry.media_type.as_str())
}

impl Shelf for Layout {
    fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        put(&self.folder.join(blob_path(&Digest::of(bytes))), bytes)
    }
}

/// Writes beside the file and renames, so that nobody reads a part.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)
}

fn blob_path(digest: &Digest) -> PathBuf {
    Path::new("blobs/sha256").join(digest.hex())
}

fn read_bounded(path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}
