// SPDX-License-Identifier: Apache-2.0
//! The folder that is written: an OCI image layout (image-spec 1.1) for each package, and `export.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use package::Digest;
use serde_json::Value;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;
use wire::hub::Export;

use super::{Exported, NotExported};
use crate::digest::Hasher;
use crate::mirrors::{EXPORT, layout};
use crate::{ContentDigest, Storage};

/// What makes a folder a layout.
const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX_MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// The folder of an export.
pub(super) struct Target {
    folder: PathBuf,
}

/// The layout of a package.
pub(super) struct Layout {
    folder: PathBuf,
}

impl Target {
    /// Uses a folder that is new, or was exported into, be that whole or not.
    pub(super) async fn open(folder: &Path) -> Result<Self, NotExported> {
        let unwritable = |source| NotExported::Unwritable { path: folder.to_owned(), source };
        fs::create_dir_all(folder).await.map_err(unwritable)?;
        let mut entries = fs::read_dir(folder).await.map_err(unwritable)?;
        while let Some(entry) = entries.next_entry().await.map_err(unwritable)? {
            let name = entry.file_name();
            let is_ours = [EXPORT, "export.new", crate::mirrors::PACKAGES].iter().any(|ours| name == *ours);
            // What file systems have at their top is nobody's.
            if !is_ours && name != "lost+found" && !name.to_string_lossy().starts_with('.') {
                return Err(NotExported::Occupied { folder: folder.to_owned() });
            }
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// What the last export says that there is, each with its document.
    pub(super) async fn listed(&self) -> Result<BTreeMap<(String, String), Digest>, NotExported> {
        let path = self.folder.join(EXPORT);
        let read = match fs::read(&path).await {
            Ok(bytes) => serde_json::from_slice::<Export>(&bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => Err(error),
        };
        let export = read.map_err(|source| NotExported::Unwritable { path, source })?;
        let listed = export.packages.into_iter();
        Ok(listed.map(|listed| ((listed.publisher, listed.name), listed.document)).collect())
    }

    pub(super) fn layout(&self, publisher: &str, name: &str) -> Layout {
        Layout { folder: layout(&self.folder, publisher, name) }
    }

    /// Says that all is there.
    pub(super) async fn finish(&self, export: &Export) -> Result<(), NotExported> {
        let bytes = serde_json::to_vec_pretty(export).expect("an export has no keys but texts");
        put(&self.folder.join(EXPORT), &bytes).await
    }
}

impl Layout {
    /// Has a blob of the storage, which is compared with its digest on the way.
    pub(super) async fn copy(
        &self,
        storage: &Storage,
        (digest, size): (&ContentDigest, u64),
        exported: &mut Exported,
    ) -> Result<(), NotExported> {
        let path = self.blob(digest);
        if fs::metadata(&path).await.is_ok_and(|there| there.len() == size) {
            return Ok(());
        }
        let unreadable = |source| NotExported::Blob { digest: digest.clone(), source };
        let unwritable = |source| NotExported::Unwritable { path: path.clone(), source };
        make_folder(&path).await?;
        let mut pieces = storage.read(digest, 0..size).await.map_err(unreadable)?;
        let (beside, mut hasher) = (path.with_extension("new"), Hasher::new(digest.algorithm()));
        let mut file = File::create(&beside).await.map_err(unwritable)?;
        while let Some(piece) = pieces.try_next().await.map_err(unreadable)? {
            hasher.update(&piece);
            file.write_all(&piece).await.map_err(unwritable)?;
        }
        if hasher.finish() != *digest {
            return Err(NotExported::Damaged { digest: digest.clone() });
        }
        file.sync_all().await.map_err(unwritable)?;
        fs::rename(&beside, &path).await.map_err(unwritable)?;
        exported.new_blobs += 1;
        exported.new_bytes += size;
        Ok(())
    }

    /// Has a document about the package, and returns its digest.
    pub(super) async fn keep(&self, bytes: &[u8]) -> Result<Digest, NotExported> {
        let digest = Digest::of(bytes);
        let path = self.folder.join("blobs/sha256").join(digest.hex());
        if fs::read(&path).await.is_ok_and(|there| there == bytes) {
            return Ok(digest);
        }
        put(&path, bytes).await?;
        Ok(digest)
    }

    /// Removes a document that nothing names any more.
    pub(super) async fn forget(&self, document: &Digest) -> Result<(), NotExported> {
        let path = self.folder.join("blobs/sha256").join(document.hex());
        match fs::remove_file(&path).await {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(NotExported::Unwritable { path, source })
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Lists what tools find that know layouts only.
    pub(super) async fn list(&self, manifests: Vec<Value>) -> Result<(), NotExported> {
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": manifests,
        });
        put(&self.folder.join("oci-layout"), MARKER).await?;
        put(&self.folder.join("index.json"), index.to_string().as_bytes()).await
    }

    fn blob(&self, digest: &ContentDigest) -> PathBuf {
        self.folder.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }
}

async fn make_folder(path: &Path) -> Result<(), NotExported> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let made = fs::create_dir_all(folder).await;
    made.map_err(|source| NotExported::Unwritable { path: folder.to_owned(), source })
}

/// Writes a file that is there whole or not at all.
async fn put(path: &Path, bytes: &[u8]) -> Result<(), NotExported> {
    let unwritable = |source| NotExported::Unwritable { path: path.to_owned(), source };
    make_folder(path).await?;
    let beside = path.with_extension("new");
    let mut file = File::create(&beside).await.map_err(unwritable)?;
    file.write_all(bytes).await.map_err(unwritable)?;
    file.sync_all().await.map_err(unwritable)?;
    fs::rename(&beside, path).await.map_err(unwritable)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let folder = File::open(folder).await.map_err(unwritable)?;
    folder.sync_all().await.map_err(unwritable)
}
