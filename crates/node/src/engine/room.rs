// SPDX-License-Identifier: Apache-2.0
//! Room for packages: what no generation that is kept needs goes, and what would not fit does not come in.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use package::{BlobError, Digest, ReadError, Size};

use super::Engine;
use crate::Rejected;
use crate::evidence::Documents;
use crate::generation::Pinned;
use crate::store::Recorder;

/// What the generations that are kept need.
struct Needs {
    digests: BTreeSet<Digest>,
    generations: usize,
    /// The package that takes the most room, and how much.
    largest: Option<(String, u64)>,
}

impl Engine {
    /// Makes room for so many bytes that are to come: of what no generation needs the oldest goes, and only as much as must.
    ///
    /// # Errors
    /// When they do not fit all the same; then nothing of them should be fetched.
    pub fn make_room(&self, bytes: u64) -> Result<(), Rejected> {
        let max = self.parts.config.store_max;
        let held = self.store.size().map_err(failed)?;
        if bytes == 0 || held.saturating_add(bytes) <= max.bytes() {
            return Ok(());
        }
        let needs = self.needs()?;
        let at_most = max.bytes().saturating_sub(bytes);
        let held = self.store.shrink(&needs.digests, at_most).map_err(failed)?;
        if bytes <= max.bytes() && held <= at_most {
            return Ok(());
        }
        let needed = self.store.size_of(&needs.digests);
        Err(Rejected::NoRoom {
            wanted: Size::of(bytes),
            max,
            needed: Size::of(needed),
            generations: needs.generations,
            largest: needs.largest.map(|(reference, bytes)| (reference, Size::of(bytes))),
            lately: Size::of(held.saturating_sub(needed)),
        })
    }

    /// Removes generations that are too many, and what only they needed; and what nobody needs where the store is too large.
    pub(super) fn tidy_up(&self) -> Result<(), Rejected> {
        let is_pruned = self.generations.prune().map_err(failed)? > 0;
        let max_bytes = self.parts.config.store_max.bytes();
        if is_pruned {
            let swept = self.store.sweep(&self.needs()?.digests).map_err(failed)?;
            tracing::debug!(swept, "removed what no generation needs");
        } else if self.store.size().map_err(failed)? > max_bytes {
            let size_bytes = self.store.shrink(&self.needs()?.digests, max_bytes).map_err(failed)?;
            tracing::debug!(size_bytes, "removed the oldest of what no generation needs");
        }
        Ok(())
    }

    /// Looks at all generations that are kept. One that cannot be read is an error: nobody knows what it needs.
    fn needs(&self) -> Result<Needs, Rejected> {
        let numbers = self.generations.numbers().map_err(failed)?;
        let (generations, mut packages) = (numbers.len(), BTreeMap::new());
        for number in numbers {
            let named = self.generations.read(number).map_err(failed)?.packages;
            packages.extend(named.into_iter().map(|(reference, pinned)| (pinned.index, (reference, pinned))));
        }
        let found = self.evidence.retain(|package| packages.contains_key(package))?;
        let (mut digests, mut largest) = (BTreeSet::new(), None);
        for (reference, pinned) in packages.values() {
            let parts = self.parts_of(reference, pinned)?;
            let bytes = self.store.size_of(&parts);
            if largest.as_ref().is_none_or(|(_, most)| *most < bytes) {
                largest = Some((reference.clone(), bytes));
            }
            digests.extend(parts);
        }
        digests.extend(packages.keys().filter_map(|package| found.about(package)).flat_map(Documents::all));
        Ok(Needs { digests, generations, largest })
    }

    /// The digests of all that a package consists of, and of what came with it. A disk that fails is an error: nobody knows what
    /// else there is.
    fn parts_of(&self, reference: &str, pinned: &Pinned) -> Result<BTreeSet<Digest>, Rejected> {
        let recorder = Recorder::new(&self.store);
        match pinned.read(&recorder) {
            Ok(_) => {}
            Err(source @ ReadError::Blob { source: BlobError::Other(_), .. }) => {
                return Err(Rejected::Unreadable { reference: reference.to_owned(), source });
            }
            // What is not a package runs nowhere; what is left of it may go.
            Err(error) => {
                tracing::warn!(
                    "a generation has the package {}, which cannot be read: {error}",
                    pinned.index
                );
            }
        }
        let came_along = pinned.statements.iter().chain(&pinned.roots).copied();
        Ok(recorder.into_digests().chain(came_along).collect())
    }
}

fn failed(source: io::Error) -> Rejected {
    Rejected::State { action: "make room for packages", source }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::path::Path;
    use std::time::Duration;

    use kernel::Fake;
    use package::Platform;
    use wire::Document;

    use super::*;
    use crate::engine::Parts;
    use crate::generation::Generation;
    use crate::{Config, Engine};

    /// An engine whose store may have 100 bytes.
    fn engine(state: &Path) -> Engine {
        let config = Config { state: state.to_owned(), store_max: Size::of(100), ..Config::default() };
        Engine::new(Parts {
            kernel: Box::new(Fake::new([])),
            config,
            machine: Platform::new("linux", "amd64").unwrap(),
            clock: || jiff::Timestamp::UNIX_EPOCH,
        })
    }

    /// Keeps so many bytes, which came long ago.
    fn keep(engine: &Engine, bytes: usize) -> Digest {
        let digest = engine.store.keep(&vec![b'x'; bytes]).unwrap();
        let path = engine.parts.config.state.join("blobs/sha256").join(digest.hex());
        let came = fs::metadata(&path).unwrap().modified().unwrap() - Duration::from_hours(2);
        File::options().write(true).open(path).unwrap().set_modified(came).unwrap();
        digest
    }

    /// Has a generation need something.
    fn need(engine: &Engine, number: u64, digest: Digest) {
        let pinned =
            Pinned { index: Digest::of(b"gone"), statements: vec![digest], roots: Vec::new(), named: None };
        let generation = Generation {
            number,
            previous: number - 1,
            accepted: jiff::Timestamp::UNIX_EPOCH,
            by: None,
            document: Document::default(),
            packages: [("oci://hub.example.org/a:1".to_owned(), pinned)].into(),
            explanations: BTreeMap::new(),
            again: None,
            given_up: None,
        };
        engine.generations.accept(&generation, None).unwrap();
    }

    #[test]
    fn what_would_not_fit_is_refused_and_what_is_needed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        let (needed, unneeded) = (keep(&engine, 60), keep(&engine, 30));
        need(&engine, 1, needed);
        engine.make_room(10).unwrap();
        let is_there = |digest| engine.store.size_of([&digest]) > 0;
        assert!(is_there(unneeded), "it is in nobody's way");
        engine.make_room(40).unwrap();
        assert!(is_there(needed) && !is_there(unneeded));
        let lately = engine.store.keep(b"lately").unwrap();
        let refused = engine.make_room(41).unwrap_err();
        assert!(is_there(needed) && is_there(lately));
        insta::assert_snapshot!(format!("{refused}\nhint: {}", refused.hint().unwrap()), @"
        there is no room for 41 B more of packages: they may take 100 B on this node; 60 B are needed by the generations that are kept (1; most by `oci://hub.example.org/a:1`, 60 B), and 6 B came within the last hour
        hint: nothing of it was fetched, and what runs goes on; raise `store_max` in the daemon's configuration, or try again in an hour: a generation that is kept needs its packages, and the oldest goes when there are more than 50
        ");
        assert!(engine.make_room(u64::MAX).is_err());
        engine.make_room(0).unwrap();
    }

    #[test]
    fn a_store_that_is_too_large_shrinks_to_what_it_may_have() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        let [needed, oldest, other] = [70, 50, 20].map(|bytes| keep(&engine, bytes));
        need(&engine, 1, needed);
        let path = folder.path().join("blobs/sha256").join(oldest.hex());
        let came = fs::metadata(&path).unwrap().modified().unwrap() - Duration::from_hours(1);
        File::options().write(true).open(path).unwrap().set_modified(came).unwrap();
        engine.tidy_up().unwrap();
        assert_eq!(engine.store.size_of([&needed, &oldest, &other]), 90);
        // A generation that cannot be read may need anything.
        keep(&engine, 50);
        fs::write(folder.path().join("generations/2.json"), "{").unwrap();
        assert!(engine.tidy_up().is_err() && engine.make_room(50).is_err());
        assert_eq!(engine.store.size().unwrap(), 140);
    }
}
