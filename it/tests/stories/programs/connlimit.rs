// SPDX-License-Identifier: Apache-2.0
//! `connlimit`: real connections, counted as they come and go.

mod model;

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use it::{Node, Pair, run_in};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, ipproto};

use crate::packages;

const PORT: u16 = 8080;
/// What both ends are called besides.
const LEFT: [&str; 3] = ["fd00:213:7::1/64", "10.213.8.1/24", "fd00:213:8::1/64"];
const RIGHT: [&str; 3] = ["fd00:213:7::2/64", "10.213.8.2/24", "fd00:213:8::2/64"];
/// Whom clients connect to, and which source they are then.
const SERVERS: [(&str, &str); 4] = [
    ("10.213.7.2", "10.213.7.1"),
    ("fd00:213:7::2", "fd00:213:7::"),
    ("10.213.8.2", "10.213.8.1"),
    ("fd00:213:8::2", "fd00:213:8::"),
];
/// How long what must happen may take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(40);
/// After so long without an answer a SYN was dropped. The kernel tries again after a second.
const SILENCE: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Halves {
    /// The client's alone.
    Client,
    Both,
}

/// A server on the right that ends a connection when its client does.
struct Limited {
    pair: Pair,
    node: Node,
    halves: Halves,
    package: String,
    /// What is in the chains besides.
    neighbours: [String; 2],
}

/// Puts frames into a VLAN, and takes them out: not every kernel has devices for that.
const TAGS: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc") int push(struct __sk_buff *packet)
{
	bpf_skb_vlan_push(packet, bpf_htons(ETH_P_8021Q), 7);
	return TC_ACT_UNSPEC;
}

SEC("xdp") int pop(struct xdp_md *packet)
{
	void *data = (void *)(long)packet->data, *end = (void *)(long)packet->data_end;
	__u64 addresses[2] = {};

	if (data + 18 > end || ((struct ethhdr *)data)->h_proto != bpf_htons(ETH_P_8021Q))
		return XDP_DROP;
	__builtin_memcpy(addresses, data, 12);
	if (bpf_xdp_adjust_head(packet, 4))
		return XDP_DROP;
	data = (void *)(long)packet->data;
	end = (void *)(long)packet->data_end;
	if (data + 12 > end)
		return XDP_DROP;
	__builtin_memcpy(data, addresses, 12);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

fn tags() -> &'static str {
    static PACKAGE: OnceLock<String> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let program = |function: &str, hook: &str| {
            format!(
                "[[program]]\nfunction = \"{function}\"\nobject = \"tags.bpf.o\"\nsource = \"tags.bpf.c\"\nhook = \"{hook}\"\n"
            )
        };
        let programs = program("pop", "xdp") + &program("push", "tc-egress");
        packages().from_source(("tags", "1.0.0"), TAGS, &programs).unwrap()
    })
}

impl Limited {
    fn new(halves: Halves, config: &str) -> Self {
        let pair = Pair::new().unwrap();
        for (side, addresses) in [(&pair.left, LEFT), (&pair.right, RIGHT)] {
            let inside = |line: &str| run_in(&side.namespace, line).unwrap();
            let interface = &side.interface;
            inside("sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0");
            inside(&format!("sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=0"));
            // Tags go into the frames, where programs of XDP see them.
            inside(&format!("ethtool -K {interface} txvlan off"));
            for address in addresses {
                inside(&format!("ip address add {address} dev {interface} nodad"));
            }
        }
        let listener = pair.right.inside(|| TcpListener::bind(("::", PORT))).unwrap().unwrap();
        thread::spawn(move || listener.incoming().for_each(|stream| drop(thread::spawn(|| serve(stream)))));
        let node = Node::start(&pair.right, &packages().policy()).unwrap();
        let package = packages().program("connlimit").unwrap();
        let limited = Self { pair, node, halves, package, neighbours: Default::default() };
        limited.node.apply(&limited.document(config)).unwrap().success().unwrap();
        limited
    }

    /// From now on all frames have a tag, on the cable and where the package sees them. The daemon is that of the other end.
    fn tag(&mut self, config: &str) -> Node {
        let member = format!("{{ name = \"tags\", package = \"{}\" }}", tags());
        let chain = |hook: &str| {
            format!("[[chain]]\ninterface = \"left0\"\nhook = \"{hook}\"\nmember = [{member}]\n")
        };
        let other = Node::start(&self.pair.left, &packages().policy()).unwrap();
        other.apply(&(chain("xdp") + &chain("tc-egress"))).unwrap().success().unwrap();
        self.neighbours = [format!(", {member}"), format!("{member}, ")];
        self.node.apply(&self.document(config)).unwrap().success().unwrap();
        other
    }

    fn document(&self, config: &str) -> String {
        let member = "{ name = \"connlimit\" }";
        let [behind, before] = &self.neighbours;
        let egress =
            format!("[[chain]]\ninterface = \"right0\"\nhook = \"tc-egress\"\nmember = [{before}{member}]\n");
        format!(
            "[[deployment]]\nname = \"connlimit\"\npackage = \"{}\"\n[deployment.config]\n{config}\n\
             [[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\nmember = [{member}{behind}]\n{}",
            self.package,
            if self.halves == Halves::Both { &egress } else { "" }
        )
    }

    /// A connection, if there is one within some time.
    fn connect(&self, to: &str, patience: Duration) -> Option<TcpStream> {
        let address = SocketAddr::new(to.parse().unwrap(), PORT);
        self.pair.left.inside(move || TcpStream::connect_timeout(&address, patience)).unwrap().ok()
    }

    #[track_caller]
    fn opens(&self, to: &str) -> TcpStream {
        self.connect(to, PATIENCE).unwrap_or_else(|| panic!("no connection to {to}: {}", self.told("events")))
    }

    #[track_caller]
    fn refuses(&self, to: &str) {
        assert!(self.connect(to, SILENCE).is_none(), "{}", self.told("sources"));
    }

    /// Tries until a place is free. What comes meanwhile has the program look for what is over.
    #[track_caller]
    fn opens_soon(&self, to: &str) -> TcpStream {
        let begin = Instant::now();
        loop {
            if let Some(stream) = self.connect(to, SILENCE) {
                return stream;
            }
            assert!(begin.elapsed() < PATIENCE, "{} {}", self.told("sources"), self.told("events"));
        }
    }

    /// What a map holds, as `l3af get` prints it.
    fn told(&self, map: &str) -> String {
        let arguments = ["get", "connlimit", map, "--hook", "right0/xdp"];
        self.node.l3af(&arguments).unwrap().trim().to_owned()
    }

    #[track_caller]
    fn wait_for(&self, map: &str, told: &str) {
        let begin = Instant::now();
        while self.told(map) != told {
            let late = || format!("{} instead of {told}: {}", self.told(map), self.told("events"));
            assert!(begin.elapsed() < PATIENCE, "{}", late());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How often something happened.
    fn event(&self, name: &str) -> u64 {
        let told = self.told("events");
        let line = told.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).unwrap();
        line.parse().unwrap()
    }
}

/// Waits for the end of what a client says.
fn serve(stream: std::io::Result<TcpStream>) {
    let mut stream = stream.expect("a connection is accepted");
    drop(std::io::copy(&mut stream, &mut std::io::sink()));
}

/// Closes a connection with a RST.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// A process that has a connection.
fn process(limited: &Limited, to: &str) -> Child {
    let script = format!("exec 3<>/dev/tcp/{to}/{PORT}; echo there; read -r line <&3");
    let namespace = format!("--net=/run/netns/{}", limited.pair.left.namespace);
    let mut child = Command::new("nsenter")
        .args([&namespace, "bash", "-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let out = child.stdout.as_mut().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said).unwrap();
    assert_eq!(said, "there\n");
    child
}

#[test]
fn as_many_as_the_limit_are_let_in_and_the_next_one_when_one_ends() {
    comes_and_goes(&Limited::new(Halves::Both, "connections_per_source = 3"));
}

#[test]
fn the_same_within_a_vlan() {
    const CONFIG: &str = "connections_per_source = 3";
    let mut limited = Limited::new(Halves::Both, CONFIG);
    let _other = limited.tag(CONFIG);
    comes_and_goes(&limited);
}

/// Three connections at once are the limit.
fn comes_and_goes(limited: &Limited) {
    for (server, source) in SERVERS.into_iter().take(2) {
        let mut open: Vec<TcpStream> = (0..3).map(|_| limited.opens(server)).collect();
        limited.refuses(server);
        limited.wait_for("sources", &format!("{source}=3"));
        limited.wait_for("services", &format!("{{\"address\":\"::\",\"port\":{PORT}}}=3"));
        drop(open.pop());
        limited.wait_for("sources", &format!("{source}=2"));
        open.push(limited.opens(server));
        limited.refuses(server);
        reset(open.pop().unwrap());
        limited.wait_for("sources", &format!("{source}=2"));
        let mut child = process(limited, server);
        limited.refuses(server);
        child.kill().unwrap();
        child.wait().unwrap();
        limited.wait_for("sources", &format!("{source}=2"));
        open.push(limited.opens(server));
        limited.refuses(server);
        drop(open);
        limited.wait_for("sources", "");
        limited.wait_for("services", "");
    }
    assert_eq!(limited.event("forged"), 0);
}

#[test]
fn the_clients_half_alone_frees_a_place_soon_after_the_clients_fin() {
    let limited = Limited::new(Halves::Client, "connections_per_source = 2\nclose_seconds = 1");
    let (server, source) = SERVERS[0];
    let mut open: Vec<TcpStream> = (0..2).map(|_| limited.opens(server)).collect();
    limited.refuses(server);
    reset(open.pop().unwrap());
    limited.wait_for("sources", &format!("{source}=1"));
    open.push(limited.opens(server));
    drop(open.pop());
    open.push(limited.opens_soon(server));
    limited.refuses(server);
    limited.wait_for("sources", &format!("{source}=2"));
}

#[test]
fn a_client_that_closed_its_side_keeps_its_place_while_the_server_goes_on() {
    let limited = Limited::new(Halves::Both, "connections_per_source = 1");
    let (server, source) = SERVERS[1];
    let listener = limited.pair.right.inside(|| TcpListener::bind(("::", 8081))).unwrap().unwrap();
    let address = SocketAddr::new(server.parse().unwrap(), 8081);
    let client = limited.pair.left.inside(move || TcpStream::connect(address)).unwrap().unwrap();
    let (accepted, _) = listener.accept().unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    (&accepted).write_all(b"goes on").unwrap();
    limited.refuses(server);
    assert_eq!(limited.told("sources"), format!("{source}=1"));
    drop(accepted);
    limited.wait_for("sources", "");
    drop(limited.opens(server));
}

/// Opens and closes connections, one after the other; every third ends with a RST.
fn come_and_go(limited: &Limited, server: &str, times: usize) {
    for turn in 0..times {
        let stream = limited.opens(server);
        (&stream).write_all(b"all of it").unwrap();
        if turn % 3 == 0 {
            reset(stream);
        }
    }
}

#[test]
fn many_connections_under_the_limit_all_succeed_and_leave_no_trace() {
    const EACH: usize = 100;
    let limited = Limited::new(Halves::Both, "connections_per_source = 100");
    thread::scope(|scope| {
        for (server, _) in SERVERS {
            let limited = &limited;
            scope.spawn(move || come_and_go(limited, server, EACH));
        }
    });
    limited.wait_for("sources", "");
    limited.wait_for("services", "");
    let all = u64::try_from(SERVERS.len() * EACH).unwrap();
    assert_eq!(limited.event("admitted"), all);
    assert_eq!(limited.event("ended_fin") + limited.event("ended_reset"), all);
    for name in ["refused_source", "refused_service", "forged", "no_room", "ended_silent"] {
        assert_eq!(limited.event(name), 0, "{name}");
    }
}

/// A segment without data, as a packet of IPv4.
fn forged(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    ports: (u16, u16),
    flags: u8,
    numbers: (u32, u32),
) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let mut tcp: Vec<u8> = [ports.0.to_be_bytes(), ports.1.to_be_bytes()].concat();
    tcp.extend([numbers.0.to_be_bytes(), numbers.1.to_be_bytes()].concat());
    tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    // RFC 9293, section 3.1: addresses, protocol and length are in the sum.
    let words = packet[12..].chunks(2).chain(tcp.chunks(2));
    let sum = words.fold(6 + 20, |sum, word| sum + u32::from(word[0]) * 256 + u32::from(word[1]));
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16));
    tcp[16..18].copy_from_slice(&u16::try_from(sum & 0xffff).expect("16 bits").to_be_bytes());
    packet.extend(tcp);
    packet
}

/// SYN from anywhere, each with an acknowledgement that nobody asked for behind it.
fn flood(socket: &OwnedFd, done: &AtomicBool, sent: &AtomicU64) {
    const MOST: u64 = 100_000;
    let server: Ipv4Addr = SERVERS[0].0.parse().unwrap();
    let to = SocketAddr::new(server.into(), 0);
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    while !done.load(Ordering::SeqCst) && sent.fetch_add(1, Ordering::SeqCst) < MOST {
        // Xorshift (Marsaglia, 2003): a flood without a pattern, the same each time.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let bytes = random.to_be_bytes();
        let source = Ipv4Addr::new(100, bytes[0], bytes[1], bytes[2]);
        let ports = (u16::from_be_bytes([bytes[3] | 4, bytes[4]]), PORT);
        let sequence = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        for (flags, numbers) in [(2, (sequence, 0)), (16, (sequence.wrapping_add(1), !sequence))] {
            let packet = forged(source, server, ports, flags, numbers);
            // The cable may be full.
            let _full = rustix::net::sendto(socket, &packet, SendFlags::empty(), &to).is_err();
        }
    }
}

#[test]
fn a_flood_of_syn_takes_no_place_and_real_connections_succeed() {
    const REAL: usize = 40;
    let limited = Limited::new(Halves::Both, "connections_per_source = 50\nport_limits = { 8080 = 60 }");
    let right = |line: &str| run_in(&limited.pair.right.namespace, line).unwrap();
    right("sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.right0.rp_filter=0");
    right("ip route add default via 10.213.7.1");
    let (server, source) = SERVERS[0];
    // From here on it is known that the server's half is there.
    let first = limited.opens(server);
    let kind = (SocketType::RAW, SocketFlags::CLOEXEC);
    let socket = limited
        .pair
        .left
        .inside(move || rustix::net::socket_with(AddressFamily::INET, kind.0, kind.1, Some(ipproto::RAW)))
        .unwrap()
        .unwrap();
    let (done, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flooding = {
        let (done, sent) = (Arc::clone(&done), Arc::clone(&sent));
        thread::spawn(move || flood(&socket, &done, &sent))
    };
    let open: Vec<TcpStream> = (0..REAL).map(|_| limited.opens(server)).collect();
    while sent.load(Ordering::SeqCst) < 10_000 {
        thread::yield_now();
    }
    done.store(true, Ordering::SeqCst);
    flooding.join().unwrap();
    assert!(limited.event("handshake") > 1000, "{}", limited.told("events"));
    limited.wait_for("sources", &format!("{source}={}", REAL + 1));
    limited.wait_for("services", &format!("{{\"address\":\"::\",\"port\":{PORT}}}={}", REAL + 1));
    drop((first, open));
    limited.wait_for("sources", "");
}

#[test]
fn who_is_silent_for_too_long_gives_the_place_to_another() {
    let limited = Limited::new(Halves::Both, "connections_per_source = 2\nidle_seconds = 1");
    let (server, _) = SERVERS[0];
    let idle: Vec<TcpStream> = (0..2).map(|_| limited.opens(server)).collect();
    let later = limited.opens_soon(server);
    assert!(limited.event("ended_silent") >= 1);
    drop((idle, later));
}

/// The same package as a later release.
fn later_release() -> String {
    let (folder, source) = (packages().path("later/programs"), it::repository().join("programs"));
    fs::create_dir_all(&folder).unwrap();
    for name in ["include", "connlimit"] {
        it::run(&format!("cp -r {} {folder}", source.join(name).display())).unwrap();
    }
    let manifest = format!("{folder}/connlimit/package.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let current = format!("version = \"{}\"", text.split('"').nth(5).unwrap());
    fs::write(&manifest, text.replacen(&current, "version = \"99.0.0\"", 1)).unwrap();
    let package = packages().path("connlimit-99.0.0.oci");
    let connlimit = format!("{folder}/connlimit");
    packages().l3af(&["build", &connlimit, "--output", &package]).unwrap().success().unwrap();
    packages().l3af(&["sign", &package, "--key", "key"]).unwrap().success().unwrap();
    package
}

#[test]
fn counts_outlive_an_upgrade_and_another_daemon() {
    let mut limited = Limited::new(Halves::Both, "connections_per_source = 2");
    let (server, source) = SERVERS[2];
    let mut open: Vec<TcpStream> = (0..2).map(|_| limited.opens(server)).collect();
    limited.node.l3af(&["change", "connlimit", "--package", &later_release()]).unwrap();
    assert_eq!(limited.told("sources"), format!("{source}=2"));
    limited.refuses(server);
    drop(open.pop());
    limited.wait_for("sources", &format!("{source}=1"));
    open.push(limited.opens(server));
    limited.node.restart().unwrap();
    limited.refuses(server);
    drop(open);
    limited.wait_for("sources", "");
    // A change of parameters as well.
    let kept = limited.opens(server);
    limited.node.l3af(&["change", "connlimit", "--set", "connections_per_source=1"]).unwrap();
    limited.refuses(server);
    drop(kept);
    limited.wait_for("sources", "");
}

#[test]
fn limits_of_prefixes_and_services_are_kept() {
    let config = "connections_per_source = 9\n\
                  source_limits_ipv4 = { \"10.213.8.0/24\" = 1 }\n\
                  source_limits_ipv6 = { \"fd00:213:8::/48\" = 0 }\n\
                  port_limits = { 8080 = 2 }\n\
                  service_limits = [{ key = { address = \"fd00:213:7::2\", port = 8080 }, value = 1 }]";
    let limited = Limited::new(Halves::Both, config);
    let [plain, plain_ipv6, other, other_ipv6] = SERVERS.map(|(server, _)| server);
    limited.refuses(other_ipv6);
    let _other = limited.opens(other);
    limited.refuses(other);
    // It counts for the port, but what has a limit of its own does not.
    let _ipv6 = limited.opens(plain_ipv6);
    limited.refuses(plain_ipv6);
    let _plain = limited.opens(plain);
    limited.wait_for("sources", &sorted(&limited, &["10.213.7.1=1", "10.213.8.1=1", "fd00:213:7::=1"]));
    limited.refuses(plain);
    assert!(limited.event("refused_source") >= 2 && limited.event("refused_service") >= 2);
    let metrics =
        ["--unix-socket", &limited.node.socket().to_string_lossy(), "http://node/metrics"].join(" ");
    let metrics = it::run(&format!("curl -s {metrics}")).unwrap();
    let gauge = metrics.lines().find(|line| {
        line.starts_with("l3af_map_connlimit_services")
            && line.contains("port=\"8080\"")
            && line.contains("\"::\"")
    });
    assert!(gauge.is_some_and(|line| line.ends_with(" 2")), "{gauge:?}");
}

/// Entries in the order in which the map tells them just now.
fn sorted(limited: &Limited, entries: &[&str]) -> String {
    let told = limited.told("sources");
    let mut entries = entries.to_vec();
    entries.sort_by_key(|entry| told.find(entry));
    entries.join("\n")
}

#[test]
fn in_shadow_it_tells_what_it_would_refuse() {
    let limited = Limited::new(Halves::Both, "connections_per_source = 1");
    let shadow = "{ name = \"connlimit\", enforcement = \"shadow\" }";
    // The first chain is that of XDP. The server's half refuses nothing.
    let document = limited.document("connections_per_source = 1");
    let document = document.replacen("{ name = \"connlimit\" }", shadow, 1);
    limited.node.apply(&document).unwrap().success().unwrap();
    let (server, source) = SERVERS[1];
    let open = [limited.opens(server), limited.opens(server)];
    assert!(limited.event("refused_source") >= 1);
    assert_eq!(limited.told("sources"), format!("{source}=1"));
    drop(open);
    limited.wait_for("sources", "");
}

#[test]
fn what_is_out_of_bounds_is_refused_before_it_reaches_a_map() {
    let limited = Limited::new(Halves::Both, "connections_per_source = 2");
    for (wrong, place) in [
        ("connections_per_source = 1000001", "config/connections_per_source`"),
        ("connections_per_service = -1", "config/connections_per_service`"),
        ("source_bits_ipv4 = 33", "config/source_bits_ipv4`"),
        ("source_bits_ipv6 = 129", "config/source_bits_ipv6`"),
        ("idle_seconds = 0", "config/idle_seconds`"),
        ("idle_seconds = \"8d\"", "config/idle_seconds`"),
        ("half_closed_seconds = \"25h\"", "config/half_closed_seconds`"),
        ("close_seconds = \"1ms\"", "config/close_seconds`"),
        ("count_handshakes = 2", "config/count_handshakes`"),
        ("source_limits_ipv4 = { \"10.0.0.0/33\" = 1 }", "config/source_limits_ipv4/"),
        ("source_limits_ipv6 = { \"2001:db8::/32\" = 1000001 }", "config/source_limits_ipv6/"),
        ("port_limits = { 65536 = 1 }", "config/port_limits/"),
        (
            "service_limits = [{ key = { address = \"here\", port = 1 }, value = 1 }]",
            "config/service_limits/0/key/address`",
        ),
    ] {
        let refused = limited.node.apply(&limited.document(wrong)).unwrap();
        assert!(!refused.ok && refused.stderr.contains(place), "{wrong}: {}", refused.stderr);
    }
    assert_eq!(limited.node.status().unwrap().generation, 1);
}
