// SPDX-License-Identifier: Apache-2.0
//! Blobs in a bucket that speaks the protocol of Amazon S3: `<prefix>/blobs/<algorithm>/<two digits>/<digits>`.
//!
//! The digest of an upload is known when it ends, so it is assembled under a name of its own
//! (`<prefix>/uploads/<id>/blob`, by a multipart upload) and copied to its place by the store. A part has a least size; what a
//! request leaves over lies beside as a *rest*, until the next request brings more. The name of a rest has the size of the
//! upload, so that one that nobody was told of is never taken for the last one that somebody was.

use std::io;
use std::ops::Range;

use axum::body::BodyDataStream;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _};

use super::{Pieces, Staged};
use crate::config::BucketConfig;
use crate::{Algorithm, ContentDigest};

/// The size of a part; all but the last must be alike in some stores, and 5 MiB at least in all (`UploadPart` of Amazon S3).
const PART_BYTES: usize = 8 * 1024 * 1024;

/// A bucket with blobs.
pub(super) struct Bucket {
    pub(super) store: AmazonS3,
    pub(super) above: Path,
}

impl Bucket {
    /// Opens a bucket; nothing is asked of it yet.
    pub(super) fn open(config: &BucketConfig) -> io::Result<Self> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.name)
            .with_region(&config.region)
            .with_disable_tagging(true);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http:"));
        }
        if let Some(key) = &config.key {
            let secret = std::fs::read_to_string(&key.secret_file)?;
            builder = builder.with_access_key_id(&key.id).with_secret_access_key(secret.trim());
        }
        let store = builder.build().map_err(io::Error::other)?;
        Ok(Self { store, above: Path::from(config.prefix.as_str()) })
    }

    fn place(&self, digest: &ContentDigest) -> Path {
        let hex = digest.hex();
        self.above.clone().join("blobs").join(digest.algorithm().name()).join(&hex[..2]).join(hex)
    }

    /// Where all of an upload lies.
    fn upload(&self, staged: &Staged) -> Path {
        self.above.clone().join("uploads").join(staged.id.simple().to_string())
    }

    /// Where an upload is assembled.
    fn assembled(&self, staged: &Staged) -> Path {
        self.upload(staged).join("blob")
    }

    /// Where the bytes lie that are no part yet.
    fn rest(&self, staged: &Staged) -> Path {
        self.upload(staged).join(format!("rest-{}", staged.size))
    }

    pub(super) async fn put(&self, digest: &ContentDigest, bytes: Bytes) -> io::Result<()> {
        self.store.put(&self.place(digest), bytes.into()).await?;
        Ok(())
    }

    pub(super) async fn read(&self, digest: &ContentDigest, range: Range<u64>) -> io::Result<Pieces> {
        let place = self.place(digest);
        if range.is_empty() {
            // An empty range has no spelling in HTTP, and an empty object no range.
            self.store.head(&place).await?;
            return Ok(stream::empty().boxed());
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&place, options).await?;
        Ok(found.into_stream().map_err(io::Error::from).boxed())
    }

    pub(super) async fn size(&self, digest: &ContentDigest) -> io::Result<Option<u64>> {
        match self.store.head(&self.place(digest)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn remove(&self, digest: &ContentDigest) -> io::Result<()> {
        unless_missing(self.store.delete(&self.place(digest)).await)
    }

    pub(super) fn list(&self) -> BoxStream<'static, io::Result<(ContentDigest, u64)>> {
        let folder = self.above.clone().join("blobs");
        let listed = self.store.list(Some(&folder)).map_err(io::Error::from);
        listed
            .try_filter_map(
                async |object| Ok(digest_at(&object.location).map(|digest| (digest, object.size))),
            )
            .boxed()
    }

    pub(super) async fn append(
        &self,
        staged: &mut Staged,
        mut body: BodyDataStream,
        mut seen: impl FnMut(&Bytes) + Send,
    ) -> io::Result<()> {
        let mut next = staged.clone();
        let mut waiting = BytesMut::from(&*self.read_rest(staged).await?);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(io::Error::other)?;
            seen(&piece);
            next.size += piece.len() as u64;
            waiting.extend_from_slice(&piece);
            while waiting.len() >= PART_BYTES {
                let part = waiting.split_to(PART_BYTES).freeze();
                self.add_part(&mut next, part).await?;
            }
        }
        next.rest = waiting.len() as u64;
        if next.rest > 0 {
            self.store.put(&self.rest(&next), waiting.freeze().into()).await?;
        }
        *staged = next;
        Ok(())
    }

    /// Adds a part at the end; one that was added before and that nobody was told of is overwritten.
    async fn add_part(&self, staged: &mut Staged, part: Bytes) -> io::Result<()> {
        let place = self.assembled(staged);
        let assembly = match &staged.assembly {
            Some(assembly) => assembly.clone(),
            None => self.store.create_multipart(&place).await?,
        };
        let added = self.store.put_part(&place, &assembly, staged.parts.len(), part.into()).await?;
        staged.parts.push(added.content_id);
        staged.assembly = Some(assembly);
        Ok(())
    }

    async fn read_rest(&self, staged: &Staged) -> io::Result<Bytes> {
        if staged.rest == 0 {
            return Ok(Bytes::new());
        }
        Ok(self.store.get(&self.rest(staged)).await?.bytes().await?)
    }

    pub(super) async fn staged(&self, staged: &Staged) -> io::Result<Pieces> {
        let rest = self.read_rest(staged).await?;
        if staged.assembly.is_none() {
            return Ok(stream::once(async { Ok(rest) }).boxed());
        }
        // Parts can be read when they are one object.
        self.assemble(staged, rest).await?;
        let read = self.store.get(&self.assembled(staged)).await?;
        Ok(read.into_stream().map_err(io::Error::from).boxed())
    }

    pub(super) async fn keep(&self, staged: &Staged, digest: &ContentDigest) -> io::Result<()> {
        let rest = self.read_rest(staged).await?;
        if staged.assembly.is_none() {
            return self.put(digest, rest).await;
        }
        self.assemble(staged, rest).await?;
        self.store.copy(&self.assembled(staged), &self.place(digest)).await?;
        Ok(())
    }

    /// Makes one object of the parts of an upload and its rest, also where that was done before.
    async fn assemble(&self, staged: &Staged, rest: Bytes) -> io::Result<()> {
        let place = self.assembled(staged);
        if let Ok(found) = self.store.head(&place).await
            && found.size == staged.size
        {
            return Ok(());
        }
        let mut whole = staged.clone();
        if !rest.is_empty() {
            self.add_part(&mut whole, rest).await?;
        }
        let Some(assembly) = &whole.assembly else { return Ok(()) };
        let parts = whole.parts.iter().map(|content_id| PartId { content_id: content_id.clone() }).collect();
        self.store.complete_multipart(&place, assembly, parts).await?;
        Ok(())
    }

    pub(super) async fn discard(&self, staged: &Staged) -> io::Result<()> {
        let assembled = self.assembled(staged);
        if let Some(assembly) = &staged.assembly
            && matches!(self.store.head(&assembled).await, Err(object_store::Error::NotFound { .. }))
        {
            // It was not completed; one that somebody else gave up is there no more.
            unless_missing(self.store.abort_multipart(&assembled, assembly).await)?;
        }
        let left: Vec<_> = self.store.list(Some(&self.upload(staged))).try_collect().await?;
        for object in left {
            unless_missing(self.store.delete(&object.location).await)?;
        }
        Ok(())
    }
}

pub(super) fn unless_missing(done: object_store::Result<()>) -> io::Result<()> {
    match done {
        Err(object_store::Error::NotFound { .. }) => Ok(()),
        done => Ok(done?),
    }
}

/// The digest that an object is kept under; whatever has no name of a blob is none.
fn digest_at(location: &Path) -> Option<ContentDigest> {
    let mut names = location.as_ref().rsplit('/');
    let (hex, _digits, algorithm) = (names.next()?, names.next()?, names.next()?);
    let algorithm: Algorithm = algorithm.parse().ok()?;
    format!("{}:{hex}", algorithm.name()).parse().ok()
}
