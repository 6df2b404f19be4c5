// SPDX-License-Identifier: Apache-2.0
//! All entries of a map, some at a time. In hashes and arrays, one that is there all the while comes once, whatever happens to others,
//! where the kernel reads many at once; else at least once.

use std::io;

use super::OpenMap;
use crate::linux::sys::batch::{self, Place};

/// How many bytes are read at once, about.
const BYTES: usize = 256 * 1024;
/// `ENOTSUPP` of `linux/errno.h`: the kernel's own word for a kind of map that has no such call.
const NOT_SUPPORTED: i32 = 524;

/// Some entries of a map.
#[derive(Debug)]
pub struct Batch {
    keys: Vec<u8>,
    values: Vec<u8>,
    key_bytes: usize,
    room: usize,
    of: Layout,
}

/// How the values under a key lie.
#[derive(Debug, Clone, Copy)]
struct Layout {
    value_bytes: usize,
    stride: usize,
}

/// The values under one key: one, or one for each processor.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    bytes: &'a [u8],
    of: Layout,
}

/// What reads a map, some entries at a time.
#[derive(Debug)]
pub struct Batches<'m> {
    map: &'m OpenMap,
    at: At,
    /// How many entries there is room for in one call.
    most: u32,
    /// How many entries are read at most: where a key is deleted behind which reading would go on, the kernel begins anew, but in
    /// hashes.
    left: u64,
}

#[derive(Debug)]
enum At {
    /// Behind what was read by calls for many.
    Place(Option<Place>),
    /// Behind a key.
    Key(Option<Vec<u8>>),
    End,
}

impl OpenMap {
    /// All entries, some at a time. Kinds without keys, such as queues, have none.
    pub fn batches(&self) -> Batches<'_> {
        let at = if self.key_bytes() == 0 { At::End } else { At::Place(None) };
        let entry = (self.key_bytes() + self.room()).max(1);
        let most = u32::try_from((BYTES / entry).max(1)).unwrap_or(u32::MAX);
        Batches { map: self, at, most, left: 2 * u64::from(self.max_entries()) }
    }
}

impl Batch {
    /// The entries: keys, with the values under them.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], Values<'_>)> {
        let values = self.values.chunks_exact(self.room).map(|bytes| Values { bytes, of: self.of });
        self.keys.chunks_exact(self.key_bytes).zip(values)
    }

    fn with_room(map: &OpenMap, most: usize) -> Self {
        let (key_bytes, room) = (map.key_bytes(), map.room());
        let of = Layout { value_bytes: map.value_bytes(), stride: map.stride() };
        Self { keys: vec![0; most * key_bytes], values: vec![0; most * room], key_bytes, room, of }
    }

    /// Adds an entry, whose values lie as the kernel has them in calls for many.
    fn push(&mut self, key: &[u8], values: &[Vec<u8>]) {
        self.keys.extend_from_slice(key);
        let end = self.values.len() + self.room;
        for value in values {
            let next = self.values.len() + self.of.stride;
            self.values.extend_from_slice(value);
            self.values.resize(next.min(end), 0);
        }
    }

    fn keep(&mut self, count: usize) {
        self.keys.truncate(count * self.key_bytes);
        self.values.truncate(count * self.room);
    }
}

impl<'a> Values<'a> {
    /// The value, or that of the first processor.
    pub fn first(self) -> &'a [u8] {
        &self.bytes[..self.of.value_bytes]
    }

    /// All values, in the order of processors.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let Layout { value_bytes, stride } = self.of;
        self.bytes.chunks(stride.max(1)).filter_map(move |value| value.get(..value_bytes))
    }
}

impl Iterator for Batches<'_> {
    type Item = io::Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let read = match &mut self.at {
                At::End => return None,
                At::Place(from) => {
                    let from = from.take();
                    self.many(from)
                }
                At::Key(before) => {
                    let before = before.take();
                    self.one_by_one(before)
                }
            };
            match read {
                Ok(Some(batch)) if batch.keys.is_empty() => {}
                Ok(Some(batch)) => return Some(self.count(batch)),
                Ok(None) => return None,
                Err(error) => {
                    self.at = At::End;
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Batches<'_> {
    /// Ends with an error where more comes than can be there.
    fn count(&mut self, batch: Batch) -> io::Result<Batch> {
        let count = batch.entries().count() as u64;
        let Some(left) = self.left.checked_sub(count) else {
            self.at = At::End;
            return Err(io::Error::other("its entries come and go faster than they are read"));
        };
        self.left = left;
        Ok(batch)
    }

    fn many(&mut self, from: Option<Place>) -> io::Result<Option<Batch>> {
        let mut batch = Batch::with_room(self.map, self.most as usize);
        let keys = (batch.keys.as_mut_slice(), batch.key_bytes);
        match batch::look_up(self.map.as_fd(), from.as_ref(), keys, &mut batch.values, self.most) {
            Ok(read) => {
                batch.keep(read.count as usize);
                self.at = read.next.map_or(At::End, |next| At::Place(Some(next)));
                Ok(Some(batch))
            }
            // More entries fell into one bucket of a hash than there was room for.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                let twice = self.most.saturating_mul(2);
                if self.most > self.map.max_entries() {
                    return Err(error);
                }
                self.most = twice;
                self.at = At::Place(from);
                Ok(Some(Batch::with_room(self.map, 0)))
            }
            Err(error) if from.is_none() && is_unsupported(&error) => {
                self.at = At::Key(None);
                Ok(Some(Batch::with_room(self.map, 0)))
            }
            Err(error) => Err(error),
        }
    }

    fn one_by_one(&mut self, before: Option<Vec<u8>>) -> io::Result<Option<Batch>> {
        let mut batch = Batch::with_room(self.map, 0);
        let mut key = before;
        for _ in 0..self.most {
            let next = super::next_key(&self.map.map, key.as_deref())?;
            let Some(next) = next else {
                self.at = At::End;
                return Ok(Some(batch));
            };
            if let Some(values) = self.map.look_up(&next)? {
                batch.push(&next, &values);
            }
            key = Some(next);
        }
        self.at = At::Key(key);
        Ok(Some(batch))
    }
}

/// Whether the kernel has no such call, or not for this kind of map.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | NOT_SUPPORTED))
}
