// SPDX-License-Identifier: Apache-2.0
//! Probes: every kind fires on a real event, and tells what it was told to.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{fs, thread};

use ::package::KernelVersion;
use it::{Node, Probes, connect, ping, run, run_in};

use crate::scene;

use crate::{is_emulated, packages};

pub(crate) fn probes() -> &'static Probes {
    static PROBES: OnceLock<Probes> = OnceLock::new();
    PROBES.get_or_init(|| Probes::build(packages()).unwrap())
}

/// Makes these the probes of the node.
#[track_caller]
pub(crate) fn attach(node: &Node, wanted: &[(&str, &str, &str)]) {
    node.apply(&probes().document(wanted).unwrap()).unwrap().success().unwrap();
    for probe in node.probes().unwrap() {
        assert!(probe.attached, "{probe:?}");
    }
}

pub(crate) fn is_since(major: u16, minor: u16) -> bool {
    crate::kernel() >= KernelVersion { major, minor }
}

/// Attaches a probe, where the kernel is new enough for it; where it is not, that is told.
#[track_caller]
fn has(node: &Node, wanted: (&str, &str, &str), (major, minor): (u16, u16)) -> bool {
    let applied = node.apply(&probes().document(&[wanted]).unwrap()).unwrap();
    let words = format!("needs Linux {major}.{minor}; this is Linux");
    assert_eq!(applied.ok, is_since(major, minor), "{}", applied.stderr);
    assert!(applied.ok || applied.stderr.contains(&words), "{}", applied.stderr);
    applied.ok
}

/// The same for kinds that the kernel of this machine may be built without, or refuse. Those of the guest have all.
#[track_caller]
fn may_have(node: &Node, wanted: (&str, &str, &str), since: (u16, u16), told: &str) -> bool {
    if is_emulated() || !is_since(since.0, since.1) {
        return has(node, wanted, since);
    }
    let applied = node.apply(&probes().document(&[wanted]).unwrap()).unwrap();
    assert!(applied.ok || applied.stderr.contains(told), "{}", applied.stderr);
    applied.ok
}

#[track_caller]
pub(crate) fn assert_hits(node: &Node, probe: &str, least: u64) -> u64 {
    let (count, told) = node.hits(probe).unwrap();
    assert!(count >= least, "`{probe}` ran {count} times, not {least}");
    told
}

fn run_target(calls: u32) {
    assert!(Command::new(probes().target()).arg(calls.to_string()).status().unwrap().success());
}

#[test]
fn tracepoints_see_programs_start() {
    let (_pair, node) = scene();
    let cookie = "attach = { cookie = 7 }";
    if !has(&node, ("exec", "on_exec", cookie), (5, 15)) {
        return;
    }
    attach(&node, &[("exec", "on_exec", cookie), ("again", "on_exec", "")]);
    for _ in 0..5 {
        run("true").unwrap();
    }
    assert_eq!(assert_hits(&node, "exec", 5), 7);
    assert_eq!(assert_hits(&node, "again", 5), 0);
    // Another one than the section names.
    let other = "attach = { tracepoint = \"sched:sched_process_exit\" }";
    attach(&node, &[("exit", "on_exec", other)]);
    run("true").unwrap();
    assert_hits(&node, "exit", 1);
}

#[test]
fn raw_tracepoints_see_programs_start() {
    let (_pair, node) = scene();
    attach(&node, &[("raw", "on_raw_exec", ""), ("again", "on_raw_exec", "")]);
    run("true").unwrap();
    assert_hits(&node, "raw", 1);
    assert_hits(&node, "again", 1);
    if has(&node, ("told", "on_told_exec", "attach = { cookie = 11 }"), (6, 10)) {
        run("true").unwrap();
        assert_eq!(assert_hits(&node, "told", 1), 11);
    }
}

#[test]
fn typed_tracepoints_see_programs_start() {
    let (_pair, node) = scene();
    if may_have(&node, ("typed", "on_typed_exec", ""), (5, 7), "Operation not permitted") {
        run("true").unwrap();
        assert_hits(&node, "typed", 1);
    }
}

#[test]
fn functions_of_executables_are_entered_and_returned_from() {
    let (_pair, node) = scene();
    let path = probes().target().display().to_string();
    let named = format!("attach = {{ path = \"{path}\", symbol = \"l3af_target\", cookie = 3 }}");
    let symbols = run(&format!("nm {path}")).unwrap();
    let line = symbols.lines().find(|line| line.ends_with(" l3af_target")).unwrap();
    // In such a file code lies where it is loaded to, counted from the begin.
    let offset = u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
    let by_offset = format!("attach = {{ path = \"{path}\", offset = {offset} }}");
    let other = format!("attach = {{ path = \"{path}\", symbol = \"l3af_target\", pid = 1 }}");
    if !has(&node, ("entry", "on_user_entry", &named), (5, 15)) {
        return;
    }
    attach(
        &node,
        &[
            ("entry", "on_user_entry", &named),
            ("return", "on_user_return", &named),
            ("offset", "on_user_entry", &by_offset),
            ("others", "on_user_entry", &other),
        ],
    );
    run_target(5);
    for (probe, cookie) in [("entry", 3), ("return", 3), ("offset", 0)] {
        assert_eq!(node.hits(probe).unwrap(), (5, cookie), "{probe}");
    }
    assert_eq!(node.hits("others").unwrap(), (0, 0), "no call was one of process 1");
}

#[test]
fn static_probes_of_executables_tell_their_arguments() {
    let (_pair, node) = scene();
    let path = probes().target().display().to_string();
    let attachment =
        format!("attach = {{ path = \"{path}\", provider = \"l3af\", name = \"called\", cookie = 1 }}");
    if !has(&node, ("static", "on_static", &attachment), (6, 6)) {
        return;
    }
    run_target(5);
    assert_eq!(node.hits("static").unwrap(), (5, 5));
    // It is attached anew, and goes on counting.
    attach(&node, &[("static", "on_static", &format!("{attachment}\nconfig = {{ weight = 10 }}"))]);
    run_target(1);
    assert_eq!(node.hits("static").unwrap(), (15, 1));
}

#[test]
fn a_clock_runs_its_program_on_every_processor() {
    let (_pair, node) = scene();
    let all = "attach = { event = \"cpu-clock\", frequency = 200, cookie = 9 }";
    let first = "attach = { event = \"cpu-clock\", period = 1000000, cpu = 0 }";
    if !has(&node, ("all", "on_sample", all), (5, 15)) {
        return;
    }
    attach(&node, &[("all", "on_sample", all), ("first", "on_sample", first)]);
    let begin = Instant::now();
    while node.hits("all").unwrap().0 < 10 || node.hits("first").unwrap().0 < 10 {
        assert!(begin.elapsed() < Duration::from_mins(1), "{:?}", node.hits("all"));
    }
    assert_eq!(node.hits("all").unwrap().1, 9);
    let links =
        |probe: &str| fs::read_dir(node.probe_pins().join(format!("instances/{probe}/links"))).unwrap();
    assert_eq!(links("all#1").count(), thread::available_parallelism().unwrap().get());
    assert_eq!(links("first#1").count(), 1);
}

#[test]
fn a_list_is_made_when_its_pin_is_read() {
    let (_pair, node) = scene();
    if may_have(&node, ("tasks", "on_task", ""), (5, 8), "Operation not permitted") {
        let pin = node.probe_pins().join("instances/tasks#1/links/0");
        let listed = fs::read_to_string(pin).unwrap();
        assert!(listed.lines().any(|line| line == format!("task {}", std::process::id())), "{listed}");
        assert_hits(&node, "tasks", 2);
    }
}

#[test]
fn functions_of_the_kernel_are_entered_and_returned_from() {
    let (pair, node) = scene();
    let named = "attach = { symbol = \"tcp_v4_connect\", cookie = 4 }";
    let lacking = "which this kernel does not have: it was built without";
    if !may_have(&node, ("entry", "on_entry", named), (5, 15), lacking) {
        return;
    }
    attach(&node, &[("entry", "on_entry", named), ("return", "on_return", named)]);
    assert_eq!(connect(&pair, 8080, 3).unwrap().connected, 3);
    assert_eq!(assert_hits(&node, "entry", 3), 4);
    assert_eq!(assert_hits(&node, "return", 3), 4);
    // Behind the begin of a function, where an instruction begins; which is that of the compiler.
    let offsets =
        [4, 5, 9].map(|offset| format!("attach = {{ symbol = \"tcp_v4_connect\", offset = {offset} }}"));
    let behind = offsets.iter().find(|attach| {
        node.apply(&probes().document(&[("behind", "on_entry", attach)]).unwrap()).unwrap().ok
    });
    assert!(behind.is_some(), "{}", node.log());
    assert_eq!(connect(&pair, 8081, 3).unwrap().connected, 3);
    assert_hits(&node, "behind", 3);
}

#[test]
fn trampolines_see_functions_of_the_kernel() {
    let (pair, node) = scene();
    if !may_have(&node, ("entry", "on_connect", ""), (5, 7), "Operation not permitted") {
        return;
    }
    let other = "attach = { symbol = \"tcp_v4_rcv\" }";
    attach(
        &node,
        &[("entry", "on_connect", ""), ("exit", "on_connected", ""), ("other", "on_connect", other)],
    );
    assert_eq!(connect(&pair, 8080, 3).unwrap().connected, 3);
    for probe in ["entry", "exit", "other"] {
        assert_hits(&node, probe, 3);
    }
    if has(&node, ("told", "on_told_connect", "attach = { cookie = 12 }"), (5, 19)) {
        assert_eq!(connect(&pair, 8081, 3).unwrap().connected, 3);
        assert_eq!(assert_hits(&node, "told", 3), 12);
    }
}

#[test]
fn security_hooks_are_asked() {
    let (_pair, node) = scene();
    let modules = fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    if is_emulated() && !modules.trim().split(',').any(|module| module == "bpf") {
        let refused = node.apply(&probes().document(&[("check", "on_check", "")]).unwrap()).unwrap();
        let words = "`bpf` is not among the security modules";
        assert!(!is_since(6, 1) && refused.stderr.contains(words), "{modules}: {}", refused.stderr);
        return;
    }
    if may_have(&node, ("check", "on_check", ""), (5, 7), "Operation not permitted") {
        run("true").unwrap();
        assert_hits(&node, "check", 1);
    }
}

/// A control group that is removed when it goes out of scope.
pub(crate) struct Group(pub(crate) String);

impl Group {
    pub(crate) fn new() -> Self {
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        let root = mounts.lines().find_map(|line| {
            let mut words = line.split(' ');
            let (_, path, kind) = (words.next()?, words.next()?, words.next()?);
            (kind == "cgroup2").then(|| path.to_owned())
        });
        let group = Self(format!("{}/{}", root.expect("control groups of version 2"), it::unique("l3af-")));
        fs::create_dir(&group.0).unwrap();
        group
    }

    /// Runs a line of the shell as a process of the group, in a network namespace.
    pub(crate) fn run(&self, namespace: &str, line: &str) {
        let script = format!("echo $$ > {}/cgroup.procs && {line}", self.0);
        let network = format!("--net=/run/netns/{namespace}");
        let status = Command::new("nsenter").arg(network).args(["bash", "-c", &script]).status().unwrap();
        assert!(status.success(), "{line}");
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn a_control_group_is_watched_and_no_other() {
    let (pair, node) = scene();
    let (group, other) = (Group::new(), Group::new());
    let of = |group: &Group| format!("attach = {{ cgroup = \"{}\" }}", group.0);
    let ingress = format!("attach = {{ cgroup = \"{}\", event = \"ingress\" }}", group.0);
    let (here, there) = (of(&group), of(&other));
    let programs = ["on_egress", "on_socket", "on_connect4", "on_sysctl", "on_device", "on_setsockopt"];
    let mut wanted: Vec<(String, &str, &str)> =
        programs.iter().map(|program| (program.replace('_', "-"), *program, here.as_str())).collect();
    wanted.push(("ingress".to_owned(), "on_packet", &ingress));
    wanted.push(("sockops".to_owned(), "on_socket_event", &here));
    wanted.push(("six".to_owned(), "on_connect6", &here));
    wanted.push(("elsewhere".to_owned(), "on_egress", &there));
    let wanted: Vec<(&str, &str, &str)> =
        wanted.iter().map(|(name, program, rest)| (name.as_str(), *program, *rest)).collect();
    attach(&node, &wanted);
    let address = &pair.right.address;
    let line = format!(
        "ping -c 2 -q {address} >/dev/null && cat /proc/sys/kernel/ostype >/dev/null && head -c 1 /dev/zero >/dev/null && \
         {{ (exec 3<>/dev/tcp/{address}/81) 2>/dev/null; (exec 3<>/dev/tcp/::1/81) 2>/dev/null; true; }}"
    );
    group.run(&pair.left.namespace, &line);
    for (name, ..) in wanted.iter().filter(|(name, ..)| *name != "elsewhere") {
        assert_hits(&node, name, 1);
    }
    assert_eq!(node.hits("elsewhere").unwrap().0, 0);
}

#[test]
fn sockets_are_chosen_in_the_daemon_s_namespace_or_another() {
    let (pair, node) = scene();
    let other = format!("attach = {{ netns = \"/run/netns/{}\" }}", pair.left.namespace);
    attach(&node, &[("own", "on_lookup", ""), ("other", "on_lookup", &other)]);
    assert_eq!(connect(&pair, 8080, 3).unwrap().connected, 3);
    assert_hits(&node, "own", 3);
    assert_eq!(node.hits("other").unwrap().0, 0);
}

#[test]
fn netfilter_hands_over_packets() {
    let (pair, node) = scene();
    let input = "attach = { family = \"ipv4\", hook = \"input\", priority = 1 }";
    if !has(&node, ("filter", "on_filter", input), (6, 4)) {
        return;
    }
    let defragmented =
        "attach = { family = \"ipv4\", hook = \"prerouting\", priority = 1, defragment = true }";
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert_hits(&node, "filter", 3);
    // At one place there is room for one: the old instance leaves before the new one comes.
    attach(&node, &[("filter", "on_filter", &format!("{input}\nconfig = {{ weight = 1000 }}"))]);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert_hits(&node, "filter", 3003);
    // The kernel of this machine may be built without the module that puts packets together.
    if is_since(6, 6) && is_emulated() {
        attach(&node, &[("filter", "on_filter", defragmented)]);
        assert_eq!(ping(&pair, 3).unwrap(), 3);
        assert_hits(&node, "filter", 3006);
    }
}

#[test]
fn netkit_devices_hand_over_packets_at_both_ends() {
    let (pair, node) = scene();
    let namespace = &pair.right.namespace;
    let device = "attach = { interface = \"kit0\" }";
    let wanted = [("primary", "on_primary", device), ("peer", "on_peer", device)];
    if !is_since(6, 7) {
        assert!(!has(&node, wanted[0], (6, 7)));
        return;
    }
    // The kernel names the other end itself, from `nk0` on.
    if run_in(namespace, "ip link add kit0 type netkit").is_err() {
        assert!(!is_emulated(), "this kernel has netkit devices");
        let refused = node.apply(&probes().document(&wanted).unwrap()).unwrap();
        assert!(refused.stderr.contains("there is no interface `kit0`"), "{}", refused.stderr);
        return;
    }
    let listed = run_in(namespace, "ip -o link").unwrap();
    let line = listed.lines().find(|line| line.contains("@kit0")).unwrap();
    let peer = line.split([' ', '@']).nth(1).unwrap();
    attach(&node, &wanted);
    for device in ["kit0", peer] {
        run_in(namespace, &format!("ip link set {device} up")).unwrap();
    }
    // What is sent at one end goes through the program there; the devices have no addresses of their own.
    run_in(namespace, "ip address add 10.99.0.1/24 dev kit0").unwrap();
    run_in(namespace, &format!("ip address add 10.99.1.1/24 dev {peer}")).unwrap();
    for target in ["10.99.0.2", "10.99.1.2"] {
        drop(run_in(namespace, &format!("ping -c 1 -W 1 -q {target}")));
    }
    assert_hits(&node, "primary", 1);
    assert_hits(&node, "peer", 1);
}

#[test]
fn runs_are_told_while_the_kernel_counts_them() {
    let (_pair, node) = scene();
    attach(&node, &[("exec", "on_raw_exec", "")]);
    let switch = Path::new("/proc/sys/kernel/bpf_stats_enabled");
    let before = fs::read_to_string(switch).unwrap();
    fs::write(switch, "1").unwrap();
    for _ in 0..5 {
        run("true").unwrap();
    }
    let probe = node.probes().unwrap().remove(0);
    fs::write(switch, before).unwrap();
    assert!(probe.run.runs >= 5 && probe.run.nanoseconds > 0, "{probe:?}");
    assert_eq!((probe.kind.as_str(), probe.target.as_str()), ("raw-tracepoint", "sched_process_exec"));
    let listed = node.l3af(&["probes"]).unwrap();
    assert!(listed.contains("raw-tracepoint") && listed.contains("sched_process_exec"), "{listed}");
}
