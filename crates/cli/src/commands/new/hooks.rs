// SPDX-License-Identifier: Apache-2.0
//! What each hook and kind of probe begins with: a program, and what must be said of it.

use package::{HookPoint, ProbeKind, ProgramKind};

/// What a new package for a hook has.
pub(super) struct Hook {
    /// The program, in C. Its second line says what it does.
    pub(super) source: &'static str,
    /// Its function.
    pub(super) function: &'static str,
    /// The oldest Linux that it runs on (docs/probes.md).
    pub(super) kernel: &'static str,
    /// Where it attaches, where neither its section nor whoever runs it says that.
    pub(super) attach: &'static str,
    /// What is said to `l3af run`.
    pub(super) run: &'static str,
    /// What there is to say of where it attaches.
    pub(super) place: &'static str,
    /// Where it stands among packages.
    pub(super) subcategory: &'static str,
    /// What it says of packets, where it meets some in a chain.
    pub(super) verdict: Option<&'static str>,
}

const NETWORK: &str = "network";
const TRACING: &str = "tracing";

macro_rules! source {
    ($kind:literal) => {
        include_str!(concat!("../../../templates/hooks/", $kind, ".bpf.c"))
    };
}

impl Hook {
    /// What a hook begins with.
    pub(super) fn of(kind: ProgramKind) -> Self {
        let (source, function, kernel) = program(kind);
        let (run, place) = placed(kind);
        let subcategory = if is_of_packets(kind) { NETWORK } else { TRACING };
        Self {
            source,
            function,
            kernel,
            attach: attach(kind),
            run,
            place,
            subcategory,
            verdict: verdict(kind),
        }
    }

    /// What its program does, as its second line says.
    pub(super) fn description(&self) -> &'static str {
        let line = self.source.lines().nth(1).unwrap_or_default();
        line.trim_start_matches("/* ").trim_end_matches(" */").trim_end_matches('.')
    }
}

/// The program, its function, and the oldest Linux.
fn program(kind: ProgramKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        ProgramKind::Chain(HookPoint::Xdp) => (source!("xdp"), "on_packet", "5.10"),
        ProgramKind::Chain(HookPoint::TcIngress) => (source!("tc-ingress"), "on_packet", "5.10"),
        ProgramKind::Chain(HookPoint::TcEgress) => (source!("tc-egress"), "on_packet", "5.10"),
        ProgramKind::Probe(ProbeKind::Kprobe) => (source!("kprobe"), "on_call", "5.15"),
        ProgramKind::Probe(ProbeKind::Kretprobe) => (source!("kretprobe"), "on_return", "5.15"),
        ProgramKind::Probe(ProbeKind::Tracepoint) => (source!("tracepoint"), "on_exec", "5.15"),
        ProgramKind::Probe(ProbeKind::RawTracepoint) => (source!("raw-tracepoint"), "on_exec", "5.10"),
        ProgramKind::Probe(ProbeKind::TpBtf) => (source!("tp-btf"), "on_exec", "5.10"),
        ProgramKind::Probe(ProbeKind::Uprobe) => (source!("uprobe"), "on_call", "5.15"),
        ProgramKind::Probe(ProbeKind::Uretprobe) => (source!("uretprobe"), "on_return", "5.15"),
        ProgramKind::Probe(ProbeKind::Usdt) => (source!("usdt"), "on_probe", "6.6"),
        ProgramKind::Probe(ProbeKind::Fentry) => (source!("fentry"), "on_call", "5.10"),
        ProgramKind::Probe(ProbeKind::Fexit) => (source!("fexit"), "on_return", "5.10"),
        ProgramKind::Probe(ProbeKind::Lsm) => (source!("lsm"), "on_check", "5.10"),
        ProgramKind::Probe(ProbeKind::Cgroup) => (source!("cgroup"), "on_packet", "5.10"),
        ProgramKind::Probe(ProbeKind::Sockops) => (source!("sockops"), "on_socket", "5.10"),
        ProgramKind::Probe(ProbeKind::SkLookup) => (source!("sk-lookup"), "on_lookup", "5.10"),
        ProgramKind::Probe(ProbeKind::Netfilter) => (source!("netfilter"), "on_packet", "6.4"),
        ProgramKind::Probe(ProbeKind::PerfEvent) => (source!("perf-event"), "on_sample", "5.15"),
        ProgramKind::Probe(ProbeKind::NetkitPrimary) => (source!("netkit-primary"), "on_packet", "6.7"),
        ProgramKind::Probe(ProbeKind::NetkitPeer) => (source!("netkit-peer"), "on_packet", "6.7"),
        ProgramKind::Probe(ProbeKind::Iter) => (source!("iter"), "on_task", "5.10"),
    }
}

/// Where it attaches, as `package.toml` says it.
fn attach(kind: ProgramKind) -> &'static str {
    match kind.probe() {
        Some(ProbeKind::Netfilter) => r#"{ family = "ipv4", hook = "input", priority = 0 }"#,
        Some(ProbeKind::PerfEvent) => r#"{ event = "cpu-clock", frequency = 10 }"#,
        Some(ProbeKind::Sockops) => r#"{ cgroup = "/sys/fs/cgroup" }"#,
        _ => "",
    }
}

/// What it says of packets. Probes meet none that are made up.
fn verdict(kind: ProgramKind) -> Option<&'static str> {
    match kind {
        ProgramKind::Chain(HookPoint::Xdp) => Some("pass"),
        ProgramKind::Chain(HookPoint::TcIngress | HookPoint::TcEgress) => Some("unspec"),
        ProgramKind::Probe(_) => None,
    }
}

/// What is said to `l3af run`, and what there is to say of it. Its own name is put in with the rest.
fn placed(kind: ProgramKind) -> (&'static str, &'static str) {
    let ProgramKind::Probe(kind) = kind else { return ("--on eth0", "") };
    match kind {
        ProbeKind::Kprobe | ProbeKind::Kretprobe | ProbeKind::Fentry | ProbeKind::Fexit => {
            ("--probe", "`--attach symbol=NAME` in place of `--probe` attaches it to another function.")
        }
        ProbeKind::Tracepoint => (
            "--probe",
            "`--attach tracepoint=CATEGORY:NAME` in place of `--probe` attaches it to another one; `ls \
             /sys/kernel/tracing/events` lists them.",
        ),
        ProbeKind::RawTracepoint => {
            ("--probe", "`--attach tracepoint=NAME` in place of `--probe` attaches it to another one.")
        }
        ProbeKind::TpBtf => {
            ("--probe", "`--attach symbol=NAME` in place of `--probe` attaches it to another tracepoint.")
        }
        ProbeKind::Uprobe | ProbeKind::Uretprobe => (
            "--attach path=/usr/bin/bash --attach symbol=readline",
            "It is attached to the function of the executable or library that `path` and `symbol` name.",
        ),
        ProbeKind::Usdt => (
            "--attach path=/usr/lib/x86_64-linux-gnu/libc.so.6 --attach provider=libc --attach name=setjmp",
            "It is attached to the static probe that `path`, `provider` and `name` name; `readelf -n FILE` lists those of a \
             file.",
        ),
        ProbeKind::Lsm => (
            "--probe",
            "`--attach symbol=NAME` in place of `--probe` attaches it to another hook. The kernel must have been started \
             with `bpf` in `lsm=`.",
        ),
        ProbeKind::Cgroup | ProbeKind::Sockops => (
            "--probe",
            "`--attach cgroup=DIR` in place of `--probe` attaches it to another group than all of `/sys/fs/cgroup`.",
        ),
        ProbeKind::SkLookup => (
            "--probe",
            "`--attach netns=FILE` in place of `--probe` attaches it to another network namespace.",
        ),
        ProbeKind::Netfilter => {
            ("--probe", "Where it runs among the hooks of netfilter says `attach` in `package.toml`.")
        }
        ProbeKind::PerfEvent => {
            ("--probe", "Which event it counts, and how often it looks, says `attach` in `package.toml`.")
        }
        ProbeKind::NetkitPrimary | ProbeKind::NetkitPeer => (
            "--attach interface=nk0",
            "It is attached to a pair of netkit devices, by the end that is in the host.",
        ),
        ProbeKind::Iter => (
            "--probe",
            "Each who reads its pin gets the list: `cat \
             '/sys/fs/bpf/l3af/probes-outside-of-chains/instances/{{name}}#1/links/0'`.",
        ),
    }
}

/// Whether it sees packets or sockets.
fn is_of_packets(kind: ProgramKind) -> bool {
    let ProgramKind::Probe(kind) = kind else { return true };
    matches!(
        kind,
        ProbeKind::Cgroup
            | ProbeKind::Sockops
            | ProbeKind::SkLookup
            | ProbeKind::Netfilter
            | ProbeKind::NetkitPrimary
            | ProbeKind::NetkitPeer
    )
}
