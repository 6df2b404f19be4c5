// SPDX-License-Identifier: Apache-2.0
//! What a package says of itself and what is in it, as lists show it and searches find it.

use package::{HookPoint, Object, Package, ProbeKind, ProgramKind, ProgramSpec};
use wire::hub::Facts;

use super::checks::{FIXED, linted, unpacked};

/// The facts of a package.
pub(super) fn facts(package: &Package) -> Facts {
    let (manifest, info) = (&package.manifest, &package.manifest.package);
    let objects = package.platforms.iter().flat_map(|entry| {
        manifest.objects().into_iter().filter_map(|path| Object::parse(entry.files.bytes(path)?).ok())
    });
    let maps = objects.flat_map(|object| object.maps).map(|map| map.name).collect();
    let kinds = || manifest.programs.iter().flat_map(ProgramSpec::kinds);
    let is_fixed = |found: &lint::Finding| FIXED.contains(&found.rule.name);
    Facts {
        description: info.description.clone(),
        category: info.category.to_string(),
        subcategory: info.subcategory.to_string(),
        tags: info.tags.iter().map(ToString::to_string).collect(),
        license: info.license.clone(),
        homepage: info.homepage.clone(),
        source: info.source.clone(),
        kernel_min: manifest.kernel.min,
        platforms: manifest.platforms.iter().map(ToString::to_string).collect(),
        hooks: kinds().map(|kind| kind.to_string()).collect(),
        program_types: kinds().map(|kind| program_type(kind).to_owned()).collect(),
        programs: manifest.programs.iter().map(|program| program.function.to_string()).collect(),
        maps,
        co_re: linted(package).is_ok_and(|found| !found.iter().any(is_fixed)),
        user_program: manifest.user.is_some(),
        size_bytes: package.platforms.iter().map(unpacked).max().unwrap_or(0),
    }
}

/// What the kernel calls programs of a kind: `BPF_PROG_TYPE_*` in `linux/bpf.h`, as `bpftool prog` writes it.
fn program_type(kind: ProgramKind) -> &'static str {
    match kind {
        ProgramKind::Chain(HookPoint::Xdp) => "xdp",
        ProgramKind::Chain(HookPoint::TcIngress | HookPoint::TcEgress)
        | ProgramKind::Probe(ProbeKind::NetkitPrimary | ProbeKind::NetkitPeer) => "sched_cls",
        ProgramKind::Probe(
            ProbeKind::Kprobe
            | ProbeKind::Kretprobe
            | ProbeKind::Uprobe
            | ProbeKind::Uretprobe
            | ProbeKind::Usdt,
        ) => "kprobe",
        ProgramKind::Probe(ProbeKind::Tracepoint) => "tracepoint",
        ProgramKind::Probe(ProbeKind::RawTracepoint) => "raw_tracepoint",
        ProgramKind::Probe(ProbeKind::TpBtf | ProbeKind::Fentry | ProbeKind::Fexit | ProbeKind::Iter) => {
            "tracing"
        }
        ProgramKind::Probe(ProbeKind::Lsm) => "lsm",
        ProgramKind::Probe(ProbeKind::Cgroup) => "cgroup_skb",
        ProgramKind::Probe(ProbeKind::Sockops) => "sock_ops",
        ProgramKind::Probe(ProbeKind::SkLookup) => "sk_lookup",
        ProgramKind::Probe(ProbeKind::Netfilter) => "netfilter",
        ProgramKind::Probe(ProbeKind::PerfEvent) => "perf_event",
    }
}
