// SPDX-License-Identifier: Apache-2.0
//! Packets that attack: a generated corpus, against every package for packets.
//!
//! Packages are found in `programs/`. What each promises, and how it is tried, stands in [`PROMISES`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

use ::package::{Config, HookPoint, Manifest, Package, PackagePlatform, Platform};
use ::package::{ProceedSet, ProgramKind, ProgramSpec};
use it::attacks::attacks;
use it::{Pair, fill};
use kernel::{Candidate, PacketContext, Stand, Stood, Terms};
use maps::Interface;
use packet::Packet;
use plan::{Buffers, Configuration};
use wire::Layout;

use crate::packages;

/// What a package promises.
struct Promise {
    package: &'static str,
    /// The verdicts that its README states.
    verdicts: &'static [&'static str],
    /// Whether packets that go on are as they were.
    leaves_what_goes_on: bool,
    /// Whether a verdict depends on nothing but the packet.
    is_stateless: bool,
    /// Configurations that it is tried with, besides none at all: together they switch everything on. Of each, a program takes what it
    /// has.
    configs: &'static [&'static str],
    /// What the maps that its user part fills hold: a map, and an entry in which `{number}` counts up to so many.
    entries: &'static [(&'static str, u32, &'static str)],
    /// For TC: the marks of packets, in turn.
    marks: &'static [u32],
}

/// Of whom nothing more is said.
const PLAIN: Promise = Promise {
    package: "",
    verdicts: &[],
    leaves_what_goes_on: true,
    is_stateless: false,
    configs: &[],
    entries: &[],
    marks: &[0],
};

const PROMISES: &[Promise] = &[
    Promise {
        package: "connlimit",
        verdicts: &["pass", "drop", "unspec"],
        configs: &[
            r#"{"connections_per_source": 2, "connections_per_service": 3, "source_bits_ipv4": 31, "source_bits_ipv6": 128,
                "count_handshakes": false, "idle_seconds": 1, "half_closed_seconds": 1, "close_seconds": 1}"#,
            r#"{"source_limits_ipv4": {"192.0.2.0/24": 1, "127.0.0.0/8": 0}, "source_limits_ipv6": {"2001:db8::/32": 1},
                "port_limits": {"80": 1, "443": 0}, "service_limits": [{"key": {"address": "192.0.2.2", "port": 80}, "value": 0}]}"#,
        ],
        ..PLAIN
    },
    Promise {
        package: "ddos-guard",
        verdicts: &["pass", "drop", "tx"],
        configs: &[
            r#"{"check_bogons": true, "drop_fragments": true, "amplifiers": {"0": 1, "53": 9, "49152": 65527},
                "senders_ipv4": {"127.0.0.0/8": "allow", "192.0.2.2": "block"}, "senders_ipv6": {"2001:db8::2": "block"},
                "feed": {"0": "a"}, "hosts_ipv4_a": {"0.0.0.0": "allow"}, "hosts_ipv6_a": {"::1": "block"},
                "networks_ipv4_a": {"224.0.0.0/4": "block"}, "networks_ipv6_a": {"ff00::/8": "allow"}}"#,
            r#"{"feed": {"0": "b"}, "hosts_ipv4_b": {"192.0.2.1": "block"}, "hosts_ipv6_b": {"2001:db8::2": "block"},
                "networks_ipv4_b": {"0.0.0.0/0": "allow"}, "networks_ipv6_b": {"::/0": "block"}}"#,
            r#"{"block_packets_per_second": 2000, "block_bytes_per_second": 500000, "block_syns_per_second": 500,
                "block_seconds": 1, "block_ipv4_bits": 24, "block_ipv6_bits": 128}"#,
            r#"{"check_header": false, "check_fragments": false, "check_flags": false, "check_ports": false, "check_land": false,
                "check_martians": false, "check_sockets": false, "syn_proxy": true, "syn_proxy_options": true,
                "syn_proxy_window_scale": 14, "syn_proxy_ipv4_mss": 536, "syn_proxy_ipv6_mss": 65475,
                "protected_ports": {"80": 1, "0": 1}, "protected_ipv4": {"0.0.0.0/0": true}, "protected_ipv6": {"::/0": true}}"#,
            r#"{"check_cookies": true, "syn_proxy": true,
                "protected_ports": {"80": 1}, "protected_ipv4": {"0.0.0.0/0": true}, "protected_ipv6": {"::/0": true}}"#,
        ],
        ..PLAIN
    },
    Promise {
        package: "flow-exporter",
        verdicts: &["unspec"],
        is_stateless: true,
        configs: &[
            r#"{"checkpoints": 4, "position": 4}"#,
            r#"{"checkpoints": 1, "position": 1, "sampling_one_in": 2, "sampling_random": true}"#,
        ],
        ..PLAIN
    },
    Promise {
        package: "load-balancer",
        verdicts: &["pass", "drop", "tx"],
        configs: &[
            r#"{"next_hop_mac": "02:00:00:00:00:fe", "connection_affinity": 1, "datagram_affinity": 1, "hash_seed": 7}"#,
        ],
        entries: &[
            (
                "services",
                1,
                r#"{"key": {"address": "192.0.2.2", "port": 80, "protocol": "tcp"}, "value": {"pool": 0}}"#,
            ),
            (
                "services",
                1,
                r#"{"key": {"address": "2001:db8::2", "port": 80, "protocol": "tcp"}, "value": {"pool": 0}}"#,
            ),
            (
                "services",
                1,
                r#"{"key": {"address": "192.0.2.2", "port": 53, "protocol": "udp"}, "value": {"pool": 0}}"#,
            ),
            (
                "services",
                1,
                r#"{"key": {"address": "2001:db8::2", "port": 53, "protocol": "udp"}, "value": {"pool": 1}}"#,
            ),
            // Tunnels over both families, and slots that changed since their flows began.
            (
                "targets",
                2,
                r#"{"key": {number}, "value": {"address": "10.0.0.1", "source": "10.0.0.9", "state": "open",
                    "encapsulation": "ipip", "incarnation": 0}}"#,
            ),
            (
                "targets",
                1,
                r#"{"key": 2, "value": {"address": "2001:db8:1::1", "source": "2001:db8:1::9", "state": "drains",
                    "encapsulation": "gue", "incarnation": 0}}"#,
            ),
            ("pools", 1, r#"{"key": 0, "value": {"table": 0, "generation": 1}}"#),
            (
                "tables",
                8193,
                r#"{"key": {number}, "value": {"slots": [{"now": 1}, {"now": 1, "before": 2, "changed_s": 4294967295}, {"now": 2},
                    {"now": 1, "before": 65535, "changed_s": 4294967295}, {"now": 0}, {"now": 1, "before": 2, "changed_s": 1},
                    {"now": 1}, {"now": 1023}]}}"#,
            ),
        ],
        ..PLAIN
    },
    Promise {
        package: "ratelimit",
        verdicts: &["pass", "drop"],
        configs: &[
            r#"{"connections_per_second": 0}"#,
            r#"{"connections_per_second": 1, "burst": 1}"#,
            r#"{"per": "source", "packets_per_second": 1, "packet_burst": 1, "bytes_per_second": 1000, "byte_burst": 1000,
                "source_bits_ipv4": 1, "source_bits_ipv6": 127, "talkers_sample": 1}"#,
            r#"{"first_port": 1, "last_port": 80, "protocol": "tcp", "packets_per_second": 1}"#,
        ],
        ..PLAIN
    },
    Promise {
        package: "sanity",
        verdicts: &["pass", "drop"],
        is_stateless: true,
        configs: &[
            r#"{"check_header": false}"#,
            r#"{"check_fragments": false, "check_flags": false, "check_ports": false, "check_land": false}"#,
        ],
        ..PLAIN
    },
    Promise {
        package: "traffic-mirror",
        verdicts: &["unspec", "redirect", "shot"],
        is_stateless: true,
        configs: &[r#"{"mirror_rules": {
                "0": {"protocol": "udp", "first_destination_port": 1, "last_destination_port": 52, "action": "skip"},
                "1": {"vlan": 7, "both_ways": true, "source_ipv4": "192.0.2.2", "sample": 3, "target": 1},
                "2": {"source_ipv6": "2001:db8::/127", "sample": 2, "sample_of": "flows", "target": 5},
                "3": {}},
              "mirror_targets": {
                "0": {"encapsulation": "vxlan", "collector": "192.0.2.2", "source": "192.0.2.8", "interface": 1, "vni": 7},
                "1": {"encapsulation": "geneve", "collector": "2001:db8::2", "source": "2001:db8::8", "interface": 1},
                "2": {"encapsulation": "gre", "collector": "192.0.2.9", "source": "192.0.2.8", "interface": 1, "length": 64},
                "3": {"encapsulation": "gue", "collector": "2001:db8::9", "vni": 7, "interface": 1, "length": 200},
                "4": {"interface": 1, "length": 1},
                "5": {"encapsulation": "gue", "collector": "2001:db8::9"}}}"#],
        // What is no copy, and copies for each target and one that is not there.
        marks: &[
            0,
            0x4d49_5200,
            0x4d49_5201,
            0x4d49_5202,
            0x4d49_5203,
            0x4d49_5204,
            0x4d49_5205,
            0x4d49_5206,
        ],
        ..PLAIN
    },
];

fn promise_of(package: &str) -> &'static Promise {
    let found = PROMISES.iter().find(|promise| promise.package == package);
    found.unwrap_or_else(|| panic!("what `{package}` promises is not said: add it to `PROMISES`"))
}

/// The names of the packages whose programs meet packets, and that this kernel is new enough for.
fn for_packets() -> Vec<String> {
    let folders = fs::read_dir(it::repository().join("programs")).unwrap();
    let manifests = folders.filter_map(|folder| {
        let text = fs::read_to_string(folder.unwrap().path().join("package.toml")).ok()?;
        Some(Manifest::parse(&text).unwrap())
    });
    let chosen = manifests.filter(|manifest| {
        manifest.programs.iter().any(|program| point(program).is_some())
            && manifest.kernel.min <= crate::kernel()
    });
    let mut names: Vec<String> = chosen.map(|manifest| manifest.package.name.to_string()).collect();
    names.sort();
    names
}

fn point(program: &ProgramSpec) -> Option<HookPoint> {
    match program.hook {
        ProgramKind::Chain(point) => Some(point),
        ProgramKind::Probe(_) => None,
    }
}

/// A program of a package, with a configuration.
struct Tried<'a> {
    manifest: &'a Manifest,
    files: &'a PackagePlatform,
    program: &'a ProgramSpec,
    point: HookPoint,
    interface: &'a Interface,
    configuration: Configuration,
    promise: &'static Promise,
}

impl Tried<'_> {
    /// Loads it as it is, with what its maps hold.
    fn stand(&self) -> Stand {
        let candidate = Candidate {
            point: self.point,
            object: self.files.object(self.program),
            function: self.program.function.clone(),
        };
        let terms = Terms {
            package: &self.manifest.package.name,
            constants: &self.configuration.constants,
            configured: &self.configuration.maps,
            buffers: Buffers::One,
        };
        let stand = Stand::alone(&candidate, &terms).unwrap();
        for (map, count, entry) in self.promise.entries {
            if self.interface.map(map).is_some() {
                let entries = (0..*count).map(|number| entry.replace("{number}", &number.to_string()));
                fill(&stand, self.interface, map, entries).unwrap();
            }
        }
        stand
    }

    /// What it says of each packet; none of one that the kernel does not take: for TC, those that end within the header of IP.
    fn says(&self, packets: &[Vec<u8>]) -> Vec<Option<Stood>> {
        let stand = self.stand();
        let marks = self.promise.marks.iter().cycle();
        let says = packets.iter().zip(marks).map(|(packet, mark)| {
            match stand.run(packet, &PacketContext { mark: *mark, ..PacketContext::default() }) {
                Ok(stood) => Some(stood),
                Err(error) => {
                    let is_cut = packet.len() < 62 && error.kind() == ErrorKind::InvalidInput;
                    assert!(self.point != HookPoint::Xdp && is_cut, "{}: {error}", shown(packet));
                    None
                }
            }
        });
        says.collect()
    }
}

fn shown(packet: &[u8]) -> Packet {
    Packet::of_bytes(packet)
}

/// What is wrong with what a program said of packets. The verdicts are added to those that were `met`.
fn wrongs(tried: &Tried<'_>, packets: &[Vec<u8>], met: &mut BTreeSet<&'static str>) -> Vec<String> {
    let goes_on = tried.program.proceed.clone().unwrap_or_else(|| ProceedSet::default_for(tried.point));
    let (promise, said) = (tried.promise, tried.says(packets));
    let mut wrongs = Vec::new();
    for (packet, stood) in packets.iter().zip(&said) {
        let Some(stood) = stood else { continue };
        let number = stood.verdict.unwrap();
        let verdict = tried.point.verdict(number).map_or("none", |verdict| verdict.name());
        met.insert(verdict);
        if !promise.verdicts.contains(&verdict) {
            wrongs.push(format!("`{verdict}` ({number}) of {}", shown(packet)));
        }
        if promise.leaves_what_goes_on && goes_on.contains(number) && stood.packet != *packet {
            wrongs.push(format!("{} goes on as {}", shown(packet), shown(&stood.packet)));
        }
    }
    if promise.is_stateless && wrongs.is_empty() {
        let again = tried.says(packets);
        let verdict = |stood: &Option<Stood>| stood.as_ref().map(|stood| stood.verdict);
        let pairs = said.iter().zip(&again).zip(packets);
        let differ = pairs.filter(|((one, other), _)| verdict(one) != verdict(other));
        wrongs.extend(differ.map(|(_, packet)| format!("not the same again: {}", shown(packet))));
    }
    wrongs
}

/// What is wrong with each program of a package, by its function and configuration.
fn try_package(path: &str, packets: &[Vec<u8>]) -> BTreeMap<String, Vec<String>> {
    let layout = Layout::open(Path::new(path)).unwrap();
    let package = Package::read(&layout, &layout.index().unwrap()).unwrap();
    let (manifest, name) = (&package.manifest, package.manifest.package.name.as_ref());
    let files = package.for_platform(&Platform::this_machine().unwrap()).unwrap();
    let promise = promise_of(name);
    let configs: Vec<Config> =
        ["{}"].iter().chain(promise.configs).map(|config| serde_json::from_str(config).unwrap()).collect();
    let filled = promise.entries.iter().map(|(map, ..)| (*map).to_owned());
    let mut unknown: BTreeSet<String> =
        configs.iter().flat_map(|config| config.keys().cloned()).chain(filled).collect();
    let (mut found, mut met) = (BTreeMap::new(), BTreeSet::new());
    for program in &manifest.programs {
        let Some(point) = point(program) else { continue };
        let object = (program, files.object(program));
        let interface = &manifest.interface(&program.object, object.1).unwrap();
        let is_known = |name: &str| interface.parameter(name).is_some() || interface.map(name).is_some();
        unknown.retain(|name| !is_known(name));
        for (number, config) in configs.iter().enumerate() {
            // What it has of a configuration of its package.
            let own: Config = config.clone().into_iter().filter(|(name, _)| is_known(name)).collect();
            let configuration = Configuration::settle(manifest, object, own, None).unwrap();
            let tried = Tried { manifest, files, program, point, interface, configuration, promise };
            let place = format!("{name}: {} with configuration {number}", program.function);
            found.insert(place, wrongs(&tried, packets, &mut met));
        }
    }
    let unmet = promise.verdicts.iter().filter(|verdict| !met.contains(*verdict));
    let unmet = unmet.map(|verdict| format!("nothing got `{verdict}`"));
    let unknown = unknown.into_iter().map(|name| format!("it has no `{name}`"));
    found.insert(name.to_owned(), unmet.chain(unknown).collect());
    found
}

#[test]
fn every_package_has_a_verdict_for_every_packet_that_attacks_and_leaves_those_that_go_on() {
    let every = crate::rounds(1, 50);
    let packets: Vec<Vec<u8>> = attacks().unwrap().into_iter().step_by(every).collect();
    let names = for_packets();
    let paths: Vec<String> = names.iter().map(|name| packages().program(name).unwrap()).collect();
    // Copies that programs send in a test go where nobody is.
    let pair = Pair::new().unwrap();
    let tried = pair.right.inside(move || {
        // Somebody listens, so that cookies are looked at.
        let _listener = TcpListener::bind(("0.0.0.0", 80)).unwrap();
        paths.iter().flat_map(|path| try_package(path, &packets)).collect::<Vec<_>>()
    });
    for (place, wrongs) in tried.unwrap() {
        let (count, first) = (wrongs.len(), wrongs.iter().take(10).map(String::as_str));
        assert!(wrongs.is_empty(), "{place}: {count} wrong\n{}", first.collect::<Vec<_>>().join("\n"));
    }
}
