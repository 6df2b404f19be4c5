// SPDX-License-Identifier: Apache-2.0
//! Packets that attack: a generated corpus, against every package for packets.
//!
//! Packages are found in `programs/`. What one promises beyond what all must do stands in [`PROMISES`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use ::package::{Config, HookPoint, Manifest, Package, PackagePlatform, Platform};
use ::package::{ProceedSet, ProgramKind, ProgramSpec};
use it::Pair;
use it::attacks::attacks;
use kernel::{Candidate, PacketContext, Stand, Stood, Terms};
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
    /// For TC: the marks of packets, in turn.
    marks: &'static [u32],
}

const PROMISES: &[Promise] = &[
    Promise {
        package: "ratelimit",
        verdicts: &["pass", "drop"],
        leaves_what_goes_on: true,
        is_stateless: false,
        configs: &[r#"{"connections_per_second": 0}"#, r#"{"connections_per_second": 1, "burst": 1}"#],
        marks: &[0],
    },
    Promise {
        package: "sanity",
        verdicts: &["pass", "drop"],
        leaves_what_goes_on: true,
        is_stateless: true,
        configs: &[
            r#"{"check_header": false}"#,
            r#"{"check_fragments": false, "check_flags": false, "check_ports": false, "check_land": false}"#,
        ],
        marks: &[0],
    },
    Promise {
        package: "traffic-mirror",
        verdicts: &["unspec", "redirect", "shot"],
        leaves_what_goes_on: true,
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
    },
];

/// What every package promises of a hook of which nothing is said.
fn promise_of(package: &str, point: HookPoint) -> Promise {
    let verdicts: &[&str] = match point {
        HookPoint::Xdp => &["pass", "drop", "tx", "redirect"],
        HookPoint::TcIngress | HookPoint::TcEgress => &["unspec", "ok", "pipe", "shot", "redirect"],
    };
    let known = PROMISES.iter().find(|promise| promise.package == package);
    let known = known.map(|known| Promise { ..*known });
    known.unwrap_or(Promise {
        package: "",
        verdicts,
        leaves_what_goes_on: true,
        is_stateless: false,
        configs: &[],
        marks: &[0],
    })
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
    configuration: Configuration,
    marks: &'static [u32],
}

impl Tried<'_> {
    /// Loads it as it is, with empty maps.
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
        Stand::alone(&candidate, &terms).unwrap()
    }

    /// What it says of each packet; none of one that the kernel does not take: for TC, those that end within the header of IP.
    fn says(&self, packets: &[Vec<u8>]) -> Vec<Option<Stood>> {
        let stand = self.stand();
        let marks = self.marks.iter().cycle();
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
fn wrongs(
    tried: &Tried<'_>,
    promise: &Promise,
    packets: &[Vec<u8>],
    met: &mut BTreeSet<&'static str>,
) -> Vec<String> {
    let goes_on = tried.program.proceed.clone().unwrap_or_else(|| ProceedSet::default_for(tried.point));
    let said = tried.says(packets);
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

/// What a program takes of a configuration of its package.
fn config_of(manifest: &Manifest, (program, object): (&ProgramSpec, &[u8]), config: &str) -> Config {
    let interface = manifest.interface(&program.object, object).unwrap();
    let mut config: Config = serde_json::from_str(config).unwrap();
    config.retain(|name, _| interface.parameter(name).is_some() || interface.map(name).is_some());
    config
}

/// All that the promise of a package configures.
fn promised(package: &str) -> BTreeSet<String> {
    let known = PROMISES.iter().find(|promise| promise.package == package);
    let configs = known.into_iter().flat_map(|known| known.configs);
    configs.flat_map(|config| serde_json::from_str::<Config>(config).unwrap().into_keys()).collect()
}

/// What is wrong with each program of a package, by its function and configuration.
fn try_package(path: &str, packets: &[Vec<u8>]) -> BTreeMap<String, Vec<String>> {
    let layout = Layout::open(Path::new(path)).unwrap();
    let package = Package::read(&layout, &layout.index().unwrap()).unwrap();
    let (manifest, name) = (&package.manifest, package.manifest.package.name.as_ref());
    let files = package.for_platform(&Platform::this_machine().unwrap()).unwrap();
    let (mut found, mut met, mut unknown) = (BTreeMap::new(), BTreeSet::new(), promised(name));
    for program in &manifest.programs {
        let Some(point) = point(program) else { continue };
        let promise = promise_of(name, point);
        for config in ["{}"].iter().chain(promise.configs) {
            let object = (program, files.object(program));
            let own = config_of(manifest, object, config);
            unknown.retain(|key| !own.contains_key(key));
            let configuration = Configuration::settle(manifest, object, own, None).unwrap();
            let tried = Tried { manifest, files, program, point, configuration, marks: promise.marks };
            found.insert(
                format!("{name}: {} with {config}", program.function),
                wrongs(&tried, &promise, packets, &mut met),
            );
        }
    }
    let known = PROMISES.iter().find(|promise| promise.package == name);
    let unmet = known.into_iter().flat_map(|known| known.verdicts).filter(|verdict| !met.contains(*verdict));
    let unmet = unmet.map(|verdict| format!("nothing got `{verdict}`"));
    let unknown = unknown.into_iter().map(|key| format!("it has no `{key}` to be configured"));
    found.insert(name.to_owned(), unmet.chain(unknown).collect());
    found
}

#[test]
fn every_package_has_a_verdict_for_every_packet_that_attacks_and_leaves_those_that_go_on() {
    let every = crate::rounds(1, 50);
    let packets: Vec<Vec<u8>> = attacks().unwrap().into_iter().step_by(every).collect();
    let names = for_packets();
    assert!(names.iter().any(|name| name == "sanity"), "{names:?}");
    let paths: Vec<String> = names.iter().map(|name| packages().program(name).unwrap()).collect();
    // Copies that programs send in a test go where nobody is.
    let pair = Pair::new().unwrap();
    let tried = pair
        .right
        .inside(move || paths.iter().flat_map(|path| try_package(path, &packets)).collect::<Vec<_>>());
    for (place, wrongs) in tried.unwrap() {
        let (count, first) = (wrongs.len(), wrongs.iter().take(10).map(String::as_str));
        assert!(wrongs.is_empty(), "{place}: {count} wrong\n{}", first.collect::<Vec<_>>().join("\n"));
    }
}
