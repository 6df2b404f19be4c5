// SPDX-License-Identifier: Apache-2.0
//! The node's own copy of every package it runs, by digest. What is here is never fetched again.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use package::{BlobError, Blobs, Digest};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

use crate::durable;

/// How old something must be to be swept away. To fetch a package takes less.
const SPARED: Duration = Duration::from_hours(1);

/// Something in the folder.
struct Held {
    path: PathBuf,
    digest: Option<Digest>,
    size: u64,
    /// When it came, or was asked for last.
    came: SystemTime,
}

/// A folder of blobs, each named by its digest.
#[derive(Debug)]
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn new(state: &Path) -> Self {
        Self { folder: state.join("blobs/sha256") }
    }

    /// Keeps a blob; it is durable when this returns. One that is there counts as new.
    pub(crate) fn keep(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if !self.touch(&digest) {
            self.put(bytes)?;
        }
        Ok(digest)
    }

    /// Keeps a blob in place of what is under its digest, which may be damaged.
    pub(crate) fn put(&self, bytes: &[u8]) -> io::Result<()> {
        durable::write(&self.path(&Digest::of(bytes)), bytes)
    }

    /// Has a blob count as one that came now, so that it is not swept away before somebody needs it; whether it is there.
    pub(crate) fn touch(&self, digest: &Digest) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        utimensat(CWD, self.path(digest), &times, AtFlags::empty()).is_ok()
    }

    /// How many bytes all of it has.
    pub(crate) fn size(&self) -> io::Result<u64> {
        Ok(self.held()?.iter().map(|held| held.size).sum())
    }

    /// How many bytes these have.
    pub(crate) fn size_of<'a>(&self, digests: impl IntoIterator<Item = &'a Digest>) -> u64 {
        let sizes = digests.into_iter().map(|digest| fs::metadata(self.path(digest)));
        sizes.map(|metadata| metadata.map_or(0, |metadata| metadata.len())).sum()
    }

    /// Removes what is not needed, unless it came lately: somebody may be fetching it. Returns how many blobs went.
    pub(crate) fn sweep(&self, needed: &BTreeSet<Digest>) -> io::Result<usize> {
        let unneeded = self.unneeded(needed)?;
        unneeded.iter().try_for_each(|held| fs::remove_file(&held.path))?;
        Ok(unneeded.len())
    }

    /// Removes of the same, the oldest first, only as much as must go for all to have no more than so many bytes. Returns how
    /// many they are then.
    pub(crate) fn shrink(&self, needed: &BTreeSet<Digest>, max_bytes: u64) -> io::Result<u64> {
        let mut size = self.size()?;
        for held in self.unneeded(needed)? {
            if size <= max_bytes {
                break;
            }
            fs::remove_file(&held.path)?;
            size -= held.size;
        }
        Ok(size)
    }

    /// What may go, the oldest first.
    fn unneeded(&self, needed: &BTreeSet<Digest>) -> io::Result<Vec<Held>> {
        let mut unneeded = self.held()?;
        unneeded.retain(|held| {
            // What a crash left half written bears no digest.
            let is_needed = held.digest.is_some_and(|digest| needed.contains(&digest));
            !is_needed && held.came.elapsed().unwrap_or_default() > SPARED
        });
        unneeded.sort_by_key(|held| held.came);
        Ok(unneeded)
    }

    fn held(&self) -> io::Result<Vec<Held>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let held = entries.map(|entry| {
            let entry = entry?;
            let (name, metadata) = (entry.file_name(), entry.metadata()?);
            let digest = name.to_str().and_then(|name| format!("sha256:{name}").parse().ok());
            Ok(Held { path: entry.path(), digest, size: metadata.len(), came: metadata.modified()? })
        });
        // What is half written is renamed, and no longer there by its name.
        held.filter(|held: &io::Result<Held>| {
            held.as_ref().err().is_none_or(|error| error.kind() != io::ErrorKind::NotFound)
        })
        .collect()
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

    /// Has a blob be so old.
    fn age(store: &Store, digest: &Digest, hours: u64) {
        let path = store.path(digest);
        let came = fs::metadata(&path).unwrap().modified().unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(came - Duration::from_hours(hours)).unwrap();
    }

    #[test]
    fn the_oldest_goes_first_and_no_more_than_must() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert_eq!(store.size().unwrap(), 0);
        let digests =
            ["needed", "first", "second", "third"].map(|bytes| store.keep(bytes.as_bytes()).unwrap());
        for (digest, hours) in digests.iter().zip([9, 4, 3, 2]) {
            age(&store, digest, hours);
        }
        let needed: BTreeSet<Digest> = [digests[0]].into();
        let left = || digests.map(|digest| u8::from(store.path(&digest).exists()));
        assert_eq!(
            (store.size().unwrap(), store.shrink(&needed, 22).unwrap(), left()),
            (22, 22, [1, 1, 1, 1])
        );
        assert_eq!((store.shrink(&needed, 18).unwrap(), left()), (17, [1, 0, 1, 1]));
        // What is asked for again is as good as new.
        assert_eq!(store.keep(b"second").unwrap(), digests[2]);
        assert_eq!((store.shrink(&needed, 0).unwrap(), left()), (12, [1, 0, 1, 0]));
        assert_eq!(store.size_of(&digests), 12);
        assert!(store.touch(&digests[0]) && !store.touch(&digests[1]));
    }

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
