// SPDX-License-Identifier: Apache-2.0
//! `traffic-mirror`: what tshark finds in the tunnel is what was sent.
//!
//! A cable from `far` to `here`, which has the chains, and one from there to `collector`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use ::package::KernelVersion;
use it::{
    Net, Node, Ran, Side, frames_across, hex, no_offload, repository, run, run_in, send_frames, unique,
};
use serde_json::Value;

use crate::packages;

/// Three namespaces in a row, and a daemon in the middle.
struct Street {
    far: Side,
    here: Side,
    /// The other end of the second cable is `out0` in the middle.
    collector: Side,
    node: Node,
}

impl Drop for Street {
    fn drop(&mut self) {
        // The daemon takes its chains away first: its namespace stays as long as it runs.
        drop(self.node.kill());
        for side in [&self.far, &self.here, &self.collector] {
            drop(run(&format!("ip netns del {}", side.namespace)));
        }
    }
}

impl Street {
    /// None on kernels that the package is not for: copies find their address by themselves from Linux 6.7 on.
    fn new() -> Option<Self> {
        if crate::kernel() < (KernelVersion { major: 6, minor: 7 }) {
            return None;
        }
        let side = |name: &str, interface: &str, address: &str| Side {
            namespace: unique(&format!("l3af-{name}")),
            interface: interface.to_owned(),
            address: address.to_owned(),
        };
        let (far, here) = (side("far", "far0", "10.213.8.1"), side("here", "here0", "10.213.8.2"));
        let collector = side("collector", "in0", "10.213.9.9");
        for side in [&far, &here, &collector] {
            run(&format!("ip netns add {}", side.namespace)).unwrap();
            // Frames of our own making only, and addresses that hold at once.
            run_in(
                &side.namespace,
                "sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
                 net.ipv6.conf.default.mldv2_unsolicited_report_interval=3600000 \
                 net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.default.addr_gen_mode=1",
            )
            .unwrap();
            run_in(&side.namespace, "ip link set lo up").unwrap();
        }
        let out = Side { interface: "out0".to_owned(), address: "10.213.9.2".to_owned(), ..side("", "", "") };
        let out = Side { namespace: here.namespace.clone(), ..out };
        for (one, other) in [(&far, &here), (&out, &collector)] {
            let (a, b) = (&one.interface, &other.interface);
            let (inside, beyond) = (&one.namespace, &other.namespace);
            run(&format!("ip link add {a} netns {inside} type veth peer name {b} netns {beyond}")).unwrap();
            for side in [one, other] {
                let six = format!("fd00::{}", side.address.replace('.', ":"));
                let (name, address) = (&side.interface, &side.address);
                run_in(&side.namespace, &format!("ip address add {address}/24 dev {name}")).unwrap();
                run_in(&side.namespace, &format!("ip address add {six}/112 dev {name} nodad")).unwrap();
                run_in(&side.namespace, &format!("ip link set {name} up")).unwrap();
            }
        }
        // What the package asks of the administrator.
        let ask = "sysctl -qw net.ipv4.conf.lo.forwarding=1 net.ipv6.conf.lo.forwarding=1";
        run_in(&here.namespace, ask).unwrap();
        let node = Node::start(&here, &packages().policy()).unwrap();
        Some(Self { far, here, collector, node })
    }

    /// The chains of the middle: on these hooks copies are made.
    fn document(config: &str, hooks: &[&str]) -> String {
        let package = packages().program("traffic-mirror").unwrap();
        let mut document = format!(
            "[[deployment]]\nname = \"mirror\"\npackage = \"{package}\"\n[deployment.config]\n{config}\n\
             [[chain]]\ninterface = \"lo\"\nhook = \"tc-ingress\"\n\
             [[chain.member]]\nname = \"send\"\ndeployment = \"mirror\"\nprogram = \"mirror_send\"\n"
        );
        for (number, on) in hooks.iter().enumerate() {
            let (interface, way) = on.split_once('/').unwrap();
            let chain = format!("[[chain]]\ninterface = \"{interface}\"\nhook = \"tc-{way}\"\n");
            let name = format!("[[chain.member]]\nname = \"m{number}\"\n");
            let program = format!("deployment = \"mirror\"\nprogram = \"mirror_{way}\"\n");
            document.push_str(&[chain, name, program].concat());
        }
        document
    }

    #[track_caller]
    fn mirror(&self, config: &str, hooks: &[&str]) {
        self.node.apply(&Self::document(config, hooks)).unwrap().success().unwrap();
    }

    /// The counters of a rule, or of a target.
    fn counts(&self, member: &str, map: &str, number: u32) -> BTreeMap<String, u64> {
        let key = number.to_string();
        let told = self.node.l3af(&["get", member, map, &key]).unwrap();
        serde_json::from_str(told.trim()).unwrap()
    }

    /// The index of an interface in the middle.
    fn index(&self, interface: &str) -> u64 {
        let told = run_in(&self.here.namespace, &format!("ip -j link show dev {interface}")).unwrap();
        serde_json::from_str::<Value>(&told).unwrap()[0]["ifindex"].as_u64().unwrap()
    }
}

/// What arrives of what is sent: so many frames are expected.
fn copies(from: &Side, at: &Side, sent: &[Vec<u8>], expected: usize) -> Vec<Vec<u8>> {
    frames_across(from, at, sent, expected).unwrap()
}

fn frame(text: &str) -> Vec<u8> {
    it::frame(text).unwrap()
}

/// Frames of all kinds that the package knows; none shorter than what a card would send.
fn kinds() -> Vec<Vec<u8>> {
    let texts = [
        "eth / ipv4 / tcp(dport=443) / 0x5a*10",
        "eth / ipv4 / udp(dport=53) / \"question to whom it may concern\"",
        "eth / ipv6 / tcp(dport=443, flags=ack) / \"data\"",
        "eth / ipv6 / udp(dport=53) / \"question\"",
        "eth / ipv6 / hop / dest / udp(dport=53) / \"question\"",
        "eth / ipv4(options=0x94040000) / udp(dport=53) / 0x00*700",
        "eth / vlan(id=7, priority=3) / ipv4 / udp(dport=53) / 0x01*80",
        "eth / vlan(id=7) / ipv6 / tcp / 0x02*80",
        "eth(type=qinq) / vlan(id=7) / vlan(id=8) / ipv4 / tcp / 0x03*80",
        "eth / ipv4(flags=mf, id=9) / udp(dport=53) / 0x04*80",
        "eth / ipv4(offset=11, id=9) / 0x05*80",
        "eth / ipv4 / icmp / 0x06*80",
        "eth / ipv6 / icmpv6 / 0x07*80",
    ];
    texts.iter().map(|text| frame(text)).collect()
}

/// What tshark reads of frames: these fields, a line for each frame, with tabs between them.
fn dissected(frames: &[Vec<u8>], fields: &[&str]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("caught.pcap");
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 1 << 18, 1] {
        file.extend(word.to_ne_bytes());
    }
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [0, 0, length, length] {
            file.extend(word.to_ne_bytes());
        }
        file.extend(frame);
    }
    fs::write(&path, file).unwrap();
    let mut tshark = Command::new("tshark");
    tshark.arg("-n").arg("-r").arg(&path).arg("-X");
    tshark.arg(format!("lua_script:{}", repository().join("it/fixtures/gue.lua").display()));
    tshark.args([
        "-o",
        "ip.check_checksum:TRUE",
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "udp.check_checksum:TRUE",
    ]);
    tshark.args(["-T", "fields"]).args(fields.iter().flat_map(|field| ["-e", field]));
    let told = Ran::from(tshark.output().unwrap()).success().unwrap();
    told.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

const ALL: &str = "mirror_rules = { 0 = {} }";

fn targets(encapsulation: &str, collector: &str, rest: &str) -> String {
    format!(
        "{ALL}\nmirror_targets = {{ 0 = {{ encapsulation = \"{encapsulation}\", collector = \"{collector}\"{rest} }} }}"
    )
}

const COLLECTORS: [&str; 2] = ["10.213.9.9", "fd00::10:213:9:9"];

/// Each tunnel: its name, its headers as tshark names them, the field of its network and what that is for 7, and its bytes.
const TUNNELS: [(&str, &str, &str, &str, usize); 4] = [
    ("vxlan", "udp:vxlan", "vxlan.vni", "7", 16),
    ("geneve", "udp:geneve", "geneve.vni", "0x000007", 16),
    ("gre", "gre", "gre.key", "0x00000007", 8),
    ("gue", "udp:gue:gre", "gre.key", "0x00000007", 20),
];

#[test]
fn tshark_finds_in_each_tunnel_the_frames_that_came() {
    let Some(street) = Street::new() else { return };
    let sent = kinds();
    for (name, headers, network, seven, _) in TUNNELS {
        for collector in COLLECTORS {
            street.mirror(&targets(name, collector, ", vni = 7"), &["here0/ingress"]);
            let caught = copies(&street.far, &street.collector, &sent, sent.len());
            let read = dissected(&caught, &["frame.protocols", network, "ip.checksum.status", "udp.length"]);
            assert_eq!(caught.len(), sent.len(), "{name} to {collector}: {read:?}");
            let ip = if collector.contains(':') { "ipv6" } else { "ip" };
            let wanted = format!("eth:ethertype:{ip}:{headers}:eth:ethertype");
            for ((frame, copy), fields) in sent.iter().zip(&caught).zip(&read) {
                assert!(copy.ends_with(frame), "{name} to {collector}: {}", hex(copy));
                assert!(fields[0].starts_with(&wanted), "{name} to {collector}: {fields:?}");
                assert_eq!(fields[1], seven, "{name} to {collector}");
                // Of the headers outside and within, all that have one.
                assert!(!fields[2].contains('0'), "{name} to {collector}: {fields:?}");
            }
        }
    }
}

#[test]
fn what_an_interface_sends_is_copied_as_well_and_arrives_as_it_was() {
    let Some(street) = Street::new() else { return };
    let sent = kinds();
    for (name, ..) in TUNNELS {
        street.mirror(&targets(name, COLLECTORS[1], ", vni = 7"), &["here0/egress"]);
        let (original, copied) = (Net::on(&street.far).unwrap(), Net::on(&street.collector).unwrap());
        send_frames(&street.here, &sent).unwrap();
        let (original, copied) = (original.caught(sent.len()).unwrap(), copied.caught(sent.len()).unwrap());
        assert_eq!(original, sent, "{name}");
        assert_eq!(copied.len(), sent.len(), "{name}");
        assert!(sent.iter().zip(&copied).all(|(frame, copy)| copy.ends_with(frame)), "{name}");
    }
}

#[test]
fn an_interface_gets_copies_as_they_were_or_cut() {
    let Some(street) = Street::new() else { return };
    let (sent, index) = (kinds(), street.index("out0"));
    for cap in [0, 100] {
        let config =
            format!("{ALL}\nmirror_targets = {{ 0 = {{ interface = {index}, length = \"{cap}B\" }} }}");
        street.mirror(&config, &["here0/ingress", "here0/egress"]);
        for from in [&street.far, &street.here] {
            let caught = copies(from, &street.collector, &sent, sent.len());
            let end = |frame: &Vec<u8>| if cap == 0 { frame.len() } else { frame.len().min(cap) };
            let wanted: Vec<Vec<u8>> = sent.iter().map(|frame| frame[..end(frame)].to_vec()).collect();
            assert_eq!(caught, wanted, "{cap} from {}", from.interface);
        }
    }
}

#[test]
fn copies_are_cut_to_their_length_and_to_what_the_way_takes() {
    let Some(street) = Street::new() else { return };
    let long = frame(&format!("eth / vlan(id=7) / ipv4 / udp / 0x5a*{}", 1518 - 46));
    for (name, .., tunnel) in TUNNELS {
        street.mirror(&targets(name, COLLECTORS[0], ", vni = 7, length = 100"), &["here0/ingress"]);
        let caught = copies(&street.far, &street.collector, &kinds(), kinds().len());
        assert!(
            kinds().iter().zip(&caught).all(|(frame, copy)| copy.ends_with(&frame[..frame.len().min(100)]))
        );
        assert!(caught.iter().all(|copy| copy.len() <= 34 + tunnel + 100), "{name}");
        let cut = kinds().iter().filter(|frame| frame.len() > 100).count();
        assert_eq!(street.counts("send", "mirror_sent", 0)["cut"], cut as u64, "{name}");
        // 1500 bytes are the most that IP has on an Ethernet.
        street.mirror(&targets(name, COLLECTORS[0], ", vni = 7"), &["here0/ingress"]);
        let caught = copies(&street.far, &street.collector, std::slice::from_ref(&long), 1);
        assert_eq!(caught.len(), 1, "{name}");
        assert_eq!(caught[0].len(), 1514, "{name}");
        assert!(caught[0].ends_with(&long[..1514 - 34 - tunnel]), "{name}");
        street.node.l3af(&["stop", "--all"]).unwrap();
    }
}

#[test]
fn rules_choose_by_addresses_ports_protocol_and_tag_and_the_first_that_fits_counts() {
    let Some(street) = Street::new() else { return };
    let config = "mirror_targets = { 5 = { encapsulation = \"vxlan\", collector = \"10.213.9.9\" } }
[deployment.config.mirror_rules]
0 = { action = \"skip\", protocol = \"udp\", first_destination_port = 53, last_destination_port = 53, destination_ipv4 = \"192.0.2.128/25\" }
1 = { protocol = \"udp\", first_destination_port = 50, last_destination_port = 59, target = 5 }
2 = { source_ipv4 = \"198.51.100.0/24\", destination_ipv4 = \"203.0.113.7/32\", both_ways = true, target = 5 }
3 = { source_ipv6 = \"2001:db8:7::/48\", target = 5 }
4 = { vlan = 7, protocol = \"tcp\", target = 5 }
5 = { protocol = 132, target = 5 }
7 = { target = 5 }";
    street.mirror(config, &["here0/ingress"]);
    let chosen: &[(&str, Option<u32>)] = &[
        ("eth / ipv4(dst=192.0.2.129) / udp(dport=53)", Some(0)),
        ("eth / ipv4(dst=192.0.2.127) / udp(dport=53)", Some(1)),
        ("eth / ipv6 / udp(dport=59)", Some(1)),
        ("eth / ipv6 / udp(dport=60)", None),
        ("eth / ipv4 / tcp(dport=53)", None),
        ("eth / ipv4(src=198.51.100.255, dst=203.0.113.7) / tcp", Some(2)),
        ("eth / ipv4(src=203.0.113.7, dst=198.51.100.1) / icmp", Some(2)),
        ("eth / ipv4(src=203.0.113.6, dst=198.51.100.1) / icmp", None),
        ("eth / ipv6(src=2001:db8:7:ffff::1) / tcp", Some(3)),
        ("eth / ipv6(src=2001:db8:8::1) / tcp", None),
        ("eth / vlan(id=7) / ipv4 / tcp", Some(4)),
        ("eth / vlan(id=8) / ipv4 / tcp", None),
        ("eth / ipv4(proto=132) / 0x00*12", Some(5)),
        // A later fragment has no port.
        ("eth / ipv4(offset=9, proto=udp) / 0x0035003500100000 / 0x00*8", None),
    ];
    let sent: Vec<Vec<u8>> = chosen.iter().map(|(text, _)| frame(text)).collect();
    let wanted = chosen.iter().zip(&sent).filter(|((_, rule), _)| rule.is_some_and(|rule| rule != 0));
    let wanted: Vec<&Vec<u8>> = wanted.map(|(_, frame)| frame).collect();
    let caught = copies(&street.far, &street.collector, &sent, wanted.len());
    assert_eq!(caught.len(), wanted.len());
    assert!(wanted.iter().zip(&caught).all(|(frame, copy)| copy.ends_with(frame)));
    for rule in 0..8 {
        let fit = chosen.iter().filter(|(_, fits)| *fits == Some(rule)).count() as u64;
        let counts = street.counts("m0", "mirror_counts", rule);
        assert_eq!((counts["matched"], counts["copied"]), (fit, if rule == 0 { 0 } else { fit }), "{rule}");
    }
}

#[test]
fn a_share_of_packets_or_of_whole_flows_is_copied() {
    const FLOWS: usize = 600;
    let Some(street) = Street::new() else { return };
    let rule = |of: &str| {
        let rule = format!("mirror_rules = {{ 0 = {{ sample = 4, sample_of = \"{of}\" }} }}");
        targets("geneve", COLLECTORS[0], "").replace(ALL, &rule)
    };
    let flow = |number: usize| {
        let (port, back) = (2000 + number, number % 2 == 1);
        let there =
            format!("eth / ipv4(src=192.0.2.1, dst=192.0.2.2) / udp(sport={port}, dport=99) / 0x00*8");
        let answer =
            format!("eth / ipv4(src=192.0.2.2, dst=192.0.2.1) / udp(sport=99, dport={port}) / 0x00*8");
        [frame(&there), frame(if back { &answer } else { &there })]
    };
    let sent: Vec<Vec<u8>> = (0..FLOWS).flat_map(flow).collect();
    // One in four of so many, and no further from that than five standard deviations.
    let near = |found: usize, of: usize| {
        let off = (4 * found).abs_diff(of);
        off * off < 25 * 3 * of
    };
    street.mirror(&rule("flows"), &["here0/ingress"]);
    let caught = copies(&street.far, &street.collector, &sent, sent.len() / 8);
    let mut flows = BTreeMap::<Vec<u8>, usize>::new();
    for copy in &caught {
        let mut ports = [copy[copy.len() - 16..][..2].to_vec(), copy[copy.len() - 14..][..2].to_vec()];
        ports.sort();
        *flows.entry(ports.concat()).or_default() += 1;
    }
    assert!(flows.values().all(|packets| *packets == 2), "{flows:?}");
    assert!(near(flows.len(), FLOWS), "{}", flows.len());
    street.mirror(&rule("packets"), &["here0/ingress"]);
    let before = street.counts("m0", "mirror_counts", 0);
    let caught = copies(&street.far, &street.collector, &sent, sent.len() / 8);
    assert!(near(caught.len(), sent.len()), "{}", caught.len());
    let counts = street.counts("m0", "mirror_counts", 0);
    let grown = |name: &str| counts[name] - before[name];
    assert_eq!(grown("matched"), sent.len() as u64);
    assert_eq!((grown("copied"), grown("failed")), (caught.len() as u64, 0));
    assert_eq!(grown("sampled_out"), (sent.len() - caught.len()) as u64);
}

#[test]
fn copies_that_pass_a_mirrored_interface_are_not_copied_again() {
    let Some(street) = Street::new() else { return };
    let hooks = ["here0/ingress", "here0/egress", "out0/egress", "out0/ingress"];
    for (name, ..) in TUNNELS {
        street.mirror(&targets(name, COLLECTORS[0], ""), &hooks);
        let sent = kinds();
        // Nobody listens there, so each copy may be answered by an error that comes back through a mirrored interface.
        let caught = copies(&street.far, &street.collector, &sent, sent.len());
        assert_eq!(caught.len(), sent.len(), "{name}");
        let counts = street.counts("m2", "mirror_counts", 0);
        assert_eq!(counts["failed"], 0, "{name}: {counts:?}");
        // The same when the mark is lost: copies that come by are known by where they go, and errors by what they are about.
        let own = counts["own"];
        let copy = &caught[0];
        let error =
            [&frame("eth / ipv4(proto=icmp, len=64) / icmp(type=unreachable)")[..], &copy[14..50]].concat();
        let again = copies(&street.far, &street.collector, &[copy.clone(), error], 0);
        assert_eq!(again.len(), 0, "{name}");
        assert_eq!(street.counts("m0", "mirror_counts", 0)["own"], own + 2, "{name}");
        street.node.l3af(&["stop", "--all"]).unwrap();
    }
}

/// Sends bytes from one side to the other, and as many back.
fn exchange(from: &Side, to: &Side, count: usize) {
    let address = format!("{}:5201", to.address);
    let listener = to.inside({
        let address = address.clone();
        move || TcpListener::bind(address)
    });
    let listener = listener.unwrap().unwrap();
    let data: Vec<u8> = (0..count).map(|number| number.to_le_bytes()[0]).collect();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut received = vec![0; count];
        stream.read_exact(&mut received).unwrap();
        stream.write_all(&received).unwrap();
    });
    let mut stream = from.inside(move || TcpStream::connect(address)).unwrap().unwrap();
    stream.write_all(&data).unwrap();
    let mut received = vec![0; count];
    stream.read_exact(&mut received).unwrap();
    assert!(received == data, "what came back is what was sent");
    echo.join().unwrap();
}

/// How many bytes segments have without a gap, of which some may have been sent again.
fn whole(mut segments: Vec<(usize, usize)>) -> usize {
    segments.sort_unstable();
    // Number 0 is the SYN.
    let end = |end: usize, (at, length): (usize, usize)| if at <= end { end.max(at + length) } else { end };
    segments.into_iter().fold(1, end) - 1
}

#[test]
fn a_connection_is_unharmed_and_its_copies_are_whole_when_the_kernel_cuts_segments() {
    const BYTES: usize = 400_000;
    let Some(street) = Street::new() else { return };
    // As a card would that knows no tunnels: the kernel cuts and sums up what it sends there.
    run_in(&street.here.namespace, "ip link set out0 gso_max_size 2000").unwrap();
    // Single segments have room for the tunnel as well.
    for side in [&street.far, &street.here] {
        run_in(&side.namespace, &format!("ip link set {} mtu 1400", side.interface)).unwrap();
    }
    let out = Side {
        namespace: street.here.namespace.clone(),
        interface: "out0".to_owned(),
        address: String::new(),
    };
    no_offload(&out).unwrap();
    for (name, ..) in TUNNELS {
        street.mirror(&targets(name, COLLECTORS[0], ", vni = 7"), &["here0/ingress", "here0/egress"]);
        let net = Net::on(&street.collector).unwrap();
        exchange(&street.far, &street.here, BYTES);
        let caught = net.caught(2 * BYTES / 1400).unwrap();
        assert_eq!(street.counts("send", "mirror_sent", 0)["cut"], 0, "{name}");
        assert!(caught.iter().all(|copy| copy.len() <= 1514), "{name}");
        let fields = ["ip.src", "tcp.seq", "tcp.len", "tcp.checksum.status", "ip.checksum.status"];
        let mut bytes = BTreeMap::<String, Vec<(usize, usize)>>::new();
        for (read, copy) in dissected(&caught, &fields).into_iter().zip(&caught) {
            let source = read[0].split(',').next_back().unwrap().to_owned();
            assert!(read[3..] == ["1", "1,1"], "{name}: {read:?} of {}", hex(copy));
            bytes.entry(source).or_default().push((read[1].parse().unwrap(), read[2].parse().unwrap()));
        }
        for side in [&street.far, &street.here] {
            let parts = bytes.remove(&side.address).unwrap();
            assert_eq!(whole(parts), BYTES, "{name} from {}", side.address);
        }
    }
    let errors = street.far.inside(|| fs::read_to_string("/proc/thread-self/net/snmp")).unwrap().unwrap();
    let rows: Vec<&str> = errors.lines().filter_map(|line| line.strip_prefix("Tcp: ")).collect();
    let named = rows[0].split(' ').zip(rows[1].split(' ')).find(|(name, _)| *name == "InCsumErrors");
    assert_eq!(named, Some(("InCsumErrors", "0")));
}

#[test]
fn a_tunnel_of_linux_takes_copies_out() {
    let Some(street) = Street::new() else { return };
    let sent = kinds();
    for (number, collector) in COLLECTORS.into_iter().enumerate() {
        let vni = 7 + number;
        street.mirror(&targets("vxlan", collector, &format!(", vni = {vni}")), &["here0/ingress"]);
        let end = Side { interface: format!("end{vni}"), ..street.collector.clone() };
        let add = format!("ip link add {} type vxlan id {vni} dstport 4789 local {collector}", end.interface);
        let add = if number == 1 { format!("{add} udp6zerocsumrx") } else { add };
        run_in(&end.namespace, &add).unwrap();
        run_in(&end.namespace, &format!("ip link set {} up", end.interface)).unwrap();
        assert_eq!(copies(&street.far, &end, &sent, sent.len()), sent, "{collector}");
    }
}

#[test]
fn copies_without_a_target_or_a_way_are_counted_and_packets_go_on() {
    let Some(street) = Street::new() else { return };
    let sent = kinds();
    let ping = || run_in(&street.far.namespace, "ping -c 3 -i 0.01 -W 2 -q 10.213.8.2").unwrap();
    let gone = format!("{ALL}\nmirror_targets = {{ 0 = {{ interface = 9999 }} }}");
    for config in [ALL, &gone] {
        street.mirror(config, &["here0/ingress", "here0/egress"]);
        assert!(ping().contains(" 3 received"));
        assert_eq!(copies(&street.far, &street.collector, &sent, 0).len(), 0);
        let counts = street.counts("m0", "mirror_counts", 0);
        assert!(counts["failed"] >= sent.len() as u64 && counts["copied"] == 0, "{counts:?}");
    }
    street.mirror(&targets("vxlan", "198.51.100.77", ""), &["here0/ingress", "here0/egress"]);
    assert!(ping().contains(" 3 received"));
    assert!(street.counts("send", "mirror_sent", 0)["unroutable"] >= 6);
    // An interface that is named needs no route, and a source that is named is taken.
    let index = street.index("out0");
    let named = format!(", interface = {index}, source = \"10.213.9.2\", port = 9999");
    street.mirror(&targets("vxlan", COLLECTORS[0], &named), &["here0/ingress"]);
    let caught = copies(&street.far, &street.collector, &sent, sent.len());
    let read = dissected(&caught, &["ip.src", "udp.dstport"]);
    assert_eq!(read.len(), sent.len());
    assert!(read.iter().all(|fields| fields[0] == "10.213.9.2" && fields[1] == "9999"), "{read:?}");
}

#[test]
fn what_is_out_of_bounds_is_refused_before_it_reaches_a_map() {
    let Some(street) = Street::new() else { return };
    for (config, place) in [
        ("mirror_rules = { 0 = { target = 8 } }", "/mirror_rules/0/target"),
        ("mirror_rules = { 0 = { sample = 0 } }", "/mirror_rules/0/sample"),
        ("mirror_rules = { 0 = { vlan = 4095 } }", "/mirror_rules/0/vlan"),
        ("mirror_rules = { 0 = { source_ipv4 = \"192.0.2.0/33\" } }", "/mirror_rules/0/source_ipv4"),
        ("mirror_rules = { 0 = { first_source_port = 65536 } }", "/mirror_rules/0/first_source_port"),
        ("mirror_rules = { 64 = {} }", "/mirror_rules/64"),
        ("mirror_targets = { 8 = {} }", "/mirror_targets/8"),
        ("mirror_targets = { 0 = { vni = 16777216 } }", "/mirror_targets/0/vni"),
        ("mirror_targets = { 0 = { encapsulation = \"ipip\" } }", "/mirror_targets/0/encapsulation"),
        ("mirror_targets = { 0 = { length = \"64KiB\" } }", "/mirror_targets/0/length"),
        ("copy_mark = 7", "/copy_mark"),
    ] {
        let ran = street.node.apply(&Street::document(config, &["here0/ingress"])).unwrap();
        assert!(!ran.ok && ran.stderr.contains(place), "{config}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(street.node.chains().unwrap().len(), 0);
}
