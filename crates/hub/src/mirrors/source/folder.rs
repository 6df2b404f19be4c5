// SPDX-License-Identifier: Apache-2.0
//! A folder that `l3af-hub export` wrote (`docs/hub-mirrors.md`). What was not written whole is recognised: `export.json` comes
//! last, and names everything by digest.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use package::{Digest, MAX_MANIFEST_BYTES};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use wire::hub::{Export, ExportedPackage, ExportedRelease};

use super::{Named, Offer, Offered, Standing, Unfetched};
use crate::mirrors::pattern::Pattern;

/// What says that a folder is whole.
pub(crate) const EXPORT: &str = "export.json";
/// The folder in it with a layout for each package.
pub(crate) const PACKAGES: &str = "packages";
/// The largest document about packages.
const MAX_DOCUMENT_BYTES: u64 = 64 * 1024 * 1024;

/// A folder with packages.
pub(in crate::mirrors) struct Folder {
    path: PathBuf,
    /// The document of each package.
    documents: BTreeMap<Named, Digest>,
    /// The package that was read last, with its document.
    last: Mutex<Option<(Named, Arc<ExportedPackage>)>>,
}

/// A folder, or something in it, is not what it should be.
#[derive(Debug, Error)]
pub(in crate::mirrors) enum NoExport {
    /// It is none, or was not written whole.
    #[error("`{}` is no export, or was not written or copied whole: it has no usable `{EXPORT}`", .folder.display())]
    Unfinished {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    /// It was written by a later hub.
    #[error("`{}` is of format {found}, and this hub reads {}", .folder.display(), Export::FORMAT)]
    Format { folder: PathBuf, found: u32 },
    /// Something that it names is not in it.
    #[error("`{}` was not copied whole: {digest} is not in it", .folder.display())]
    Missing { folder: PathBuf, digest: Digest },
    /// Something in it is larger than it may be, or cannot be read.
    #[error("{digest} in `{}` cannot be read", .folder.display())]
    Unreadable {
        folder: PathBuf,
        digest: Digest,
        #[source]
        source: io::Error,
    },
    /// Something in it was changed.
    #[error("the bytes of {digest} in `{}` are others: their digest is {found}", .folder.display())]
    Changed { folder: PathBuf, digest: Digest, found: Digest },
    /// It has no such package.
    #[error("`{}` has no package `{package}`", .folder.display())]
    NoPackage { folder: PathBuf, package: String },
}

impl NoExport {
    /// Whether there is nothing to be had from it.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Unfinished { .. } | Self::Format { .. })
    }

    /// Whether it says itself that there is no such thing.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::NoPackage { .. })
    }
}

impl Folder {
    pub(super) async fn open(folder: &Path) -> Result<Self, Unfetched> {
        let (path, shown) = (folder.join(EXPORT), folder.to_owned());
        let unfinished = |source| NoExport::Unfinished { folder: shown.clone(), source };
        let bytes = bounded(path, MAX_DOCUMENT_BYTES).await.map_err(unfinished)?;
        let export: Export =
            serde_json::from_slice(&bytes).map_err(|error| unfinished(io::Error::other(error)))?;
        if export.format != Export::FORMAT {
            return Err(NoExport::Format { folder: shown, found: export.format }.into());
        }
        let listed = export
            .packages
            .into_iter()
            .map(|listed| (Named { publisher: listed.publisher, name: listed.name }, listed.document));
        // What is no name would lead elsewhere.
        let documents = listed.filter(|(package, _)| is_name(package)).collect();
        Ok(Self { path: shown, documents, last: Mutex::default() })
    }

    pub(super) fn packages(&self, patterns: &[Pattern]) -> Vec<Named> {
        let meant = |package: &&Named| {
            patterns.iter().any(|pattern| pattern.matches(&package.publisher, &package.name))
        };
        self.documents.keys().filter(meant).cloned().collect()
    }

    pub(super) async fn offer(&self, package: &Named) -> Result<Offer, Unfetched> {
        let read = self.package(package).await?;
        let offered = |release: &ExportedRelease| {
            let standing = Standing::of(release.state, release.reason.clone())?;
            Some(Offered { version: release.version.clone(), digest: Ok(release.digest), standing })
        };
        let releases = read.releases.iter().filter_map(offered).collect();
        Ok(Offer { releases, advisories: read.advisories.clone(), tells_yanks: true })
    }

    async fn package(&self, package: &Named) -> Result<Arc<ExportedPackage>, Unfetched> {
        let mut last = self.last.lock().await;
        if let Some((named, read)) = last.as_ref()
            && named == package
        {
            return Ok(Arc::clone(read));
        }
        let none = || NoExport::NoPackage { folder: self.path.clone(), package: package.to_string() };
        let document = self.documents.get(package).ok_or_else(none)?;
        let bytes = self.read(package, document, MAX_DOCUMENT_BYTES).await?;
        let read: Arc<ExportedPackage> = Arc::new(self.parsed(document, &bytes)?);
        *last = Some((package.clone(), Arc::clone(&read)));
        Ok(read)
    }

    fn parsed<T: DeserializeOwned>(&self, digest: &Digest, bytes: &[u8]) -> Result<T, NoExport> {
        serde_json::from_slice(bytes).map_err(|error| NoExport::Unreadable {
            folder: self.path.clone(),
            digest: *digest,
            source: io::Error::other(error),
        })
    }

    pub(super) async fn document(&self, package: &Named, digest: &Digest) -> Result<Vec<u8>, Unfetched> {
        Ok(self.read(package, digest, MAX_MANIFEST_BYTES).await?)
    }

    pub(super) async fn blob(
        &self,
        package: &Named,
        (digest, max_bytes): (&Digest, u64),
    ) -> Result<Vec<u8>, Unfetched> {
        Ok(self.read(package, digest, max_bytes).await?)
    }

    pub(super) async fn referring(&self, package: &Named, digest: &Digest) -> Result<Vec<String>, Unfetched> {
        let read = self.package(package).await?;
        let all = read.releases.iter().flat_map(|release| &release.referrers);
        let about = all.filter(|referring| referring.subject == *digest);
        Ok(about.map(|referring| referring.digest.to_string()).collect())
    }

    /// The bytes under a digest, which are compared with it.
    async fn read(&self, package: &Named, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, NoExport> {
        let (folder, digest) = (self.path.clone(), *digest);
        let path = layout(&self.path, &package.publisher, &package.name);
        let path = path.join("blobs/sha256").join(digest.hex());
        let bytes = bounded(path, max_bytes).await.map_err(|source| {
            let folder = folder.clone();
            if source.kind() == io::ErrorKind::NotFound {
                NoExport::Missing { folder, digest }
            } else {
                NoExport::Unreadable { folder, digest, source }
            }
        })?;
        match Digest::of(&bytes) {
            found if found == digest => Ok(bytes),
            found => Err(NoExport::Changed { folder, digest, found }),
        }
    }
}

/// The layout of a package in an export.
pub(crate) fn layout(folder: &Path, publisher: &str, name: &str) -> PathBuf {
    folder.join(PACKAGES).join(publisher).join(name)
}

fn is_name(package: &Named) -> bool {
    package.to_string().parse::<crate::registry::RepositoryName>().is_ok() && !package.name.contains('/')
}

/// Reads a file that may not have more bytes.
async fn bounded(path: PathBuf, max_bytes: u64) -> io::Result<Vec<u8>> {
    let read = spawn_blocking(move || {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    });
    read.await.map_err(io::Error::other)?
}
