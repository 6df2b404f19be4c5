// SPDX-License-Identifier: Apache-2.0
//! The way of counts from the flow tables into messages, in steps after each of which the program may be killed. Whoever begins
//! anew finds in the maps where it was, and each packet is in exactly one place:
//!
//! ```text
//! flow table of the turn ──turn──► drained table ──merge──► flow_cache ──move──► flow_messages ──sent──► gone
//!  (the kernel counts)              (nobody counts)
//! ```
//!
//! Each arrow copies first and deletes then. A flow in the cache says which turn was added last, so that one that is still in the
//! drained table is known. A message is told to be moving until its flows are out of the cache. What was sent, and is not yet known to
//! have come, is sent again with the same numbers of records.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::flow::{Counts, EndReason, Key, Pending, Told};

/// How many flows a message has at most.
pub(crate) const MESSAGE_FLOWS: usize = 64;
/// How many messages may be on their way.
pub(crate) const MESSAGES: u64 = 32;
/// So long after FIN or RST what follows is still of the same flow.
const LINGER: Duration = Duration::from_secs(1);

/// How far we are, and what was sent. It is written at once, so it is always as it was before or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    /// Messages from here to before `next_message` are not known to have come.
    pub(crate) oldest_message: u64,
    pub(crate) next_message: u64,
    /// Whether the flows of the last message may be in the cache as well.
    pub(crate) is_moving: bool,
    /// The next sequence number over UDP.
    pub(crate) sequence: u32,
    /// The transport session that it is of, and the port that it comes from.
    pub(crate) session: u64,
    pub(crate) source_port: u16,
    pub(crate) next_record: u64,
    pub(crate) exported_messages: u64,
    pub(crate) exported_bytes: u64,
    pub(crate) exported_records: u64,
    pub(crate) not_sent_records: u64,
    pub(crate) not_sent_packets: u64,
    pub(crate) not_sent_bytes: u64,
}

/// The flows of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Batch {
    /// The number of the first record.
    pub(crate) first_record: u64,
    pub(crate) records: u32,
    pub(crate) flows: Vec<Told>,
}

/// The maps that the kernel counts in.
pub(crate) trait Meter {
    /// Which turn it is.
    fn turn(&self) -> io::Result<u64>;
    /// Lets packets be counted in the table of another turn, from when this returns on and forever.
    fn turn_to(&mut self, turn: u64) -> io::Result<()>;
    /// All flows of a turn.
    fn counted(&self, turn: u64) -> io::Result<Vec<(Key, Counts)>>;
    /// Takes a flow out of the table of a turn.
    fn forget(&mut self, turn: u64, key: &Key) -> io::Result<()>;
}

/// The maps that only this program writes. Each call is done as a whole or not at all.
pub(crate) trait Ledger {
    fn progress(&self) -> io::Result<Progress>;
    fn write_progress(&mut self, progress: &Progress) -> io::Result<()>;
    fn cached(&self) -> io::Result<Vec<(Key, Pending)>>;
    /// Writes a flow into the cache. False: there is no room.
    fn keep(&mut self, key: &Key, pending: &Pending) -> io::Result<bool>;
    fn drop_cached(&mut self, key: &Key) -> io::Result<()>;
    fn batch(&self, number: u64) -> io::Result<Batch>;
    fn write_batch(&mut self, number: u64, batch: &Batch) -> io::Result<()>;
}

/// What is known of all flows.
#[derive(Debug)]
pub(crate) struct Accounts<M> {
    pub(crate) maps: M,
    pub(crate) progress: Progress,
    /// What `flow_cache` holds.
    cache: BTreeMap<Key, Pending>,
    turn: u64,
    /// When the last turn began whose flows are all in the cache.
    known_until_ns: Option<u64>,
    /// When this turn began.
    turned_ns: Option<u64>,
    /// Whether there are flows that found no room in the cache.
    is_full: bool,
}

impl<M: Meter + Ledger> Accounts<M> {
    /// Goes on where another process was.
    pub(crate) fn open(mut maps: M) -> io::Result<Self> {
        let mut progress = maps.progress()?;
        if progress.is_moving {
            for told in maps.batch(progress.next_message.wrapping_sub(1))?.flows {
                maps.drop_cached(&told.key)?;
            }
            progress.is_moving = false;
            maps.write_progress(&progress)?;
        }
        let cache: BTreeMap<Key, Pending> = maps.cached()?.into_iter().collect();
        let turn = maps.turn()?;
        // Whoever began the turn may have been killed before nobody counted in the other table any more.
        maps.turn_to(turn)?;
        let drained = turn.wrapping_sub(1);
        for (key, _) in maps.counted(drained)? {
            if cache.get(&key).is_some_and(|pending| pending.turn == drained) {
                maps.forget(drained, &key)?;
            }
        }
        Ok(Self { maps, progress, cache, turn, known_until_ns: None, turned_ns: None, is_full: false })
    }

    /// Takes over what was counted until now, as far as there is room. What finds none stays where it is; then packets go on to be
    /// counted in the same table, so that only what finds no room there is lost, and counted as that.
    pub(crate) fn collect(&mut self, now_ns: u64) -> io::Result<()> {
        self.drain()?;
        if self.is_full {
            return Ok(());
        }
        let next = self.turn.wrapping_add(1);
        self.maps.turn_to(next)?;
        (self.turn, self.turned_ns) = (next, Some(now_ns));
        self.drain()
    }

    /// Adds the flows of the turn before to the cache.
    fn drain(&mut self) -> io::Result<()> {
        let drained = self.turn.wrapping_sub(1);
        self.is_full = false;
        for (key, counts) in self.maps.counted(drained)? {
            let counts = self.cache.get(&key).map_or(counts, |pending| pending.counts.plus(counts));
            let pending = Pending { counts, turn: drained };
            if self.maps.keep(&key, &pending)? {
                self.cache.insert(key, pending);
                self.maps.forget(drained, &key)?;
            } else {
                self.is_full = true;
            }
        }
        if !self.is_full {
            self.known_until_ns = self.turned_ns;
        }
        Ok(())
    }

    /// Whether there are flows that wait for room in the cache.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The flows of which it is time to tell, the oldest first.
    pub(crate) fn due(&self, active: Duration, idle: Duration) -> Vec<(Key, EndReason)> {
        let Some(until_ns) = self.known_until_ns else { return Vec::new() };
        let is_past =
            |begin_ns: u64, time: Duration| u128::from(until_ns.saturating_sub(begin_ns)) >= time.as_nanos();
        let mut due: Vec<(u64, Key, EndReason)> = Vec::new();
        for (key, Pending { counts, .. }) in &self.cache {
            let reason = if counts.has_ended() && is_past(counts.last_ns, LINGER) {
                EndReason::End
            } else if is_past(counts.last_ns, idle) {
                EndReason::Idle
            } else if is_past(counts.first_ns, active) {
                EndReason::Active
            } else {
                continue;
            };
            due.push((counts.last_ns, *key, reason));
        }
        in_order(due)
    }

    /// So many flows that were not heard of for the longest time, to be told of for a reason of our own.
    pub(crate) fn oldest(&self, most: usize, reason: EndReason) -> Vec<(Key, EndReason)> {
        let mut all: Vec<(u64, Key, EndReason)> =
            self.cache.iter().map(|(key, pending)| (pending.counts.last_ns, *key, reason)).collect();
        if all.len() > most && most > 0 {
            all.select_nth_unstable_by_key(most - 1, |(last_ns, key, _)| (*last_ns, *key));
            all.truncate(most);
        }
        in_order(all)
    }

    /// A flow in the cache, as it would be told of.
    pub(crate) fn told(&self, key: Key, reason: EndReason) -> Option<Told> {
        self.cache.get(&key).map(|pending| Told { key, counts: pending.counts, reason })
    }

    /// Whether another message can be on its way.
    pub(crate) fn has_room(&self) -> bool {
        self.progress.next_message - self.progress.oldest_message < MESSAGES
    }

    /// Moves flows from the cache into a message. There must be room.
    pub(crate) fn take(&mut self, flows: Vec<Told>, records: u32) -> io::Result<()> {
        let mut next = self.progress;
        let batch = Batch { first_record: next.next_record, records, flows };
        self.maps.write_batch(next.next_message, &batch)?;
        next.next_message += 1;
        next.next_record += u64::from(records);
        next.is_moving = true;
        self.write(next)?;
        for told in &batch.flows {
            self.maps.drop_cached(&told.key)?;
            self.cache.remove(&told.key);
        }
        self.write(Progress { is_moving: false, ..self.progress })
    }

    /// A message that is on its way.
    pub(crate) fn batch(&self, number: u64) -> io::Result<Batch> {
        self.maps.batch(number)
    }

    /// Notes how far we are.
    pub(crate) fn write(&mut self, progress: Progress) -> io::Result<()> {
        self.maps.write_progress(&progress)?;
        self.progress = progress;
        Ok(())
    }
}

fn in_order(mut flows: Vec<(u64, Key, EndReason)>) -> Vec<(Key, EndReason)> {
    flows.sort_unstable_by_key(|(last_ns, key, _)| (*last_ns, *key));
    flows.into_iter().map(|(_, key, reason)| (key, reason)).collect()
}
