// SPDX-License-Identifier: Apache-2.0
//! `ddos-guard`: lists that hold and change at once, sources that are blocked for a time, a flood while real connections succeed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ::package::KernelVersion;
use it::{Forger, Node, Pair, Segment, forged_datagram, run_in};
use serde_json::Value;

use crate::{kernel, packages};

const SYN: u8 = 2;
const ACK: u8 = 16;
/// Addresses of the right side.
const RIGHT: [&str; 2] = ["10.213.7.2", "fd00:213:7::2"];
/// Those of the left side.
const LEFT: [&str; 2] = ["10.213.7.1", "fd00:213:7::1"];

/// Sends frames, each as it is, and tells what comes back while it waits a second: not every kernel has devices for tags.
const FRAMES: &str = r#"
import socket, sys, time
cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
cable.bind(("left0", 0))
for frame in sys.argv[1:]:
    cable.send(bytes.fromhex(frame))
cable.settimeout(0.05)
end = time.monotonic() + 1
while time.monotonic() < end:
    try:
        frame, where = cable.recvfrom(2048)
    except TimeoutError:
        continue
    if where[2] != socket.PACKET_OUTGOING and frame.startswith(bytes.fromhex("020000000001")):
        print(frame.hex())
"#;

/// Two namespaces with both families, and a guard on the right.
struct Guarded {
    pair: Pair,
    node: Node,
    forger: Forger,
}

impl Guarded {
    /// None where the kernel is older than what the package asks for.
    fn new(config: &str) -> Option<Self> {
        if kernel() < (KernelVersion { major: 6, minor: 1 }) {
            return None;
        }
        let pair = Pair::new().unwrap();
        for (side, ipv6) in [(&pair.left, LEFT[1]), (&pair.right, RIGHT[1])] {
            let (namespace, interface) = (&side.namespace, &side.interface);
            let inside = |line: &str| run_in(namespace, line).unwrap();
            inside("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0");
            inside(&format!("sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=0"));
            inside(&format!(
                "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{interface}.rp_filter=0"
            ));
            inside(&format!("ip address add {ipv6}/64 dev {interface} nodad"));
        }
        // Whoever is forged is behind the left side.
        let inside = |line: &str| run_in(&pair.right.namespace, line).unwrap();
        inside(&format!("ip route add default via {}", LEFT[0]));
        inside(&format!("ip -6 route add default via {}", LEFT[1]));
        let node = Node::start(&pair.right, &packages().policy()).unwrap();
        let forger = Forger::new(&pair.left).unwrap();
        let guarded = Self { pair, node, forger };
        guarded.apply(config);
        Some(guarded)
    }

    fn document(config: &str) -> String {
        packages().program("ddos-guard").unwrap();
        let document =
            packages().document("right0", &[&format!("ddos-guard:[chain.member.config]\n{config}")]);
        // In the driver of a virtual cable nothing is sent back where the other end has no program.
        document.replace("hook = \"xdp\"", "hook = \"xdp\"\nmode = \"generic\"")
    }

    #[track_caller]
    fn apply(&self, config: &str) {
        self.node.apply(&Self::document(config)).unwrap().success().unwrap();
    }

    #[track_caller]
    fn set(&self, words: &[&str]) {
        self.node.l3af(&[&["set", "ddos-guard"], words].concat()).unwrap();
    }

    /// How many packets there were for a reason.
    #[track_caller]
    fn reason(&self, name: &str) -> u64 {
        let told = self.node.l3af(&["get", "ddos-guard", "reasons", name, "--json"]).unwrap();
        let entry: Value = serde_json::from_str(&told).unwrap();
        entry["value"]["packets"].as_u64().unwrap()
    }

    /// Whether pings from an address of the left side come back.
    fn pings(&self, from: &str, to: &str) -> bool {
        let line = format!("ping -n -q -i 0.01 -W 1 -c 3 -I {from} {to}");
        run_in(&self.pair.left.namespace, &line).is_ok()
    }

    /// Sends packets of IP in frames with the tag 7, and returns the frames that come back.
    fn tagged(&self, packets: &[Vec<u8>]) -> Vec<String> {
        let script = self.node.state().join("frames.py");
        fs::write(&script, FRAMES).unwrap();
        let mut line = format!("python3 {}", script.display());
        for packet in packets {
            let ethertype = if packet[0] >> 4 == 4 { "0800" } else { "86dd" };
            write!(line, " ffffffffffff02000000000181000007{ethertype}").unwrap();
            line.extend(packet.iter().map(|byte| format!("{byte:02x}")));
        }
        let told = run_in(&self.pair.left.namespace, &line).unwrap();
        told.lines().map(str::to_owned).collect()
    }

    /// A socket on the right that counts what comes to it.
    fn inbox(&self, port: u16) -> Inbox {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        Inbox::new(self.pair.right.inside(move || UdpSocket::bind(address)).unwrap().unwrap())
    }

    /// Sends a datagram that claims to be from an address.
    fn forge(&self, from: &str, to: &str, port: u16, payload: &[u8]) {
        let source = SocketAddr::new(from.parse().unwrap(), 4000);
        let packet = forged_datagram(source, SocketAddr::new(to.parse().unwrap(), port), payload);
        self.forger.send(&packet.unwrap()).unwrap();
    }
}

/// How many datagrams came from whom.
struct Inbox {
    counts: Arc<Mutex<BTreeMap<IpAddr, u64>>>,
}

/// Counts the next datagram, if one comes soon.
fn note(socket: &UdpSocket, counts: &Mutex<BTreeMap<IpAddr, u64>>) {
    if let Ok((_, from)) = socket.recv_from(&mut [0; 2048]) {
        *counts.lock().unwrap().entry(from.ip().to_canonical()).or_insert(0) += 1;
    }
}

impl Inbox {
    fn new(socket: UdpSocket) -> Self {
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let told = Arc::downgrade(&counts);
        socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        thread::spawn(move || {
            while let Some(counts) = told.upgrade() {
                note(&socket, &counts);
            }
        });
        Self { counts }
    }

    fn from(&self, source: &str) -> u64 {
        self.counts.lock().unwrap().get(&source.parse::<IpAddr>().unwrap()).copied().unwrap_or(0)
    }

    /// Waits until something came from a source, trying again what sends it.
    #[track_caller]
    fn wait_for(&self, source: &str, send: impl Fn()) {
        let (begin, before) = (Instant::now(), self.from(source));
        while self.from(source) == before {
            assert!(begin.elapsed() < Duration::from_secs(30), "nothing comes from {source}");
            send();
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn senders_are_blocked_and_allowed_by_the_longest_prefix() {
    let config = r#"
senders_ipv4 = { "10.213.7.8/29" = "block", "10.213.7.9" = "allow" }
senders_ipv6 = { "fd00:213:7::8/125" = "block", "fd00:213:7::9" = "allow" }
"#;
    let Some(guarded) = Guarded::new(config) else { return };
    let left = &guarded.pair.left.namespace;
    for last in [8, 9] {
        run_in(left, &format!("ip address add 10.213.7.{last}/24 dev left0")).unwrap();
        run_in(left, &format!("ip address add fd00:213:7::{last}/64 dev left0 nodad")).unwrap();
    }
    for (from, to, passes) in [
        (LEFT[0], RIGHT[0], true),
        ("10.213.7.8", RIGHT[0], false),
        ("10.213.7.9", RIGHT[0], true),
        (LEFT[1], RIGHT[1], true),
        ("fd00:213:7::8", RIGHT[1], false),
        ("fd00:213:7::9", RIGHT[1], true),
    ] {
        assert_eq!(guarded.pings(from, to), passes, "{from} to {to}");
    }
    // Under a tag as well.
    let (blocked, allowed) = (guarded.reason("blocked"), guarded.reason("allowed"));
    assert!(blocked >= 4, "{blocked}");
    let datagram = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|address| SocketAddr::new(address.parse().unwrap(), 4000));
        forged_datagram(from, to, b"tagged").unwrap()
    };
    guarded.tagged(&[
        datagram("10.213.7.8", RIGHT[0]),
        datagram("fd00:213:7::8", RIGHT[1]),
        datagram("10.213.7.9", RIGHT[0]),
        datagram("fd00:213:7::9", RIGHT[1]),
    ]);
    assert!(guarded.reason("blocked") - blocked >= 2 && guarded.reason("allowed") - allowed >= 2);
    // Another document is another list.
    guarded.apply(r#"senders_ipv4 = { "10.213.7.9" = "block" }"#);
    assert!(guarded.pings("10.213.7.8", RIGHT[0]) && !guarded.pings("10.213.7.9", RIGHT[0]));
    assert!(guarded.pings("fd00:213:7::8", RIGHT[1]));
}

/// A file with a list of sources, as feeds have it, and `=block` behind each.
fn list(guarded: &Guarded, name: &str, network: u8, more: &[&str]) -> String {
    let mut text = String::new();
    for number in 0..5000_u16 {
        let [high, low] = number.to_be_bytes();
        writeln!(text, "198.{network}.{high}.{low}=block").unwrap();
    }
    for source in more {
        writeln!(text, "{source}=block").unwrap();
    }
    let path = guarded.node.state().join(name);
    fs::write(&path, text).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn a_list_is_exchanged_as_a_whole_under_traffic() {
    const SOURCES: [&str; 4] = ["203.0.113.1", "2001:db8:213::1", "203.0.113.2", "203.0.113.3"];
    let [both, both_ipv6, either, none] = SOURCES;
    let Some(guarded) = Guarded::new("") else { return };
    let a = list(&guarded, "a", 18, &[both]);
    let b = list(&guarded, "b", 19, &[both, either]);
    guarded.set(&["hosts_ipv4_a", "--replace", "--file", &a]);
    guarded.set(&["hosts_ipv6_a", &format!("{both_ipv6}=block")]);
    guarded.set(&["hosts_ipv6_b", &format!("{both_ipv6}=block")]);
    let inbox = guarded.inbox(5000);
    // A list that is there and not in force does nothing.
    inbox.wait_for(both, || guarded.forge(both, RIGHT[0], 5000, b"before"));
    guarded.set(&["feed", "0=a"]);
    inbox.wait_for(none, || guarded.forge(none, RIGHT[0], 5000, b"marker"));
    let before = inbox.from(both);
    let done = AtomicBool::new(false);
    let forge = |source: &str| {
        let to = if source == both_ipv6 { RIGHT[1] } else { RIGHT[0] };
        guarded.forge(source, to, 5000, b"packet");
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                SOURCES.into_iter().for_each(forge);
                thread::sleep(Duration::from_micros(200));
            }
        });
        guarded.set(&["hosts_ipv4_b", "--replace", "--file", &b]);
        for round in 0..10 {
            guarded.set(&["feed", if round % 2 == 0 { "0=b" } else { "0=a" }]);
        }
        // What is not in force can be exchanged meanwhile.
        guarded.set(&["hosts_ipv4_b", "--replace", "--file", &a]);
        guarded.set(&["feed", "0=b"]);
        done.store(true, Ordering::SeqCst);
    });
    inbox.wait_for(none, || guarded.forge(none, RIGHT[0], 5000, b"marker"));
    assert_eq!((inbox.from(both), inbox.from(both_ipv6)), (before, 0));
    assert!(inbox.from(either) > 0 && guarded.reason("feed") > 0);
    let held = guarded.node.l3af(&["get", "ddos-guard", "hosts_ipv4_b", "--json"]).unwrap();
    assert_eq!(held.lines().count(), 5001);
    assert!(!held.contains(either) && held.contains("198.18.0.1") && !held.contains("198.19.0.1"));
}

#[test]
fn networks_of_a_feed_hold_beside_its_hosts() {
    let Some(guarded) = Guarded::new("") else { return };
    guarded.set(&["networks_ipv4_b", "10.213.7.0/24=block"]);
    guarded.set(&["networks_ipv6_b", "fd00:213::/32=block"]);
    run_in(&guarded.pair.left.namespace, "ip address add fd00:213:7::9/64 dev left0 nodad").unwrap();
    guarded.set(&["hosts_ipv6_b", "fd00:213:7::9=allow"]);
    assert!(guarded.pings(LEFT[0], RIGHT[0]) && guarded.pings(LEFT[1], RIGHT[1]));
    guarded.set(&["feed", "0=b"]);
    assert!(!guarded.pings(LEFT[0], RIGHT[0]) && !guarded.pings(LEFT[1], RIGHT[1]));
    assert!(guarded.pings("fd00:213:7::9", RIGHT[1]));
    guarded.set(&["feed", "0=none"]);
    assert!(guarded.pings(LEFT[0], RIGHT[0]) && guarded.pings(LEFT[1], RIGHT[1]));
}

#[test]
fn what_should_not_come_from_outside_does_not() {
    let config = "check_bogons = true\ndrop_fragments = true\namplifiers = { \"4000\" = 100 }\nsenders_ipv4 = { \"10.213.7.1\" = \"allow\" }\n";
    let Some(guarded) = Guarded::new(config) else { return };
    let inbox = guarded.inbox(5000);
    let marker = || guarded.forge("8.8.8.8", RIGHT[0], 5000, b"short");
    inbox.wait_for("8.8.8.8", marker);
    for (reason, from, to) in [
        ("bogon", "192.168.1.1", RIGHT[0]),
        ("bogon", "10.213.7.77", RIGHT[0]),
        ("martian", "240.0.0.1", RIGHT[0]),
        ("bogon", "2001:db8::1", RIGHT[1]),
        ("amplifier", "9.9.9.9", RIGHT[0]),
        ("amplifier", "2600::9", RIGHT[1]),
    ] {
        let before = guarded.reason(reason);
        guarded.forge(from, to, 5000, &[0; 400]);
        guarded.node.wait("it is dropped", || guarded.reason(reason) > before);
        inbox.wait_for("8.8.8.8", marker);
        assert_eq!((inbox.from(from), guarded.reason(reason) - before), (0, 1), "{reason}: {from}");
    }
    // It asks, and does not answer.
    let asks = SocketAddr::new("9.9.9.8".parse().unwrap(), 4001);
    let to = SocketAddr::new(RIGHT[0].parse().unwrap(), 5000);
    let packet = forged_datagram(asks, to, &[0; 400]).unwrap();
    inbox.wait_for("9.9.9.8", || guarded.forger.send(&packet).unwrap());
    // Real fragments, of who is allowed and of who is not.
    assert!(
        run_in(&guarded.pair.left.namespace, &format!("ping -n -q -W 2 -c 1 -s 4000 {}", RIGHT[0])).is_ok()
    );
    let left = &guarded.pair.left.namespace;
    run_in(left, "ip address add 11.213.7.1/32 dev left0").unwrap();
    let ping = |bytes: u32| {
        run_in(left, &format!("ping -n -q -W 1 -c 1 -s {bytes} -I 11.213.7.1 {}", RIGHT[0])).is_ok()
    };
    assert!(ping(56) && !ping(4000));
    let fragments = guarded.reason("fragment");
    assert!(fragments >= 3, "{fragments}");
}

/// What `l3af watch` tells.
fn events(node: &Node) -> (std::process::Child, Receiver<Value>) {
    let mut command = Command::new(it::binary("l3af").unwrap());
    command.arg("--socket").arg(node.socket()).args(["watch", "ddos-guard", "events", "--json"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            drop(tell.send(serde_json::from_str(&line).unwrap()));
        }
    });
    (watching, told)
}

/// The next event, in which the time is left out.
#[track_caller]
fn next(events: &Receiver<Value>) -> String {
    let told = events.recv_timeout(Duration::from_secs(30)).unwrap();
    let event = &told["event"];
    format!("{} {} {}", event["source"], event["kind"], event["bound"]).replace('"', "")
}

#[test]
fn a_source_above_its_bound_is_blocked_for_a_time() {
    let config = r#"
block_packets_per_second = 50
block_syns_per_second = 5
block_seconds = "1s"
senders_ipv4 = { "203.0.113.9" = "allow" }
"#;
    let Some(guarded) = Guarded::new(config) else { return };
    let inbox = guarded.inbox(5000);
    let (mut watching, events) = events(&guarded.node);
    let flood = |from: &str, to: &str, most: u32| {
        // A second may go by on a machine that has other things to do.
        for _ in 0..most {
            guarded.forge(from, to, 5000, b"packet");
        }
    };
    for (from, source, to) in
        [("203.0.113.1", "203.0.113.1", RIGHT[0]), ("2001:db8:213::1", "2001:db8:213::", RIGHT[1])]
    {
        flood(from, to, 5000);
        assert_eq!(next(&events), format!("{source} blocked packets"));
        // What comes when the time is over passes.
        inbox.wait_for(from, || guarded.forge(from, to, 5000, b"again"));
        let told = next(&events);
        assert!(told == format!("{source} expired packets"), "{told}");
        let passed = inbox.from(from);
        assert!(passed < 2500, "{passed} of 5000 passed");
    }
    let begins = |number: u32| {
        let source = SocketAddr::new("203.0.113.3".parse().unwrap(), 6000);
        let destination = SocketAddr::new(RIGHT[0].parse().unwrap(), 7);
        Segment { source, destination, flags: SYN, sequence: number, acknowledged: 0 }.packet().unwrap()
    };
    (0..200).for_each(|number| guarded.forger.send(&begins(number)).unwrap());
    assert_eq!(next(&events), "203.0.113.3 blocked syns");
    // Who is allowed is never blocked: the next event is of somebody else.
    flood("203.0.113.9", RIGHT[0], 2000);
    flood("203.0.113.4", RIGHT[0], 5000);
    assert_eq!(next(&events), "203.0.113.4 blocked packets");
    let told = guarded.node.l3af(&["get", "ddos-guard", "block_changes", "--json"]).unwrap();
    let counts: BTreeMap<String, u64> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|entry: Value| (entry["key"].as_str().unwrap().to_owned(), entry["value"].as_u64().unwrap()))
        .collect();
    assert_eq!((counts["blocked"], counts["expired"], counts["lost_events"]), (4, 2, 0));
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn configuration_out_of_bounds_is_refused() {
    let Some(guarded) = Guarded::new("") else { return };
    for (config, place) in [
        ("block_seconds = \"0s\"", "block_seconds"),
        ("block_seconds = \"1000h\"", "block_seconds"),
        ("block_ipv4_bits = 33", "block_ipv4_bits"),
        ("block_ipv6_bits = 8", "block_ipv6_bits"),
        ("block_bytes_per_second = \"1KiB\"", "block_bytes_per_second"),
        ("syn_proxy_window_scale = 15", "syn_proxy_window_scale"),
        ("syn_proxy_ipv4_mss = 100", "syn_proxy_ipv4_mss"),
        ("protected_ports = { \"443\" = 0 }", "protected_ports"),
        ("protected_ports = { \"70000\" = 1 }", "protected_ports"),
        ("amplifiers = { \"19\" = \"64KiB\" }", "amplifiers"),
        ("amplifiers = { \"65536\" = 1 }", "amplifiers"),
        ("senders_ipv4 = { \"10.0.0.0/33\" = \"block\" }", "senders_ipv4"),
        ("senders_ipv6 = { \"2001:db8::/32\" = \"deny\" }", "senders_ipv6"),
        ("feed = [{ key = 1, value = \"a\" }]", "feed"),
    ] {
        let ran = guarded.node.apply(&Guarded::document(config)).unwrap();
        assert!(!ran.ok && ran.stderr.contains(place), "{config}: {}{}", ran.stdout, ran.stderr);
    }
    let ran = guarded.node.cli(&["set", "ddos-guard", "feed", "0=c"]).unwrap();
    assert!(!ran.ok, "{}", ran.stdout);
}

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

/// Sources without end, none of them like the one before: splitmix64.
fn forged_sources(seed: u64) -> impl Iterator<Item = u64> {
    (1..).map(move |number: u64| {
        let mut bits = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    })
}

/// A segment from a source made up of some bits.
fn forged(bits: u64, (flags, port): (u8, u16)) -> Vec<u8> {
    let [.., a, b, c, d] = bits.to_be_bytes();
    let (source, to): (IpAddr, _) = if bits >> 63 == 0 {
        (Ipv4Addr::new(20 + a % 80, b, c, d).into(), RIGHT[0])
    } else {
        (Ipv6Addr::from((0x2600_u128 << 112) | u128::from(bits)).into(), RIGHT[1])
    };
    let from = 1024 + u16::from_be_bytes([a, d]) % 60000;
    let segment = Segment {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(to.parse().unwrap(), port),
        flags,
        sequence: u32::from_be_bytes([d, c, b, a]),
        acknowledged: u32::from_be_bytes([b, d, a, c]),
    };
    segment.packet().unwrap()
}

/// Sends one SYN of a flood, with a pause now and then; returns how many there were.
fn send(guarded: &Guarded, port: u16, bits: u64, sent: u64) -> u64 {
    const BURST: u64 = 32;
    guarded.forger.send(&forged(bits, (SYN, port))).unwrap();
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
            let packets = forged_sources(u64::from(port)).take(MOST);
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
    let (flood, served) = flood_while(&guarded, 443, || {
        let served = web.served(&guarded, 240, Duration::from_secs(5));
        // A SYN in a frame with a tag is answered, too: from whom it was for, with the window of an answer.
        let syns = [1, 2, u64::MAX, u64::MAX - 1].map(|bits| forged(bits, (SYN, 443)));
        let answers = guarded.tagged(&syns);
        let is_answer =
            |frame: &&String| frame[12..].starts_with("ffffffffffff") && frame.contains("6012faf0");
        assert!(answers.iter().filter(is_answer).count() >= 2, "{answers:?}");
        served
    });
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
    for bits in forged_sources(7).take(300) {
        guarded.forger.send(&forged(bits, (ACK, 443))).unwrap();
    }
    guarded
        .node
        .wait("forged acknowledgements are dropped", || guarded.reason("no_cookie") - before.0 >= 290);
    assert_eq!(counted(&guarded, "SyncookiesFailed"), before.1);
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
