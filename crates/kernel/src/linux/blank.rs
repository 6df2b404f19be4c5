// SPDX-License-Identifier: Apache-2.0
//! Maps as the author of an object wrote them down, before anything is in them.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use libbpf_rs::{MapHandle, MapType, OpenMap};

use super::state::is_bound;
use super::{maps, sys};

/// Kinds of maps of which no more need be known than what is kept here.
const TYPED: [MapType; 8] = [
    MapType::Array,
    MapType::Hash,
    MapType::LpmTrie,
    MapType::LruHash,
    MapType::LruPercpuHash,
    MapType::PercpuArray,
    MapType::PercpuHash,
    MapType::RingBuf,
];
/// The same, of those that the kernel is told no types of.
const BARE: [MapType; 9] = [
    MapType::Cpumap,
    MapType::Devmap,
    MapType::DevmapHash,
    MapType::PerfEventArray,
    MapType::Queue,
    MapType::Sockhash,
    MapType::Sockmap,
    MapType::Stack,
    MapType::Xskmap,
];

/// A map that can be made.
#[derive(Debug)]
pub(super) struct Blank {
    pub(super) name: String,
    kind: MapType,
    key_bytes: u32,
    value_bytes: u32,
    entries: u32,
    flags: u32,
    /// The types of keys and values, as numbers among the types of the object.
    types: (u32, u32),
    /// What global variables begin with.
    bytes: Option<Vec<u8>>,
}

impl Blank {
    /// The map of an object that is open and not yet prepared.
    pub(super) fn of(map: &OpenMap<'_>) -> Self {
        Self {
            name: map.name().to_string_lossy().into_owned(),
            kind: map.map_type(),
            key_bytes: map.key_size(),
            value_bytes: map.value_size(),
            entries: map.max_entries(),
            flags: map.map_flags(),
            types: sys::types_of_map(map),
            bytes: map.initial_value().map(<[u8]>::to_vec),
        }
    }

    /// Whether its numbers say all.
    pub(super) fn is_plain(&self) -> bool {
        /// `BPF_F_NUMA_NODE` of `linux/bpf.h`: the node is not among what is kept here.
        const NUMA_NODE: u32 = 1 << 2;
        let is_known = TYPED.contains(&self.kind) || BARE.contains(&self.kind);
        is_known && self.entries != 0 && self.flags & NUMA_NODE == 0
    }

    /// Whether it belongs to one instance.
    pub(super) fn is_bound(&self) -> bool {
        is_bound(&self.name, self.kind)
    }

    /// Whether nobody can change it once it is made.
    pub(super) fn is_constant(&self) -> bool {
        self.name.contains(".rodata")
    }

    /// Makes it. `configure` may change the constants that have names.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn create(
        &self,
        types: Option<BorrowedFd<'_>>,
        configure: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<OwnedFd> {
        let (key_type, value_type) = if BARE.contains(&self.kind) { (0, 0) } else { self.types };
        let types = types.filter(|_| key_type != 0 || value_type != 0);
        let opts = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
            map_flags: self.flags,
            btf_fd: types.map_or(0, |types| types.as_raw_fd().unsigned_abs()),
            btf_key_type_id: key_type,
            btf_value_type_id: value_type,
            ..libbpf_sys::bpf_map_create_opts::default()
        };
        let (name, key, value) = (Some(&self.name), self.key_bytes, self.value_bytes);
        let map = MapHandle::create(self.kind, name, key, value, self.entries, &opts).map_err(maps::plain)?;
        if let Some(mut bytes) = self.bytes.clone() {
            if self.name.ends_with(".rodata") {
                configure(&mut bytes)?;
            }
            maps::write_first(&map, &bytes)?;
        }
        if self.is_constant() {
            map.freeze().map_err(maps::plain)?;
        }
        map.as_fd().try_clone_to_owned()
    }
}
