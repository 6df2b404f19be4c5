// SPDX-License-Identifier: Apache-2.0
//! Packages that `l3af new` begins: for every hook one is made, built and signed, and where the kernel has the hook it runs,
//! counts, and is taken off again.

use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, thread};

use ::package::{HookPoint, ProbeKind};
use it::{Node, Pair, connect, ping, run, run_in};

use super::probes::{Group, is_since, probes};
use crate::{is_emulated, packages, scene};

/// Begins a package for a hook, and builds and signs it. Returns its name and its path.
fn begun(hook: &str) -> (String, String) {
    let name = format!("begun-{hook}");
    let l3af = |arguments: &[&str]| packages().l3af(arguments).unwrap().success().unwrap();
    l3af(&["new", &name, "--hook", hook, "--publisher", "l3af"]);
    let output = format!("{name}.oci");
    l3af(&["build", &name, "--output", &output]);
    l3af(&["sign", &output, "--key", "key"]);
    (name, packages().path(&output))
}

/// How often the program of a package ran.
fn count(node: &Node, name: &str) -> u64 {
    let entry = node.l3af(&["get", name, "counts", "0", "--json"]).unwrap();
    let entry: serde_json::Value = serde_json::from_str(&entry).unwrap();
    entry["value"].as_u64().unwrap()
}

/// Waits until the program has run so often, while something happens again and again.
#[track_caller]
fn counts(node: &Node, name: &str, happens: impl Fn()) {
    let begin = Instant::now();
    loop {
        happens();
        if count(node, name) >= 1 {
            return;
        }
        assert!(begin.elapsed() < Duration::from_mins(1), "`{name}` does not run:\n{}", node.log());
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_new_member_of_each_chain_builds_and_counts_packets() {
    let (pair, node) = scene();
    for hook in HookPoint::ALL {
        let (name, package) = begun(hook.as_str());
        let tested = node.l3af(&["test", &package]).unwrap();
        assert!(tested.contains("1 passed"), "{tested}");
        node.l3af(&["run", &package, "--on", "right0"]).unwrap();
        counts(&node, &name, || assert_eq!(ping(&pair, 1).unwrap(), 1));
        node.l3af(&["stop", &name]).unwrap();
        assert_eq!(node.names().unwrap(), Vec::<String>::new());
    }
}

/// The oldest Linux that has a kind of probe.
fn since(kind: ProbeKind) -> (u16, u16) {
    match kind {
        ProbeKind::Kprobe
        | ProbeKind::Kretprobe
        | ProbeKind::Tracepoint
        | ProbeKind::Uprobe
        | ProbeKind::Uretprobe
        | ProbeKind::PerfEvent => (5, 15),
        ProbeKind::Netfilter => (6, 4),
        ProbeKind::Usdt => (6, 6),
        ProbeKind::NetkitPrimary | ProbeKind::NetkitPeer => (6, 7),
        ProbeKind::RawTracepoint
        | ProbeKind::TpBtf
        | ProbeKind::Fentry
        | ProbeKind::Fexit
        | ProbeKind::Lsm
        | ProbeKind::Cgroup
        | ProbeKind::Sockops
        | ProbeKind::SkLookup
        | ProbeKind::Iter => (5, 10),
    }
}

/// What a kernel tells that is new enough for a kind and was built without it, or refuses it. Those of the guest have all.
fn lacking(kind: ProbeKind) -> Option<&'static str> {
    match kind {
        ProbeKind::Kprobe | ProbeKind::Kretprobe => {
            Some("which this kernel does not have: it was built without")
        }
        ProbeKind::TpBtf | ProbeKind::Fentry | ProbeKind::Fexit | ProbeKind::Lsm | ProbeKind::Iter => {
            Some("Operation not permitted")
        }
        ProbeKind::NetkitPrimary | ProbeKind::NetkitPeer => Some("there is no interface `kit0`"),
        ProbeKind::Tracepoint
        | ProbeKind::RawTracepoint
        | ProbeKind::Uprobe
        | ProbeKind::Uretprobe
        | ProbeKind::Usdt
        | ProbeKind::Cgroup
        | ProbeKind::Sockops
        | ProbeKind::SkLookup
        | ProbeKind::Netfilter
        | ProbeKind::PerfEvent => None,
    }
}

/// Where it is attached: where its package says, or to something of this story.
fn place(kind: ProbeKind, group: &Group) -> Vec<String> {
    let target = probes().target();
    let path = format!("path={}", target.display());
    let attach: &[&str] = match kind {
        ProbeKind::Uprobe | ProbeKind::Uretprobe => &[&path, "symbol=l3af_target"],
        ProbeKind::Usdt => &[&path, "provider=l3af", "name=called"],
        ProbeKind::Cgroup | ProbeKind::Sockops => &[&format!("cgroup={}", group.0)],
        ProbeKind::NetkitPrimary | ProbeKind::NetkitPeer => &["interface=kit0"],
        ProbeKind::Kprobe
        | ProbeKind::Kretprobe
        | ProbeKind::Tracepoint
        | ProbeKind::RawTracepoint
        | ProbeKind::TpBtf
        | ProbeKind::Fentry
        | ProbeKind::Fexit
        | ProbeKind::Lsm
        | ProbeKind::SkLookup
        | ProbeKind::Netfilter
        | ProbeKind::PerfEvent
        | ProbeKind::Iter => return vec!["--probe".to_owned()],
    };
    attach.iter().flat_map(|option| ["--attach".to_owned(), (*option).to_owned()]).collect()
}

/// Does what a probe of a kind sees.
fn happen(kind: ProbeKind, (pair, node): (&Pair, &Node), group: &Group) {
    match kind {
        ProbeKind::Kprobe
        | ProbeKind::Kretprobe
        | ProbeKind::Fentry
        | ProbeKind::Fexit
        | ProbeKind::SkLookup => drop(connect(pair, 8080, 1).unwrap()),
        ProbeKind::Tracepoint | ProbeKind::RawTracepoint | ProbeKind::TpBtf | ProbeKind::Lsm => {
            run("true").unwrap();
        }
        ProbeKind::Uprobe | ProbeKind::Uretprobe | ProbeKind::Usdt => {
            assert!(Command::new(probes().target()).arg("1").status().unwrap().success());
        }
        ProbeKind::Cgroup | ProbeKind::Sockops => {
            let open = format!("(exec 3<>/dev/tcp/{}/81) 2>/dev/null; true", pair.right.address);
            group.run(&pair.left.namespace, &open);
        }
        ProbeKind::Netfilter => assert_eq!(ping(pair, 1).unwrap(), 1),
        ProbeKind::NetkitPrimary | ProbeKind::NetkitPeer => {
            for target in ["10.99.0.2", "10.99.1.2"] {
                drop(run_in(&pair.right.namespace, &format!("ping -c 1 -W 1 -q {target}")));
            }
        }
        ProbeKind::PerfEvent => {}
        ProbeKind::Iter => {
            let pin = node.probe_pins().join("instances/begun-iter#1/links/0");
            let listed = fs::read_to_string(pin).unwrap();
            assert!(listed.lines().any(|line| line == std::process::id().to_string()), "{listed}");
        }
    }
}

/// A pair of netkit devices, where the kernel has some; both ends are up and send what goes to a network of their own.
fn netkit(namespace: &str) {
    if run_in(namespace, "ip link add kit0 type netkit").is_err() {
        assert!(!is_emulated() || !is_since(6, 7), "this kernel has netkit devices");
        return;
    }
    let listed = run_in(namespace, "ip -o link").unwrap();
    let line = listed.lines().find(|line| line.contains("@kit0")).unwrap();
    let peer = line.split([' ', '@']).nth(1).unwrap();
    for (device, address) in [("kit0", "10.99.0.1/24"), (peer, "10.99.1.1/24")] {
        run_in(namespace, &format!("ip link set {device} up")).unwrap();
        run_in(namespace, &format!("ip address add {address} dev {device}")).unwrap();
    }
}

#[test]
fn a_new_probe_of_each_kind_builds_and_counts_what_it_sees() {
    let (pair, node) = scene();
    let group = Group::new();
    netkit(&pair.right.namespace);
    let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    for kind in ProbeKind::ALL {
        let (name, package) = begun(kind.as_str());
        let place = place(kind, &group);
        let arguments: Vec<&str> =
            ["run", &package].into_iter().chain(place.iter().map(String::as_str)).collect();
        let ran = node.cli(&arguments).unwrap();
        let (major, minor) = since(kind);
        if !is_since(major, minor) {
            let words = format!("needs Linux {major}.{minor}");
            assert!(!ran.ok && ran.stderr.contains(&words), "{kind}: {}", ran.stderr);
            continue;
        }
        let unasked = kind == ProbeKind::Lsm && !modules.trim().split(',').any(|module| module == "bpf");
        let may_lack = lacking(kind).filter(|_| !is_emulated() || unasked);
        if let (false, Some(words)) = (ran.ok, may_lack) {
            let told = ran.stderr.contains(words) || unasked && ran.stderr.contains("security modules");
            assert!(told, "{kind}: {}", ran.stderr);
            continue;
        }
        ran.success().unwrap();
        counts(&node, &name, || happen(kind, (&pair, &node), &group));
        node.l3af(&["stop", &name]).unwrap();
        assert!(node.probes().unwrap().is_empty(), "{kind}");
    }
}
