// SPDX-License-Identifier: Apache-2.0
//! The maps that the daemon itself keeps: slots, counters, records and ledgers.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};
use package::HookPoint;
use plan::{Hook, Instance};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pins::{Pins, names, parse_instance};
use super::sys;
use crate::{Cell, Ledger, Reading, Readings};

/// Every map of ours has small numbers as keys, and most have one entry.
pub(super) const FIRST: [u8; 4] = 0_u32.to_ne_bytes();
/// A cell in the kernel: packets and bytes, eight bytes each.
const CELL_BYTES: u32 = 16;
/// Room for the sums of the longest chain of tail calls with all its counters.
const LEDGER_BYTES: u32 = 256 * 1024;

/// A program array of one slot.
pub(super) fn create_slot(name: &str) -> io::Result<MapHandle> {
    create(MapType::ProgArray, name, (4, 4), 1)
}

/// The counters of one instance.
pub(super) fn create_counters(point: HookPoint) -> io::Result<MapHandle> {
    create(MapType::PercpuArray, "l3af_counters", (4, CELL_BYTES), Reading::cells(point))
}

/// The numbers of the cells of an instance, for programs that have no stack to write one to.
pub(super) fn create_keys(point: HookPoint) -> io::Result<MapHandle> {
    let numbers: Vec<u8> = (0..Reading::cells(point)).flat_map(u32::to_ne_bytes).collect();
    let length = u32::try_from(numbers.len()).map_err(io::Error::other)?;
    let map = create(MapType::Array, "l3af_keys", (4, length), 1)?;
    map.update(&FIRST, &numbers, MapFlags::ANY).map_err(plain)?;
    Ok(map)
}

/// An array of maps that are alike.
pub(super) fn create_array_of(maps: &[MapHandle]) -> io::Result<MapHandle> {
    let first = maps.first().ok_or_else(|| io::Error::other("an array of no maps"))?;
    let array = create_outer("l3af_members", first, maps.len())?;
    for (number, map) in maps.iter().enumerate() {
        let key = u32::try_from(number).map_err(io::Error::other)?.to_ne_bytes();
        let descriptor = map.as_fd().as_raw_fd().to_ne_bytes();
        array.update(&key, &descriptor, MapFlags::ANY).map_err(plain)?;
    }
    Ok(array)
}

fn create_outer(name: &str, inner: &MapHandle, entries: usize) -> io::Result<MapHandle> {
    let opts = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
        inner_map_fd: inner.as_fd().as_raw_fd().unsigned_abs(),
        ..libbpf_sys::bpf_map_create_opts::default()
    };
    let entries = u32::try_from(entries).map_err(io::Error::other)?;
    MapHandle::create(MapType::ArrayOfMaps, Some(name), 4, 4, entries, &opts).map_err(plain)
}

/// An empty ledger.
pub(super) fn create_ledger() -> io::Result<MapHandle> {
    create_ledger_of(LEDGER_BYTES, &Ledger::default())
}

fn create_ledger_of(room: u32, ledger: &Ledger) -> io::Result<MapHandle> {
    let map = create(MapType::Array, "l3af_ledger", (4, room), 1)?;
    write_value(&map, ledger, room)?;
    Ok(map)
}

/// A record that nobody can change any more.
pub(super) fn create_record(value: &impl Serialize) -> io::Result<MapHandle> {
    // One byte more: what is read ends with a zero.
    let length = u32::try_from(serde_json::to_vec(value)?.len() + 1).map_err(io::Error::other)?;
    let map = create(MapType::Array, "l3af_record", (4, length), 1)?;
    write_value(&map, value, length)?;
    map.freeze().map_err(plain)?;
    Ok(map)
}

/// Writes the only value of a map.
pub(super) fn write_first(map: &MapHandle, bytes: &[u8]) -> io::Result<()> {
    map.update(&FIRST, bytes, MapFlags::ANY).map_err(plain)
}

/// A map of keys and values of these sizes.
pub(super) fn create(
    kind: MapType,
    name: &str,
    (key_bytes, value_bytes): (u32, u32),
    entries: u32,
) -> io::Result<MapHandle> {
    let opts = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
        ..libbpf_sys::bpf_map_create_opts::default()
    };
    MapHandle::create(kind, Some(name), key_bytes, value_bytes, entries, &opts).map_err(plain)
}

/// Waits until all programs that were running have finished.
///
/// An update of a map of maps does, so that user space may rely on it (`maybe_wait_bpf_programs` of
/// `kernel/bpf/syscall.c`, Linux 5.0).
pub(super) fn wait_for_running_programs() -> io::Result<()> {
    let inner = create(MapType::Array, "l3af_settle", (4, 4), 1)?;
    let outer = create_outer("l3af_settle", &inner, 1)?;
    write_descriptor(&outer, inner.as_fd())
}

/// Points a slot to a program.
pub(super) fn write_descriptor(slot: &MapHandle, target: std::os::fd::BorrowedFd<'_>) -> io::Result<()> {
    let descriptor = target.as_raw_fd().to_ne_bytes();
    slot.update(&FIRST, &descriptor, MapFlags::ANY).map_err(plain)
}

/// The id of the program that a slot leads to.
pub(super) fn read_slot(path: &Path) -> io::Result<Option<u32>> {
    let slot = MapHandle::from_pinned_path(path).map_err(plain)?;
    match slot.lookup(&FIRST, MapFlags::ANY) {
        Ok(Some(id)) => Ok(id.try_into().ok().map(u32::from_ne_bytes)),
        Ok(None) => Ok(None),
        Err(error) => Err(plain(error)),
    }
}

/// Empties a slot: the chain ends there.
pub(super) fn clear_slot(slot: &MapHandle) -> io::Result<()> {
    match slot.delete(&FIRST) {
        Err(error) if error.kind() == libbpf_rs::ErrorKind::NotFound => Ok(()),
        result => result.map_err(plain),
    }
}

/// Reads the record of an instance.
pub(super) fn read_record<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    read_value(&MapHandle::from_pinned_path(path).map_err(plain)?)
}

/// Reads the sums of a hook; they are empty where there is no root.
pub(super) fn read_ledger(pins: &Pins, hook: &Hook) -> io::Result<Ledger> {
    let path = pins.root(hook).join("ledger");
    if !path.exists() {
        return Ok(Ledger::default());
    }
    read_value(&MapHandle::from_pinned_path(path).map_err(plain)?)
}

/// Writes the sums of a hook, all at once. Those of a long chain in a dispatcher get a map with more room, which takes the
/// place of the one before.
pub(super) fn write_ledger(pins: &Pins, hook: &Hook, ledger: &Ledger) -> io::Result<()> {
    let (path, larger) = (pins.root(hook).join("ledger"), pins.root(hook).join("ledger:"));
    let length = u32::try_from(serde_json::to_vec(ledger)?.len()).map_err(io::Error::other)?;
    if path.exists() {
        let map = MapHandle::from_pinned_path(&path).map_err(plain)?;
        if length <= map.value_size() {
            return write_value(&map, ledger, map.value_size());
        }
    }
    fs::create_dir_all(pins.root(hook))?;
    if larger.exists() {
        fs::remove_file(&larger)?;
    }
    pin(&create_ledger_of(length.next_power_of_two().max(LEDGER_BYTES), ledger)?, &larger)?;
    fs::rename(larger, path)
}

/// Reads the counters of all instances of a hook.
pub(super) fn read_counters(pins: &Pins, hook: &Hook) -> io::Result<Readings> {
    let mut readings = Readings::new();
    for name in names(&pins.instances(hook))? {
        let Some(instance) = parse_instance(&name) else { continue };
        if let Some(reading) = read_instance_counters(pins, hook, &instance)? {
            readings.insert(instance, reading);
        }
    }
    let incumbent = pins.incumbent(hook).join("counters");
    if incumbent.exists() {
        let reading = read_cells(&MapHandle::from_pinned_path(incumbent).map_err(plain)?, hook.point)?;
        // Where its packets leave nobody sees; it counts them before they go to it, as a member in shadow does.
        let reading = Reading { left: reading.shadowed, ..Reading::default() };
        readings.insert(Instance::incumbent(), reading);
    }
    Ok(readings)
}

/// Reads the counters of one instance, summed over the processors; none when it was never finished.
pub(super) fn read_instance_counters(
    pins: &Pins,
    hook: &Hook,
    instance: &Instance,
) -> io::Result<Option<Reading>> {
    let path = pins.instance(hook, instance).join("counters");
    if !path.exists() {
        return Ok(None);
    }
    let map = MapHandle::from_pinned_path(path).map_err(plain)?;
    read_cells(&map, hook.point).map(Some)
}

/// Reads counters, summed over the processors.
pub(super) fn read_cells(counters: &MapHandle, point: HookPoint) -> io::Result<Reading> {
    let cells = (0..Reading::cells(point)).map(|index| read_cell(counters, index));
    Ok(Reading::of(point, cells.collect::<io::Result<_>>()?))
}

fn read_cell(counters: &MapHandle, index: u32) -> io::Result<Cell> {
    let per_cpu =
        counters.lookup_percpu(&index.to_ne_bytes(), MapFlags::ANY).map_err(plain)?.unwrap_or_default();
    let mut sum = Cell::default();
    for value in per_cpu {
        let word =
            |at: usize| value.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_ne_bytes);
        sum.packets += word(0).unwrap_or_default();
        sum.bytes += word(8).unwrap_or_default();
    }
    Ok(sum)
}

fn write_value(map: &MapHandle, value: &impl Serialize, room: u32) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(value)?;
    if bytes.len() > room as usize {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{} bytes in {room}", bytes.len())));
    }
    bytes.resize(room as usize, 0);
    map.update(&FIRST, &bytes, MapFlags::ANY).map_err(plain)
}

fn read_value<T: DeserializeOwned>(map: &MapHandle) -> io::Result<T> {
    let bytes = map.lookup(&FIRST, MapFlags::ANY).map_err(plain)?.unwrap_or_default();
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Ok(serde_json::from_slice(&bytes[..end])?)
}

/// Pins a map.
pub(super) fn pin(map: &MapHandle, path: &Path) -> io::Result<()> {
    sys::pin(map.as_fd(), path)
}

/// libbpf's errors as those of the operating system they mostly are.
pub(super) fn plain(error: libbpf_rs::Error) -> io::Error {
    io::Error::other(error)
}
