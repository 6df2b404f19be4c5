// SPDX-License-Identifier: Apache-2.0
//! The node's own copy of every package it runs, by digest. What is here is never fetched again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use package::{BlobError, Blobs, Digest};

use crate::durable;

/// How old something must be to be swept away. To fetch a package takes less.
const SPARED: Duration = Duration::from_hours(1);

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

    /// Removes what is not needed, unless it came lately: somebody may be fetching it. Returns how many blobs went.
    pub(crate) fn sweep(&self, needed: &BTreeSet<Digest>) -> io::Result<usize> {
        let mut swept = 0;
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| format!("sha256:{name}").parse::<Digest>().ok());
            // What a crash left half written bears no digest.
            let is_needed = digest.is_some_and(|digest| needed.contains(&digest));
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if !is_needed && age > SPARED {
                fs::remove_file(entry.path())?;
                swept += 1;
            }
        }
        Ok(swept)
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

    /// Their digests.
    pub(crate) fn into_digests(self) -> impl Iterator<Item = Digest> {
        self.seen.into_inner().into_keys()
    }
}

impl Blobs for Recorder<'_> {
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let bytes = self.inner.blob(digest, max_bytes)?;
        self.seen.borrow_mut().insert(*digest, bytes.clone());
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_is_needed_or_new_is_not_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        let [needed, old, new] =
            [b"needed".as_slice(), b"old", b"new"].map(|bytes| store.keep(bytes).unwrap());
        let torn = store.folder.join(format!("{}.new", old.hex()));
        fs::write(&torn, "half").unwrap();
        let now = fs::metadata(&torn).unwrap().modified().unwrap();
        let before = now - SPARED - Duration::from_secs(1);
        for path in [store.path(&needed), store.path(&old), torn.clone()] {
            File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
        }
        assert_eq!(store.sweep(&[needed].into()).unwrap(), 2);
        let is_there = |digest| store.blob(&digest, 100).is_ok();
        assert_eq!(
            (is_there(needed), is_there(old), is_there(new), torn.exists()),
            (true, false, true, false)
        );
    }
}
