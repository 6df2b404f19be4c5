// SPDX-License-Identifier: Apache-2.0
//! What maps take, and whether they have room for what comes.

use std::collections::BTreeSet;

use maps::{Map, MapKind, Role};
use package::Function;

use crate::Finding;
use crate::examined::Examined;
use crate::rules::{
    ARRAY_KEY, HASH_FILLED_BY_PACKETS, HASH_OF_ONE, LRU_SMALL, MAP_EMPTY, MAP_LARGE, MAP_UNUSED, RINGBUF_SIZE,
};

/// The machine that sizes are told for.
const PROCESSORS: u64 = 64;
/// From how much on it is told.
const LARGE_BYTES: u64 = 64 << 20;
/// How many free entries a processor takes at once (`LOCAL_FREE_TARGET` in `kernel/bpf/bpf_lru_list.c`).
const LRU_BATCH: u64 = 128;
/// What the kernel has beside key and value of an entry (`struct htab_elem` in `kernel/bpf/hashtab.c`).
const ENTRY_BYTES: u64 = 48;
const PAGE_BYTES: u32 = 4096;
#[doc(alias = "BPF_F_NO_PREALLOC")]
const NO_PREALLOC: u32 = 1;
/// The number of the helper function that puts an entry into a map.
const UPDATE: u32 = 2;

/// What a kind of map is, as far as its size goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Array,
    Hash,
    Lru,
    Trie,
    Ring,
    /// It must have entries, which are references.
    References,
    /// It may have none: loaders or the kernel decide.
    Other,
}

pub(crate) fn check(examined: &Examined<'_>, findings: &mut Vec<Finding>) {
    let instructions = examined.code.functions.iter().flat_map(|function| &function.instructions);
    let used: BTreeSet<&str> = instructions.filter_map(|insn| insn.map()).collect();
    for map in examined.declared() {
        findings.extend(size(examined, map));
        let is_used = used.contains(map.name.as_str());
        let hands_over = examined.manifest.is_some_and(|manifest| manifest.user.is_some());
        if !is_used && !hands_over && !examined.code.filled.contains(&map.name) {
            findings.push(examined.at_map(&MAP_UNUSED, map, "no program uses it"));
        }
    }
    for function in examined.code.functions.iter().filter(|function| examined.sees_packets(function)) {
        findings.extend(filled_by_packets(examined, function));
    }
}

fn size(examined: &Examined<'_>, map: &Map) -> Vec<Finding> {
    let (mut found, sort, entries) = (Vec::new(), sort(map.kind), u64::from(map.max_entries));
    let key_bytes = map.key.as_ref().map_or(0, maps::Type::bytes);
    let mut find = |rule, what: String| found.push(examined.at_map(rule, map, what));
    if entries == 0 && sort != Sort::Other {
        find(&MAP_EMPTY, format!("`max_entries` of this `{}` is 0", map.kind));
        return found;
    }
    if sort == Sort::Array && key_bytes != 4 {
        find(&ARRAY_KEY, format!("its keys have {key_bytes} bytes"));
    }
    if sort == Sort::Ring && (!map.max_entries.is_power_of_two() || map.max_entries < PAGE_BYTES) {
        find(&RINGBUF_SIZE, format!("it has {entries} bytes"));
    }
    if matches!(sort, Sort::Hash | Sort::Lru) && entries == 1 {
        find(&HASH_OF_ONE, format!("this `{}` has room for one entry", map.kind));
    } else if sort == Sort::Lru && entries < LRU_BATCH * PROCESSORS {
        find(&LRU_SMALL, format!("it has room for {entries} entries"));
    }
    let bytes = bytes(map, sort);
    if bytes > LARGE_BYTES {
        let processors =
            if map.kind.is_per_cpu() { format!(" on {PROCESSORS} processors") } else { String::new() };
        find(&MAP_LARGE, format!("it takes about {} MiB{processors}", bytes >> 20));
    }
    found
}

/// What is taken when it is made.
fn bytes(map: &Map, sort: Sort) -> u64 {
    let rounded = |part: &Option<maps::Type>| {
        let bytes = part.as_ref().map_or(0, maps::Type::bytes);
        u64::try_from(bytes).unwrap_or(u64::MAX).checked_next_multiple_of(8).unwrap_or(u64::MAX)
    };
    let copies = if map.kind.is_per_cpu() { PROCESSORS } else { 1 };
    let values = rounded(&map.value).saturating_mul(copies);
    let entry = match sort {
        Sort::Ring => 1,
        Sort::Array => values,
        // Tries, and hashes that say so, take what their entries take when those come.
        Sort::Hash if map.flags & NO_PREALLOC != 0 => 0,
        Sort::Hash | Sort::Lru => ENTRY_BYTES.saturating_add(rounded(&map.key)).saturating_add(values),
        Sort::References => 8,
        Sort::Trie | Sort::Other => 0,
    };
    entry.saturating_mul(map.max_entries.into())
}

fn sort(kind: MapKind) -> Sort {
    match kind.0 {
        2 | 6 => Sort::Array,
        1 | 5 => Sort::Hash,
        9 | 10 => Sort::Lru,
        11 => Sort::Trie,
        27 | 31 => Sort::Ring,
        3 | 7 | 8 | 12 | 13 | 14..=18 | 20 | 22 | 23 | 25 => Sort::References,
        _ => Sort::Other,
    }
}

/// The map of a call is the one whose address was taken last before it, as compilers write it.
fn filled_by_packets(examined: &Examined<'_>, function: &Function) -> Vec<Finding> {
    let (mut found, mut last) = (Vec::new(), None);
    for insn in &function.instructions {
        if insn.opcode == 0x18 && insn.destination == 1 {
            last = insn.map();
        }
        if insn.helper() != Some(UPDATE) {
            continue;
        }
        let Some(map) = last.take().and_then(|name| examined.map(name)) else { continue };
        if sort(map.kind) == Sort::Hash && map.role != Some(Role::Config) && map.max_entries > 1 {
            let what = format!("it puts entries into the `{}` `{}`", map.kind, map.name);
            found.push(examined.at(&HASH_FILLED_BY_PACKETS, (function, insn.slot), what));
        }
    }
    found
}
