// SPDX-License-Identifier: Apache-2.0
//! The program is killed after any of its calls, again and again, while packets are counted: what a collector has in the end is every
//! packet, once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;

use super::encoding::settings;
use crate::compose;
use crate::flow::{Amount, Counts, EndReason, Key, Pending};
use crate::ledger::{Accounts, Batch, Ledger, MESSAGES, Meter, Progress};
use crate::record::Clock;

/// What the kernel has, whoever runs.
#[derive(Debug, Default)]
struct Held {
    turn: u64,
    /// The turn before, while programs may be at work that read it.
    late: Option<u64>,
    tables: [BTreeMap<Key, Counts>; 2],
    cache: BTreeMap<Key, Pending>,
    batches: BTreeMap<u64, Batch>,
    progress: Progress,
    /// Packets that found no room.
    ignored: u64,
    sent: u64,
    now_ns: u64,
}

const TABLE_FLOWS: usize = 6;
const CACHE_FLOWS: usize = 8;

/// The maps as one process has them: after so many calls it is killed.
#[derive(Debug, Clone)]
pub(super) struct Maps {
    held: Rc<RefCell<Held>>,
    calls: Rc<Cell<u32>>,
    /// What comes while the process is at work, a packet before each call.
    traffic: Rc<RefCell<Vec<u8>>>,
}

impl Maps {
    /// Empty ones, of a process that is not killed.
    pub(super) fn empty() -> Self {
        let held = Rc::new(RefCell::new(Held::default()));
        Self { held, calls: Rc::new(Cell::new(u32::MAX)), traffic: Rc::default() }
    }

    /// A call begins: perhaps it is never made.
    fn call(&self) -> io::Result<()> {
        let packet = self.traffic.borrow_mut().pop();
        if let Some(packet) = packet {
            count(&mut self.held.borrow_mut(), packet);
        }
        let left = self.calls.get().checked_sub(1).ok_or_else(|| io::Error::other("killed"))?;
        self.calls.set(left);
        Ok(())
    }
}

/// What programs in the kernel do with a packet of a flow.
fn count(held: &mut Held, flow: u8) {
    held.now_ns += 1;
    let now_ns = held.now_ns;
    let turn = held.late.filter(|_| flow % 2 == 1).unwrap_or(held.turn);
    let all = Amount { packets: 1, bytes: 100 };
    let table = &mut held.tables[usize::try_from(turn % 2).unwrap()];
    let counts = Counts { first_ns: now_ns, last_ns: now_ns, all, ..Counts::default() };
    let is_new = !table.contains_key(&key(flow));
    if is_new && table.len() == TABLE_FLOWS {
        held.ignored += 1;
    } else {
        table.entry(key(flow)).and_modify(|known| *known = known.plus(counts)).or_insert(counts);
    }
    held.sent += 1;
}

pub(super) fn key(flow: u8) -> Key {
    Key {
        source: Ipv4Addr::new(10, 0, 0, flow).into(),
        destination: Ipv4Addr::new(10, 0, 1, 1).into(),
        ingress_interface: 2,
        egress_interface: 0,
        source_port: 1000,
        destination_port: 53,
        vlan: 0,
        protocol: 17,
        traffic_class: 0,
        ip_version: 4,
        direction: 0,
        checkpoints: 0,
        sampling_random: 0,
        sampling_one_in: 1,
    }
}

impl Meter for Maps {
    fn turn(&self) -> io::Result<u64> {
        self.call()?;
        Ok(self.held.borrow().turn)
    }

    fn turn_to(&mut self, turn: u64) -> io::Result<()> {
        self.call()?;
        let before = std::mem::replace(&mut self.held.borrow_mut().turn, turn);
        if before != turn {
            self.held.borrow_mut().late = Some(before);
        }
        self.call()?;
        self.held.borrow_mut().late = None;
        Ok(())
    }

    fn counted(&self, turn: u64) -> io::Result<Vec<(Key, Counts)>> {
        self.call()?;
        let held = self.held.borrow();
        Ok(held.tables[usize::try_from(turn % 2).unwrap()]
            .iter()
            .map(|(key, counts)| (*key, *counts))
            .collect())
    }

    fn forget(&mut self, turn: u64, key: &Key) -> io::Result<()> {
        self.call()?;
        self.held.borrow_mut().tables[usize::try_from(turn % 2).unwrap()].remove(key);
        Ok(())
    }
}

impl Ledger for Maps {
    fn progress(&self) -> io::Result<Progress> {
        self.call()?;
        Ok(self.held.borrow().progress)
    }

    fn write_progress(&mut self, progress: &Progress) -> io::Result<()> {
        self.call()?;
        self.held.borrow_mut().progress = *progress;
        Ok(())
    }

    fn cached(&self) -> io::Result<Vec<(Key, Pending)>> {
        self.call()?;
        Ok(self.held.borrow().cache.iter().map(|(key, pending)| (*key, *pending)).collect())
    }

    fn keep(&mut self, key: &Key, pending: &Pending) -> io::Result<bool> {
        self.call()?;
        let cache = &mut self.held.borrow_mut().cache;
        let has_room = cache.contains_key(key) || cache.len() < CACHE_FLOWS;
        if has_room {
            cache.insert(*key, *pending);
        }
        Ok(has_room)
    }

    fn drop_cached(&mut self, key: &Key) -> io::Result<()> {
        self.call()?;
        self.held.borrow_mut().cache.remove(key);
        Ok(())
    }

    fn batch(&self, number: u64) -> io::Result<Batch> {
        self.call()?;
        Ok(self.held.borrow().batches[&(number % MESSAGES)].clone())
    }

    fn write_batch(&mut self, number: u64, batch: &Batch) -> io::Result<()> {
        self.call()?;
        self.held.borrow_mut().batches.insert(number % MESSAGES, batch.clone());
        Ok(())
    }
}

/// What a collector got: packets by the numbers of their records.
type Got = BTreeMap<u64, (Key, u64)>;

/// A process runs until it is killed. What it sends may come, or it may be killed before it knows that it did.
fn run(maps: &Maps, reachable: bool, got: &mut Got) -> io::Result<()> {
    let (settings, clock) = (settings(), Clock { ahead_ns: 0 });
    let mut accounts = Accounts::open(maps.clone())?;
    loop {
        let now_ns = maps.held.borrow().now_ns;
        accounts.collect(now_ns)?;
        let mut due = accounts.due(Duration::from_nanos(20), Duration::from_nanos(5));
        if due.is_empty() && accounts.is_full() {
            due = accounts.oldest(2, EndReason::Resources);
        }
        while !due.is_empty() && accounts.has_room() {
            let told = due.iter().filter_map(|(key, reason)| accounts.told(*key, *reason));
            let (packed, records) = compose::pack(told.take(3), &settings, clock);
            due.drain(..packed.len());
            accounts.take(packed, records)?;
        }
        while reachable && accounts.progress.oldest_message < accounts.progress.next_message {
            let batch = accounts.batch(accounts.progress.oldest_message)?;
            for (number, told) in (batch.first_record..).zip(&batch.flows) {
                let record = (told.key, told.counts.all.packets);
                let again = got.insert(number, record);
                assert!(again.is_none_or(|before| before == record), "a record that comes again is the same");
            }
            let oldest_message = accounts.progress.oldest_message + 1;
            accounts.write(Progress { oldest_message, ..accounts.progress })?;
        }
    }
}

/// Packets that are in the maps, each of which must be in one place.
fn waiting(held: &Held) -> u64 {
    let merged = |key: &Key, turn: u64| held.cache.get(key).is_some_and(|pending| pending.turn == turn);
    let table = |turn: u64| {
        let table = held.tables[usize::try_from(turn % 2).unwrap()].iter();
        table.filter(move |(key, _)| !merged(key, turn)).map(|(_, counts)| counts.all.packets).sum::<u64>()
    };
    let on_their_way = held.progress.oldest_message..held.progress.next_message;
    let last = held.batches.get(&(held.progress.next_message.wrapping_sub(1) % MESSAGES));
    let last = last.filter(|_| held.progress.is_moving).into_iter().flat_map(|batch| &batch.flows);
    let moving: BTreeSet<Key> = last.map(|told| told.key).collect();
    let cached = held.cache.iter().filter(|(key, _)| !moving.contains(key));
    let cached: u64 = cached.map(|(_, pending)| pending.counts.all.packets).sum();
    let batches = on_their_way.flat_map(|number| &held.batches[&(number % MESSAGES)].flows);
    let batches: u64 = batches.map(|told| told.counts.all.packets).sum();
    table(held.turn) + table(held.turn.wrapping_sub(1)) + cached + batches
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn every_packet_is_told_of_once_or_counted_as_lost_however_often_the_program_is_killed(
        lives in prop::collection::vec((0_u32..120, prop::bool::weighted(0.7), prop::collection::vec(0_u8..12, 0..60)), 1..12),
    ) {
        let held = Rc::new(RefCell::new(Held::default()));
        let mut got = Got::new();
        for (calls, reachable, traffic) in lives {
            let traffic = Rc::new(RefCell::new(traffic));
            let maps = Maps { held: Rc::clone(&held), calls: Rc::new(Cell::new(calls)), traffic };
            run(&maps, reachable, &mut got).unwrap_err();
            let held = held.borrow();
            // What came and is not known to have come is in both.
            let mut known: u64 = got.values().map(|(_, packets)| packets).sum();
            let on_their_way = held.progress.oldest_message..held.progress.next_message;
            for batch in on_their_way.map(|number| &held.batches[&(number % MESSAGES)]) {
                let numbers = batch.first_record..batch.first_record + u64::from(batch.records);
                known -= numbers.filter_map(|number| got.get(&number)).map(|(_, packets)| packets).sum::<u64>();
            }
            prop_assert_eq!(known + waiting(&held) + held.ignored, held.sent);
        }
        // One that lives long enough tells of all of it.
        held.borrow_mut().now_ns += 1000;
        let maps = Maps { held: Rc::clone(&held), calls: Rc::new(Cell::new(2000)), traffic: Rc::default() };
        run(&maps, true, &mut got).unwrap_err();
        let held = held.borrow();
        prop_assert_eq!(got.values().map(|(_, packets)| packets).sum::<u64>() + held.ignored, held.sent);
        prop_assert_eq!(waiting(&held), 0);
    }
}
