// SPDX-License-Identifier: Apache-2.0
//! Kinds of maps (`enum bpf_map_type` of `linux/bpf.h`), as `bpftool` spells them.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of map, by its number: newer kernels have kinds that this has no name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct MapKind(pub u32);

const NAMES: [&str; 35] = [
    "unspec",
    "hash",
    "array",
    "prog_array",
    "perf_event_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "cgroup_array",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
    "array_of_maps",
    "hash_of_maps",
    "devmap",
    "sockmap",
    "cpumap",
    "xskmap",
    "sockhash",
    "cgroup_storage",
    "reuseport_sockarray",
    "percpu_cgroup_storage",
    "queue",
    "stack",
    "sk_storage",
    "devmap_hash",
    "struct_ops",
    "ringbuf",
    "inode_storage",
    "task_storage",
    "bloom_filter",
    "user_ringbuf",
    "cgrp_storage",
    "arena",
    "insn_array",
];

impl MapKind {
    /// An array: its keys are numbers from 0.
    #[doc(alias = "BPF_MAP_TYPE_ARRAY")]
    pub const ARRAY: Self = Self(2);
    /// An array with a value for each processor.
    #[doc(alias = "BPF_MAP_TYPE_PERCPU_ARRAY")]
    pub const PERCPU_ARRAY: Self = Self(6);
    /// Buffers of events, one for each processor.
    #[doc(alias = "BPF_MAP_TYPE_PERF_EVENT_ARRAY")]
    pub const PERF_EVENT_ARRAY: Self = Self(4);
    /// A trie of prefixes.
    #[doc(alias = "BPF_MAP_TYPE_LPM_TRIE")]
    pub const LPM_TRIE: Self = Self(11);
    /// A buffer of events.
    #[doc(alias = "BPF_MAP_TYPE_RINGBUF")]
    pub const RINGBUF: Self = Self(27);

    /// Whether it has a value for each processor under one key.
    pub fn is_per_cpu(self) -> bool {
        matches!(self.0, 5 | 6 | 10 | 21)
    }

    /// Whether it holds values under keys: hashes, arrays, tries, and not what leads to programs, maps or devices, or has no keys.
    pub fn has_entries(self) -> bool {
        matches!(self.0, 1 | 2 | 5 | 6 | 9..=11)
    }

    /// Whether its keys are numbers from 0: one value under each, or one for each processor.
    pub fn is_array(self) -> bool {
        self == Self::ARRAY || self == Self::PERCPU_ARRAY
    }

    /// Whether it holds maps (`array_of_maps`, `hash_of_maps`).
    pub fn holds_maps(self) -> bool {
        matches!(self.0, 12 | 13)
    }

    /// Whether it hands over events instead of holding values.
    pub fn is_of_events(self) -> bool {
        self == Self::RINGBUF || self == Self::PERF_EVENT_ARRAY
    }
}

impl fmt::Display for MapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0).ok().and_then(|index| NAMES.get(index)) {
            Some(name) => f.write_str(name),
            None => write!(f, "type_{}", self.0),
        }
    }
}

impl FromStr for MapKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = (0..).zip(NAMES).find(|(_, name)| *name == text).map(|(number, _)| number);
        let number = || text.strip_prefix("type_")?.parse().ok();
        named.or_else(number).map(Self).ok_or_else(|| UnknownKind { given: text.to_owned() })
    }
}

/// Text that is no kind of map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no kind of map")]
pub struct UnknownKind {
    given: String,
}

impl Serialize for MapKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MapKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
