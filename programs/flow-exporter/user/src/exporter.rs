// SPDX-License-Identifier: Apache-2.0
//! One deployment: from what is counted to what is sent, a step at a time.

use std::io;
use std::time::Duration;

use crate::compose;
use crate::flow::{Amount, EndReason, Key};
use crate::ledger::Accounts;
use crate::pause::Now;
use crate::record::Statistics;
use crate::settings::{Settings, Transport};
use crate::tables::Tables;
use crate::tcp::Tcp;
use crate::udp::Udp;

/// Flows are collected so often for each idle timeout, but neither more nor less often than that.
const COLLECTIONS: u32 = 8;
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(2);
/// How many flows are told of early at once where there is no room for others.
const EARLY: usize = 4096;

/// Who is told.
#[derive(Debug)]
enum Session {
    Udp(Udp),
    Tcp(Tcp),
}

/// One deployment.
#[derive(Debug)]
pub(crate) struct Exporter {
    accounts: Accounts<Tables>,
    settings: Settings,
    session: Option<Session>,
    collect_ns: u64,
    /// Entries that were made in flow tables until the last turn.
    flows: u64,
    /// Whether there was no room for a message of flows that are due.
    is_behind: bool,
}

impl Exporter {
    /// Goes on where the process before was.
    ///
    /// # Errors
    /// When the maps cannot be read.
    pub(crate) fn open(tables: Tables, settings: Settings) -> io::Result<Self> {
        let session = settings.collector.map(|collector| match settings.transport {
            Transport::Udp => Session::Udp(Udp::new(collector)),
            Transport::Tcp => Session::Tcp(Tcp::new(collector)),
        });
        let accounts = Accounts::open(tables)?;
        Ok(Self { accounts, settings, session, collect_ns: 0, flows: 0, is_behind: false })
    }

    /// Does what is to be done now.
    ///
    /// # Errors
    /// When the maps cannot be read or written.
    pub(crate) fn step(&mut self) -> io::Result<()> {
        let now = Now::read();
        let metering = self.accounts.maps.metering()?;
        let is_half_full = metering.flows.saturating_sub(self.flows) > self.accounts.maps.most_flows() / 2;
        let is_time = now.ns >= self.collect_ns || is_half_full;
        if is_time {
            self.flows = metering.flows;
            self.accounts.collect(now.ns)?;
            self.collect_ns = now.after((self.settings.idle / COLLECTIONS).clamp(SHORTEST, LONGEST));
        }
        if (is_time || self.is_behind) && self.accounts.has_room() {
            let mut flows = self.accounts.due(self.settings.active, self.settings.idle);
            if flows.is_empty() && self.accounts.is_full() {
                flows = self.accounts.oldest(EARLY, EndReason::Resources);
            }
            self.tell_of(&flows, &now)?;
        }
        self.pump(&now)
    }

    /// Whether a collector is about to confirm messages.
    pub(crate) fn is_waiting(&self) -> bool {
        self.has_messages() && matches!(&self.session, Some(Session::Tcp(tcp)) if tcp.is_there())
    }

    fn has_messages(&self) -> bool {
        let progress = &self.accounts.progress;
        progress.oldest_message < progress.next_message
    }

    /// Takes over what was counted until now, for the last time.
    ///
    /// # Errors
    /// When the maps cannot be read or written.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.accounts.collect(Now::read().ns)
    }

    /// Tells of all flows that were taken over, but those of chains that are configured otherwise by now: the next process knows
    /// what to say of these. Returns whether all are known to have gone.
    ///
    /// # Errors
    /// When the maps cannot be read or written.
    pub(crate) fn finish(&mut self) -> io::Result<bool> {
        let now = Now::read();
        let mut own = self.accounts.oldest(usize::MAX, EndReason::Forced);
        own.retain(|(key, _)| self.settings.knows(key));
        self.tell_of(&own, &now)?;
        self.pump(&now)?;
        Ok(self.session.is_none() || !self.is_behind && !self.has_messages())
    }

    /// Makes messages of flows as long as there is room for some. The others stay in the cache, where packets are added to them.
    fn tell_of(&mut self, mut flows: &[(Key, EndReason)], now: &Now) -> io::Result<()> {
        self.is_behind = false;
        if self.session.is_none() {
            return Ok(());
        }
        while !flows.is_empty() {
            if !self.accounts.has_room() {
                self.pump(now)?;
            }
            if !self.accounts.has_room() {
                self.is_behind = true;
                return Ok(());
            }
            let told = flows.iter().filter_map(|(key, reason)| self.accounts.told(*key, *reason));
            let (packed, records) = compose::pack(told, &self.settings, now.clock);
            flows = &flows[packed.len().clamp(1, flows.len())..];
            if !packed.is_empty() {
                self.accounts.take(packed, records)?;
            }
        }
        Ok(())
    }

    /// Sends what is ready.
    fn pump(&mut self, now: &Now) -> io::Result<()> {
        let statistics = self.statistics()?;
        match &mut self.session {
            Some(Session::Udp(udp)) => udp.pump(&mut self.accounts, (&self.settings, &statistics), now),
            Some(Session::Tcp(tcp)) => tcp.pump(&mut self.accounts, (&self.settings, &statistics, now)),
            None => Ok(()),
        }
    }

    fn statistics(&self) -> io::Result<Statistics> {
        let (progress, metering) = (&self.accounts.progress, self.accounts.maps.metering()?);
        Ok(Statistics {
            exported_messages: progress.exported_messages,
            exported_records: progress.exported_records,
            exported_bytes: progress.exported_bytes,
            not_sent_records: progress.not_sent_records,
            not_sent: Amount { packets: progress.not_sent_packets, bytes: progress.not_sent_bytes },
            ignored: Amount { packets: metering.ignored_packets, bytes: metering.ignored_bytes },
            observed: metering.observed,
            unsampled: metering.unsampled,
            other: metering.other,
            malformed: metering.malformed,
            unnoted: metering.unnoted,
        })
    }
}
