// SPDX-License-Identifier: Apache-2.0
//! A map that is open: its entries, read many at once and written all or none, as bytes. What they mean is not known here.

mod change;
mod events;
mod walk;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};

use super::maps::plain;
use super::sys;

pub use change::{Change, NotChanged};
pub use events::{Heard, MapEvents};
pub use walk::{Batch, Batches, Values};

/// A map that is open.
#[derive(Debug)]
pub struct OpenMap {
    map: MapHandle,
    kind: MapType,
    /// How many values there are under a key: one, or one for each processor that there can be.
    copies: usize,
}

impl OpenMap {
    /// Opens a map that is pinned.
    ///
    /// # Errors
    /// When there is none, or the kernel lets this process not.
    pub fn open(pinned: &Path) -> io::Result<Self> {
        Self::new(MapHandle::from_pinned_path(pinned).map_err(plain)?)
    }

    pub(super) fn new(map: MapHandle) -> io::Result<Self> {
        let kind = map.map_type();
        let copies = if kind.is_percpu() { libbpf_rs::num_possible_cpus().map_err(plain)? } else { 1 };
        Ok(Self { map, kind, copies })
    }

    /// The number that the kernel gave it.
    ///
    /// # Errors
    /// When the kernel does not tell it.
    pub fn id(&self) -> io::Result<u32> {
        Ok(self.map.info().map_err(plain)?.info.id)
    }

    /// The bytes of a key.
    pub fn key_bytes(&self) -> usize {
        self.map.key_size() as usize
    }

    /// The bytes of one value.
    pub fn value_bytes(&self) -> usize {
        self.map.value_size() as usize
    }

    /// The most entries that it holds.
    pub fn max_entries(&self) -> u32 {
        self.map.max_entries()
    }

    /// Whether each processor has a value of its own under a key, be it the only one.
    pub fn is_per_cpu(&self) -> bool {
        self.kind.is_percpu()
    }

    /// The values under a key, one for each processor where it has such; none where there is no such entry.
    ///
    /// # Errors
    /// When the key has another size, or the kernel refuses.
    pub fn look_up(&self, key: &[u8]) -> io::Result<Option<Vec<Vec<u8>>>> {
        if self.is_per_cpu() {
            let values = self.map.lookup_percpu(key, MapFlags::ANY).map_err(plain)?;
            let width = self.value_bytes();
            return Ok(values.map(|values| {
                values.into_iter().map(|value| value.into_iter().take(width).collect()).collect()
            }));
        }
        Ok(self.map.lookup(key, MapFlags::ANY).map_err(plain)?.map(|value| vec![value]))
    }

    /// Whether it is an array: it has all its entries always.
    pub(super) fn is_array(&self) -> bool {
        matches!(self.kind, MapType::Array | MapType::PercpuArray | MapType::ArrayOfMaps)
    }

    /// The bytes that the values under one key take in one call: those of processors begin at multiples of eight.
    fn room(&self) -> usize {
        if self.is_per_cpu() { self.stride() * self.copies } else { self.value_bytes() }
    }

    /// The bytes from one value to the next.
    fn stride(&self) -> usize {
        self.value_bytes().next_multiple_of(8)
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

/// The key behind another one, or the first.
fn next_key(map: &MapHandle, before: Option<&[u8]>) -> io::Result<Option<Vec<u8>>> {
    sys::next_key(map.as_fd(), before, map.key_size() as usize)
}
