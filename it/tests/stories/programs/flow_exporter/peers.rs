// SPDX-License-Identifier: Apache-2.0
//! Collectors of others read the same as was sent, field by field: nfcapd what comes to it, and tshark messages of a capture.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use it::{Node, Pair, frame, run, run_in, send_frames};
use serde_json::Value;

use super::{Got, OURS, Record, accept, apply, document, file, scene, send};
use crate::packages;

/// What a collector tells of a flow, in words, with packets and bytes.
type Told = BTreeMap<String, (u64, u64)>;

fn add(told: &mut Told, flow: String, packets: u64, bytes: u64) {
    if is_neighbours(&flow) {
        return;
    }
    let total = told.entry(flow).or_default();
    *total = (total.0 + packets, total.1 + bytes);
}

/// The collector of nfdump, which is asked to end when it is dropped.
struct Nfcapd(Child);

impl Nfcapd {
    /// Listens for datagrams on the right.
    fn start(pair: &Pair, node: &Node, folder: &Path, port: u16) -> Self {
        fs::create_dir_all(folder).unwrap();
        let said = fs::File::create(folder.with_extension("log")).unwrap();
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", pair.right.namespace))
            .args(["nfcapd", "-b", "127.0.0.1", "-t", "3600", "-p", &port.to_string(), "-w"])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        let log = || fs::read_to_string(folder.with_extension("log")).unwrap();
        node.wait("nfcapd listens", || log().contains("Startup nfcapd"));
        Self(child)
    }

    /// Ends it, so that it writes what it has, and returns what it got.
    fn told(mut self, folder: &Path) -> Told {
        run(&format!("kill -TERM {}", self.0.id())).unwrap();
        self.0.wait().unwrap();
        let said = fs::read_to_string(folder.with_extension("log")).unwrap();
        assert!(said.contains("Bad Packets: 0"), "{said}");
        let read = run(&format!("nfdump -R {} -o json", folder.display())).unwrap();
        let records: Vec<Value> = serde_json::from_str(&read).unwrap();
        let mut told = Told::new();
        for record in &records {
            let number = |name: &str| record[name].as_u64().unwrap_or_default();
            let text = |short: &str, long: &str| {
                record[short].as_str().or(record[long].as_str()).unwrap_or_default().to_owned()
            };
            let (source, destination) = (text("src4_addr", "src6_addr"), text("dst4_addr", "dst6_addr"));
            let ports = match number("proto") {
                1 | 58 => (0, number("icmp_type") << 8 | number("icmp_code")),
                _ => (number("src_port"), number("dst_port")),
            };
            let flow = words(
                (number("proto"), number("src_tos"), number("src_vlan")),
                (&source, ports.0),
                (&destination, ports.1),
                (number("input_snmp"), number("output_snmp"), number("direction")),
            );
            add(&mut told, flow, number("in_packets"), number("in_bytes"));
        }
        told
    }
}

impl Drop for Nfcapd {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn words(
    (protocol, class, vlan): (u64, u64, u64),
    from: (&str, u64),
    to: (&str, u64),
    (input, output, direction): (u64, u64, u64),
) -> String {
    format!(
        "{protocol} {}:{} > {}:{} class {class} vlan {vlan} from {input} to {output} direction {direction}",
        from.0, from.1, to.0, to.1
    )
}

/// What neighbours say to find each other (RFC 4861, RFC 3810), which is nobody's traffic.
fn is_neighbours(flow: &str) -> bool {
    flow.starts_with("58 ") && !flow.contains(":32768 ")
}

/// The same of our own reading.
fn read(got: &Got) -> Told {
    let mut told = Told::new();
    for record in got.records.values() {
        let is = |id: u16| record.values.get(&(0, id)).map_or(0, |_| record.number(0, id));
        let address = |short: u16, long: u16| {
            let bytes = record.values.get(&(0, short)).or(record.values.get(&(0, long))).unwrap();
            match <[u8; 4]>::try_from(&bytes[..]) {
                Ok(bytes) => std::net::Ipv4Addr::from(bytes).to_string(),
                Err(_) => std::net::Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[..]).unwrap()).to_string(),
            }
        };
        let flow = words(
            (is(4), is(5), is(58)),
            (&address(8, 27), is(7)),
            (&address(12, 28), is(11) + is(32) + is(139)),
            (is(10), is(14), is(61)),
        );
        add(&mut told, flow, is(2), is(1));
    }
    told
}

/// A capture of datagrams with these messages: a pcap of bare packets of IP (link type 101).
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut pcap = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101] {
        pcap.extend(word.to_ne_bytes());
    }
    for message in messages {
        let udp = u16::try_from(message.len() + 8).unwrap();
        let length = u32::from(udp) + 20;
        for word in [0, 0, length, length] {
            pcap.extend(word.to_ne_bytes());
        }
        pcap.extend([0x45, 0]);
        pcap.extend((udp + 20).to_be_bytes());
        pcap.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        for word in [40_000, 4739, udp, 0] {
            pcap.extend(word.to_be_bytes());
        }
        pcap.extend(message);
    }
    pcap
}

/// What tshark tells of each data record: the names of fields, and what they are.
fn dissect(messages: &[Vec<u8>]) -> Vec<BTreeMap<String, String>> {
    let path = file("ipfix.pcap");
    fs::write(&path, capture(messages)).unwrap();
    let read = run(&format!("tshark -n -V -r {}", path.display())).unwrap();
    assert!(!read.contains("Malformed Packet") && !read.contains("Expert Info (Error"), "{read}");
    let mut records: Vec<BTreeMap<String, String>> = Vec::new();
    let mut is_record = false;
    for line in read.lines().map(str::trim) {
        if line.starts_with("Flow ") && line.as_bytes()[5].is_ascii_digit() {
            records.push(BTreeMap::new());
            is_record = true;
        } else if line.starts_with("Set ") || line.starts_with("Frame ") {
            is_record = false;
        } else if let (true, Some((name, value))) = (is_record, line.split_once(": ")) {
            // Fields of an enterprise all begin alike, and then say which they are.
            let (name, value) = match value.split_once(": ") {
                Some((which, value)) if name.starts_with("Enterprise Private") => (which, value),
                _ => (name, value),
            };
            records.last_mut().unwrap().entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    records
}

/// A field of what tshark tells, of which there is the number only.
fn number(record: &BTreeMap<String, String>, name: &str) -> u64 {
    let value = record.get(name).map_or("0", String::as_str);
    let value = value.rsplit_once('(').map_or(value, |(_, number)| number.trim_end_matches(')'));
    let digits = value.split([' ', ',']).next().unwrap_or_default();
    let number = digits.strip_prefix("0x").map_or_else(|| digits.parse(), |hex| u64::from_str_radix(hex, 16));
    number.unwrap_or_else(|_| panic!("`{name}` is `{value}`"))
}

/// What tshark says of an element of ours.
fn ours(record: &BTreeMap<String, String>, id: u16) -> Option<&str> {
    let name = format!("(Example Enterprise Number for Documentation Use) Type {id}");
    let value = record.get(&name)?;
    Some(value.strip_prefix("Value (hex bytes): ").unwrap_or(value))
}

/// What tshark reads of a record is what we read.
fn compare(record: &Record, told: &BTreeMap<String, String>) {
    let ports: &[(&str, u16)] = match record.template {
        256 | 257 => &[("SrcPort", 7), ("DstPort", 11), ("TCP Flags", 6)],
        258 => &[("ICMP Type", 32)],
        // tshark tells both bytes apart.
        _ => {
            let kind = number(told, "IPv6 ICMP Type") << 8 | number(told, "IPv6 ICMP Code");
            assert_eq!(kind, record.number(0, 139), "{told:?}");
            &[]
        }
    };
    let all = [
        ("Octets", 1),
        ("Packets", 2),
        ("Protocol", 4),
        ("IP ToS", 5),
        ("InputInt", 10),
        ("OutputInt", 14),
        ("Vlan Id", 58),
        ("IPVersion", 60),
        ("Direction", 61),
        ("Dropped Octets", 132),
        ("Dropped Packets", 133),
        ("Flow End Reason", 136),
        ("Selector Id", 302),
    ];
    for (name, id) in ports.iter().chain(&all) {
        assert_eq!(number(told, name), record.number(0, *id), "{name} of {told:?}");
    }
    for id in 1..=5_u16 {
        let bytes = &record.values[&(OURS, id)];
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        // An empty text has no line.
        assert_eq!(ours(told, id).unwrap_or_default(), hex.join(" "), "{id} of {told:?}");
    }
    assert!(told.contains_key("StartTime") && told.contains_key("EndTime"), "{told:?}");
}

/// Sends so many datagrams of 50 bytes in frames of the VLAN 7, as they are: not every kernel has devices for that.
fn send_tagged(pair: &Pair, count: usize) {
    let text = "eth / vlan(id=7, priority=7) / ipv4(src=10.214.7.1, dst=10.214.7.2) / udp(sport=33333, dport=9) / 0x00*50";
    send_frames(&pair.left, vec![frame(text).unwrap(); count]).unwrap();
}

/// Everything that these stories know how to send.
fn traffic(pair: &Pair) {
    send(pair, "10.213.7.1:11111", "10.213.7.2:9", 10, 100);
    send(pair, "[fd00:7::1]:22222", "[fd00:7::2]:9", 5, 1000);
    send_tagged(pair, 7);
    for (count, to) in [(3, "-Q 184 10.213.7.2"), (2, "fd00:7::2")] {
        run_in(&pair.left.namespace, &format!("ping -q -i 0.01 -W 5 -c {count} {to}")).unwrap();
    }
    let listener = pair.right.inside(|| TcpListener::bind("10.213.7.2:8080")).unwrap().unwrap();
    let sent = pair.left.inside(|| TcpStream::connect("10.213.7.2:8080")?.write_all(&vec![0; 100_000]));
    sent.unwrap().unwrap();
    std::io::copy(&mut accept(&listener), &mut std::io::sink()).unwrap();
}

#[test]
fn nfdump_and_tshark_read_field_by_field_what_was_sent() {
    const NFCAPD: u16 = 9995;
    let Some((pair, node)) = scene() else { return };
    let folder = file("nfcapd");
    let nfcapd = Nfcapd::start(&pair, &node, &folder, NFCAPD);
    let listener = pair.right.inside(|| TcpListener::bind("127.0.0.1:0")).unwrap().unwrap();
    let port = listener.local_addr().unwrap().port();
    // Two collectors are two deployments; one gets datagrams, the other one has a connection.
    let common = "collector = \"127.0.0.1\", idle_timeout = 1, active_timeout = 60";
    let package = packages().program("flow-exporter").unwrap();
    let members = "{ name = \"flows\", program = \"flows_ingress\" }, \
                   { name = \"again\", program = \"flows_ingress\" }";
    let again = format!(
        "[[deployment]]\nname = \"again\"\npackage = \"{package}\"\n\
         config = {{ {common}, collector_port = {port}, collector_transport = \"tcp\", observation_domain = 2 }}\n"
    );
    let first = document(&format!("{common}, collector_port = {NFCAPD}"), members);
    apply(&node, &(again + &first));
    let mut stream = accept(&listener);
    traffic(&pair);
    let mut got = Got::default();
    got.stream(&mut stream, "all is told of", |got| {
        let told = read(got);
        told.keys().any(|flow| flow.starts_with("6 ")) && told.len() >= 6
    });
    // Who is asked to end tells of the rest.
    node.l3af(&["stop", "--all"]).unwrap();
    got.rest(&mut stream);
    let told = read(&got);
    let links = run_in(&pair.right.namespace, "ip -j link show right0").unwrap();
    let links: Value = serde_json::from_str(&links).unwrap();
    let place = format!("from {} to 0 direction 0", links[0]["ifindex"]);
    for (flow, total) in [
        ("17 10.213.7.1:11111 > 10.213.7.2:9 class 0 vlan 0", (10, 1280)),
        ("17 fd00:7::1:22222 > fd00:7::2:9 class 0 vlan 0", (5, 5240)),
        ("17 10.214.7.1:33333 > 10.214.7.2:9 class 0 vlan 7", (7, 546)),
        ("1 10.213.7.1:0 > 10.213.7.2:2048 class 184 vlan 0", (3, 252)),
        ("58 fd00:7::1:0 > fd00:7::2:32768 class 0 vlan 0", (2, 208)),
    ] {
        assert_eq!(told.get(&format!("{flow} {place}")), Some(&total), "{flow}: {told:?}");
    }
    assert_eq!(nfcapd.told(&folder), told);

    let dissected = dissect(&got.raw);
    let mut by_number = BTreeMap::new();
    for record in &dissected {
        if let Some(hex) = ours(record, 5) {
            by_number.insert(u64::from_str_radix(&hex.replace(' ', ""), 16).unwrap(), record);
        }
    }
    assert!(by_number.keys().eq(got.records.keys()), "{:?}", by_number.keys());
    for (number, record) in &got.records {
        compare(record, by_number[number]);
    }
    // What our elements are, tshark reads too.
    let typed = |name: &str, value: &str| {
        dissected.iter().any(|record| record.get(name).is_some_and(|is| is == value))
    };
    assert!(typed("Information Element Name", "decidingMember"), "{dissected:?}");
    assert!(typed("Sampling Packet Space", "0"), "{dissected:?}");
}
