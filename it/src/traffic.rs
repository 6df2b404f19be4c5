// SPDX-License-Identifier: Apache-2.0
//! Traffic, counted where it is sent and where it arrives. The daemon is not asked.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::{Pair, Side, run_in};

/// What became of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// How many the sender tried.
    pub tried: u32,
    /// How many the sender saw succeed.
    pub connected: u32,
    /// How many the receiver accepted.
    pub accepted: u32,
}

/// Opens connections from left to right, all at once, and looks what became of them before TCP would try again.
///
/// # Errors
/// When the namespaces cannot be entered.
pub fn connect(pair: &Pair, port: u16, tries: u32) -> Result<Connections> {
    /// TCP sends a second SYN after a second (RFC 6298, section 2.1).
    const PATIENCE: Duration = Duration::from_millis(400);
    let address: SocketAddr = format!("{}:{port}", pair.right.address).parse()?;
    let listener = pair.right.inside(move || listen(address))??;
    listener.set_nonblocking(true)?;
    let (accepted, done) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let counting = {
        let (accepted, done) = (Arc::clone(&accepted), Arc::clone(&done));
        thread::spawn(move || count(&listener, &accepted, &done))
    };
    let sockets =
        pair.left.inside(move || (0..tries).map(|_| begin(address)).collect::<Result<Vec<_>>>())??;
    thread::sleep(PATIENCE);
    let connected = sockets.iter().filter(|socket| rustix::net::getpeername(socket).is_ok()).count();
    done.store(true, Ordering::SeqCst);
    counting.join().ok().context("the receiver panicked")?;
    let accepted = accepted.load(Ordering::SeqCst);
    Ok(Connections { tried: tries, connected: u32::try_from(connected)?, accepted })
}

/// Listens at an address. Where a listener of before is closed, a process that another thread starts may still have it, from when it
/// is forked until it executes something.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 0..100 {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::sleep(PAUSE),
            bound => return bound,
        }
    }
    TcpListener::bind(address)
}

/// Sends a SYN and waits for nothing.
fn begin(address: SocketAddr) -> Result<OwnedFd> {
    let (stream, flags) = (SocketType::STREAM, SocketFlags::NONBLOCK);
    let socket = rustix::net::socket_with(AddressFamily::INET, stream, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Counts what a listener accepts until it is done. What came before the end is counted after the end was told.
fn count(listener: &TcpListener, accepted: &AtomicU32, done: &AtomicBool) {
    loop {
        let last = done.load(Ordering::SeqCst);
        while listener.accept().is_ok() {
            accepted.fetch_add(1, Ordering::SeqCst);
        }
        if last {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends pings from left to right, and returns how many came back.
///
/// # Errors
/// When `ping` cannot be run.
pub fn ping(pair: &Pair, count: u32) -> Result<u32> {
    let line = format!("ping -n -q -i 0.01 -W 1 -c {count} {}", pair.right.address);
    // `ping` fails when nothing comes back, which is an answer as well.
    let report = run_in(&pair.left.namespace, &line).unwrap_or_else(|error| format!("{error:#}"));
    number_before(&report, " received")
}

/// Sends a datagram every two milliseconds from left to right while something happens. Returns how many were sent, how
/// many arrived, and what happened.
///
/// # Errors
/// When the namespaces cannot be entered, or what happens fails.
pub fn stream_while<T>(pair: &Pair, happens: impl FnOnce() -> Result<T>) -> Result<(u32, u32, T)> {
    const PORT: u16 = 5000;
    let address: SocketAddr = format!("{}:{PORT}", pair.right.address).parse()?;
    let inbox = pair.right.inside(move || UdpSocket::bind(address))??;
    let outbox = pair.left.inside(|| UdpSocket::bind("0.0.0.0:0"))??;
    outbox.connect(address)?;
    let done = Arc::new(AtomicBool::new(false));
    let left = thread::spawn({
        let done = Arc::clone(&done);
        move || send(&outbox, &done)
    });
    let right = thread::spawn(move || receive(&inbox));
    // Some packets before, some after: the change is in the middle.
    thread::sleep(Duration::from_millis(100));
    let happened = happens();
    thread::sleep(Duration::from_millis(100));
    done.store(true, Ordering::SeqCst);
    let count = left.join().ok().context("the sender panicked")??;
    let received = right.join().ok().context("the receiver panicked")??;
    Ok((count, received, happened?))
}

fn send(socket: &UdpSocket, done: &AtomicBool) -> Result<u32> {
    let mut sent = 0;
    while !done.load(Ordering::SeqCst) {
        socket.send(b"packet")?;
        sent += 1;
        thread::sleep(Duration::from_millis(2));
    }
    Ok(sent)
}

/// Sends datagrams to a side, to a port where nobody listens, while something happens: thirty-two of them as fast as it
/// goes, then a pause. Returns how many the cable took, how many the other end got, and what happened.
///
/// # Errors
/// When the namespaces cannot be entered, or what happens fails.
pub fn flood_while<T>(
    (from, to): (&Side, &Side),
    pause: Duration,
    happens: impl FnOnce() -> Result<T>,
) -> Result<(u64, u64, T)> {
    /// "Discard" (RFC 863).
    const PORT: u16 = 9;
    let before = (dropped(from)?, unheard(to)?);
    let address: SocketAddr = format!("{}:{PORT}", to.address).parse()?;
    // It is not connected: the answers that nobody listens would be errors.
    let outbox = from.inside(|| UdpSocket::bind("0.0.0.0:0"))??;
    let done = Arc::new(AtomicBool::new(false));
    let sender = thread::spawn({
        let done = Arc::clone(&done);
        move || flood(&outbox, address, pause, &done)
    });
    thread::sleep(Duration::from_millis(50));
    let happened = happens();
    thread::sleep(Duration::from_millis(50));
    done.store(true, Ordering::SeqCst);
    let sent = sender.join().ok().context("the sender panicked")??;
    let happened = happened?;
    let sent = sent - (dropped(from)? - before.0);
    // What is still on its way arrives soon.
    let begin = Instant::now();
    while unheard(to)? - before.1 < sent && begin.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(5));
    }
    Ok((sent, unheard(to)? - before.1, happened))
}

fn flood(outbox: &UdpSocket, address: SocketAddr, pause: Duration, done: &AtomicBool) -> Result<u64> {
    const BURST: u64 = 32;
    let mut sent = 0;
    while !done.load(Ordering::SeqCst) {
        outbox.send_to(b"packet", address)?;
        sent += 1;
        if sent % BURST == 0 && !pause.is_zero() {
            thread::sleep(pause);
        }
    }
    Ok(sent)
}

/// How many packets the interface of a side could not send, because the other end had no room.
fn dropped(side: &Side) -> Result<u64> {
    let line = format!("ip -j -s link show dev {}", side.interface);
    let links: serde_json::Value = serde_json::from_str(&run_in(&side.namespace, &line)?)?;
    links[0]["stats64"]["tx"]["dropped"].as_u64().context("`ip` tells nothing of packets that were dropped")
}

/// How many datagrams came to ports where nobody listens (`NoPorts` of RFC 4113).
fn unheard(side: &Side) -> Result<u64> {
    let table = side.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))??;
    let mut rows = table.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, numbers) = rows.next().zip(rows.next()).context("the kernel has no table of UDP")?;
    let mut pairs = names.split(' ').zip(numbers.split(' '));
    let (_, number) = pairs.find(|(name, _)| *name == "NoPorts").context("the table has no `NoPorts`")?;
    Ok(number.parse()?)
}

/// Counts until nothing came for a while.
fn receive(socket: &UdpSocket) -> Result<u32> {
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut received = 0;
    let mut buffer = [0; 16];
    while socket.recv(&mut buffer).is_ok() {
        received += 1;
    }
    Ok(received)
}

fn number_before(report: &str, words: &str) -> Result<u32> {
    let before = report.split(words).next().filter(|before| before.len() < report.len());
    let number = before.and_then(|before| before.rsplit([' ', '\n']).next());
    number
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("`ping` reported nothing of use:\n{report}"))
}
