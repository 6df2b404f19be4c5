// SPDX-License-Identifier: Apache-2.0
//! Messages as datagrams (RFC 7011, section 10.3). Nobody confirms them: what was handed to the network counts as sent, but for what
//! the collector's machine says that it refused.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::compose;
use crate::ledger::{Accounts, Batch, Ledger, Meter, Progress};
use crate::message::Message;
use crate::pause::{Now, Pause};
use crate::record::Statistics;
use crate::settings::Settings;
use crate::tell;

/// A transport session: from one port to one other. It outlives this process, as its numbers are in the maps.
#[derive(Debug)]
pub(crate) struct Udp {
    collector: SocketAddr,
    socket: Option<UdpSocket>,
    refresh_ns: u64,
    /// Since the last announcements.
    messages: u32,
    /// What was sent last, in case that it is refused.
    last: Option<Batch>,
    pause: Pause,
}

/// Whether a message went.
enum Went {
    Out,
    NotNow,
}

impl Udp {
    /// One that nothing was sent in.
    pub(crate) fn new(collector: SocketAddr) -> Self {
        Self { collector, socket: None, refresh_ns: 0, messages: 0, last: None, pause: Pause::new() }
    }

    /// Sends what there is to send.
    ///
    /// # Errors
    /// When the maps cannot be written. What the network does not take is sent later.
    pub(crate) fn pump<M: Meter + Ledger>(
        &mut self,
        accounts: &mut Accounts<M>,
        (settings, statistics): (&Settings, &Statistics),
        now: &Now,
    ) -> io::Result<()> {
        if !self.pause.is_over(now) {
            return Ok(());
        }
        if self.socket.is_none() {
            self.open(accounts, settings, now)?;
        }
        if self.socket.is_none() {
            return Ok(());
        }
        let after = settings.refresh_messages;
        let is_time = now.ns >= self.refresh_ns || after > 0 && self.messages >= after;
        if is_time && matches!(self.announce(accounts, (settings, statistics), now)?, Went::NotNow) {
            return Ok(());
        }
        while accounts.progress.oldest_message < accounts.progress.next_message {
            let batch = accounts.batch(accounts.progress.oldest_message)?;
            let message = compose::flows(&batch, settings, now.clock);
            if let Went::NotNow = self.send(message, Some(batch), accounts, (settings, now))? {
                return Ok(());
            }
            self.pause.end();
        }
        Ok(())
    }

    /// Sends what a collector must know before it can read.
    fn announce<M: Meter + Ledger>(
        &mut self,
        accounts: &mut Accounts<M>,
        (settings, statistics): (&Settings, &Statistics),
        now: &Now,
    ) -> io::Result<Went> {
        for message in compose::announcements(settings, statistics) {
            if let Went::NotNow = self.send(message, None, accounts, (settings, now))? {
                return Ok(Went::NotNow);
            }
        }
        self.refresh_ns = now.after(settings.refresh);
        self.messages = 0;
        Ok(Went::Out)
    }

    /// Opens a socket, from the port of before where it is free, so that the session goes on.
    fn open<M: Meter + Ledger>(
        &mut self,
        accounts: &mut Accounts<M>,
        settings: &Settings,
        now: &Now,
    ) -> io::Result<()> {
        let session = session(self.collector, settings);
        let before = accounts.progress;
        let port = if before.session == session { before.source_port } else { 0 };
        let socket = self.bind(port).or_else(|error| if port == 0 { Err(error) } else { self.bind(0) });
        let opened = socket.and_then(|socket| Ok((socket.local_addr()?.port(), socket)));
        let (source_port, socket) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.failed(&error, now);
                return Ok(());
            }
        };
        if source_port != before.source_port || session != before.session {
            accounts.write(Progress { session, source_port, sequence: 0, ..before })?;
        }
        self.socket = Some(socket);
        Ok(())
    }

    fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        let any: IpAddr = match self.collector {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, port))?;
        socket.set_nonblocking(true)?;
        socket.connect(self.collector)?;
        Ok(socket)
    }

    /// Sends a message, and notes that it was sent.
    fn send<M: Meter + Ledger>(
        &mut self,
        message: Message,
        batch: Option<Batch>,
        accounts: &mut Accounts<M>,
        (settings, now): (&Settings, &Now),
    ) -> io::Result<Went> {
        let records = message.records();
        let bytes = message.finish(now.seconds, accounts.progress.sequence, settings.domain);
        let sent =
            self.socket.as_ref().map_or_else(|| Err(ErrorKind::NotConnected.into()), |to| to.send(&bytes));
        if let Err(error) = sent {
            if error.kind() == ErrorKind::ConnectionRefused {
                self.refused(accounts)?;
            }
            self.failed(&error, now);
            return Ok(Went::NotNow);
        }
        let mut next = accounts.progress;
        next.sequence = next.sequence.wrapping_add(records);
        next.exported_messages += 1;
        next.exported_bytes += u64::try_from(bytes.len()).unwrap_or_default();
        if batch.is_some() {
            next.oldest_message += 1;
            next.exported_records += u64::from(records);
        }
        accounts.write(next)?;
        self.messages += 1;
        self.last = batch;
        Ok(Went::Out)
    }

    /// The collector's machine said that nobody listened when the last datagram came.
    fn refused<M: Meter + Ledger>(&mut self, accounts: &mut Accounts<M>) -> io::Result<()> {
        let Some(batch) = self.last.take() else { return Ok(()) };
        let mut next = accounts.progress;
        next.exported_messages = next.exported_messages.saturating_sub(1);
        next.exported_records = next.exported_records.saturating_sub(batch.records.into());
        next.not_sent_records += u64::from(batch.records);
        for told in &batch.flows {
            next.not_sent_packets += told.counts.all.packets;
            next.not_sent_bytes += told.counts.all.bytes;
        }
        accounts.write(next)
    }

    fn failed(&mut self, error: &io::Error, now: &Now) {
        // Whoever begins to listen knows no templates.
        self.refresh_ns = 0;
        if self.pause.lengthen(now) {
            tell(&format!(
                "the collector {} does not take datagrams: {error}. They are sent later",
                self.collector
            ));
        }
    }
}

/// A number that tells one transport session from another (FNV-1a). What is told within one must not change: over UDP no template can
/// be withdrawn, so other templates go from another port (RFC 7011, section 8.4).
fn session(collector: SocketAddr, settings: &Settings) -> u64 {
    let templates = compose::templates(settings.enterprise).finish(0, 0, settings.domain);
    let bytes = collector.to_string().into_bytes().into_iter().chain(templates);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
