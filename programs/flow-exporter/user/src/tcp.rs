// SPDX-License-Identifier: Apache-2.0
//! Messages over connections (RFC 7011, section 10.4). A message stays in the maps until the kernel of the collector confirmed all of
//! it; what it did not confirm before a connection ended is sent over the next one.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use crate::compose;
use crate::ledger::{Accounts, Ledger, Meter};
use crate::message::Message;
use crate::pause::{Now, Pause};
use crate::record::Statistics;
use crate::settings::Settings;
use crate::{tell, unacknowledged};

/// How long a collector may take to accept, and to confirm what it got.
const PATIENCE: Duration = Duration::from_secs(30);
/// The kernel goes through all connections of the machine to tell what is not confirmed of one: of the time this takes one part at most.
const LOOK_SHARE: u32 = 20;

/// The connections to a collector, one after the other.
#[derive(Debug)]
pub(crate) struct Tcp {
    collector: SocketAddr,
    connection: Option<Connection>,
    pause: Pause,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Where it begins and ends, from when it is there.
    ends: Option<(SocketAddr, SocketAddr)>,
    begun_ns: u64,
    /// What the kernel has no room for yet.
    outgoing: Vec<u8>,
    /// How many bytes were put into the connection, those in `outgoing` as well.
    queued: u64,
    /// Each connection is a transport session and counts from 0.
    sequence: u32,
    next_message: u64,
    /// What is not confirmed.
    unconfirmed: VecDeque<Unconfirmed>,
    statistics_ns: u64,
    /// When to look next what is not confirmed.
    look_ns: u64,
    /// Whether the kernel here tells what is not confirmed.
    is_told: bool,
}

/// A message in a connection.
#[derive(Debug)]
struct Unconfirmed {
    /// How many bytes were put into the connection with it.
    end: u64,
    bytes: u64,
    /// Of flows, how many records it has.
    records: Option<u32>,
}

/// What went wrong.
enum Trouble {
    /// The connection ended, or never began.
    Connection(io::Error),
    /// The maps could not be written.
    Maps(io::Error),
}

type Context<'a> = (&'a Settings, &'a Statistics, &'a Now);

impl Tcp {
    /// One without a connection.
    pub(crate) fn new(collector: SocketAddr) -> Self {
        Self { collector, connection: None, pause: Pause::new() }
    }

    /// Whether a collector is there.
    pub(crate) fn is_there(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.ends.is_some())
    }

    /// Sends what there is to send, and looks what was confirmed.
    ///
    /// # Errors
    /// When the maps cannot be written. Where the collector is away, a connection is tried again later.
    pub(crate) fn pump<M: Meter + Ledger>(
        &mut self,
        accounts: &mut Accounts<M>,
        context: Context<'_>,
    ) -> io::Result<()> {
        let now = context.2;
        if self.connection.is_none() && !self.pause.is_over(now) {
            return Ok(());
        }
        match self.drive(accounts, context) {
            Ok(()) => Ok(()),
            Err(Trouble::Maps(error)) => Err(error),
            Err(Trouble::Connection(error)) => {
                self.connection = None;
                if self.pause.lengthen(now) {
                    let collector = self.collector;
                    tell(&format!("no connection to the collector {collector}: {error}. It is tried again"));
                }
                Ok(())
            }
        }
    }

    fn drive<M: Meter + Ledger>(
        &mut self,
        accounts: &mut Accounts<M>,
        context: Context<'_>,
    ) -> Result<(), Trouble> {
        let connection = if let Some(connection) = &mut self.connection {
            connection
        } else {
            let oldest = accounts.progress.oldest_message;
            let begun = Connection::begin(self.collector, oldest, context.2).map_err(Trouble::Connection)?;
            self.connection.insert(begun)
        };
        if !connection.is_there(context).map_err(Trouble::Connection)? {
            return Ok(());
        }
        connection.send(accounts, context)?;
        if connection.confirm(accounts, context.2).map_err(Trouble::Maps)? {
            self.pause.end();
        }
        Ok(())
    }
}

impl Connection {
    /// Begins one, and waits for nothing.
    fn begin(collector: SocketAddr, next_message: u64, now: &Now) -> io::Result<Self> {
        let family = if collector.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        let patience_ms = u32::try_from(PATIENCE.as_millis()).expect("it is short");
        sockopt::set_tcp_user_timeout(&socket, patience_ms)?;
        match connect(&socket, &collector) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self {
            stream: TcpStream::from(socket),
            ends: None,
            begun_ns: now.ns,
            outgoing: Vec::new(),
            queued: 0,
            sequence: 0,
            next_message,
            unconfirmed: VecDeque::new(),
            statistics_ns: now.ns,
            look_ns: now.ns,
            is_told: true,
        })
    }

    /// Whether it is there. Announcements are the first that goes over it, once (RFC 7011, section 8.4).
    fn is_there(&mut self, (settings, statistics, now): Context<'_>) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        if self.ends.is_some() {
            self.hear()?;
            return Ok(true);
        }
        let Ok(peer) = self.stream.peer_addr() else {
            let is_late =
                now.ns.saturating_sub(self.begun_ns) > u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX);
            return if is_late { Err(ErrorKind::TimedOut.into()) } else { Ok(false) };
        };
        let local = self.stream.local_addr()?;
        self.ends = Some((local, peer));
        self.is_told = unacknowledged::bytes(local, peer).is_some();
        if !self.is_told {
            tell(
                "the kernel does not tell what the collector confirmed: what is in a connection that ends is lost",
            );
        }
        for message in compose::announcements(settings, statistics) {
            self.queue((message, None), settings, now);
        }
        self.statistics_ns = now.after(settings.refresh);
        Ok(true)
    }

    /// Collectors say nothing, but that they close.
    fn hear(&mut self) -> io::Result<()> {
        let mut said = [0; 256];
        loop {
            match self.stream.read(&mut said) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "it closed the connection")),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts a message into the connection, with the number of records where it is one of flows.
    fn queue(&mut self, (message, records): (Message, Option<u32>), settings: &Settings, now: &Now) {
        let all = message.records();
        let bytes = message.finish(now.seconds, self.sequence, settings.domain);
        self.sequence = self.sequence.wrapping_add(all);
        self.outgoing.extend(&bytes);
        let bytes = u64::try_from(bytes.len()).expect("a message is short");
        self.queued += bytes;
        self.unconfirmed.push_back(Unconfirmed { end: self.queued, bytes, records });
    }

    /// Sends as much as the kernel takes.
    fn send<M: Meter + Ledger>(
        &mut self,
        accounts: &Accounts<M>,
        (settings, statistics, now): Context<'_>,
    ) -> Result<(), Trouble> {
        if now.ns >= self.statistics_ns {
            self.queue((compose::counts(settings, statistics), None), settings, now);
            self.statistics_ns = now.after(settings.refresh);
        }
        loop {
            self.flush().map_err(Trouble::Connection)?;
            if !self.outgoing.is_empty() || self.next_message == accounts.progress.next_message {
                return Ok(());
            }
            let batch = accounts.batch(self.next_message).map_err(Trouble::Maps)?;
            let message = compose::flows(&batch, settings, now.clock);
            self.queue((message, Some(batch.records)), settings, now);
            self.next_message += 1;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(written) => drop(self.outgoing.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Looks how many bytes are not confirmed; not again for a time where that takes long.
    fn look(&mut self, (local, peer): (SocketAddr, SocketAddr), now: &Now) -> Option<u64> {
        let begin = Instant::now();
        let bytes = unacknowledged::bytes(local, peer);
        self.look_ns = now.after(begin.elapsed() * LOOK_SHARE);
        bytes
    }

    /// Lets go of what the kernel of the collector confirmed. Returns whether there was anything.
    fn confirm<M: Meter + Ledger>(&mut self, accounts: &mut Accounts<M>, now: &Now) -> io::Result<bool> {
        let (Some(ends), false) = (self.ends, self.unconfirmed.is_empty()) else { return Ok(false) };
        if now.ns < self.look_ns {
            return Ok(false);
        }
        let waiting = match self.is_told.then(|| self.look(ends, now)) {
            None => 0,
            Some(Some(bytes)) => bytes,
            // It has ended, which the next look at it tells.
            Some(None) => return Ok(false),
        };
        let unwritten = u64::try_from(self.outgoing.len()).expect("it is short");
        let confirmed = self.queued.saturating_sub(unwritten + waiting);
        let mut next = accounts.progress;
        while let Some(sent) = self.unconfirmed.pop_front_if(|sent| sent.end <= confirmed) {
            next.exported_messages += 1;
            next.exported_bytes += sent.bytes;
            next.oldest_message += u64::from(sent.records.is_some());
            next.exported_records += u64::from(sent.records.unwrap_or_default());
        }
        if next == accounts.progress {
            return Ok(false);
        }
        accounts.write(next).map(|()| true)
    }
}
