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
use plan::{Desired, Instance, State};
use serde::Deserialize;

use super::maps::plain;
use super::open_map::{Change, OpenMap};
use super::pins::{parse_instance, remove_file, remove_tree};
use super::sys;

/// What the names of the pins of such maps begin with, in the folder of their instance.
const CONFIGURED: &str = "configured:";

/// `ENOTSUPP` of `linux/errno.h`, which is not meant for user space and reaches it.
const NOT_SUPPORTED: i32 = 524;

/// What the record of an instance says of its maps, be it one of a member or of a probe.
#[derive(Deserialize)]
struct Recorded {
    object: Digest,
    #[serde(default)]
    contents: BTreeMap<String, Digest>,
}

/// An instance that is complete, with what its maps hold.
pub(super) struct Sibling {
    instance: Instance,
    folder: PathBuf,
    /// The digests of what its maps hold that a document configures.
    contents: BTreeMap<String, Digest>,
}

/// The instances in a folder that go by a set of maps.
pub(super) fn siblings(instances: &Path, own: &State) -> io::Result<Vec<Sibling>> {
    let names = super::pins::names(instances)?;
    let found =
        names.iter().filter_map(|name| parse_instance(name)).filter(|found| found.member == own.member);
    let siblings = found.map(|instance| {
        let folder = instances.join(instance.to_string());
        let recorded = recorded(&folder)?.filter(|recorded| recorded.object == own.object);
        Ok(recorded.map(|Recorded { contents, .. }| Sibling { instance, folder, contents }))
    });
    siblings.filter_map(Result::transpose).collect()
}

/// What the record of an instance says; none where it is not complete.
fn recorded(folder: &Path) -> io::Result<Option<Recorded>> {
    let record = folder.join("record");
    if record.exists() { super::maps::read_record(&record).map(Some) } else { Ok(None) }
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
        others: impl FnOnce() -> io::Result<Vec<Sibling>>,
    ) -> io::Result<Self> {
        remove_tree(folder)?;
        fs::create_dir_all(folder)?;
        let (pins, filled) = (pins(folder, contents), BTreeSet::new());
        let mut making = Self { folder, contents, pins, filled, is_done: false };
        let others = if contents.is_empty() { Vec::new() } else { others()? };
        for (map, digest) in contents {
            let same = others.iter().find(|other| other.contents.get(map) == Some(digest));
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

/// Where the maps are pinned that hold this, of the newest instance that has them.
pub(super) fn newest(
    instances: &Path,
    own: &State,
    contents: &BTreeMap<String, Digest>,
) -> io::Result<BTreeMap<String, PathBuf>> {
    if contents.is_empty() {
        return Ok(BTreeMap::new());
    }
    let same = siblings(instances, own)?.into_iter().filter(|sibling| sibling.contents == *contents);
    let newest = same.max_by_key(|sibling| sibling.instance.serial);
    Ok(newest.map(|newest| pins(&newest.folder, contents)).unwrap_or_default())
}

/// Lets go of maps that only an instance uses which is about to be removed, and that the others have from a document: when it says
/// nothing of them any more, they begin empty.
pub(super) fn forget_replaced(
    instances: &Path,
    gone: &Instance,
    state: impl Fn(&State) -> PathBuf,
) -> io::Result<()> {
    let Some(Recorded { object, .. }) = recorded(&instances.join(gone.to_string()))? else { return Ok(()) };
    let own = State { member: gone.member.clone(), object };
    let mut left = siblings(instances, &own)?;
    left.retain(|sibling| sibling.instance != *gone);
    let Some((first, others)) = left.split_first() else { return Ok(()) };
    let replaced = |map: &&String| others.iter().all(|other| other.contents.contains_key(*map));
    first.contents.keys().filter(replaced).try_for_each(|map| remove_file(&state(&own).join(map)))
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
    // Until Linux 6.1 a map whose types the kernel knows is not like one whose types it does not know (`bpf_map_meta_equal` of
    // `kernel/bpf/map_in_map.c`), and those that objects declare have some.
    let keys = if kind.is_array() { sys::Keys::Integers } else { sys::Keys::Structures };
    let types = sys::types_by_size(keys, key_bytes, value_bytes)?;
    let opts = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
        map_flags: *flags,
        btf_fd: types.descriptor()?,
        btf_key_type_id: 1,
        btf_value_type_id: 2,
        ..libbpf_sys::bpf_map_create_opts::default()
    };
    let (kind, name) = (MapType::from(kind.0), Some("l3af_inner"));
    let made = MapHandle::create(kind, name, key_bytes, value_bytes, *max_entries, &opts).map_err(plain)?;
    fill(MapHandle::try_from(&made).map_err(plain)?, contents)?;
    Ok(made)
}
