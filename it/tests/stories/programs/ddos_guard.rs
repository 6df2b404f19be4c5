// SPDX-License-Identifier: Apache-2.0
//! `ddos-guard`: lists that hold and change at once, sources that are blocked for a time, a flood while real connections succeed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ::package::KernelVersion;
use it::{Node, Outlet, Pair, frame, run_in};
use serde_json::Value;

use crate::{kernel, packages};

mod blocks;
mod lists;
mod syn_proxy;

/// Addresses of the right side.
const RIGHT: [&str; 2] = ["10.213.7.2", "fd00:213:7::2"];
/// Those of the left side.
const LEFT: [&str; 2] = ["10.213.7.1", "fd00:213:7::1"];
/// The port of whoever counts what comes.
const INBOX: u16 = 5000;

/// Two namespaces with both families, and a guard on the right.
struct Guarded {
    pair: Pair,
    node: Node,
    outlet: Outlet,
}

impl Guarded {
    /// None where the kernel is older than what the package asks for.
    fn new(config: &str) -> Option<Self> {
        if kernel() < (KernelVersion { major: 6, minor: 1 }) {
            return None;
        }
        let pair = Pair::of_both_families().unwrap();
        for side in [&pair.left, &pair.right] {
            let filter =
                format!("net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.{}.rp_filter=0", side.interface);
            run_in(&side.namespace, &format!("sysctl -qw {filter}")).unwrap();
        }
        // Whoever is forged is behind the left side.
        let inside = |line: &str| run_in(&pair.right.namespace, line).unwrap();
        inside(&format!("ip route add default via {}", LEFT[0]));
        inside(&format!("ip -6 route add default via {}", LEFT[1]));
        let node = Node::start(&pair.right, &packages().policy()).unwrap();
        let outlet = Outlet::on(&pair.left).unwrap();
        let guarded = Self { pair, node, outlet };
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

    /// A socket on the right that counts what comes to it.
    fn inbox(&self) -> Inbox {
        let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, INBOX));
        Inbox::new(self.pair.right.inside(move || UdpSocket::bind(address)).unwrap().unwrap())
    }

    /// Sends a datagram that claims to be from an address: its payload is written as text of a packet.
    fn forge(&self, from: &str, to: &str, payload: &str) {
        self.outlet.send(&datagram("eth", from, to, payload)).unwrap();
    }
}

/// A datagram from an address, on a link.
fn datagram(link: &str, from: &str, to: &str, payload: &str) -> Vec<u8> {
    let ip = if from.contains(':') { "ipv6" } else { "ipv4" };
    frame(&format!("{link} / {ip}(src={from}, dst={to}) / udp(sport=4000, dport={INBOX}) / {payload}"))
        .unwrap()
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
fn what_should_not_come_from_outside_does_not() {
    let config = "check_bogons = true\ndrop_fragments = true\namplifiers = { \"4000\" = 100 }\nsenders_ipv4 = { \"10.213.7.1\" = \"allow\" }\n";
    let Some(guarded) = Guarded::new(config) else { return };
    let inbox = guarded.inbox();
    let marker = || guarded.forge("8.8.8.8", RIGHT[0], r#""short""#);
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
        guarded.forge(from, to, "0x00*400");
        guarded.node.wait("it is dropped", || guarded.reason(reason) > before);
        inbox.wait_for("8.8.8.8", marker);
        assert_eq!((inbox.from(from), guarded.reason(reason) - before), (0, 1), "{reason}: {from}");
    }
    // It asks, and does not answer.
    let asks =
        format!("eth / ipv4(src=9.9.9.8, dst={}) / udp(sport=4001, dport={INBOX}) / 0x00*400", RIGHT[0]);
    let asks = frame(&asks).unwrap();
    inbox.wait_for("9.9.9.8", || guarded.outlet.send(&asks).unwrap());
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
