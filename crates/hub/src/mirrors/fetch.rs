// SPDX-License-Identifier: Apache-2.0
//! Fetching a release with all that is there of it into the storage: its index, what that names, what refers to any of it, and what
//! refers to that. Nobody can read it there before it is listed; what never is, is swept. What the storage has is not fetched
//! again, so that a run that broke off goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use package::{Digest, MAX_LAYER_BYTES, MAX_MANIFEST_BYTES, ReferrerKind, ReferrerManifest};
use serde::Deserialize;
use trust::Evidence;

use super::source::{Named, Source, Unfetched};
use crate::registry::{self, Document};
use crate::{ContentDigest, Hub};

/// The most manifests that a release with all that refers to it may have.
const MAX_DOCUMENTS: usize = 1024;
/// The most bytes that they may have together.
const MAX_DOCUMENTS_BYTES: usize = 32 * 1024 * 1024;
/// How many blobs are fetched at a time; what is larger than this is fetched alone, so that memory is bounded.
const AT_ONCE: usize = 4;
const SMALL_BYTES: u64 = 4 * 1024 * 1024;

/// What was fetched of a release, and lies in the storage.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// Its manifests, the index first, each with the blobs that it names; not those that are listed already.
    taken: Vec<(Document, BTreeMap<Digest, u64>)>,
    /// What refers to it and could not be had, with why.
    pub(super) passed_over: Vec<String>,
    seen: BTreeSet<Digest>,
    bytes: usize,
}

/// What a document is to the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A part of it, without which it is none.
    Part,
    /// It refers to it. Whoever may push there may list what is not there; that must not hide the others.
    About,
}

/// A manifest or index of anybody's, as far as it names others.
#[derive(Deserialize)]
struct Names {
    config: Option<Entry>,
    #[serde(default)]
    layers: Vec<Entry>,
    #[serde(default)]
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
    size: u64,
}

/// Fetches from a source, for one package.
pub(super) struct Fetching<'a> {
    pub(super) hub: &'a Arc<Hub>,
    pub(super) source: &'a Source,
    pub(super) package: &'a Named,
    /// The manifests that the repository has already, with their blobs.
    pub(super) listed: &'a BTreeSet<String>,
}

impl Fetched {
    /// All digests of it.
    pub(super) fn digests(&self) -> BTreeSet<Digest> {
        let blobs = self.taken.iter().flat_map(|(_, blobs)| blobs.keys());
        self.seen.iter().chain(blobs).copied().collect()
    }

    /// Its blobs, as lists have them.
    pub(super) fn blobs(&self) -> Vec<(ContentDigest, u64)> {
        let blobs: BTreeMap<&Digest, &u64> = self.taken.iter().flat_map(|(_, blobs)| blobs).collect();
        blobs.into_iter().map(|(digest, size)| (named(digest), *size)).collect()
    }

    /// Its manifests that are not listed already, the index first.
    pub(super) fn documents(&self) -> Vec<Document> {
        self.taken.iter().map(|(document, _)| document.clone()).collect()
    }

    /// Whether there is nothing that is not listed already.
    pub(super) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

impl Fetching<'_> {
    /// Fetches a release whole.
    ///
    /// # Errors
    /// When a part of it cannot be had.
    pub(super) async fn whole(&self, release: Digest) -> Result<Fetched, Unfetched> {
        let mut fetched = Fetched::default();
        let mut waiting = vec![(release, Role::Part)];
        while let Some((digest, role)) = waiting.pop() {
            if !fetched.seen.insert(digest) {
                continue;
            }
            match self.take(&digest, &mut fetched).await {
                Ok(names) => waiting.extend(names.manifests.iter().map(|entry| (entry.digest, role))),
                Err(error) if role == Role::About && !error.halts() => {
                    fetched.seen.remove(&digest);
                    fetched.passed_over.push(crate::answer::whole(&error));
                    continue;
                }
                Err(error) => return Err(error),
            }
            for about in self.source.referring(self.package, &digest).await? {
                match about.parse::<Digest>() {
                    Ok(about) => waiting.push((about, Role::About)),
                    Err(_) => fetched.passed_over.push(format!("`{about}` is no SHA-256 digest")),
                }
            }
        }
        fetched.passed_over.sort();
        fetched.passed_over.dedup();
        Ok(fetched)
    }

    /// Fetches a document with the blobs that it names.
    async fn take(&self, digest: &Digest, fetched: &mut Fetched) -> Result<Names, Unfetched> {
        let kept = self.kept(digest).await?;
        if let Some(bytes) = kept.as_ref().filter(|_| self.listed.contains(&digest.to_string())) {
            return read(digest, bytes);
        }
        let is_kept = kept.is_some();
        let bytes = match kept {
            Some(bytes) => bytes,
            None => Bytes::from(self.source.document(self.package, digest).await?),
        };
        let names = read(digest, &bytes)?;
        fetched.bytes += bytes.len();
        if fetched.taken.len() >= MAX_DOCUMENTS || fetched.bytes > MAX_DOCUMENTS_BYTES {
            let most = format!("{MAX_DOCUMENTS} manifests or {MAX_DOCUMENTS_BYTES} bytes of them");
            return Err(Unfetched::Unfit(format!("it has more than {most} with what refers to it")));
        }
        self.touch(vec![(named(digest), bytes.len() as u64)]).await?;
        if !is_kept {
            self.hub.mirrors.fetched(bytes.len() as u64);
            self.hub.storage.put(&named(digest), bytes.clone()).await?;
        }
        let blobs: BTreeMap<Digest, u64> =
            names.config.iter().chain(&names.layers).map(|entry| (entry.digest, entry.size)).collect();
        self.blobs(&blobs).await?;
        fetched.taken.push((Document { digest: named(digest), bytes }, blobs));
        Ok(names)
    }

    async fn blobs(&self, blobs: &BTreeMap<Digest, u64>) -> Result<(), Unfetched> {
        self.touch(blobs.iter().map(|(digest, size)| (named(digest), *size)).collect()).await?;
        let (small, large): (Vec<_>, Vec<_>) = blobs.iter().partition(|(_, size)| **size <= SMALL_BYTES);
        let small: Vec<_> =
            small.into_iter().map(|(digest, size)| self.blob(*digest, *size).boxed()).collect();
        let mut small = futures_util::stream::iter(small).buffer_unordered(AT_ONCE);
        while let Some(fetched) = small.next().await {
            fetched?;
        }
        for (digest, size) in large {
            self.blob(*digest, *size).await?;
        }
        Ok(())
    }

    async fn blob(&self, digest: Digest, size: u64) -> Result<(), Unfetched> {
        if size > MAX_LAYER_BYTES {
            return Err(Unfetched::Unfit(format!("{digest} has more than {MAX_LAYER_BYTES} bytes")));
        }
        if self.hub.storage.size(&named(&digest)).await? == Some(size) {
            return Ok(());
        }
        let bytes = self.source.blob(self.package, (&digest, size)).await?;
        if bytes.len() as u64 != size {
            let found = bytes.len();
            return Err(Unfetched::Unfit(format!("{digest} has {found} bytes and is said to have {size}")));
        }
        self.hub.mirrors.fetched(size);
        Ok(self.hub.storage.put(&named(&digest), Bytes::from(bytes)).await?)
    }

    /// A document that the storage has; none where it is damaged.
    async fn kept(&self, digest: &Digest) -> Result<Option<Bytes>, Unfetched> {
        let (named, storage) = (named(digest), &self.hub.storage);
        let Some(size) = storage.size(&named).await?.filter(|size| *size <= MAX_MANIFEST_BYTES) else {
            return Ok(None);
        };
        let pieces: Vec<Bytes> = storage.read(&named, 0..size).await?.try_collect().await?;
        let bytes = pieces.concat();
        Ok((Digest::of(&bytes) == *digest).then(|| Bytes::from(bytes)))
    }

    /// Has rows before objects, so that these are not removed while they are needed.
    async fn touch(&self, blobs: Vec<(ContentDigest, u64)>) -> Result<(), Unfetched> {
        if blobs.is_empty() {
            return Ok(());
        }
        let now_ms = self.hub.now_ms();
        let touched = self.hub.database.write(move |connection| {
            async move { registry::touch(connection, &blobs, now_ms).await }.boxed()
        });
        Ok(touched.await?)
    }

    /// What speaks of a release among what was fetched.
    pub(super) async fn evidence(&self, release: Digest, fetched: &Fetched) -> Result<Evidence, Unfetched> {
        let mut evidence = Evidence::default();
        for (document, _) in &fetched.taken {
            let Some((kind, subject, descriptor)) = ReferrerManifest::parse(&document.bytes) else {
                continue;
            };
            if subject != release || descriptor.size > MAX_MANIFEST_BYTES {
                continue;
            }
            let pieces = self.hub.storage.read(&named(&descriptor.digest), 0..descriptor.size).await?;
            let pieces: Vec<Bytes> = pieces.try_collect().await?;
            match kind {
                ReferrerKind::Statement => evidence.envelopes.push(pieces.concat()),
                ReferrerKind::Root => evidence.roots.push(pieces.concat()),
                ReferrerKind::Bundle => {}
            }
        }
        Ok(evidence)
    }
}

/// What a document names.
fn read(digest: &Digest, bytes: &[u8]) -> Result<Names, Unfetched> {
    let unfit = |why: String| Unfetched::Unfit(format!("{digest} is no manifest: {why}"));
    registry::subject(bytes).map_err(|error| unfit(error.to_string()))?;
    serde_json::from_slice(bytes).map_err(|error| unfit(error.to_string()))
}

/// The same digest as the registry names it.
pub(super) fn named(digest: &Digest) -> ContentDigest {
    digest.to_string().parse().expect("a SHA-256 digest is one of those that registries know")
}
