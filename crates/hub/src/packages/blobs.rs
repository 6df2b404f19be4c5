// SPDX-License-Identifier: Apache-2.0
//! Reading what lies in a repository, for code that does no I/O of its own.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use package::{
    BlobError, Blobs, Digest, MAX_MANIFEST_BYTES, Package, ReadError, ReferrerKind, ReferrerManifest,
};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task;
use trust::Evidence;

use crate::{ContentDigest, Hub};

/// The most referrers of a release that are read.
const MAX_REFERRERS: i64 = 256;

/// The bytes of one repository. What lies in others is not there.
pub(super) struct RepositoryBlobs {
    hub: Arc<Hub>,
    repository: String,
    runtime: Handle,
}

/// A release cannot be looked at now.
#[derive(Debug, Error)]
pub(crate) enum Unread {
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The storage failed.
    #[error("the storage failed")]
    Storage(#[source] BlobError),
}

impl RepositoryBlobs {
    pub(super) fn new(hub: &Arc<Hub>, repository: &str) -> Self {
        Self { hub: Arc::clone(hub), repository: repository.to_owned(), runtime: Handle::current() }
    }

    /// Reads a package. The inner error is the package's fault, the outer one ours.
    pub(super) async fn package(self, index: Digest) -> Result<Result<Package, ReadError>, Unread> {
        let read = task::spawn_blocking(move || Package::read(&self, &index)).await;
        match read.expect("reading a package never panics: it is fuzzed") {
            Err(ReadError::Blob { source: failed @ BlobError::Other(_), .. }) => Err(Unread::Storage(failed)),
            read => Ok(read),
        }
    }

    /// What refers to a release: statements about it, and versions of roots. What cannot be read is passed over: whoever may push
    /// may push that, and it must not hide the others.
    pub(super) async fn evidence(&self, index: &str) -> Result<Evidence, Unread> {
        let select = "SELECT digest FROM manifests WHERE repository = $1 AND subject = $2 ORDER BY pushed_ms, digest LIMIT $3";
        let select = sqlx::query_scalar(select).bind(&self.repository).bind(index).bind(MAX_REFERRERS);
        let listed: Vec<String> = select.fetch_all(self.hub.database.readers()).await?;
        let mut evidence = Evidence::default();
        for manifest in listed {
            let Some(bytes) = self.wanted(&manifest, MAX_MANIFEST_BYTES).await? else { continue };
            let Some((kind, _, document)) = ReferrerManifest::parse(&bytes) else { continue };
            let kept = match kind {
                ReferrerKind::Statement => &mut evidence.envelopes,
                ReferrerKind::Root => &mut evidence.roots,
                ReferrerKind::Bundle => continue,
            };
            kept.extend(self.wanted(&document.digest.to_string(), MAX_MANIFEST_BYTES).await?);
        }
        Ok(evidence)
    }

    async fn wanted(&self, digest: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, Unread> {
        match self.read(digest, max_bytes).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(failed @ BlobError::Other(_)) => Err(Unread::Storage(failed)),
            Err(BlobError::Missing | BlobError::TooLarge) => Ok(None),
        }
    }

    async fn read(&self, digest: &str, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let Ok(named) = digest.parse::<ContentDigest>() else { return Err(BlobError::Missing) };
        let select = "SELECT 1 FROM blobs WHERE digest = $2 AND ( \
                      EXISTS (SELECT 1 FROM links l WHERE l.repository = $1 AND l.digest = $2) \
                      OR EXISTS (SELECT 1 FROM manifests m WHERE m.repository = $1 AND m.digest = $2))";
        let here = sqlx::query(select).bind(&self.repository).bind(digest);
        let here = here.fetch_optional(self.hub.database.readers()).await;
        if here.map_err(|error| BlobError::Other(Box::new(error)))?.is_none() {
            return Err(BlobError::Missing);
        }
        stored(&self.hub, &named, max_bytes).await
    }
}

/// The bytes of the storage under a digest, whoever may have them.
pub(super) async fn stored(hub: &Hub, named: &ContentDigest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
    let other = |error: io::Error| BlobError::Other(Box::new(error));
    let size = hub.storage.size(named).await.map_err(other)?.ok_or(BlobError::Missing)?;
    if size > max_bytes {
        return Err(BlobError::TooLarge);
    }
    let pieces = hub.storage.read(named, 0..size).await.map_err(other)?;
    let pieces: Vec<Bytes> = pieces.try_collect().await.map_err(other)?;
    Ok(pieces.concat())
}

impl Blobs for RepositoryBlobs {
    /// Waits, so it is for threads that may.
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        self.runtime.block_on(self.read(&digest.to_string(), max_bytes))
    }
}
