// SPDX-License-Identifier: Apache-2.0
//! The node's own copy of every package it runs, by digest. What is here is never fetched again.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use package::{BlobError, Blobs, Digest};

use crate::durable;

/// A folder of blobs, each named by its digest.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn new(state: &Path) -> Self {
        Self { folder: state.join("blobs/sha256") }
    }

    /// Keeps a blob; it is durable when this returns.
    pub(crate) fn keep(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        if !path.exists() {
            durable::write(&path, bytes)?;
        }
        Ok(digest)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(digest.hex())
    }
}

impl Blobs for Store {
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let path = self.path(digest);
        let size = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BlobError::Missing),
            Err(error) => return Err(BlobError::Other(error.into())),
            Ok(metadata) => metadata.len(),
        };
        if size > max_bytes {
            return Err(BlobError::TooLarge);
        }
        fs::read(path).map_err(|error| BlobError::Other(error.into()))
    }
}

/// Remembers what is read through it, so that exactly what a package consists of can be kept.
pub(crate) struct Recorder<'a> {
    inner: &'a dyn Blobs,
    seen: RefCell<BTreeMap<Digest, Vec<u8>>>,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(inner: &'a dyn Blobs) -> Self {
        Self { inner, seen: RefCell::default() }
    }

    /// The blobs that were read.
    pub(crate) fn into_blobs(self) -> Vec<Vec<u8>> {
        self.seen.into_inner().into_values().collect()
    }
}

impl Blobs for Recorder<'_> {
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let bytes = self.inner.blob(digest, max_bytes)?;
        self.seen.borrow_mut().insert(*digest, bytes.clone());
        Ok(bytes)
    }
}
