// SPDX-License-Identifier: Apache-2.0
//! Two user parts run beside each other while a document changes, and one of them writes.

use std::fs;
use std::path::Path;
use std::thread;

use ::package::Digest;
use it::run;
use serde_json::Value;
use wire::Layout;

use super::farm::{Farm, document, http};
use super::is_too_old;
use crate::packages;
use crate::user::only;

fn index(package: &str) -> Digest {
    Layout::open(Path::new(package)).unwrap().index().unwrap()
}

/// A package whose user program never says that it is ready, so that a change with it fails after some seconds. User programs are
/// started in the order of their packages' digests, and this one comes behind the balancer.
fn never_ready() -> String {
    let source = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n\
                  #include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n\
                  SEC(\"tc\") int passes(struct __sk_buff *ctx) { return TC_ACT_UNSPEC; }\n\
                  char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";\n";
    let manifest = "[[program]]\nfunction = \"passes\"\nobject = \"never-ready.bpf.o\"\nsource = \"never-ready.bpf.c\"\n\
                    hook = \"tc-ingress\"\n\n[user]\ncommand = \"waits\"\nready_seconds = 10\n\n";
    let balancer = index(&packages().program("load-balancer").unwrap());
    let release = |number: u32| {
        let version = format!("0.{number}.0");
        let folder = packages().path(&format!("never-ready-{version}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(format!("{folder}/waits"), "#!/bin/sh\nexec sleep 60\n").unwrap();
        packages().from_source(("never-ready", &version), source, manifest).unwrap()
    };
    (0..1000).map(release).find(|package| index(package) > balancer).expect("one of many digests is greater")
}

/// What the balancer tells of the first backend. The kernel is asked: the daemon answers nobody while it waits for user programs.
fn weight(farm: &Farm) -> u64 {
    let mut states = fs::read_dir(farm.node.pins.join("right0/xdp/state")).unwrap();
    let state = states.next().unwrap().unwrap().path();
    let told = run(&format!("bpftool -j map lookup pinned {}/health key 1 0 0 0", state.display())).unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    told["formatted"]["value"]["weight"].as_u64().unwrap()
}

#[test]
fn of_two_user_parts_the_new_one_writes_and_the_one_before_again_where_the_change_fails() {
    if is_too_old() {
        return;
    }
    let farm = Farm::new(2).unwrap();
    farm.balance().unwrap();
    assert_eq!(weight(&farm), 1);
    let pid = only(&farm.node).pid;
    let backends = [farm.servers[0].backend("weight = 3"), farm.servers[1].backend("")];
    let never = never_ready();
    let changed = document(&http(), &backends, "").unwrap()
        + &format!(
            "[[chain]]\ninterface = \"right0\"\nhook = \"tc-ingress\"\n\
             member = [{{ name = \"never\", package = \"{never}\" }}]\n"
        );
    let mut seen = vec![];
    thread::scope(|scope| {
        let change = scope.spawn(|| farm.node.apply(&changed).unwrap());
        // Each checks ten times a second, and would tell its own weight.
        while !change.is_finished() {
            seen.push(weight(&farm));
        }
        let changed = change.join().unwrap();
        assert!(!changed.ok && changed.stderr.contains("never-ready"), "{}", changed.stderr);
    });
    let first = seen.iter().position(|weight| *weight == 3).expect("the new one writes");
    let mut since = seen.split_off(first);
    assert!(since.len() > 5, "{since:?}");
    since.dedup();
    assert_eq!(since, [3], "the one before writes as well");
    // The one before ran all the time, and goes on.
    farm.node.wait("the one before writes again", || weight(&farm) == 1);
    assert_eq!(only(&farm.node).pid, pid);
    let checks = || farm.health(1).unwrap()["successes"].as_u64().unwrap();
    let before = checks();
    farm.node.wait("it checks", || checks() > before + 1);
}
