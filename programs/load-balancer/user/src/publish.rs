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
use crate::maglev::{Member, table};
use crate::maps::{PoolsValue, TablesValue, TargetsValueState};
use crate::slots::{CHUNKS, Slots};

/// How many pools there are.
const POOLS: u16 = 16;
/// How long a table that was in use is left alone, so that no packet is still reading it.
const REST: Duration = Duration::from_millis(50);

/// Writes all that changed.
///
/// # Errors
/// When a map cannot be read or written. What was written is whole all the same.
pub(crate) fn publish(maps: &Maps, backends: &mut BTreeMap<u16, Backend>) -> io::Result<()> {
    let mut others = BTreeSet::new();
    for pool in 0..POOLS {
        let of_pool = || backends.values().filter(move |backend| backend.settings.pool == pool);
        let is_rescue = is_rescue(of_pool());
        for backend in of_pool() {
            if write_target(maps, backend, is_rescue)? {
                others.insert(backend.number);
            }
        }
    }
    let mut has_switched = false;
    for pool in 0..POOLS {
        let of_pool = backends.values().filter(move |backend| backend.settings.pool == pool);
        let (slots, is_new) = write_table(maps, pool, &members(of_pool), &others)?;
        has_switched |= is_new;
        for backend in backends.values_mut().filter(|backend| backend.settings.pool == pool) {
            backend.slots = slots.count(backend.number);
            maps.health.update(&backend.number.into(), &backend.told())?;
        }
    }
    forget(maps, backends)?;
    if has_switched {
        thread::sleep(REST);
    }
    Ok(())
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
fn write_target(maps: &Maps, backend: &Backend, is_rescue: bool) -> io::Result<bool> {
    let (key, target) = (backend.number.into(), backend.target(is_rescue));
    let old = maps.targets.lookup(&key)?;
    if old != Some(target) {
        maps.targets.update(&key, &target)?;
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

/// Puts a table into use, if it is another one. Returns the one that is in use then, and whether it is new.
fn write_table(
    maps: &Maps,
    pool: u16,
    members: &[Member],
    others: &BTreeSet<u16>,
) -> io::Result<(Slots, bool)> {
    let old = read_table(maps, pool)?;
    if old.is_none() && members.is_empty() {
        return Ok((Slots::empty(), false));
    }
    let (state, slots) = old.unwrap_or((PoolsValue { table: 1, generation: 0 }, Slots::empty()));
    let next = slots.next(&table(members), others, seconds());
    if next == slots {
        return Ok((slots, false));
    }
    let unused = 1 - (state.table & 1);
    for (key, chunk) in keys(pool, unused).zip(next.chunks()) {
        maps.tables.update(&key, &chunk)?;
    }
    let generation = state.generation.saturating_add(1);
    maps.pools.update(&pool.into(), &PoolsValue { table: unused, generation })?;
    say(&format!("pool {pool} has table {generation}, over {} backends", members.len()));
    Ok((next, true))
}

/// The entries of one of the two tables of a pool.
fn keys(pool: u16, table: u32) -> impl Iterator<Item = u32> {
    let chunks = u32::try_from(CHUNKS).unwrap_or(u32::MAX);
    let first = (u32::from(pool) * 2 + (table & 1)) * chunks;
    first..first + chunks
}

/// Takes out what stood for backends that are not configured any more.
fn forget(maps: &Maps, backends: &BTreeMap<u16, Backend>) -> io::Result<()> {
    let is_gone = |key: u32| u16::try_from(key).is_ok_and(|number| !backends.contains_key(&number));
    for (key, target) in maps.targets.entries()? {
        if is_gone(key) && target.state != TargetsValueState::NONE {
            maps.targets.update(&key, &nobody(&target))?;
        }
    }
    for key in maps.health.keys()? {
        if is_gone(key) {
            maps.health.delete(&key)?;
        }
    }
    Ok(())
}

/// As the program reads it: `CLOCK_MONOTONIC` in seconds.
fn seconds() -> u32 {
    u32::try_from(clock_gettime(ClockId::Monotonic).tv_sec).unwrap_or(u32::MAX)
}
