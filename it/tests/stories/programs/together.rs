// SPDX-License-Identifier: Apache-2.0
//! All packages for packets in one chain: each does its work beside the others, on IPv4 and IPv6, with tags and without.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use ::package::KernelVersion;
use it::{Node, Pair, frame, run_in, send_frames};
use serde_json::Value;

use crate::packages;

const LEFT: [&str; 2] = ["10.213.7.1", "fd00:213:7::1"];
const RIGHT: [&str; 2] = ["10.213.7.2", "fd00:213:7::2"];
/// Who is blocked.
const BLOCKED: [&str; 2] = ["10.213.7.77", "fd00:213:7::77"];
/// The addresses of a service without a backend.
const SERVICE: [&str; 2] = ["203.0.113.10", "2001:db8:10::10"];
const SERVER: u16 = 8080;
/// New connections to it are limited to a few.
const LIMITED: u16 = 4000;
/// After so long without an answer a SYN was dropped. The kernel tries again after a second.
const SILENCE: Duration = Duration::from_millis(300);
/// How long what must be taken may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a source may have at once.
const PLACES: usize = 3;

/// Two hosts with a cable, and on the right one all packages.
struct Everything {
    pair: Pair,
    node: Node,
}

impl Everything {
    /// None on kernels that some of the packages are not for.
    fn new() -> Option<Self> {
        if crate::kernel() < (KernelVersion { major: 6, minor: 6 }) {
            return None;
        }
        let pair = Pair::of_both_families().unwrap();
        let left = |line: &str| run_in(&pair.left.namespace, line).unwrap();
        left(&format!("ip address add {}/24 dev left0", BLOCKED[0]));
        left(&format!("ip address add {}/64 dev left0 nodad preferred_lft 0", BLOCKED[1]));
        left(&format!("ip route add {} via {}", SERVICE[0], RIGHT[0]));
        left(&format!("ip -6 route add {} via {} src {}", SERVICE[1], RIGHT[1], LEFT[1]));
        // The interface that gets copies.
        let right = |line: &str| run_in(&pair.right.namespace, line).unwrap();
        right("ip link add copies0 type veth peer name copies1");
        right("ip link set copies0 up");
        right("ip link set copies1 up");
        let node = Node::start(&pair.right, &packages().policy()).unwrap();
        let everything = Self { pair, node };
        everything.node.apply(&everything.document()).unwrap().success().unwrap();
        Some(everything)
    }

    fn document(&self) -> String {
        let told = run_in(&self.pair.right.namespace, "ip -j link show dev copies0").unwrap();
        let index = serde_json::from_str::<Value>(&told).unwrap()[0]["ifindex"].as_u64().unwrap();
        let package = |name: &str| packages().program(name).unwrap();
        let (guard, limit, balancer) =
            (package("ddos-guard"), package("ratelimit"), package("load-balancer"));
        let (places, flows, mirror) =
            (package("connlimit"), package("flow-exporter"), package("traffic-mirror"));
        format!(
            r#"
[[deployment]]
name = "places"
package = "{places}"
config = {{ connections_per_source = {PLACES}, source_bits_ipv6 = 128 }}

[[deployment]]
name = "flows"
package = "{flows}"

[[deployment]]
name = "mirror"
package = "{mirror}"
[deployment.config]
mirror_rules = {{ 0 = {{ vlan = 7 }}, 1 = {{ protocol = "udp" }} }}
mirror_targets = {{ 0 = {{ interface = {index} }} }}

[[chain]]
interface = "right0"
hook = "xdp"
[[chain.member]]
name = "guard"
package = "{guard}"
[chain.member.config]
senders_ipv4 = {{ "{}" = "block" }}
senders_ipv6 = {{ "{}" = "block" }}
[[chain.member]]
name = "limit"
package = "{limit}"
config = {{ connections_per_second = 1, burst = 4, first_port = {LIMITED}, last_port = {LIMITED} }}
[[chain.member]]
name = "places"
deployment = "places"
[[chain.member]]
name = "balancer"
package = "{balancer}"
[chain.member.config]
services = [
  {{ key = {{ address = "{}", port = 80, protocol = "tcp" }}, value = {{ pool = 0 }} }},
  {{ key = {{ address = "{}", port = 80, protocol = "tcp" }}, value = {{ pool = 0 }} }},
]

[[chain]]
interface = "right0"
hook = "tc-ingress"
member = [
  {{ name = "flows", deployment = "flows", program = "flows_ingress" }},
  {{ name = "mirror-in", deployment = "mirror", program = "mirror_ingress" }},
]

[[chain]]
interface = "right0"
hook = "tc-egress"
member = [
  {{ name = "answers", deployment = "places", program = "connlimit_egress" }},
  {{ name = "flows-out", deployment = "flows", program = "flows_egress" }},
  {{ name = "mirror-out", deployment = "mirror", program = "mirror_egress" }},
]
"#,
            BLOCKED[0], BLOCKED[1], SERVICE[0], SERVICE[1],
        )
    }

    /// A number in an entry of a map: a field, or the value itself where none is named.
    #[track_caller]
    fn count(&self, member: &str, map: &str, key: &str, field: &str) -> u64 {
        let told = self.node.l3af(&["get", member, map, key, "--json"]).unwrap();
        let entry: Value = serde_json::from_str(&told).unwrap();
        let value = &entry["value"];
        if field.is_empty() { value } else { &value[field] }.as_u64().unwrap()
    }

    /// How many packets left the chain of XDP at a member, dropped.
    fn dropped(&self, member: &str) -> u64 {
        let chains = self.node.chains().unwrap();
        let mut members = chains.iter().flat_map(|chain| &chain.members);
        let found = members.find(|found| found.name.to_string() == member).unwrap();
        found.left.get("drop").map_or(0, |count| count.packets)
    }

    /// Serves connections on the right.
    fn serve(&self, address: &str, port: u16) {
        let at = SocketAddr::new(address.parse().unwrap(), port);
        let listener = self.pair.right.inside(move || TcpListener::bind(at)).unwrap().unwrap();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                thread::spawn(move || echo(stream));
            }
        });
    }

    /// A connection from the left, if it is taken at once.
    fn connects(&self, to: &str, port: u16) -> Option<TcpStream> {
        self.connects_within(SILENCE, to, port).ok()
    }

    fn connects_within(&self, patience: Duration, to: &str, port: u16) -> std::io::Result<TcpStream> {
        let to = SocketAddr::new(to.parse().unwrap(), port);
        self.pair.left.inside(move || TcpStream::connect_timeout(&to, patience)).unwrap()
    }

    /// Sends frames with a tag from the left, so many of each family.
    fn send_tagged(&self, count: usize) {
        let rest = "udp(dport=53) / 0x00*40";
        let texts = [
            format!("eth / vlan(7) / ipv4(src={}, dst={}) / {rest}", LEFT[0], RIGHT[0]),
            format!("eth / vlan(7) / ipv6(src={}, dst={}) / {rest}", LEFT[1], RIGHT[1]),
        ];
        let frames = texts.map(|text| frame(&text).unwrap());
        send_frames(&self.pair.left, frames.iter().cycle().take(2 * count)).unwrap();
    }
}

/// Answers with what comes.
fn echo(mut stream: TcpStream) {
    let mut bytes = [0; 1024];
    while let Ok(length) = stream.read(&mut bytes)
        && length > 0
    {
        if stream.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

/// Who may have so many connections has them, whole, and no more.
fn places_are_limited(everything: &Everything, right: &str) {
    let connect = || everything.connects(right, SERVER);
    let first = |_| everything.connects_within(PATIENCE, right, SERVER).unwrap();
    let mut connections: Vec<TcpStream> = (0..PLACES).map(first).collect();
    for (number, stream) in connections.iter_mut().enumerate() {
        let (sent, mut received) = (vec![u8::try_from(number).unwrap(); 900], vec![9; 900]);
        stream.write_all(&sent).unwrap();
        stream.read_exact(&mut received).unwrap();
        assert_eq!(received, sent);
    }
    let before = everything.dropped("places");
    assert!(connect().is_none(), "{right}");
    assert!(everything.dropped("places") > before);
    drop(connections);
    everything.node.wait("there is room again", || connect().is_some());
}

/// New connections to a port come at their rate, and none to a service that nobody is behind.
fn ports_are_limited_and_services_balanced(everything: &Everything, right: &str, service: &str) {
    let before = everything.dropped("limit");
    let taken = (0..9).filter(|_| everything.connects(right, LIMITED).is_some()).count();
    assert!((1..9).contains(&taken), "{taken}");
    assert!(everything.dropped("limit") > before);
    let unserved = || everything.count("balancer", "outcomes", "no_backend", "");
    let before = unserved();
    assert!(everything.connects(service, 80).is_none());
    assert!(unserved() > before);
}

/// Who is blocked is not heard, and what comes as far as that is counted and copied.
fn senders_are_judged_and_packets_copied(everything: &Everything, family: usize) {
    let right = RIGHT[family];
    let ping = |from: &str| {
        let line = format!("ping -n -q -i 0.01 -W 1 -c 3 -I {from} {right}");
        run_in(&everything.pair.left.namespace, &line).is_ok()
    };
    assert!(ping(LEFT[family]) && !ping(BLOCKED[family]));
    assert!(everything.count("guard", "reasons", "blocked", "packets") >= 3);

    let observed = || everything.count("flows", "flow_metering", "0", "observed");
    let copied = || everything.count("mirror-in", "mirror_counts", "1", "copied");
    let before = (observed(), copied());
    let to = SocketAddr::new(right.parse().unwrap(), 9);
    let any = if family == 0 { "0.0.0.0:0" } else { "[::]:0" };
    let sent = everything.pair.left.inside(move || {
        let socket = UdpSocket::bind(any)?;
        // Nobody listens there, and the answer to the first would be an error of the next.
        (0..20).for_each(|_| drop(socket.send_to(b"datagram", to)));
        std::io::Result::Ok(())
    });
    sent.unwrap().unwrap();
    everything.node.wait("they are copied", || copied() > before.1 && observed() > before.0);
}

#[test]
fn six_packages_in_one_chain_do_their_work_beside_each_other() {
    let Some(everything) = Everything::new() else { return };
    let lengths = everything.node.chains().unwrap().iter().map(|chain| chain.members.len()).sum::<usize>();
    assert_eq!(lengths, 9);
    for family in [0, 1] {
        let right = RIGHT[family];
        everything.serve(right, SERVER);
        everything.serve(right, LIMITED);
        places_are_limited(&everything, right);
        ports_are_limited_and_services_balanced(&everything, right, SERVICE[family]);
        senders_are_judged_and_packets_copied(&everything, family);
    }
    // With a tag all of it is the same: it passes, and is counted once by each.
    let counts = |field: &str| everything.count("mirror-in", "mirror_counts", "0", field);
    let before = (counts("matched"), counts("copied"));
    everything.send_tagged(50);
    everything.node.wait("all with a tag are copied", || counts("copied") == before.1 + 100);
    assert_eq!((counts("matched"), counts("failed")), (before.0 + 100, 0));
    // Nothing is left of it when it goes.
    everything.node.l3af(&["stop", "--all"]).unwrap();
    assert!(everything.node.chains().unwrap().is_empty());
}
