// SPDX-License-Identifier: Apache-2.0
//! Writing entries of a map: all of them, or none.

use std::collections::BTreeSet;
use std::io;

use libbpf_rs::{ErrorKind, MapCore as _, MapFlags, MapType};
use thiserror::Error;

use super::OpenMap;
use super::walk::is_unsupported;
use crate::linux::maps::plain;
use crate::linux::sys::batch;

/// How many entries are written by one call.
const MOST: usize = 4096;

/// The values under a key.
type Copies = Vec<Vec<u8>>;

/// What becomes of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has this value; on each processor, where they have their own.
    Set {
        /// Its key.
        key: Vec<u8>,
        /// Its value, or one for each processor that there can be.
        values: Vec<Vec<u8>>,
    },
    /// It goes. An entry of an array becomes zero, as it cannot go.
    Delete {
        /// Its key.
        key: Vec<u8>,
    },
}

/// Entries were not written.
#[derive(Debug, Error)]
pub enum NotChanged {
    /// The kernel refused one; the map is as it was.
    #[error("entry {number} cannot be written")]
    Refused {
        /// Which of them, from 0.
        number: usize,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The kernel refused one, and to take back those before it.
    #[error(
        "entry {number} cannot be written ({source}), and those before it are not all taken back: {left}"
    )]
    Half {
        /// Which of them, from 0.
        number: usize,
        /// Why not.
        source: io::Error,
        /// Why what was written stays.
        left: io::Error,
    },
}

impl Change {
    /// The key of the entry.
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Set { key, .. } | Self::Delete { key } => key,
        }
    }
}

impl OpenMap {
    /// Writes entries in their order. Where one is refused, as by a map that is full, those before it are taken back. Programs see
    /// each change as it is made, not all at once. What a map that forgets what is old (LRU) forgot meanwhile does not come back.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn change(&self, changes: &[Change]) -> Result<(), NotChanged> {
        self.change_with_way_back(changes).map(drop)
    }

    /// The same, with the changes that take it back.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub(in crate::linux) fn change_with_way_back(
        &self,
        changes: &[Change],
    ) -> Result<Vec<Change>, NotChanged> {
        let refused = |(number, source)| NotChanged::Refused { number, source };
        self.check(changes).map_err(refused)?;
        let before = self.before(changes).map_err(refused)?;
        let back = changes.iter().zip(before).map(|(change, held)| {
            let key = change.key().to_owned();
            held.map_or_else(
                || Change::Delete { key: key.clone() },
                |values| Change::Set { key: key.clone(), values },
            )
        });
        let Err((number, source)) = self.write_all(changes) else { return Ok(back.rev().collect()) };
        // What cannot be taken back keeps nothing else from it. An entry that is gone already needs nothing.
        let failed = back.take(number).rev().filter_map(|change| self.write_one(&change).err());
        let mut failed: Vec<io::Error> =
            failed.filter(|error| error.kind() != io::ErrorKind::NotFound).collect();
        match failed.pop() {
            None => Err(NotChanged::Refused { number, source }),
            Some(left) => Err(NotChanged::Half { number, source, left }),
        }
    }

    /// Writes entries of a map that nobody uses yet: where one is refused, those before it stay.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub(in crate::linux) fn write(&self, entries: &[Change]) -> io::Result<()> {
        let numbered = |(number, source): (usize, io::Error)| {
            let told = format!("entry {number} is refused: {source}");
            io::Error::new(source.kind(), told)
        };
        self.check(entries).and_then(|()| self.write_all(entries)).map_err(numbered)
    }

    /// Refuses what is longer or shorter than keys and values are: the kernel reads as many bytes as they have.
    fn check(&self, changes: &[Change]) -> Result<(), (usize, io::Error)> {
        let fits = |change: &Change| {
            let value_bytes = self.value_bytes();
            let values_fit = match change {
                Change::Set { values, .. } => {
                    [1, self.copies].contains(&values.len())
                        && values.iter().all(|value| value.len() == value_bytes)
                }
                Change::Delete { .. } => true,
            };
            change.key().len() == self.key_bytes() && values_fit
        };
        let unfit = || io::Error::new(io::ErrorKind::InvalidInput, "its key or value is of another size");
        changes.iter().position(|change| !fits(change)).map_or(Ok(()), |number| Err((number, unfit())))
    }

    /// What is under the keys of changes. To delete what is not there is refused.
    fn before(&self, changes: &[Change]) -> Result<Vec<Option<Copies>>, (usize, io::Error)> {
        let exact = self.exact_keys(changes).map_err(|error| (0, error))?;
        let held = changes.iter().enumerate().map(|(number, change)| {
            let is_there = exact.as_ref().is_none_or(|keys| keys.contains(change.key()));
            let held = if is_there { self.look_up(change.key()) } else { Ok(None) };
            match (held, change) {
                (Ok(None), Change::Delete { .. }) => Err((number, io::ErrorKind::NotFound.into())),
                (held, _) => held.map_err(|error| (number, error)),
            }
        });
        held.collect()
    }

    /// The keys of changes that are in a trie, where a look-up finds the longest prefix and not the entry; none for other kinds.
    fn exact_keys(&self, changes: &[Change]) -> io::Result<Option<BTreeSet<Vec<u8>>>> {
        if self.kind != MapType::LpmTrie {
            return Ok(None);
        }
        let wanted: BTreeSet<&[u8]> = changes.iter().map(Change::key).collect();
        let mut there = BTreeSet::new();
        for batch in self.batches() {
            let batch = batch?;
            let found = batch.entries().map(|(key, _)| key).filter(|key| wanted.contains(key));
            there.extend(found.map(<[u8]>::to_vec));
        }
        Ok(Some(there))
    }

    /// The changes that bring these entries back, as far as they are there.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub(in crate::linux) fn values_of(&self, keys: &[Vec<u8>]) -> io::Result<Vec<Change>> {
        let set =
            |key: &Vec<u8>| Ok(self.look_up(key)?.map(|values| Change::Set { key: key.clone(), values }));
        keys.iter().filter_map(|key| set(key).transpose()).collect()
    }

    /// Makes each change that can be made. That what goes is gone already is none that cannot.
    ///
    /// # Errors
    /// What was refused last; everything else is made.
    pub(in crate::linux) fn change_each(&self, changes: &[Change]) -> io::Result<()> {
        let failed = changes.iter().filter_map(|change| self.write_one(change).err());
        let mut failed: Vec<io::Error> =
            failed.filter(|error| error.kind() != io::ErrorKind::NotFound).collect();
        failed.pop().map_or(Ok(()), Err)
    }

    /// Writes runs of what is alike by calls for many. Returns how many were written before an error.
    fn write_all(&self, changes: &[Change]) -> Result<(), (usize, io::Error)> {
        let is_same = |one: &Change, other: &Change| {
            matches!(
                (one, other),
                (Change::Set { .. }, Change::Set { .. }) | (Change::Delete { .. }, Change::Delete { .. })
            )
        };
        let mut done = 0;
        for run in changes.chunk_by(is_same).flat_map(|run| run.chunks(MOST)) {
            self.write_run(run).map_err(|(within, error)| (done + within, error))?;
            done += run.len();
        }
        Ok(())
    }

    fn write_run(&self, run: &[Change]) -> Result<(), (usize, io::Error)> {
        let keys: Vec<u8> = run.iter().flat_map(Change::key).copied().collect();
        let count = u32::try_from(run.len()).map_err(|error| (0, io::Error::other(error)))?;
        let written = match run.first() {
            Some(Change::Set { .. }) => {
                let values: Vec<u8> = run.iter().flat_map(|change| self.bytes_of(change)).collect();
                batch::update(self.as_fd(), &keys, &values, count)
            }
            Some(Change::Delete { .. }) if !self.is_array() => batch::delete(self.as_fd(), &keys, count),
            Some(Change::Delete { .. }) => return self.one_by_one(run),
            None => Ok(()),
        };
        match written {
            Err((0, error)) if is_unsupported(&error) => self.one_by_one(run),
            written => written.map_err(|(done, error)| (done as usize, error)),
        }
    }

    /// For kinds of maps and kernels that have no calls for many.
    fn one_by_one(&self, run: &[Change]) -> Result<(), (usize, io::Error)> {
        for (number, change) in run.iter().enumerate() {
            self.write_one(change).map_err(|error| (number, error))?;
        }
        Ok(())
    }

    fn write_one(&self, change: &Change) -> io::Result<()> {
        match change {
            Change::Set { key, values } if self.is_per_cpu() => {
                self.map.update_percpu(key, &self.copied(values), MapFlags::ANY).map_err(plain)
            }
            Change::Set { key, values } => {
                let value = values.first().map(Vec::as_slice).unwrap_or_default();
                self.map.update(key, value, MapFlags::ANY).map_err(plain)
            }
            Change::Delete { key } if self.is_array() => {
                let zero = Change::Set { key: key.clone(), values: vec![vec![0; self.value_bytes()]] };
                self.write_one(&zero)
            }
            Change::Delete { key } => match self.map.delete(key) {
                Err(error) if error.kind() == ErrorKind::NotFound => Err(io::ErrorKind::NotFound.into()),
                done => done.map_err(plain),
            },
        }
    }

    /// The values of a change as one call takes them.
    fn bytes_of(&self, change: &Change) -> Vec<u8> {
        let Change::Set { values, .. } = change else { return Vec::new() };
        if !self.is_per_cpu() {
            return values.first().cloned().unwrap_or_default();
        }
        let mut bytes = Vec::with_capacity(self.room());
        for value in self.copied(values) {
            bytes.extend_from_slice(&value);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    /// One value for each processor.
    fn copied(&self, values: &[Vec<u8>]) -> Vec<Vec<u8>> {
        match values {
            [only] => vec![only.clone(); self.copies],
            all => all.to_vec(),
        }
    }
}
