// SPDX-License-Identifier: Apache-2.0
//! `flow-exporter`: what nfcapd and tshark read of it is what was sent; nothing is lost and nothing told twice.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use it::{Node, Pair, run_in};

use crate::{kernel, packages};

#[path = "../../../../programs/flow-exporter/user/src/tests/decode.rs"]
mod decode;
mod losses;
mod peers;
mod totals;
mod verdicts;

use decode::{Collector, Record};

/// The number for documentation, under which our own elements are.
const OURS: u32 = 32473;
/// How long to wait for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two namespaces that speak IPv4 and IPv6, and a daemon on the right. None where the kernel is too old.
fn scene() -> Option<(Pair, Node)> {
    if kernel() < "6.1".parse().unwrap() {
        return None;
    }
    let pair = Pair::new().unwrap();
    for (side, last) in [(&pair.left, 1), (&pair.right, 2)] {
        let (namespace, interface) = (&side.namespace, &side.interface);
        let inside = |line: &str| run_in(namespace, line).unwrap();
        // Addresses of ours only, and nobody asks whether somebody else has them.
        inside("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0");
        inside("sysctl -qw net.ipv6.conf.all.router_solicitations=0 net.ipv6.conf.all.accept_dad=0");
        inside(&format!("ip address add fd00:7::{last}/64 dev {interface} nodad"));
    }
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    Some((pair, node))
}

/// A deployment that tells a collector in the namespace on the right of what comes over the cable.
fn document(config: &str, members: &str) -> String {
    let package = packages().program("flow-exporter").unwrap();
    format!(
        "[[deployment]]\nname = \"flows\"\npackage = \"{package}\"\nconfig = {{ {config} }}\n\
         [[chain]]\ninterface = \"right0\"\nhook = \"tc-ingress\"\nmember = [{members}]\n"
    )
}

/// The member that counts received packets.
const INGRESS: &str = "{ name = \"flows\", program = \"flows_ingress\" }";

/// Applies a document, and waits until the program for user space runs.
fn apply(node: &Node, document: &str) {
    node.apply(document).unwrap().success().unwrap();
    node.wait("the exporter runs", || log(node).contains("flows are told to"));
}

fn log(node: &Node) -> String {
    node.l3af(&["logs", "flow-exporter"]).unwrap_or_default()
}

/// The process of the program for user space.
fn process(node: &Node) -> Option<u32> {
    node.status().unwrap().user_programs.first()?.pid
}

/// Listens for datagrams on the right. Returns the port, too.
fn datagrams(pair: &Pair, address: &'static str) -> (UdpSocket, u16) {
    let socket = pair.right.inside(move || UdpSocket::bind((address, 0))).unwrap().unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

/// Sends so many datagrams of so many bytes from the left, each from the same port to the same port.
fn send(pair: &Pair, from: &str, to: &str, count: u32, bytes: usize) {
    let (from, to) = (from.to_owned(), to.to_owned());
    let sent = pair.left.inside(move || {
        let socket = UdpSocket::bind(from)?;
        for number in 0..count {
            socket.send_to(&vec![0; bytes], &to)?;
            // The cable holds some, and a machine that is busy takes them late.
            if number % 32 == 31 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        std::io::Result::Ok(())
    });
    sent.unwrap().unwrap();
}

/// What a flow has in common, as far as these stories tell flows apart: protocol and ports.
type Flow = (u64, u64, u64);

/// What a collector got, each record once.
#[derive(Debug, Default)]
struct Got {
    collector: Collector,
    records: BTreeMap<u64, Record>,
    /// Packets of all of them.
    packets: u64,
    /// The sequence numbers of messages, with the numbers of records that they had.
    messages: Vec<(u32, u32)>,
    longest: usize,
    /// Records that are not of flows.
    options: Vec<Record>,
    /// The last of them that has counts.
    statistics: Option<Record>,
    /// The messages themselves.
    raw: Vec<Vec<u8>>,
}

impl Got {
    /// Reads a message.
    fn read(&mut self, message: &[u8]) {
        let before = self.collector.sequence;
        let sequence = self.collector.read(message);
        self.messages.push((sequence, self.collector.sequence - before));
        self.longest = self.longest.max(message.len());
        self.raw.push(message.to_vec());
        for record in self.collector.records.drain(..) {
            match record.template {
                ..260 => {}
                260 => {
                    self.statistics = Some(record);
                    continue;
                }
                _ => {
                    self.options.push(record);
                    continue;
                }
            }
            let number = record.number(OURS, 5);
            if let Some(first) = self.records.get(&number) {
                assert_eq!(first.values, record.values, "a record that comes again is the same");
                continue;
            }
            self.packets += record.number(0, 2);
            self.records.insert(number, record);
        }
    }

    /// Packets and bytes of each flow.
    fn totals(&self) -> BTreeMap<Flow, (u64, u64)> {
        let mut totals = BTreeMap::new();
        for record in self.records.values().filter(|record| record.values.contains_key(&(0, 7))) {
            let flow = (record.number(0, 4), record.number(0, 7), record.number(0, 11));
            let total: &mut (u64, u64) = totals.entry(flow).or_default();
            total.0 += record.number(0, 2);
            total.1 += record.number(0, 1);
        }
        totals
    }

    /// Packets and bytes of a flow of UDP.
    fn udp(&self, from: u64, to: u64) -> (u64, u64) {
        self.totals().get(&(17, from, to)).copied().unwrap_or_default()
    }

    /// Takes datagrams until something is so.
    #[track_caller]
    fn receive(&mut self, socket: &UdpSocket, what: &str, is_so: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !is_so(self) {
            assert!(begin.elapsed() < PATIENCE, "{what} does not happen: {:?}", self.totals());
            self.take(socket);
        }
    }

    /// Takes a datagram, if one comes soon.
    fn take(&mut self, socket: &UdpSocket) {
        let mut buffer = vec![0; 65536];
        if let Ok(length) = socket.recv(&mut buffer) {
            self.read(&buffer[..length]);
        }
    }

    /// Whether a flow was told of for a reason.
    fn has_reason(&self, reason: u64) -> bool {
        self.records.values().any(|record| record.number(0, 136) == reason)
    }

    /// Takes messages from a connection until something is so.
    #[track_caller]
    fn stream(&mut self, stream: &mut TcpStream, what: &str, is_so: impl Fn(&Self) -> bool) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        while !is_so(self) {
            self.next(stream).unwrap_or_else(|error| panic!("{what} does not happen: {error}"));
        }
    }

    /// Takes all messages from a connection until it ends.
    fn rest(&mut self, stream: &mut TcpStream) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        while self.next(stream).is_ok() {}
    }

    fn next(&mut self, stream: &mut TcpStream) -> std::io::Result<()> {
        let mut message = vec![0; 4];
        stream.read_exact(&mut message)?;
        message.resize(usize::from(u16::from_be_bytes([message[2], message[3]])), 0);
        stream.read_exact(&mut message[4..])?;
        self.read(&message);
        Ok(())
    }
}

/// Accepts a connection.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let begin = Instant::now();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                return stream;
            }
            Err(error) => assert!(begin.elapsed() < PATIENCE, "nobody connects: {error}"),
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// A file of this story.
fn file(name: &str) -> PathBuf {
    PathBuf::from(packages().path(&it::unique(name)))
}

/// The sum of what processors counted besides flows.
fn metering(node: &Node, field: &str) -> u64 {
    let entry = node.l3af(&["get", "flows", "flow_metering", "0", "--json"]).unwrap();
    let entry: serde_json::Value = serde_json::from_str(&entry).unwrap();
    entry["value"][field].as_u64().unwrap()
}

#[test]
fn what_is_out_of_bounds_is_refused_and_told() {
    let Some((_pair, node)) = scene() else { return };
    for (config, words) in [
        ("idle_timeout = 0", "idle_timeout"),
        ("path_mtu = 500", "path_mtu"),
        ("collector_transport = \"sctp\"", "collector_transport"),
        ("checkpoints = 5", "checkpoints"),
        ("collector = \"nowhere\"", "collector"),
        ("sampling_one_in = 0", "sampling_one_in"),
        ("ended_as = \"eaten\"", "ended_as"),
    ] {
        let refused = node.apply(&document(config, INGRESS)).unwrap();
        assert!(!refused.ok && refused.stderr.contains(words), "{config}: {}", refused.stderr);
    }
    assert!(node.names().unwrap().is_empty());
    // Without a collector nobody is told, and without a number of one's own that is said.
    node.apply(&document("", INGRESS)).unwrap().success().unwrap();
    node.wait("it says so", || log(&node).contains("no collector is configured"));
    assert!(log(&node).contains("32473, which is for documentation (RFC 5612)"), "{}", log(&node));
}
