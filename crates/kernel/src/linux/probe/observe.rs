// SPDX-License-Identifier: Apache-2.0
//! Reading what the kernel holds of probes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{Link, Program};
use package::ProbeKind;
use plan::{Instance, ObservedProbe, ObservedProbes};

use super::super::pins::{Pins, names, parse_instance, parse_state};
use super::super::state::LAYOUT;
use super::super::{code, maps, sys};
use super::target::tracing_events;
use crate::Runs;
use crate::probe_record::ProbeRecord;

/// Reads everything.
pub(in super::super) fn observe(pins: &Pins) -> io::Result<ObservedProbes> {
    let mut instances = BTreeMap::new();
    for name in names(&pins.probe_instances())? {
        let Some(instance) = parse_instance(&name) else { continue };
        let found = observe_instance(&pins.probe(&instance))?;
        instances.insert(instance, found);
    }
    let mut states = BTreeMap::new();
    for name in names(&pins.probe_states())? {
        let Some(state) = parse_state(&name) else { continue };
        let layout = pins.probe_state(&state).join(LAYOUT);
        let layout = if layout.exists() { Some(maps::read_record(&layout)?) } else { None };
        states.insert(state, layout);
    }
    Ok(ObservedProbes { instances, states, absent: BTreeMap::new() })
}

fn observe_instance(folder: &Path) -> io::Result<ObservedProbe> {
    let record = folder.join("record");
    if !record.exists() {
        return Ok(ObservedProbe { spec: None, code: None, attached: false });
    }
    let record: ProbeRecord = maps::read_record(&record)?;
    let code = record.code.clone();
    let is_recorded = code::is_recorded(&folder.join("program"), code.as_ref())?;
    let (program, links) = (folder.join("program"), names(&folder.join("links"))?);
    let mut attached = !links.is_empty() && program.exists();
    if attached {
        let program = Program::fd_from_pinned_path(program).map_err(maps::plain)?;
        let id = Program::id_from_fd(program.as_fd()).map_err(maps::plain)?;
        for link in links {
            let link = Link::open(folder.join("links").join(link)).map_err(maps::plain)?;
            let info = LinkInfo::from_fd(link.as_fd()).map_err(maps::plain)?;
            attached &= info.prog_id == id && leads_somewhere(&info.info);
        }
    }
    let spec = Some(record.into()).filter(|_| is_recorded);
    Ok(ObservedProbe { spec, code, attached })
}

/// Whether a link still has its target. Those that can lose it tell by a zero.
fn leads_somewhere(info: &LinkTypeInfo) -> bool {
    if let LinkTypeInfo::Cgroup(info) = info {
        info.cgroup_id != 0
    } else if let LinkTypeInfo::NetNs(info) = info {
        info.ino != 0
    } else if let LinkTypeInfo::Netkit(info) = info {
        info.ifindex != 0
    } else {
        true
    }
}

/// How often each instance ran.
pub(in super::super) fn runs(pins: &Pins) -> io::Result<BTreeMap<Instance, Runs>> {
    let mut runs = BTreeMap::new();
    for name in names(&pins.probe_instances())? {
        let Some(instance) = parse_instance(&name) else { continue };
        let program = pins.probe(&instance).join("program");
        if program.exists() {
            let program = Program::fd_from_pinned_path(program).map_err(maps::plain)?;
            let (count, nanoseconds) = sys::run_statistics(program.as_fd())?;
            runs.insert(instance, Runs { count, nanoseconds });
        }
    }
    Ok(runs)
}

/// The kinds of probes that this kernel was built or started without, with what is missing.
pub(in super::super) fn lacks() -> BTreeMap<ProbeKind, String> {
    let mut lacks = BTreeMap::new();
    let sources = Path::new("/sys/bus/event_source/devices");
    let events = [
        ("kprobe", [ProbeKind::Kprobe, ProbeKind::Kretprobe].as_slice(), "CONFIG_KPROBE_EVENTS"),
        ("uprobe", &[ProbeKind::Uprobe, ProbeKind::Uretprobe, ProbeKind::Usdt], "CONFIG_UPROBE_EVENTS"),
        ("software", &[ProbeKind::PerfEvent], "CONFIG_PERF_EVENTS"),
    ];
    for (source, kinds, option) in events {
        if !sources.join(source).exists() {
            lacks.extend(kinds.iter().map(|kind| (*kind, format!("it was built without `{option}`"))));
        }
    }
    if tracing_events().is_none() {
        lacks.insert(ProbeKind::Tracepoint, "there is no tracefs".to_owned());
    }
    // Where securityfs is not mounted, only loading can tell.
    let modules = fs::read_to_string("/sys/kernel/security/lsm");
    if modules.is_ok_and(|modules| !modules.trim().split(',').any(|module| module == "bpf")) {
        let reason = "`bpf` is not among the security modules that it was started with (`lsm=`)";
        lacks.insert(ProbeKind::Lsm, reason.to_owned());
    }
    lacks
}
