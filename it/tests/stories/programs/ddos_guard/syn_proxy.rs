// SPDX-License-Identifier: Apache-2.0
//! Connections succeed while a flood goes on: the SYN proxy.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use it::{Dice, frame, frames_across, run_in};
use packet::Packet;

use super::{Guarded, RIGHT};

/// A server that says so many bytes to whoever comes.
struct Server {
    done: Arc<AtomicBool>,
    serves: Option<JoinHandle<()>>,
    port: u16,
    bytes: usize,
}

impl Server {
    fn new(guarded: &Guarded, port: u16, bytes: usize) -> Self {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let listener = guarded.pair.right.inside(move || TcpListener::bind(address)).unwrap().unwrap();
        listener.set_nonblocking(true).unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&done);
        let serve = move |mut stream: TcpStream| {
            stream.set_nonblocking(false).unwrap();
            // Who leaves early is no matter of the server.
            drop(stream.write_all(&vec![7; bytes]));
        };
        let serves = thread::spawn(move || {
            while !ends.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((stream, _)) => drop(thread::spawn(move || serve(stream))),
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
        });
        Self { done, serves: Some(serves), port, bytes }
    }

    /// How many of some connections got all that there is.
    fn served(&self, guarded: &Guarded, tries: usize, patience: Duration) -> usize {
        let (bytes, port) = (self.bytes, self.port);
        let addresses = RIGHT.map(|address| SocketAddr::new(address.parse().unwrap(), port));
        let ask = move |number: usize| -> std::io::Result<usize> {
            let mut stream = TcpStream::connect_timeout(&addresses[number % addresses.len()], patience)?;
            stream.set_read_timeout(Some(patience))?;
            let mut told = Vec::new();
            stream.read_to_end(&mut told)
        };
        let ask_all =
            move || (0..tries).filter(|number| ask(*number).is_ok_and(|told| told == bytes)).count();
        guarded.pair.left.inside(ask_all).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        drop(self.serves.take().map(JoinHandle::join));
    }
}

/// Sources without end, none of them like the one before.
fn forged_sources() -> impl Iterator<Item = u64> {
    let mut dice = Dice::new();
    std::iter::repeat_with(move || dice.below(u64::MAX))
}

/// A segment from a source made up of some bits, on a link.
fn forged(link: &str, bits: u64, (flags, port): (&str, u16)) -> Vec<u8> {
    let [.., a, b, c, d] = bits.to_be_bytes();
    let ip = if bits >> 63 == 0 {
        format!("ipv4(src={}.{b}.{c}.{d}, dst={})", 20 + a % 80, RIGHT[0])
    } else {
        format!("ipv6(src={}, dst={})", Ipv6Addr::from((0x2600_u128 << 112) | u128::from(bits)), RIGHT[1])
    };
    let from = 1024 + u16::from_be_bytes([a, d]) % 60000;
    let (sequence, acknowledged) = (u32::from_be_bytes([d, c, b, a]), u32::from_be_bytes([b, d, a, c]));
    let numbers = format!("seq={sequence}, ack={acknowledged}");
    frame(&format!("{link} / {ip} / tcp(sport={from}, dport={port}, {numbers}, flags={flags})")).unwrap()
}

/// Sends one SYN of a flood, with a pause now and then; returns how many there were.
fn send(guarded: &Guarded, port: u16, bits: u64, sent: u64) -> u64 {
    const BURST: u64 = 32;
    guarded.outlet.send(&forged("eth", bits, ("syn", port))).unwrap();
    if sent.is_multiple_of(BURST) {
        thread::sleep(Duration::from_millis(2));
    }
    sent + 1
}

/// Floods a port while something happens, within bounds. Returns how many SYNs there were, and what happened.
fn flood_while<T>(guarded: &Guarded, port: u16, happens: impl FnOnce() -> T) -> (u64, T) {
    const MOST: usize = 400_000;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let packets = forged_sources().take(MOST);
            let packets = packets.take_while(|_| !done.load(Ordering::SeqCst));
            packets.fold(0, |sent, bits| send(guarded, port, bits, sent))
        });
        // The flood was there first.
        thread::sleep(Duration::from_millis(300));
        let happened = happens();
        done.store(true, Ordering::SeqCst);
        (flood.join().unwrap(), happened)
    })
}

/// A count of the kernel on the right (`TcpExt` in `/proc/net/netstat`).
fn counted(guarded: &Guarded, name: &str) -> u64 {
    let read = || fs::read_to_string("/proc/thread-self/net/netstat");
    let table = guarded.pair.right.inside(read).unwrap().unwrap();
    let mut rows = table.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, numbers) = rows.next().zip(rows.next()).unwrap();
    let mut pairs = names.split(' ').zip(numbers.split(' '));
    pairs.find(|(found, _)| *found == name).unwrap().1.parse().unwrap()
}

#[test]
fn connections_succeed_while_a_flood_of_syns_goes_on() {
    let Some(guarded) = Guarded::new("") else { return };
    let sysctl = |line: &str| run_in(&guarded.pair.right.namespace, &format!("sysctl -qw {line}")).unwrap();
    // What the flood does to a host that defends itself with nothing.
    sysctl("net.ipv4.tcp_syncookies=0 net.ipv4.tcp_max_syn_backlog=64");
    let bare = Server::new(&guarded, 444, 2);
    let (_, served) = flood_while(&guarded, 444, || bare.served(&guarded, 10, Duration::from_millis(300)));
    assert!(served <= 5, "{served} of 10 connections succeed without any defence: this is no flood");

    sysctl("net.ipv4.tcp_syncookies=2");
    let prefixes = r#"
syn_proxy = true
protected_ports = { "443" = "1/s" }
protected_ipv4 = { "10.213.7.0/24" = true }
protected_ipv6 = { "::/0" = true }
"#;
    guarded.apply(prefixes);
    let web = Server::new(&guarded, 443, 2);
    let (sent, cookies) = (counted(&guarded, "SyncookiesSent"), counted(&guarded, "SyncookiesRecv"));
    let (flood, served) = flood_while(&guarded, 443, || web.served(&guarded, 240, Duration::from_secs(5)));
    assert!(served * 100 >= 240 * 99, "{served} of 240 connections succeed");
    let answered = guarded.reason("syn_answered");
    assert!(answered * 2 >= flood, "{answered} of {flood} SYNs were answered");
    // The kernel was spared them, and took the connections by the cookies that it did not send itself.
    let (sent, cookies) =
        (counted(&guarded, "SyncookiesSent") - sent, counted(&guarded, "SyncookiesRecv") - cookies);
    assert!(sent * 20 < answered, "the kernel sent {sent} cookies, the guard {answered}");
    assert!(cookies >= 200 && guarded.reason("cookie") >= 200, "the kernel took {cookies} cookies");

    // Acknowledgements of nothing do not reach it.
    let before = (guarded.reason("no_cookie"), counted(&guarded, "SyncookiesFailed"));
    for bits in forged_sources().take(300) {
        guarded.outlet.send(&forged("eth", bits, ("ack", 443))).unwrap();
    }
    guarded
        .node
        .wait("forged acknowledgements are dropped", || guarded.reason("no_cookie") - before.0 >= 290);
    assert_eq!(counted(&guarded, "SyncookiesFailed"), before.1);

    // SYNs in frames with a tag are answered under the tag, but for those of each second that are the kernel's.
    let tagged = [1, 2, 3, 4].into_iter().flat_map(|number| [number, u64::MAX - number]);
    let tagged = tagged.map(|bits| forged("eth / vlan(7)", bits, ("syn", 443)));
    let answers = frames_across(&guarded.pair.left, &guarded.pair.left, tagged, 4).unwrap();
    let answers = answers.iter().map(|frame| Packet::of_bytes(frame).to_string());
    let answers: Vec<String> = answers.filter(|answer| answer.contains("vlan")).collect();
    let is_answer = |answer: &String| {
        answer.starts_with("eth(dst=02:00:00:00:00:01, src=02:00:00:00:00:02")
            && answer.contains("flags=syn+ack")
            && answer.contains("window=64240")
    };
    assert!(answers.len() >= 4 && answers.iter().all(is_answer), "{answers:?}");
}

#[test]
fn options_of_connections_survive_the_cookies() {
    const BYTES: usize = 4 * 1024 * 1024;
    let config = r#"
syn_proxy = true
syn_proxy_options = true
syn_proxy_window_scale = 7
protected_ports = { "443" = "1/s" }
protected_ipv4 = { "0.0.0.0/0" = true }
protected_ipv6 = { "::/0" = true }
"#;
    let Some(guarded) = Guarded::new(config) else { return };
    let right = &guarded.pair.right.namespace;
    run_in(right, "sysctl -qw net.ipv4.tcp_syncookies=2 net.ipv4.tcp_timestamps=2").unwrap();
    // With this much room for what comes in Linux announces a scale of 7.
    guarded
        .pair
        .right
        .inside(|| fs::write("/proc/sys/net/ipv4/tcp_rmem", "4096 131072 6291456"))
        .unwrap()
        .unwrap();
    let web = Server::new(&guarded, 443, BYTES);
    let to = SocketAddr::new(RIGHT[0].parse().unwrap(), 443);
    let (_, (options, served)) = flood_while(&guarded, 443, || {
        // One that reads nothing yet, to be looked at.
        let waits = guarded
            .pair
            .left
            .inside(move || TcpStream::connect_timeout(&to, Duration::from_secs(5)))
            .unwrap();
        let options = run_in(right, "ss -Htni state established").unwrap();
        drop(waits.unwrap());
        (options, web.served(&guarded, 8, Duration::from_secs(10)))
    });
    let line = options.lines().find(|line| line.contains("wscale:")).unwrap_or(&options);
    // The kernel has the scale of the client from the timestamp, its own is ours, and timestamps take 12 bytes of each segment.
    assert!(line.contains(",7 ") && line.contains("advmss:1448"), "{options}");
    assert_eq!(served, 8);
    assert!(guarded.reason("cookie") >= 8);
}
