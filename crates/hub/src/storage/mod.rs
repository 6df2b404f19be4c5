// SPDX-License-Identifier: Apache-2.0
//! Where bytes are kept by their digest: a folder of this machine, or a bucket that speaks the protocol of Amazon S3.
//!
//! What is reported as kept is durable. Whether anybody may have it, and whether it is needed, the database says: an object
//! without a row there is of no meaning, and is removed.

mod bucket;
mod cache;
mod folder;
mod records;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use self::bucket::Bucket;
use self::cache::Cache;
use self::folder::Folder;
use crate::digest::Hasher;
use crate::{Config, ContentDigest};

/// Keeps bytes by their digest.
pub struct Storage {
    means: Means,
    cache: Cache,
}

enum Means {
    Folder(Folder),
    Bucket(Bucket),
}

/// The storage cannot be used.
#[derive(Debug, Error)]
pub enum NoStorage {
    /// The folder cannot be made or written.
    #[error("cannot keep blobs in `{}`", .folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The bucket cannot be used as it is configured.
    #[error("cannot use the bucket `{name}`")]
    Bucket {
        /// Which.
        name: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Bytes on their way to becoming a blob, as the database remembers them between requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Staged {
    /// The upload.
    pub(crate) id: Uuid,
    /// How many bytes are durable.
    pub(crate) size: u64,
    /// Where a bucket assembles it: the id of a multipart upload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assembly: Option<String>,
    /// What a bucket calls its parts, and the names of the files in a folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<String>,
    /// How many bytes at the end are no part yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) rest: u64,
}

impl Staged {
    /// An upload that has no bytes yet.
    pub(crate) fn new(id: Uuid) -> Self {
        Self { id, size: 0, assembly: None, parts: Vec::new(), rest: 0 }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Bytes of a blob, one piece after the other.
pub(crate) type Pieces = BoxStream<'static, io::Result<Bytes>>;

impl Storage {
    /// Opens the storage that the configuration names.
    ///
    /// # Errors
    /// When nothing can be kept there.
    pub(crate) fn open(config: &Config) -> Result<Self, NoStorage> {
        if let Some(bucket) = &config.bucket {
            let name = bucket.name.clone();
            let opened = Bucket::open(bucket).map_err(|source| NoStorage::Bucket { name, source })?;
            return Ok(Self { means: Means::Bucket(opened), cache: Cache::default() });
        }
        Self::in_folder(&config.folder)
    }

    /// Opens a folder.
    ///
    /// # Errors
    /// When nothing can be kept there.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, NoStorage> {
        let folder = folder.to_owned();
        let opened = Folder::open(&folder).map_err(|source| NoStorage::Folder { folder, source })?;
        Ok(Self { means: Means::Folder(opened), cache: Cache::default() })
    }

    /// Keeps a small blob, whose digest the caller computed.
    pub(crate) async fn put(&self, digest: &ContentDigest, bytes: Bytes) -> io::Result<()> {
        match &self.means {
            Means::Folder(folder) => folder.put(digest, bytes).await,
            Means::Bucket(bucket) => bucket.put(digest, bytes).await,
        }
    }

    /// The bytes of a blob in a range, which must lie in it.
    ///
    /// # Errors
    /// `NotFound` when there is no such blob.
    pub(crate) async fn read(&self, digest: &ContentDigest, range: Range<u64>) -> io::Result<Pieces> {
        match &self.means {
            Means::Folder(folder) => folder.read(digest, range).await,
            Means::Bucket(bucket) => bucket.read(digest, range).await,
        }
    }

    /// A range of a blob of this size as the body of an answer. What is small is remembered.
    ///
    /// # Errors
    /// `NotFound` when there is no such blob.
    pub(crate) async fn body(
        &self,
        digest: &ContentDigest,
        range: Range<u64>,
        size: u64,
    ) -> io::Result<Body> {
        if size > cache::SMALL_BYTES {
            return Ok(Body::from_stream(self.read(digest, range).await?));
        }
        let bytes = match self.cache.find(digest) {
            Some(bytes) => bytes,
            None => self.read_small(digest, size).await?,
        };
        let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
        let (start, end) = (start.map_err(io::Error::other)?, end.map_err(io::Error::other)?);
        Ok(Body::from(bytes.slice(start..end)))
    }

    async fn read_small(&self, digest: &ContentDigest, size: u64) -> io::Result<Bytes> {
        let read = self.read(digest, 0..size).await?.try_collect::<BytesMut>().await?.freeze();
        self.cache.remember(digest, read.clone());
        Ok(read)
    }

    /// How many bytes a blob has; none where there is no such blob.
    pub(crate) async fn size(&self, digest: &ContentDigest) -> io::Result<Option<u64>> {
        match &self.means {
            Means::Folder(folder) => folder.size(digest).await,
            Means::Bucket(bucket) => bucket.size(digest).await,
        }
    }

    /// Removes a blob; one that is not there is no error.
    pub(crate) async fn remove(&self, digest: &ContentDigest) -> io::Result<()> {
        match &self.means {
            Means::Folder(folder) => folder.remove(digest).await,
            Means::Bucket(bucket) => bucket.remove(digest).await,
        }
    }

    /// Writes a record beside the blobs, whole or not at all, in place of the one of that name.
    pub(crate) async fn put_record(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        match &self.means {
            Means::Folder(folder) => folder.put_record(name, bytes).await,
            Means::Bucket(bucket) => bucket.put_record(name, bytes).await,
        }
    }

    /// Reads a record.
    pub(crate) async fn read_record(&self, name: &str) -> io::Result<Bytes> {
        match &self.means {
            Means::Folder(folder) => folder.read_record(name).await,
            Means::Bucket(bucket) => bucket.read_record(name).await,
        }
    }

    /// Removes a record; one that is not there is no error.
    pub(crate) async fn remove_record(&self, name: &str) -> io::Result<()> {
        match &self.means {
            Means::Folder(folder) => folder.remove_record(name).await,
            Means::Bucket(bucket) => bucket.remove_record(name).await,
        }
    }

    /// The names of all records.
    pub(crate) async fn records(&self) -> io::Result<Vec<String>> {
        match &self.means {
            Means::Folder(folder) => folder.records().await,
            Means::Bucket(bucket) => bucket.records().await,
        }
    }

    /// All blobs that are kept, with their sizes in bytes, in no order.
    pub(crate) fn list(&self) -> BoxStream<'static, io::Result<(ContentDigest, u64)>> {
        match &self.means {
            Means::Folder(folder) => folder.list(),
            Means::Bucket(bucket) => bucket.list(),
        }
    }

    /// Appends to an upload what a request brings, and answers when that is durable. What lay behind `staged.size`, from a
    /// request that broke off, is overwritten. `seen` is given each piece.
    ///
    /// # Errors
    /// When the request breaks off or nothing can be written; `staged` is then as before.
    pub(crate) async fn append(
        &self,
        staged: &mut Staged,
        body: BodyDataStream,
        seen: impl FnMut(&Bytes) + Send,
    ) -> io::Result<()> {
        match &self.means {
            Means::Folder(folder) => folder.append(staged, body, seen).await,
            Means::Bucket(bucket) => bucket.append(staged, body, seen).await,
        }
    }

    /// The bytes of an upload, to which nothing is appended any more.
    pub(crate) async fn staged(&self, staged: &Staged) -> io::Result<Pieces> {
        match &self.means {
            Means::Folder(folder) => Ok(folder.staged(staged)),
            Means::Bucket(bucket) => bucket.staged(staged).await,
        }
    }

    /// Makes a blob of an upload, whose digest the caller computed.
    pub(crate) async fn keep(&self, staged: &Staged, digest: &ContentDigest) -> io::Result<()> {
        match &self.means {
            Means::Folder(folder) => folder.keep(staged, digest).await,
            Means::Bucket(bucket) => bucket.keep(staged, digest).await,
        }
    }

    /// Forgets an upload; one that is not there is no error.
    pub(crate) async fn discard(&self, staged: &Staged) -> io::Result<()> {
        match &self.means {
            Means::Folder(folder) => folder.discard(staged).await,
            Means::Bucket(bucket) => bucket.discard(staged).await,
        }
    }

    /// Removes what is left of uploads that were given up, but for these parts, and what is younger than that.
    pub(crate) async fn remove_parts(
        &self,
        but: &BTreeSet<String>,
        age: Duration,
        now_ms: i64,
    ) -> io::Result<()> {
        match &self.means {
            Means::Folder(folder) => folder.remove_parts(but, age, now_ms).await,
            // What an upload left is below its id; buckets have rules of their own for what is never completed.
            Means::Bucket(_) => Ok(()),
        }
    }
}

/// Copies a blob, and says which digest its bytes have: where that is another, it was not kept. None where there is no such blob.
pub(crate) async fn copy(
    from: &Storage,
    to: &Storage,
    digest: &ContentDigest,
) -> io::Result<Option<ContentDigest>> {
    let Some(size) = from.size(digest).await? else { return Ok(None) };
    let bytes = Body::from_stream(from.read(digest, 0..size).await?).into_data_stream();
    let (mut staged, mut hasher) = (Staged::new(Uuid::now_v7()), Hasher::new(digest.algorithm()));
    to.append(&mut staged, bytes, |piece| hasher.update(piece)).await?;
    let found = hasher.finish();
    if found == *digest {
        to.keep(&staged, digest).await?;
    }
    to.discard(&staged).await?;
    Ok(Some(found))
}
