// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Writes what is known of backends to where the program reads it, so that every packet finds a whole table.
//!
//! First the targets: who comes is known before a table leads to it. Then the table of each pool that changes: the one that is not in
//! use is filled, and one write of a word puts it into use. Then the targets of those who are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use std::{io, thread};

use rustix::time::{ClockId, clock_gettime};

use crate::backend::{Backend, nobody};
use crate::balancer::{Maps, say};
use crate::claim::Halted;
use crate::maglev::{Member, table};
use crate::maps::{PoolsValue, TablesValue, TargetsValueState};
use crate::slots::{CHUNKS, Slots};

/// How many pools there are.
const POOLS: u16 = 16;
/// How long a table that was in use is left alone, so that no packet is still reading it.
pub(crate) const REST: Duration = Duration::from_millis(50);

/// Writes all that is not as it is to be.
///
/// # Errors
/// When another process has the word, or a map cannot be read or written. What was written is whole all the same.
pub(crate) fn publish(
    maps: &Maps,
    backends: &mut BTreeMap<u16, Backend>,
    window_s: u32,
) -> Result<(), Halted> {
    let others = write_targets(maps, backends)?;
    let mut has_switched = false;
    for pool in 0..POOLS {
        let of_pool = |backend: &&mut Backend| backend.settings.pool == pool;
        let members = members(backends.values().filter(|backend| backend.settings.pool == pool));
        let change = Change { table: table(&members), others: &others, window_s };
        let written = write_table(maps, pool, &change)?;
        has_switched |= written.is_new;
        for backend in backends.values_mut().filter(of_pool) {
            backend.slots = written.slots.count(backend.number);
            maps.write(&maps.health, &backend.number.into(), &backend.told())?;
        }
    }
    forget(maps, backends)?;
    if has_switched {
        thread::sleep(REST);
    }
    Ok(())
}

/// Writes where backends are, as far as that is new. Returns the numbers that stood for others.
fn write_targets(maps: &Maps, backends: &BTreeMap<u16, Backend>) -> Result<BTreeSet<u16>, Halted> {
    let mut others = BTreeSet::new();
    for pool in 0..POOLS {
        let is_rescue = is_rescue(backends.values().filter(|backend| backend.settings.pool == pool));
        for backend in backends.values().filter(|backend| backend.settings.pool == pool) {
            if write_target(maps, backend, is_rescue)? {
                others.insert(backend.number);
            }
        }
    }
    Ok(others)
}

/// Whether no backend of a pool is ready, though some are to have flows: then all of them are tried, as that is better than none.
fn is_rescue<'a>(mut backends: impl Iterator<Item = &'a Backend>) -> bool {
    !backends.any(Backend::is_ready)
}

/// Those that get flows.
fn members<'a>(backends: impl Iterator<Item = &'a Backend> + Clone) -> Vec<Member> {
    let is_rescue = is_rescue(backends.clone());
    let gets = |backend: &&Backend| backend.settings.weight > 0 && (is_rescue || backend.is_ready());
    let member = |backend: &Backend| Member {
        number: backend.number,
        address: backend.settings.address,
        weight: backend.settings.weight,
    };
    backends.filter(gets).map(member).collect()
}

/// Writes where a backend is, if that is new. Returns whether its number stood for another one.
fn write_target(maps: &Maps, backend: &Backend, is_rescue: bool) -> Result<bool, Halted> {
    let (key, target) = (backend.number.into(), backend.target(is_rescue));
    let old = maps.targets.lookup(&key)?;
    if old != Some(target) {
        maps.write(&maps.targets, &key, &target)?;
    }
    Ok(old.is_some_and(|old| old.address != target.address))
}

/// The table of a pool that is in use, if it ever had one.
fn read_table(maps: &Maps, pool: u16) -> io::Result<Option<(PoolsValue, Slots)>> {
    let Some(state) = maps.pools.lookup(&pool.into())?.filter(|state| state.generation > 0) else {
        return Ok(None);
    };
    let chunks: io::Result<Vec<TablesValue>> = keys(pool, state.table)
        .map(|key| maps.tables.lookup(&key)?.ok_or_else(|| io::ErrorKind::NotFound.into()))
        .collect();
    Ok(Some((state, Slots::read(&chunks?))))
}

/// What is to be in the slots of a pool.
struct Change<'a> {
    table: Vec<u16>,
    /// Numbers that stand for other backends than before.
    others: &'a BTreeSet<u16>,
    /// How long a slot counts as changed, in seconds.
    window_s: u32,
}

/// What a pool has.
struct Written {
    slots: Slots,
    is_new: bool,
}

/// Puts a table into use, if it is another one. Returns the one that is in use then.
fn write_table(maps: &Maps, pool: u16, change: &Change<'_>) -> Result<Written, Halted> {
    let old = read_table(maps, pool)?;
    if old.is_none() && change.table.iter().all(|number| *number == 0) {
        return Ok(Written { slots: Slots::empty(), is_new: false });
    }
    let (state, slots) = old.unwrap_or((PoolsValue { table: 1, generation: 0 }, Slots::empty()));
    let next = slots.next(&change.table, change.others, seconds(), change.window_s);
    if next == slots {
        return Ok(Written { slots, is_new: false });
    }
    let unused = 1 - (state.table & 1);
    // Another process that has lost the word may be late with one chunk: what was written is read before it is used.
    while fill(maps, (pool, unused), &next)? {}
    let generation = state.generation.saturating_add(1);
    maps.write(&maps.pools, &pool.into(), &PoolsValue { table: unused, generation })?;
    let backends = change.table.iter().collect::<BTreeSet<_>>().len();
    say(&format!("pool {pool} has table {generation}, over {backends} backends"));
    Ok(Written { slots: next, is_new: true })
}

/// Writes what of a table is not as it is to be. Returns whether that was anything.
fn fill(maps: &Maps, (pool, table): (u16, u32), slots: &Slots) -> Result<bool, Halted> {
    let mut was_other = false;
    for (key, chunk) in keys(pool, table).zip(slots.chunks()) {
        if maps.tables.lookup(&key)? != Some(chunk) {
            maps.write(&maps.tables, &key, &chunk)?;
            was_other = true;
        }
    }
    Ok(was_other)
}

/// The entries of one of the two tables of a pool.
fn keys(pool: u16, table: u32) -> impl Iterator<Item = u32> {
    let chunks = u32::try_from(CHUNKS).unwrap_or(u32::MAX);
    let first = (u32::from(pool) * 2 + (table & 1)) * chunks;
    first..first + chunks
}

/// Takes out what stood for backends that are not configured any more.
fn forget(maps: &Maps, backends: &BTreeMap<u16, Backend>) -> Result<(), Halted> {
    let is_gone = |key: u32| u16::try_from(key).is_ok_and(|number| !backends.contains_key(&number));
    for (key, target) in maps.targets.entries()? {
        if is_gone(key) && target.state != TargetsValueState::NONE {
            maps.write(&maps.targets, &key, &nobody(&target))?;
        }
    }
    for key in maps.health.keys()? {
        if is_gone(key) {
            maps.claim.check()?;
            maps.health.delete(&key)?;
        }
    }
    Ok(())
}

/// As the program reads it: `CLOCK_MONOTONIC` in seconds.
fn seconds() -> u32 {
    u32::try_from(clock_gettime(ClockId::Monotonic).tv_sec).unwrap_or(u32::MAX)
}
