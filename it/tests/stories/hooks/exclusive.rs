// SPDX-License-Identifier: Apache-2.0
//! Read-only data is for one program alone where the kernel can and the splice leaves the program alone; elsewhere the node says
//! why not. What is told is tried: a stranger loads a program of its own with the map.

use std::fs;
use std::path::Path;

use ::package::KernelVersion;
use it::{Node, ping, repository, run, specimen};
use serde_json::Value;
use wire::ReadOnlyDataView;

use crate::hooks::probe_life::wait_until;
use crate::hooks::probes::{attach, probes};
use crate::packages;
use crate::scene;

const UNSUPPORTED: &str = "this kernel has no exclusive maps, which came with Linux 6.18";

/// What is told of a program that could have them, or where it could not and why.
fn expected(otherwise: Option<&str>) -> ReadOnlyDataView {
    let is_new = crate::kernel() >= KernelVersion { major: 6, minor: 18 };
    let reason = if is_new { otherwise } else { Some(UNSUPPORTED) };
    ReadOnlyDataView { exclusive: reason.is_none(), reason: reason.map(str::to_owned) }
}

/// The number of the map of constants of a pinned program.
fn constants_of(program: &Path) -> u64 {
    let show = |what: String| -> Value { serde_json::from_str(&run(&what).unwrap()).unwrap() };
    let program = show(format!("bpftool -j prog show pinned {}", program.display()));
    let mut maps = program["map_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap());
    let is_constant = |id: &u64| {
        let map = show(format!("bpftool -j map show id {id}"));
        map["name"].as_str().unwrap().ends_with(".rodata")
    };
    maps.find(is_constant).unwrap()
}

/// Whether another program can use the constants is what is told of them.
#[track_caller]
fn assert_told(node: &Node, program: &Path, told: &ReadOnlyDataView) {
    specimen("reads_map").unwrap();
    let (object, pin) = (repository().join("target/corpus/reads_map.bpf.o"), node.pins.join("stranger"));
    let (map, object) = (constants_of(program), object.display());
    let load = format!("bpftool prog load {object} {} type xdp map name constants id {map}", pin.display());
    match run(&load) {
        Ok(_) => {
            fs::remove_file(pin).unwrap();
            assert!(!told.exclusive, "a stranger was let in");
        }
        Err(error) => {
            let refused = format!("{error:#}");
            let words = "program's hash doesn't match map's excl_prog_hash";
            assert!(told.exclusive && refused.contains(words), "{refused}");
        }
    }
}

#[track_caller]
fn assert_member(node: &Node, instance: &str, expected: &ReadOnlyDataView) {
    let member = node.members().unwrap().remove(0);
    assert_eq!((member.instance.as_str(), member.read_only_data.as_ref()), (instance, Some(expected)));
    assert_told(node, &node.pins.join("right0/xdp/instances").join(instance).join("program"), expected);
}

/// A chain of one member by a mechanism.
fn by(mechanism: &str, member: &str) -> String {
    let document = packages().document("right0", &[member]);
    document.replacen("hook = \"xdp\"\n", &format!("hook = \"xdp\"\nmechanism = \"{mechanism}\"\n"), 1)
}

#[test]
fn the_constants_of_a_program_alone_are_its_own_through_restarts_and_changes() {
    let (pair, mut node) = scene();
    node.apply(&by("alone", "sanity")).unwrap().success().unwrap();
    assert_member(&node, "sanity#1", &expected(None));
    node.kill().unwrap();
    node.restart().unwrap();
    assert_member(&node, "sanity#1", &expected(None));
    node.apply(&by("alone", "sanity:config = { check_land = false }")).unwrap().success().unwrap();
    assert_member(&node, "sanity#2", &expected(None));
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn the_constants_of_a_spliced_program_are_not_and_the_node_says_why() {
    let (_pair, node) = scene();
    let spliced = expected(Some("the splice changes the program after its maps are made"));
    // The second time it is loaded in the way that worked the first time.
    for (number, member) in ["sanity", "sanity:config = { check_land = false }"].iter().enumerate() {
        node.apply(&by("splice", member)).unwrap().success().unwrap();
        assert_member(&node, &format!("sanity#{}", number + 1), &spliced);
    }
}

#[test]
fn the_constants_of_a_member_of_a_dispatcher_are_its_own() {
    if !crate::hooks::mechanism::has_dispatchers() {
        return;
    }
    let (pair, node) = scene();
    // In shadow, it is loaded untouched before, with other maps. Timed, the dispatcher is another and the member the same.
    for (number, member) in ["sanity", "sanity:enforcement = \"shadow\""].iter().enumerate() {
        node.apply(&by("dispatcher", member)).unwrap().success().unwrap();
        assert_member(&node, &format!("sanity#{}", number + 1), &expected(None));
    }
    node.l3af(&["profile", "--for", "1"]).unwrap();
    let member = node.members().unwrap().remove(0);
    assert_member(&node, &member.instance, &expected(None));
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn the_constants_of_a_probe_are_its_own() {
    let (_pair, node) = scene();
    attach(&node, &[("one", "on_raw_exec", "")]);
    let told = node.probes().unwrap().remove(0).read_only_data;
    assert_eq!(told, Some(expected(None)));
    assert_told(&node, &node.probe_pins().join("instances/one#1/program"), &told.unwrap());
}

const CALLS: &str = r#"
#include "probe.h"

int then(void *context);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} leaves SEC(".maps") = {
	.values = {[0] = (void *)&then},
};

SEC("raw_tp/sched_process_exec")
int first(void *context)
{
	bpf_tail_call(context, &leaves, 0);
	return hit(0, 0);
}

SEC("raw_tp/sched_process_exec")
int then(void *context)
{
	return hit(1, 0);
}
"#;

#[test]
fn constants_that_two_programs_of_an_object_use_are_not_exclusive() {
    let (_pair, node) = scene();
    let program = "[[program]]\nfunction = \"first\"\nobject = \"calls.bpf.o\"\nsource = \"calls.bpf.c\"\nhook = \
                   \"raw-tracepoint\"\n";
    let package = probes().release(packages(), ("calls", "1.0.0"), CALLS, program).unwrap();
    let document = format!("[[probe]]\nname = \"calls\"\npackage = \"{package}\"\n");
    node.apply(&document).unwrap().success().unwrap();
    let told = node.probes().unwrap().remove(0).read_only_data.unwrap();
    assert_eq!(told, expected(Some("the programs that its tail calls lead to are loaded with it")));
    assert_told(&node, &node.probe_pins().join("instances/calls#1/program"), &told);
    // Both run, with the constant.
    wait_until(&node, || {
        run("true").unwrap();
        node.hits("calls").unwrap().0 > 0
    });
    assert_eq!(node.hits("calls").unwrap().1, 1);
}
