// SPDX-License-Identifier: Apache-2.0
//! Maps that hold what a document says. Each belongs to one instance, is filled before a packet meets it, and is frozen then:
//! from user space nobody changes it any more. A change makes others, which come into effect with the instance.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};
use maps::{Contents, Held, InnerMap};
use package::Digest;
use plan::Desired;

use super::maps::plain;
use super::open_map::{Change, OpenMap};
use super::pins::remove_tree;
use super::sys;

/// What the names of the pins of such maps begin with, in the folder of their instance.
pub(super) const CONFIGURED: &str = "configured:";

/// `ENOTSUPP` of `linux/errno.h`, which is not meant for user space and reaches it.
const NOT_SUPPORTED: i32 = 524;

/// Another instance that may have such maps, which hold the same.
pub(super) struct Sibling {
    /// Its number among those of its member.
    pub(super) serial: u64,
    /// Its folder.
    pub(super) folder: PathBuf,
    /// The digests of what its maps hold.
    pub(super) contents: BTreeMap<String, Digest>,
}

/// The folder of an instance that is being made. Unless that is done, nothing stays of it.
pub(super) struct Making<'a> {
    folder: &'a Path,
    contents: &'a BTreeMap<String, Digest>,
    pins: BTreeMap<String, PathBuf>,
    /// Those that hold all already.
    filled: BTreeSet<&'a str>,
    is_done: bool,
}

impl<'a> Making<'a> {
    /// Begins with an empty folder, and in it the maps of others that hold what its own are to hold.
    pub(super) fn begin(
        folder: &'a Path,
        contents: &'a BTreeMap<String, Digest>,
        siblings: impl FnOnce() -> io::Result<Vec<Sibling>>,
    ) -> io::Result<Self> {
        remove_tree(folder)?;
        fs::create_dir_all(folder)?;
        let (pins, filled) = (pins(folder, contents), BTreeSet::new());
        let mut making = Self { folder, contents, pins, filled, is_done: false };
        let siblings = if contents.is_empty() { Vec::new() } else { siblings()? };
        for (map, digest) in contents {
            let same = siblings.iter().find(|sibling| sibling.contents.get(map) == Some(digest));
            if let Some(Sibling { folder: from, .. }) = same {
                let kept = sys::open_pin(&from.join(format!("{CONFIGURED}{map}")))?;
                sys::pin(kept.as_fd(), &making.pins[map])?;
                making.filled.insert(map);
            }
        }
        Ok(making)
    }

    /// Where such maps are pinned.
    pub(super) fn pins(&self) -> &BTreeMap<String, PathBuf> {
        &self.pins
    }

    /// Fills those that are new.
    pub(super) fn fill(&self, desired: &Desired) -> io::Result<()> {
        for (map, digest) in self.contents.iter().filter(|(map, _)| !self.filled.contains(map.as_str())) {
            let failed = |error| io::Error::other(format!("the map `{map}` cannot be filled: {error}"));
            let contents = desired.contents(digest);
            let contents = contents.ok_or_else(|| failed(io::Error::other("nobody says what it holds")))?;
            let opened = MapHandle::from_pinned_path(&self.pins[map]).map_err(plain);
            opened.and_then(|map| fill(map, contents)).map_err(failed)?;
        }
        Ok(())
    }

    /// The instance is complete.
    pub(super) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            // The next observation finds what is left; removing it now only spares a step.
            drop(remove_tree(self.folder));
        }
    }
}

/// Where the maps of an instance are pinned that hold what a document says.
pub(super) fn pins(folder: &Path, contents: &BTreeMap<String, Digest>) -> BTreeMap<String, PathBuf> {
    contents.keys().map(|map| (map.clone(), folder.join(format!("{CONFIGURED}{map}")))).collect()
}

/// The same, of an instance that is there.
pub(super) fn of(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let names = super::pins::names(folder)?.into_iter();
    Ok(names
        .filter_map(|name| Some((name.strip_prefix(CONFIGURED)?.to_owned(), folder.join(&name))))
        .collect())
}

/// The folder of the newest of some instances whose maps hold this.
pub(super) fn newest<'s>(siblings: &'s [Sibling], contents: &BTreeMap<String, Digest>) -> Option<&'s Path> {
    let same = siblings.iter().filter(|sibling| sibling.contents == *contents);
    same.max_by_key(|sibling| sibling.serial).map(|sibling| sibling.folder.as_path())
}

/// Lets go of maps of a member that others which a document configures took the place of: when it says nothing of them any more, they
/// begin empty. `gone` are those of an instance that is removed, `siblings` the instances that are left.
pub(super) fn forget_replaced(
    gone: &BTreeMap<String, Digest>,
    siblings: &[Sibling],
    state: &Path,
) -> io::Result<()> {
    let replaced =
        siblings.iter().flat_map(|sibling| sibling.contents.keys()).filter(|map| !gone.contains_key(*map));
    for map in replaced {
        super::pins::remove_file(&state.join(map))?;
    }
    Ok(())
}

/// Fills a map that is empty, and lets nobody write to it from user space any more, where the kernel can do that.
pub(super) fn fill(map: MapHandle, contents: &Contents) -> io::Result<()> {
    let mut values = Vec::new();
    for (key, held) in &contents.entries {
        match held {
            Held::Value(value) => values.push(Change::Set { key: key.clone(), values: vec![value.clone()] }),
            Held::Map(inner) => {
                let made = make(inner)?;
                let number = made.as_fd().as_raw_fd().to_ne_bytes();
                map.update(key, &number, MapFlags::ANY).map_err(plain)?;
            }
        }
    }
    let map = OpenMap::new(map)?;
    map.write(&values)?;
    match sys::freeze(map.as_fd()) {
        // `map_freeze` in `kernel/bpf/syscall.c`: values with locks, timers and their like.
        Err(error) if error.raw_os_error() == Some(NOT_SUPPORTED) => Ok(()),
        done => done,
    }
}

/// Makes a map that another one holds, and fills it.
fn make(inner: &InnerMap) -> io::Result<MapHandle> {
    let InnerMap { kind, key_bytes, value_bytes, max_entries, flags, contents } = inner;
    let [key_bytes, value_bytes] =
        [key_bytes, value_bytes].map(|bytes| u32::try_from(*bytes).map_err(io::Error::other));
    let (key_bytes, value_bytes) = (key_bytes?, value_bytes?);
    let types = sys::load_types(&types(*kind, key_bytes, value_bytes))?;
    let opts = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
        map_flags: *flags,
        btf_fd: types.as_raw_fd().unsigned_abs(),
        btf_key_type_id: 1,
        btf_value_type_id: 2,
        ..libbpf_sys::bpf_map_create_opts::default()
    };
    let (kind, name) = (MapType::from(kind.0), Some("l3af_inner"));
    let made = MapHandle::create(kind, name, key_bytes, value_bytes, *max_entries, &opts).map_err(plain)?;
    fill(MapHandle::try_from(&made).map_err(plain)?, contents)?;
    Ok(made)
}

/// Types of which no more is known than their sizes: of a key, and of a value. A map whose types the kernel knows is not like one whose
/// types it does not know (`bpf_map_meta_equal` of `kernel/bpf/map_in_map.c`, until Linux 6.1), and those that objects declare have some.
fn types(kind: maps::MapKind, key_bytes: u32, value_bytes: u32) -> Vec<u8> {
    /// `BTF_KIND_INT` and `BTF_KIND_STRUCT` of `linux/btf.h`.
    const INTEGER: u32 = 1 << 24;
    const STRUCTURE: u32 = 4 << 24;
    /// The one name: integers must have one.
    const NAME: u32 = 1;
    // Keys of arrays are integers, those of tries structures, and of others anything.
    let mut words = match kind {
        maps::MapKind::ARRAY | maps::MapKind::PERCPU_ARRAY => vec![NAME, INTEGER, key_bytes, key_bytes * 8],
        _ => vec![0, STRUCTURE, key_bytes],
    };
    words.extend([0, STRUCTURE, value_bytes]);
    let (bytes, names) = (u32::try_from(words.len() * 4).unwrap_or(u32::MAX), b"\0i\0");
    // The header (`struct btf_header`): magic, version and flags, its size, and the places and sizes of types and names.
    let mut btf = 0xeb9f_u16.to_ne_bytes().to_vec();
    btf.extend([1, 0]);
    let header = [24, 0, bytes, bytes, u32::try_from(names.len()).unwrap_or(u32::MAX)];
    btf.extend(header.iter().chain(&words).flat_map(|word| word.to_ne_bytes()));
    btf.extend(names);
    btf
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_size_alone_are_read_as_such() {
        let told = |kind| {
            let endian = if cfg!(target_endian = "big") { maps::Endian::Big } else { maps::Endian::Little };
            let types = types(kind, 4, 24);
            let btf = maps::Btf::parse(&types, endian).unwrap();
            [1, 2].map(|id| (btf.bytes(id), matches!(btf.kind(id), Some(maps::Kind::Int { .. }))))
        };
        assert_eq!(told(maps::MapKind::ARRAY), [(Some(4), true), (Some(24), false)]);
        assert_eq!(told(maps::MapKind::LPM_TRIE), [(Some(4), false), (Some(24), false)]);
    }
}
