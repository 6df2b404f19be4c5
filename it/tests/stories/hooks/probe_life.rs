// SPDX-License-Identifier: Apache-2.0
//! What becomes of probes: changes, upgrades, restarts, what others do to them, and what is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::package::{AttachKey, AttachValue, Package};
use it::{Node, Pair, connect, ping, run};
use kernel::{Kernel, Linux, apply};
use plan::{Desired, Instance, Plan, Probe, ProbeSpec, ProbeStep, ProbeWish, Step, reconcile};
use trust::Verified;
use wire::Layout;

use crate::hooks::probes::{Group, assert_hits, attach, is_since, probes};
use crate::packages;
use crate::scene;

fn instances(node: &Node) -> Vec<String> {
    node.probes().unwrap().into_iter().map(|probe| probe.instance).collect()
}

/// Waits until something is so; what is told when it does not become so is the daemon's log.
pub(crate) fn wait_until(node: &Node, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_mins(1), "{}", node.log());
        std::thread::yield_now();
    }
}

#[test]
fn a_change_leaves_other_probes_alone_and_keeps_the_maps() {
    let (_pair, node) = scene();
    attach(&node, &[("one", "on_raw_exec", ""), ("two", "on_raw_exec", "")]);
    run("true").unwrap();
    let before = node.hits("one").unwrap().0;
    attach(&node, &[("one", "on_raw_exec", "config = { weight = 1000 }"), ("two", "on_raw_exec", "")]);
    assert_eq!(instances(&node), ["one#2", "two#1"]);
    run("true").unwrap();
    assert_hits(&node, "one", before + 1000);
    attach(&node, &[("one", "on_raw_exec", "enabled = false"), ("two", "on_raw_exec", "")]);
    assert_eq!(instances(&node), ["two#1"]);
    assert_hits(&node, "one", before + 1000);
    node.l3af(&["stop", "two"]).unwrap();
    assert!(instances(&node).is_empty());
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
}

#[test]
fn a_probe_is_attached_by_one_command() {
    let (_pair, node) = scene();
    let package = probes().package_of("on_user_entry").unwrap();
    let path = format!("path={}", probes().target().display());
    let run_it = ["run", &package, "--program", "on_user_entry", "--name", "calls", "--attach", &path];
    let ran =
        node.cli(&[run_it.as_slice(), &["--attach", "symbol=l3af_target", "--set", "weight=2"]].concat());
    let ran = ran.unwrap();
    if !is_since(5, 15) {
        assert!(ran.stderr.contains("needs Linux 5.15"), "{}", ran.stderr);
        return;
    }
    ran.success().unwrap();
    assert!(std::process::Command::new(probes().target()).arg("3").status().unwrap().success());
    assert_eq!(node.hits("calls").unwrap(), (6, 0));
    let refused = node.cli(&["run", &package, "--probe"]).unwrap();
    assert!(refused.stderr.contains("package `code` has several probes: `on_entry`"), "{}", refused.stderr);
    let refused = node.cli(&["run", &package, "--attach", "simbol=x"]).unwrap();
    assert!(refused.stderr.contains("there is no option `simbol`"), "{}", refused.stderr);
}

#[test]
fn probes_run_on_without_the_daemon_and_are_adopted_or_taken_off() {
    let (_pair, mut node) = scene();
    attach(&node, &[("one", "on_raw_exec", "")]);
    node.kill().unwrap();
    run("true").unwrap();
    let before = counted_now(&node);
    node.restart().unwrap();
    assert_eq!(instances(&node), ["one#1"]);
    assert!(counted_now(&node) > before);
    node.kill().unwrap();
    let (pins, state) =
        (node.pins.to_string_lossy().into_owned(), node.state().to_string_lossy().into_owned());
    let said = node.l3af(&["detach", "--all", "--pins", &pins, "--state", &state]).unwrap();
    assert!(said.contains("probe: remove one#1"), "{said}");
    assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
    node.restart().unwrap();
    assert!(instances(&node).is_empty());
}

fn counted_now(node: &Node) -> u64 {
    run("true").unwrap();
    node.hits("one").unwrap().0
}

#[test]
fn a_probe_that_somebody_detached_is_attached_again() {
    let (pair, node) = scene();
    let group = Group::new();
    attach(&node, &[("packets", "on_egress", &format!("attach = {{ cgroup = \"{}\" }}", group.0))]);
    let link = node.probe_pins().join("instances/packets#1/links/0");
    run(&format!("bpftool link detach pinned {}", link.display())).unwrap();
    wait_until(&node, || node.probes().unwrap().iter().any(|probe| probe.attached));
    group.run(&pair.left.namespace, &format!("ping -c 1 -q {} >/dev/null", pair.right.address));
    assert_hits(&node, "packets", 1);
    assert_eq!(instances(&node), ["packets#1"]);
}

#[test]
fn a_probe_whose_target_goes_away_waits_and_holds_nothing_up() {
    let (pair, node) = scene();
    let group = Group::new();
    let of_group = format!("attach = {{ cgroup = \"{}\" }}", group.0);
    attach(&node, &[("packets", "on_egress", &of_group), ("exec", "on_raw_exec", "")]);
    fs::remove_dir(&group.0).unwrap();
    wait_until(&node, || node.l3af(&["status"]).unwrap().contains("waiting"));
    let status = node.l3af(&["status"]).unwrap();
    let words = format!("packets (there is no control group `{}`)", group.0);
    assert!(status.contains(&words), "{status}");
    // Something else can be changed meanwhile.
    if is_since(6, 1) {
        node.l3af(&["run", &packages().path("sanity"), "--on", "right0"]).unwrap();
        assert_eq!(ping(&pair, 3).unwrap(), 3);
    }
    node.l3af(&["stop", "exec"]).unwrap();
    assert!(instances(&node).is_empty());
    fs::create_dir(&group.0).unwrap();
    wait_until(&node, || node.l3af(&["status"]).unwrap().contains("converged"));
    group.run(&pair.left.namespace, &format!("ping -c 1 -q {} >/dev/null", pair.right.address));
    assert_hits(&node, "packets", 1);
}

#[test]
fn what_cannot_be_is_refused_with_what_is_wrong_and_nothing_changes() {
    let (_pair, node) = scene();
    attach(&node, &[("one", "on_raw_exec", "")]);
    let target = probes().target().display().to_string();
    let no_function = format!("attach = {{ path = \"{target}\", symbol = \"nobody\" }}");
    let no_note = format!("attach = {{ path = \"{target}\", provider = \"l3af\", name = \"nobody\" }}");
    let file = "attach = { path = \"/nowhere\", symbol = \"x\" }";
    let cases = [
        ("on_exec", "attach = { tracepoint = \"sched:nobody\" }", "no tracepoint `sched:nobody`"),
        ("on_raw_exec", "attach = { tracepoint = \"nobody\" }", "this kernel has no tracepoint `nobody`"),
        (
            "on_raw_exec",
            "attach = { symbol = \"x\" }",
            "the kind `raw-tracepoint` has no option `symbol`; it has `tracepoint`",
        ),
        ("on_user_entry", &no_function, "has no function `nobody`"),
        ("on_user_entry", file, "there is no file `/nowhere`"),
        ("on_user_entry", "", "the kind `uprobe` needs the option `symbol`"),
        ("on_static", &no_note, "has no static probe `l3af:nobody`"),
        ("on_egress", "attach = { cgroup = \"/nowhere\" }", "there is no control group `/nowhere`"),
        ("on_egress", "attach = { cgroup = \"/proc\" }", "`/proc` is no control group of version 2"),
        ("on_packet", "", "the kind `cgroup` needs the option `event`"),
        ("on_lookup", "attach = { netns = \"/run/netns/nobody\" }", "there is no file `/run/netns/nobody`"),
        ("on_primary", "attach = { interface = \"nowhere0\" }", "there is no interface `nowhere0`"),
        ("on_connect", "attach = { symbol = \"nobody\" }", "this kernel has no function `nobody`"),
        ("on_check", "attach = { symbol = \"nobody\" }", "this kernel has no security hook `nobody`"),
        (
            "on_sample",
            "attach = { event = \"cpu-clock\", frequency = 9, cpu = 4000 }",
            "no processor 4000 online",
        ),
        ("on_raw_exec", "config = { nope = 1 }", "config/nope` = 1: does not exist; expected a parameter"),
        ("on_raw_exec", "program = \"nobody\"", "has no probe `nobody`; it has `on_exec`"),
    ];
    for (program, rest, words) in cases {
        let document = probes().document(&[("one", "on_raw_exec", ""), ("bad", program, rest)]).unwrap();
        // A program that is named twice is named as the case wants it.
        let named = format!("program = \"{program}\"\nprogram");
        let document = document.replace(&named, "program");
        let refused = node.apply(&document).unwrap();
        // A kernel that lacks the kind says that first.
        let is_lacking = ["needs Linux", "which this kernel does not have"];
        let is_lacking = is_lacking.iter().any(|words| refused.stderr.contains(words));
        assert!(!refused.ok && (refused.stderr.contains(words) || is_lacking), "{words}: {}", refused.stderr);
        assert_eq!(instances(&node), ["one#1"]);
    }
    let twice = probes().document(&[("one", "on_raw_exec", ""), ("one", "on_raw_exec", "")]).unwrap();
    let refused = node.apply(&twice).unwrap();
    assert!(refused.stderr.contains("there are two probes named `one`"), "{}", refused.stderr);
}

/// A source of a tracepoint program with a map of entries of these fields.
fn keeper(fields: &str) -> String {
    format!(
        "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n#include \"probe.h\"\nstruct entry {{ {fields} }};\n\
         struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32);\n\
         __type(value, struct entry); }} entries SEC(\".maps\");\n\
         SEC(\"raw_tp/sched_process_exec\") int keep(void *context) {{\n\
         __u32 key = 0; bpf_map_lookup_elem(&entries, &key); return hit(0, 0); }}\n"
    )
}

#[test]
fn a_new_release_goes_on_counting_or_is_refused() {
    let (_pair, node) = scene();
    let program = "[[program]]\nfunction = \"keep\"\nobject = \"keeper.bpf.o\"\nsource = \"keeper.bpf.c\"\nhook = \"raw-tracepoint\"\n";
    let release = |version: &str, fields: &str| {
        probes().release(packages(), ("keeper", version), &keeper(fields), program).unwrap()
    };
    let packages = [
        release("1.0.0", "__u64 seen;"),
        release("1.1.0", "__u64 seen; /* as before */"),
        release("2.0.0", "__u32 seen; __u32 more;"),
    ];
    let document = |package: &str| format!("[[probe]]\nname = \"keeper\"\npackage = \"{package}\"\n");
    node.apply(&document(&packages[0])).unwrap().success().unwrap();
    run("true").unwrap();
    let before = node.hits("keeper").unwrap().0;
    node.l3af(&["change", "keeper", "--package", &packages[1]]).unwrap();
    assert_eq!(node.probes().unwrap()[0].version, "1.1.0");
    run("true").unwrap();
    assert_hits(&node, "keeper", before + 1);
    let refused = node.cli(&["change", "keeper", "--at", "1"]).unwrap();
    assert!(refused.stderr.contains("`--at` is for members of chains"), "{}", refused.stderr);
    let refused = node.cli(&["change", "keeper", "--package", &packages[2]]).unwrap();
    let words = "map `entries` of the probe `keeper` holds state that the new release cannot read";
    assert!(refused.stderr.contains(words), "{}", refused.stderr);
    assert_eq!(node.probes().unwrap()[0].version, "1.1.0");
    node.l3af(&["change", "keeper", "--disable"]).unwrap();
    assert!(instances(&node).is_empty());
    node.l3af(&["change", "keeper", "--enable", "--set", "weight=1000"]).unwrap();
    run("true").unwrap();
    assert_hits(&node, "keeper", before + 1001);
}

/// As `connection_limit` of the older L3AF is: two kinds of programs in one object, a section that libbpf does not know,
/// maps that ask to be pinned by name.
const LEGACY: &str = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include \"probe.h\"
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} cl_conn_count SEC(\".maps\");
static __always_inline void count(void)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&cl_conn_count, &key);

	if (value)
		__sync_fetch_and_add(value, 1);
}
SEC(\"xdp_connection_limit\")
int limit(struct xdp_md *context)
{
	count();
	return hit(0, XDP_PASS);
}
SEC(\"tracepoint/sock/inet_sock_set_state\")
int on_state(void *context)
{
	count();
	return hit(0, 0);
}
";

#[test]
fn an_object_with_a_member_and_a_probe_runs_as_both() {
    let (pair, node) = scene();
    let program = |function: &str, hook: &str| {
        format!(
            "[[program]]\nfunction = \"{function}\"\nobject = \"legacy.bpf.o\"\nsource = \"legacy.bpf.c\"\nhook = \"{hook}\"\n"
        )
    };
    let programs = program("limit", "xdp") + &program("on_state", "tracepoint");
    let package = probes().release(packages(), ("legacy", "1.0.0"), LEGACY, &programs).unwrap();
    let document = format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"limit\"\npackage = \"{package}\"\n\
         [[probe]]\nname = \"states\"\npackage = \"{package}\"\n"
    );
    let applied = node.apply(&document).unwrap();
    if !is_since(5, 15) {
        assert!(applied.stderr.contains("needs Linux 5.15"), "{}", applied.stderr);
        return;
    }
    applied.success().unwrap();
    assert_eq!(connect(&pair, 8080, 3).unwrap().connected, 3);
    assert!(node.members().unwrap()[0].seen.packets >= 3);
    // A connection goes through several states at each end.
    assert_hits(&node, "states", 6);
}

fn verified(program: &str) -> Arc<Verified> {
    let layout = Layout::open(Path::new(&probes().package_of(program).unwrap())).unwrap();
    let package = Package::read(&layout, &layout.index().unwrap()).unwrap();
    it::unverified(package).unwrap()
}

fn probe(name: &str, program: &str, options: &[(AttachKey, &str)], weight: u32) -> Probe {
    let wish = ProbeWish {
        program: Some(program.parse().unwrap()),
        attach: options.iter().map(|(key, value)| (*key, AttachValue::from(*value))).collect(),
        config: BTreeMap::from([("weight".to_owned(), serde_json::Value::from(weight))]),
        ..ProbeWish::default()
    };
    Probe::new(name.parse().unwrap(), &verified(program), wish).unwrap()
}

/// A tracepoint, and a place of netfilter where the kernel has such.
fn both(weight: u32) -> Desired {
    let mut desired = Desired::default();
    desired.probe(probe("exec", "on_raw_exec", &[], weight)).unwrap();
    if is_since(6, 4) {
        desired.probe(probe("filter", "on_filter", &INPUT, weight)).unwrap();
    }
    desired
}

const INPUT: [(AttachKey, &str); 3] =
    [(AttachKey::Family, "ipv4"), (AttachKey::Hook, "input"), (AttachKey::Priority, "7")];

fn attached(kernel: &Linux) -> Vec<ProbeSpec> {
    let found = kernel.observe(&BTreeSet::new()).unwrap().probes.instances.into_values();
    found.filter(|found| found.attached).map(|found| found.spec.unwrap()).collect()
}

fn wanted(desired: &Desired) -> Vec<ProbeSpec> {
    desired.probes().values().map(|probe| probe.spec().clone()).collect()
}

#[test]
fn plans_for_probes_that_are_cut_at_any_step_arrive_when_they_are_made_again() {
    let pair = Pair::new().unwrap();
    let pins = Path::new("/sys/fs/bpf").join(it::unique("l3af-cut-"));
    let folder = pins.clone();
    let cut = move || {
        let mut kernel = Linux::open(&folder).unwrap();
        let mut steps = 0;
        for round in 0.. {
            let desired = both(1 + round % 2);
            let plan = reconcile(&desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap();
            for planned in plan.steps.iter().take(steps) {
                kernel.execute(&planned.step, &desired).unwrap();
                let seen = attached(&kernel).into_iter().any(|spec| spec.name.as_ref() == "exec");
                assert!(round == 0 || seen, "{planned}");
            }
            let again = reconcile(&desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap();
            apply(&mut kernel, &again, &desired).unwrap();
            assert_eq!(attached(&kernel), wanted(&desired), "round {round}");
            assert_eq!(
                reconcile(&desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap(),
                Plan::default()
            );
            steps += 1;
            if steps > plan.steps.len() + 1 {
                break;
            }
        }
        let nothing = Desired::default();
        let plan = reconcile(&nothing, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap();
        apply(&mut kernel, &plan, &nothing).unwrap();
    };
    pair.right.inside(cut).unwrap();
    fs::remove_dir(&pins).unwrap();
}

#[test]
fn a_place_of_netfilter_has_room_for_one() {
    if !is_since(6, 4) {
        return;
    }
    let pair = Pair::new().unwrap();
    let pins = Path::new("/sys/fs/bpf").join(it::unique("l3af-place-"));
    let folder = pins.clone();
    let try_two = move || {
        let mut kernel = Linux::open(&folder).unwrap();
        let mut desired = Desired::default();
        let mut refused = Vec::new();
        for name in ["one", "two"] {
            let probe = probe(name, "on_filter", &INPUT, 1);
            let spec = Box::new(probe.spec().clone());
            let instance = Instance { member: spec.name.clone(), serial: 1 };
            desired.probe(probe).unwrap();
            let load = ProbeStep::Load { instance: instance.clone(), spec: spec.clone() };
            kernel.execute(&Step::Probe(load), &desired).unwrap();
            let attach = ProbeStep::Attach { instance, spec };
            refused.push(kernel.execute(&Step::Probe(attach), &desired).is_err());
        }
        let nothing = Desired::default();
        let plan = reconcile(&nothing, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap();
        apply(&mut kernel, &plan, &nothing).unwrap();
        refused
    };
    assert_eq!(pair.right.inside(try_two).unwrap(), [false, true]);
    fs::remove_dir(&pins).unwrap();
}
