// SPDX-License-Identifier: Apache-2.0
//! The maps of one deployment, as [`Meter`] and [`Ledger`].

use std::io;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::{MembarrierCommand, membarrier};

use crate::flow::{Amount, Counts, EndReason, Key, Pending, Told};
use crate::ledger::{Batch, Ledger, MESSAGE_FLOWS, MESSAGES, Meter, Progress};
use crate::maps;

/// The only entry of a map that has one.
const ONLY: u32 = 0;
/// Longer than any program for packets is at work with one, where the kernel does not tell.
const GRACE: Duration = Duration::from_secs(1);

/// The maps of one deployment.
#[derive(Debug)]
pub(crate) struct Tables {
    even: maps::FlowsEven,
    odd: maps::FlowsOdd,
    turn: maps::FlowTurn,
    metering: maps::FlowMetering,
    cache: maps::FlowCache,
    messages: maps::FlowMessages,
    progress: maps::FlowProgress,
}

/// The maps of one deployment, and the constants of its instances.
pub(crate) type Deployment = (Tables, Vec<(Vec<maps::Place>, maps::RodataConstants)>);

/// All that this program was handed, by deployment.
pub(crate) fn handed() -> io::Result<Vec<Deployment>> {
    let mut turns = maps::FlowTurn::handed()?;
    turns.sort_by(|one, other| one.places().cmp(other.places()));
    turns.into_iter().map(deployment).collect()
}

/// Takes out of a list the map that is of the same members as another one.
fn of_same<M: maps::Described, A>(
    list: io::Result<Vec<maps::Map<M, A>>>,
    places: &[maps::Place],
) -> io::Result<maps::Map<M, A>> {
    let found = list?.into_iter().find(|map| map.places().iter().any(|place| places.contains(place)));
    found.ok_or_else(|| {
        io::Error::new(io::ErrorKind::NotFound, format!("no map `{}` was handed over", M::NAME))
    })
}

fn deployment(turn: maps::FlowTurn) -> io::Result<Deployment> {
    let places = turn.places().to_vec();
    let mut constants = Vec::new();
    for one in maps::Rodata::handed()? {
        if one.places().iter().any(|place| places.contains(place)) {
            constants.push((one.places().to_vec(), one.read()?));
        }
    }
    constants.sort_by(|(one, _), (other, _)| one.cmp(other));
    let tables = Tables {
        even: of_same(maps::FlowsEven::handed(), &places)?,
        odd: of_same(maps::FlowsOdd::handed(), &places)?,
        metering: of_same(maps::FlowMetering::handed(), &places)?,
        cache: of_same(maps::FlowCache::handed(), &places)?,
        messages: of_same(maps::FlowMessages::handed(), &places)?,
        progress: of_same(maps::FlowProgress::handed(), &places)?,
        turn,
    };
    Ok((tables, constants))
}

impl Tables {
    /// What the programs counted besides flows, on all processors.
    pub(crate) fn metering(&self) -> io::Result<maps::FlowMeteringValue> {
        let values = self.metering.lookup(&ONLY)?.unwrap_or_default();
        Ok(values.into_iter().fold(maps::FlowMeteringValue::default(), |sum, one| maps::FlowMeteringValue {
            observed: sum.observed + one.observed,
            unsampled: sum.unsampled + one.unsampled,
            other: sum.other + one.other,
            malformed: sum.malformed + one.malformed,
            ignored_packets: sum.ignored_packets + one.ignored_packets,
            ignored_bytes: sum.ignored_bytes + one.ignored_bytes,
            flows: sum.flows + one.flows,
            unnoted: sum.unnoted + one.unnoted,
            notes: sum.notes + one.notes,
        }))
    }

    /// How many flows the table of a turn holds at most.
    pub(crate) fn most_flows(&self) -> u64 {
        self.even.max_entries().into()
    }
}

/// Waits until every program that may have read the turn before has ended: they run without being preempted, and this is a grace
/// period of RCU (`kernel/sched/membarrier.c`).
fn wait_for_programs() -> io::Result<()> {
    match membarrier(MembarrierCommand::Global) {
        // Kernels with processors that nothing interrupts (`nohz_full`) refuse it.
        Err(Errno::INVAL) => {
            thread::sleep(GRACE);
            Ok(())
        }
        done => Ok(done?),
    }
}

impl Meter for Tables {
    fn turn(&self) -> io::Result<u64> {
        Ok(self.turn.lookup(&ONLY)?.unwrap_or_default())
    }

    fn turn_to(&mut self, turn: u64) -> io::Result<()> {
        self.turn.update(&ONLY, &turn)?;
        wait_for_programs()
    }

    fn counted(&self, turn: u64) -> io::Result<Vec<(Key, Counts)>> {
        if turn % 2 == 1 {
            return Ok(self.odd.entries()?.iter().map(|(key, value)| (key.into(), value.into())).collect());
        }
        Ok(self.even.entries()?.iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    fn forget(&mut self, turn: u64, key: &Key) -> io::Result<()> {
        if turn % 2 == 1 { self.odd.delete(&key.into()) } else { self.even.delete(&key.into()) }.map(drop)
    }
}

impl Ledger for Tables {
    fn progress(&self) -> io::Result<Progress> {
        Ok(self.progress.lookup(&ONLY)?.unwrap_or_default().into())
    }

    fn write_progress(&mut self, progress: &Progress) -> io::Result<()> {
        self.progress.update(&ONLY, &progress.into())
    }

    fn cached(&self) -> io::Result<Vec<(Key, Pending)>> {
        let entries = self.cache.entries()?;
        let pending =
            |value: &maps::FlowCacheValue| Pending { counts: (&value.counts).into(), turn: value.turn };
        Ok(entries.iter().map(|(key, value)| (key.into(), pending(value))).collect())
    }

    fn keep(&mut self, key: &Key, pending: &Pending) -> io::Result<bool> {
        let value = maps::FlowCacheValue { counts: (&pending.counts).into(), turn: pending.turn };
        match self.cache.update(&key.into(), &value) {
            Ok(()) => Ok(true),
            Err(error) if is_no_room(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn drop_cached(&mut self, key: &Key) -> io::Result<()> {
        self.cache.delete(&key.into()).map(drop)
    }

    fn batch(&self, number: u64) -> io::Result<Batch> {
        let value = self.messages.lookup(&slot(number))?.unwrap_or_default();
        let flows = &value.flow[..MESSAGE_FLOWS.min(usize::try_from(value.flows).unwrap_or(MESSAGE_FLOWS))];
        let flows = flows.iter().map(|flow| Told {
            key: (&flow.key).into(),
            counts: (&flow.counts).into(),
            reason: EndReason::from_number(flow.end_reason),
        });
        Ok(Batch { first_record: value.first_record, records: value.records, flows: flows.collect() })
    }

    fn write_batch(&mut self, number: u64, batch: &Batch) -> io::Result<()> {
        let mut value = maps::FlowMessagesValue {
            first_record: batch.first_record,
            flows: u32::try_from(batch.flows.len()).unwrap_or(u32::MAX),
            records: batch.records,
            ..maps::FlowMessagesValue::default()
        };
        for (flow, told) in value.flow.iter_mut().zip(&batch.flows) {
            flow.key = (&told.key).into();
            flow.counts = (&told.counts).into();
            flow.end_reason = told.reason as u32;
        }
        self.messages.update(&slot(number), &value)
    }
}

fn slot(number: u64) -> u32 {
    u32::try_from(number % MESSAGES).expect("there are few")
}

/// The map is full, or the machine has no memory for another entry.
fn is_no_room(error: &io::Error) -> bool {
    let codes = [Errno::TOOBIG, Errno::NOMEM].map(|code| Some(code.raw_os_error()));
    codes.contains(&error.raw_os_error())
}

/// Bindings have a type for each place where a structure is.
macro_rules! same {
    ($($key:ident, $counts:ident;)*) => {$(
        impl From<&maps::$key> for Key {
            fn from(key: &maps::$key) -> Self {
                let maps::$key {
                    source, destination, ingress_interface, egress_interface, source_port, destination_port, vlan, protocol,
                    traffic_class, ip_version, direction, checkpoints, sampling_random, sampling_one_in,
                } = *key;
                Self {
                    source, destination, ingress_interface, egress_interface, source_port, destination_port, vlan, protocol,
                    traffic_class, ip_version, direction, checkpoints, sampling_random, sampling_one_in,
                }
            }
        }

        impl From<&Key> for maps::$key {
            fn from(key: &Key) -> Self {
                let Key {
                    source, destination, ingress_interface, egress_interface, source_port, destination_port, vlan, protocol,
                    traffic_class, ip_version, direction, checkpoints, sampling_random, sampling_one_in,
                } = *key;
                Self {
                    source, destination, ingress_interface, egress_interface, source_port, destination_port, vlan, protocol,
                    traffic_class, ip_version, direction, checkpoints, sampling_random, sampling_one_in,
                }
            }
        }

        impl From<&maps::$counts> for Counts {
            fn from(value: &maps::$counts) -> Self {
                let reached = value.reached_packets.into_iter().zip(value.reached_bytes);
                let mut reached = reached.map(|(packets, bytes)| Amount { packets, bytes });
                Self {
                    first_ns: value.first_ns,
                    last_ns: value.last_ns,
                    all: Amount { packets: value.packets, bytes: value.bytes },
                    reached: std::array::from_fn(|_| reached.next().unwrap_or_default()),
                    tcp_flags: u16::try_from(value.tcp_flags).unwrap_or_default(),
                }
            }
        }

        impl From<&Counts> for maps::$counts {
            fn from(counts: &Counts) -> Self {
                Self {
                    first_ns: counts.first_ns,
                    last_ns: counts.last_ns,
                    packets: counts.all.packets,
                    bytes: counts.all.bytes,
                    reached_packets: counts.reached.map(|amount| amount.packets),
                    reached_bytes: counts.reached.map(|amount| amount.bytes),
                    tcp_flags: counts.tcp_flags.into(),
                    reserved: 0,
                }
            }
        }
    )*};
}

same! {
    FlowsEvenKey, FlowsEvenValue;
    FlowsOddKey, FlowsOddValue;
    FlowCacheKey, FlowCacheValueCounts;
    FlowMessagesValueFlowKey, FlowMessagesValueFlowCounts;
}

impl From<maps::FlowProgressValue> for Progress {
    fn from(value: maps::FlowProgressValue) -> Self {
        Self {
            oldest_message: value.oldest_message,
            next_message: value.next_message,
            is_moving: value.moving != 0,
            sequence: value.sequence,
            session: value.session,
            source_port: u16::try_from(value.source_port).unwrap_or_default(),
            next_record: value.next_record,
            exported_messages: value.exported_messages,
            exported_bytes: value.exported_bytes,
            exported_records: value.exported_records,
            not_sent_records: value.not_sent_records,
            not_sent_packets: value.not_sent_packets,
            not_sent_bytes: value.not_sent_bytes,
        }
    }
}

impl From<&Progress> for maps::FlowProgressValue {
    fn from(progress: &Progress) -> Self {
        Self {
            oldest_message: progress.oldest_message,
            next_message: progress.next_message,
            moving: progress.is_moving.into(),
            sequence: progress.sequence,
            session: progress.session,
            source_port: progress.source_port.into(),
            reserved: 0,
            next_record: progress.next_record,
            exported_messages: progress.exported_messages,
            exported_bytes: progress.exported_bytes,
            exported_records: progress.exported_records,
            not_sent_records: progress.not_sent_records,
            not_sent_packets: progress.not_sent_packets,
            not_sent_bytes: progress.not_sent_bytes,
        }
    }
}
