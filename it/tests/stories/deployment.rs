// SPDX-License-Identifier: Apache-2.0
//! Deployments: one use of a package whose programs run at several hooks, with one release and one set of maps.

use std::fs;
use std::path::{Path, PathBuf};

use it::{Node, ping, run_in};

use crate::hooks::upgrade::counted;
use crate::{packages, scene};

/// A release whose three programs count in one map: received packets, sent packets, and programs that are executed.
fn release(version: &str, step: u32) -> String {
    let source = format!(
        "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n\
         #include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n\
         struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32);\n\
         __type(value, __u64); }} entries SEC(\".maps\");\n\
         const volatile __u32 times = 1; __u64 all;\n\
         static __always_inline int count(int verdict) {{ __u32 key = 0;\n\
         __u64 *entry = bpf_map_lookup_elem(&entries, &key);\n\
         if (entry) {{ __sync_fetch_and_add(entry, {step} * times); __sync_fetch_and_add(&all, 1); }}\n\
         return verdict; }}\n\
         SEC(\"xdp\") int received(struct xdp_md *context) {{ return count(XDP_PASS); }}\n\
         SEC(\"tc\") int sent(struct __sk_buff *packet) {{ return count(0); }}\n\
         SEC(\"tracepoint/sched/sched_process_exec\") int executed(void *context) {{ return count(0); }}\n\
         char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";\n"
    );
    let program = |function: &str, hook: &str| {
        format!(
            "[[program]]\nfunction = \"{function}\"\nobject = \"spans.bpf.o\"\nsource = \"spans.bpf.c\"\nhook = \"{hook}\"\n"
        )
    };
    let programs =
        program("received", "xdp") + &program("sent", "tc-egress") + &program("executed", "tracepoint");
    packages().from_source(("spans", version), &source, &programs).unwrap()
}

fn chain(hook: &str, members: &str) -> String {
    format!("[[chain]]\ninterface = \"right0\"\nhook = \"{hook}\"\nmember = [{members}]\n")
}

fn deployment(name: &str, package: &str, more: &str) -> String {
    format!("[[deployment]]\nname = \"{name}\"\npackage = \"{package}\"\n{more}\n")
}

/// A deployment at three places, and another one of the same package at one of them.
fn document(package: &str) -> String {
    deployment("spans", package, "")
        + &deployment("again", package, "config = { times = 100 }")
        + &chain("xdp", "{ name = \"spans\" }, { name = \"second\", deployment = \"again\" }")
        + &chain("tc-egress", "{ name = \"spans\" }")
        + "[[probe]]\nname = \"spans\"\n"
}

/// The map of a deployment. Constants are nobody's map.
fn map(node: &Node, deployment: &str) -> PathBuf {
    let folder = node.pins.join("maps-of-deployments").join(deployment);
    let maps: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [only] = maps.as_slice() else { panic!("{maps:?}") };
    only.join("map")
}

/// The members of all chains, with their versions.
fn members(node: &Node) -> Vec<String> {
    let members = node.chains().unwrap().into_iter().flat_map(|chain| chain.members);
    members.map(|member| format!("{} {}", member.name, member.version)).collect()
}

/// How much is counted at least while something is done.
fn counts(map: &Path, at_least: u64, of_what: impl FnOnce()) {
    let before = counted(map);
    of_what();
    assert!(counted(map) >= before + at_least, "{before} and {}", counted(map));
}

#[test]
fn programs_of_a_deployment_have_one_name_one_set_of_maps_and_one_release() {
    let (pair, node) = scene();
    node.apply(&document(&release("1.0.0", 1))).unwrap().success().unwrap();
    let (spans, again) = (map(&node, "spans"), map(&node, "again"));
    counts(&again, 1000, || counts(&spans, 20, || assert_eq!(ping(&pair, 10).unwrap(), 10)));
    // `ip netns exec true` is two programs.
    counts(&spans, 1, || drop(run_in(&pair.left.namespace, "true").unwrap()));

    // Global variables as well: all programs are of one object.
    let folder = node.pins.join("maps-of-deployments");
    let is_of_object = |path: &PathBuf| path.to_string_lossy().contains("/spans#");
    let objects: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(is_of_object).collect();
    assert_eq!(objects.len(), 1, "{objects:?}");

    // One upgrade for all of it; what was counted stays.
    let (before, newer) = (counted(&spans), release("1.1.0", 1000));
    node.l3af(&["change", "spans", "--package", &newer]).unwrap();
    assert_eq!(members(&node), ["spans 1.1.0", "second 1.0.0", "spans 1.1.0"]);
    assert!(node.probes().unwrap().iter().all(|probe| probe.version == "1.1.0"));
    assert!(counted(&spans) >= before);
    counts(&spans, 20_000, || assert_eq!(ping(&pair, 10).unwrap(), 10));
    let difference = node.l3af(&["diff"]).unwrap();
    assert!(difference.contains("~ deployment:spans  package: "), "{difference}");

    let refused = node.cli(&["change", "second", "--package", &newer]).unwrap();
    assert!(refused.stderr.contains("it is part of the deployment `again`"), "{}", refused.stderr);
    node.l3af(&["change", "spans", "--disable"]).unwrap();
    assert_eq!(members(&node), ["second 1.0.0"]);
    node.l3af(&["change", "spans", "--enable", "--set", "times=2"]).unwrap();
    counts(&spans, 40_000, || assert_eq!(ping(&pair, 10).unwrap(), 10));

    node.l3af(&["stop", "spans"]).unwrap();
    assert_eq!((members(&node).len(), node.probes().unwrap().len()), (1, 0));
    assert!(!objects[0].exists() && !node.pins.join("maps-of-deployments/spans").exists());
    node.l3af(&["rollback"]).unwrap();
    assert_eq!((members(&node).len(), node.probes().unwrap().len()), (3, 1));
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
}

#[test]
fn a_deployment_that_cannot_be_meant_is_refused() {
    let (_pair, node) = scene();
    let package = release("1.2.0", 1);
    let member = chain("xdp", "{ name = \"spans\" }");
    let refused = |document: &str| node.apply(document).unwrap().stderr;
    let said = refused(&(deployment("other", &package, "") + &member));
    assert!(said.contains("no member and no probe is part of the deployment `other`"), "{said}");
    let said = refused(&member);
    assert!(said.contains("`spans` names no package, and there is no deployment `spans`"), "{said}");
    let said = refused(&(deployment("spans", &package, "config = { limit = 1 }") + &member));
    assert!(said.contains("no program of the deployment `spans` has a parameter or map `limit`"), "{said}");
    let said = refused(&(deployment("spans", &package, "") + &deployment("spans", &package, "") + &member));
    assert!(said.contains("the document has two deployments `spans`"), "{said}");
    let both = chain("xdp", &format!("{{ name = \"a\", deployment = \"spans\", package = \"{package}\" }}"));
    let said = refused(&(deployment("spans", &package, "") + &both));
    assert!(said.contains("`a` names a package, and the deployment `spans`, which has one"), "{said}");
    assert_eq!(node.status().unwrap().generation, 0);
}
