// SPDX-License-Identifier: Apache-2.0
//! What the maps of a member hold before it gets packets, what they hold now, and the second place where others find them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore as _, MapHandle, MapType, Program};
use plan::{Fill, ProbeSpec, SharedMap, State, encode};

use super::execute::ARRAY;
use super::maps::plain;
use super::open_map::{Change, OpenMap};
use super::pins::Pins;
use super::state::{LAYOUT, OBJECT_NAME};
use super::{pins, sys};

/// What takes back what was written to a map.
pub(super) struct Filled {
    map: OpenMap,
    back: Vec<Change>,
}

impl Filled {
    /// Takes it back, as far as its program left it.
    pub(super) fn take_back(&self) -> io::Result<()> {
        self.map.change_each(&self.back)
    }
}

/// Fills maps that are pinned, each as a whole or not at all, and notes what takes it back.
pub(super) fn fill(
    fills: &BTreeMap<String, Fill>,
    pin_of: impl Fn(&str) -> Option<PathBuf>,
    filled: &mut Vec<Filled>,
) -> io::Result<()> {
    for (name, fill) in fills {
        let failed =
            |error: io::Error| io::Error::other(format!("the map `{name}` cannot be filled: {error}"));
        let pinned = pin_of(name).filter(|path| path.exists());
        let pinned = pinned.ok_or_else(|| failed(io::Error::other("it is not kept")))?;
        let map = OpenMap::open(&pinned).map_err(failed)?;
        let (given, gone) = changes(&map, fill).map_err(failed)?;
        let mut back = map.change_with_way_back(&given).map_err(|error| failed(io::Error::other(error)))?;
        back.extend(map.values_of(&gone).map_err(failed)?);
        // Noted first: one that is refused is taken back with those before it.
        filled.push(Filled { map, back });
        let gone: Vec<Change> = gone.into_iter().map(|key| Change::Delete { key }).collect();
        filled.last().map_or(Ok(()), |filled| filled.map.change_each(&gone)).map_err(failed)?;
    }
    Ok(())
}

/// Fills the maps of a probe.
pub(super) fn fill_probe(pins: &Pins, spec: &ProbeSpec, filled: &mut Vec<Filled>) -> io::Result<()> {
    let state = pins.probe_state(&State { member: spec.name.clone(), object: spec.object });
    let maps = kept(&state, &pins.all_of(&SharedMap::of_probe(spec)), None)?;
    fill(&spec.fills, |map| maps.get(map).cloned(), filled)
}

/// What becomes of the entries of a map: those that are given are written, and those that begin with zero are made; others, whose keys
/// are told, go where there are values, as far as its kind lets them.
fn changes(map: &OpenMap, fill: &Fill) -> io::Result<(Vec<Change>, Vec<Vec<u8>>)> {
    let key = |number: &i64| self::number(*number, map.key_bytes());
    let (mut changes, mut gone) = (Vec::new(), Vec::new());
    for (given, value) in &fill.values {
        let value = self::number(*value, map.value_bytes())?;
        changes.push(Change::Set { key: key(given)?, values: vec![value] });
    }
    // An array has all its entries already, and each begins with zero.
    if map.is_array() {
        return Ok((changes, gone));
    }
    for zero in fill.zeros.iter().filter(|key| !fill.values.contains_key(key)) {
        let key = key(zero)?;
        if map.look_up(&key)?.is_none() {
            changes.push(Change::Set { key, values: vec![vec![0; map.value_bytes()]] });
        }
    }
    if fill.values.is_empty() {
        return Ok((changes, gone));
    }
    let kept = fill.values.keys().chain(&fill.zeros).map(key).collect::<io::Result<BTreeSet<_>>>()?;
    for batch in map.batches() {
        let batch = batch?;
        gone.extend(batch.entries().map(|(key, _)| key.to_vec()).filter(|key| !kept.contains(key)));
    }
    Ok((changes, gone))
}

/// The whole number under a key of a pinned map, added up over the processors; none where there is no such entry.
///
/// # Errors
/// When the map cannot be read, or holds no whole numbers.
pub fn whole_number(path: &Path, key: i64) -> io::Result<Option<u64>> {
    let map = OpenMap::open(path)?;
    let key = number(key, map.key_bytes())?;
    let width = map.value_bytes();
    let values = map.look_up(&key)?;
    let read = |bytes: &[u8]| -> Option<u64> {
        let mut whole = [0; 8];
        let bytes = bytes.get(..width)?;
        let at = if cfg!(target_endian = "big") { 8_usize.checked_sub(width)? } else { 0 };
        whole.get_mut(at..at + width)?.copy_from_slice(bytes);
        Some(u64::from_ne_bytes(whole))
    };
    let Some(values) = values else { return Ok(None) };
    let numbers: Option<Vec<u64>> = values.iter().map(|bytes| read(bytes)).collect();
    let numbers =
        numbers.ok_or_else(|| io::Error::other(format!("values of {width} bytes are no whole numbers")))?;
    Ok(Some(numbers.into_iter().fold(0, u64::wrapping_add)))
}

/// Pins maps in a folder of their own, under the names that their author gave them. Those that are there already stay, and what
/// else is there goes.
pub(super) fn expose(maps: &BTreeMap<String, PathBuf>, folder: &Path) -> io::Result<()> {
    if !maps.is_empty() {
        fs::create_dir_all(folder)?;
    }
    for name in pins::names(folder)?.into_iter().filter(|name| !maps.contains_key(name)) {
        fs::remove_file(folder.join(name))?;
    }
    for (name, pinned) in maps {
        let (map, place) = (MapHandle::from_pinned_path(pinned).map_err(plain)?, folder.join(name));
        if place.exists() {
            if id(&MapHandle::from_pinned_path(&place).map_err(plain)?)? == id(&map)? {
                continue;
            }
            fs::remove_file(&place)?;
        }
        sys::pin(map.as_fd(), &place)?;
    }
    Ok(())
}

/// The maps that are kept in these folders, and the program arrays of an instance, by the names that their author gave them. Sections
/// of global variables have none that bpffs takes.
pub(super) fn kept(
    state: &Path,
    shared: &BTreeMap<String, PathBuf>,
    instance: Option<&Path>,
) -> io::Result<BTreeMap<String, PathBuf>> {
    let own = pins::names(state)?.into_iter().filter(|name| name != LAYOUT && !name.contains(':'));
    let mut maps: BTreeMap<String, PathBuf> = own.map(|name| (name.clone(), state.join(name))).collect();
    let shared = shared.iter().filter(|(name, _)| !name.starts_with('.'));
    let shared = shared.map(|(name, folder)| (name.clone(), folder.join("map")));
    maps.extend(shared.filter(|(_, path)| path.exists()));
    if let Some(folder) = instance {
        let arrays = pins::names(folder)?.into_iter();
        maps.extend(
            arrays.filter_map(|name| Some((name.strip_prefix(ARRAY)?.to_owned(), folder.join(&name)))),
        );
    }
    Ok(maps)
}

/// The sections of global variables that are kept in these folders, by their names.
pub(super) fn sections(
    state: &Path,
    shared: &BTreeMap<String, PathBuf>,
) -> io::Result<BTreeMap<String, PathBuf>> {
    let pinned = pins::names(state)?.into_iter();
    let own = pinned.filter_map(|name| {
        Some((format!(".{}", name.strip_prefix(OBJECT_NAME)?.strip_prefix(':')?), state.join(&name)))
    });
    let shared = shared.iter().filter(|(name, _)| name.starts_with('.'));
    let shared = shared.map(|(name, folder)| (name.clone(), folder.join("map")));
    Ok(own.chain(shared.filter(|(_, path)| path.exists())).collect())
}

/// Opens a map by the number that the kernel gave it.
///
/// # Errors
/// When there is none, or the kernel lets this process not.
pub fn open_map(number: u32) -> io::Result<OwnedFd> {
    MapHandle::from_map_id(number).map_err(plain)?.as_fd().try_clone_to_owned()
}

/// Makes a map that holds the constants of an object, as the kernel has those of a program: nobody can write it. It is there as long as
/// somebody has it open. Returns its number too.
///
/// # Errors
/// When the kernel makes none.
pub fn create_constants(bytes: &[u8]) -> io::Result<(OwnedFd, u32)> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    let map = super::maps::create(MapType::Array, "l3af.rodata", (4, length), 1)?;
    super::maps::write_first(&map, bytes)?;
    map.freeze().map_err(plain)?;
    let number = map.info().map_err(plain)?.info.id;
    Ok((map.as_fd().try_clone_to_owned()?, number))
}

/// Pins a program in one more place, unless it is there already.
pub(super) fn expose_program(program: &Path, place: &Path) -> io::Result<()> {
    let found = Program::fd_from_pinned_path(program).map_err(plain)?;
    if place.exists() {
        let there = Program::fd_from_pinned_path(place).map_err(plain)?;
        let [there, wanted] =
            [&there, &found].map(|program| Program::id_from_fd(program.as_fd()).map_err(plain));
        if there? == wanted? {
            return Ok(());
        }
        fs::remove_file(place)?;
    }
    place.parent().map_or(Ok(()), fs::create_dir_all)?;
    sys::pin(found.as_fd(), place)
}

fn id(map: &MapHandle) -> io::Result<u32> {
    Ok(map.info().map_err(plain)?.info.id)
}

fn number(number: i64, bytes: usize) -> io::Result<Vec<u8>> {
    let encoded = u32::try_from(bytes).ok().and_then(|bytes| encode(number, bytes));
    encoded.ok_or_else(|| io::Error::other(format!("{number} does not fit into {bytes} bytes")))
}
