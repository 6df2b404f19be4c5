// SPDX-License-Identifier: Apache-2.0
//! Reading what the kernel holds: pins, links, and where each slot leads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{Link, Program};
use package::{HookPoint, InterfaceName, KernelVersion};
use plan::{Buffers, Facts, Hook, Instance, Observed, ObservedHook, ObservedInstance, Root, Target};
use rustix::net::netdevice::name_to_index;

use super::clsact::Filter;
use super::load::LAYOUT;
use super::pins::{FILTER, Pins, names, parse_instance, parse_state};
use super::{maps, sys};
use crate::Unseen;
use crate::record::Record;

/// TCX links came with this kernel.
const TCX: KernelVersion = KernelVersion { major: 6, minor: 6 };
/// Since this kernel a tail call in a subprogram counts for the programs behind it as well.
const SHARED_TAIL_CALLS: KernelVersion = KernelVersion { major: 6, minor: 12 };
/// XDP programs take packets in several buffers since this kernel.
const FRAGMENTS: KernelVersion = KernelVersion { major: 5, minor: 18 };
/// `MAX_TAIL_CALL_CNT` of `linux/bpf.h`.
const TAIL_CALLS: usize = 33;

/// Reads everything.
pub(super) fn observe(pins: &Pins) -> Result<Observed, Unseen> {
    let unseen = |what: &str| {
        let what = what.to_owned();
        move |source: io::Error| Unseen::new(what, source)
    };
    let kernel = kernel_version().map_err(unseen("the kernel's version"))?;
    let interfaces = interfaces().map_err(unseen("the network interfaces"))?;
    let mut hooks = BTreeMap::new();
    for hook in pins.hooks().map_err(unseen("the folder of pins"))? {
        let found = observe_hook(pins, &hook).map_err(unseen(&format!("the pins of `{hook}`")))?;
        hooks.insert(hook, found);
    }
    let foreign = foreign(&interfaces, &hooks).map_err(unseen("the programs on the interfaces"))?;
    let facts = Facts {
        kernel,
        tcx: kernel >= TCX,
        tail_calls: TAIL_CALLS,
        tail_calls_shared: kernel >= SHARED_TAIL_CALLS,
        fragments: kernel >= FRAGMENTS,
        lacks: super::probe::lacks(),
    };
    let probes = super::probe::observe(pins).map_err(unseen("the pins of the probes"))?;
    Ok(Observed { facts, interfaces, hooks, foreign, probes })
}

/// The index of an interface of this network namespace.
pub(super) fn interface_index(name: &InterfaceName) -> io::Result<u32> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    Ok(name_to_index(socket.as_fd(), name.as_ref())?)
}

fn kernel_version() -> io::Result<KernelVersion> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    release.parse().map_err(io::Error::other)
}

/// `/proc/thread-self/net` belongs to the network namespace of the caller, which `/sys` need not.
fn interfaces() -> io::Result<BTreeSet<InterfaceName>> {
    let table = fs::read_to_string("/proc/thread-self/net/dev")?;
    let names = table.lines().filter_map(|line| line.split_once(':'));
    Ok(names.filter_map(|(name, _)| name.trim().parse().ok()).collect())
}

fn observe_hook(pins: &Pins, hook: &Hook) -> io::Result<ObservedHook> {
    let mut by_program = BTreeMap::new();
    let mut instances = BTreeMap::new();
    for name in names(&pins.instances(hook))? {
        let Some(instance) = parse_instance(&name) else { continue };
        if let Some(id) = program_id(&pins.instance(hook, &instance).join("program"))? {
            by_program.insert(id, instance.clone());
        }
        instances.insert(instance, ObservedInstance { spec: None, next: Target::Nothing });
    }
    for (instance, found) in &mut instances {
        let folder = pins.instance(hook, instance);
        if folder.join("record").exists() {
            let record: Record = maps::read_record(&folder.join("record"))?;
            found.spec = Some(record.into_spec(hook.point).map_err(io::Error::other)?);
            found.next = target(&folder.join("next"), &by_program)?;
        }
    }
    let (mut roots, mut programs) = (BTreeMap::new(), BTreeMap::new());
    for buffers in [Buffers::One, Buffers::Many] {
        let folder = pins.entry(hook, buffers);
        if let Some(program) = program_id(&folder.join("program"))? {
            programs.insert(program, buffers);
            roots.insert(buffers, target(&folder.join("slot"), &by_program)?);
        }
    }
    let (root, running) = observe_root(pins, hook, &programs)?;
    let entry = running.or_else(|| roots.keys().next().copied()).unwrap_or_default();
    let accounted = maps::read_ledger(pins, hook)?.order().to_vec();
    let states = names(&pins.states(hook))?;
    let states = states.iter().filter_map(|name| parse_state(name)).map(|state| {
        let layout = pins.state(hook, &state).join(LAYOUT);
        let layout = if layout.exists() { Some(maps::read_record(&layout)?) } else { None };
        Ok((state, layout))
    });
    let states = states.collect::<io::Result<_>>()?;
    Ok(ObservedHook { root, entry, roots, instances, accounted, states })
}

/// The condition of the link or filter, and which of the root programs it runs.
fn observe_root(
    pins: &Pins,
    hook: &Hook,
    programs: &BTreeMap<u32, Buffers>,
) -> io::Result<(Root, Option<Buffers>)> {
    let folder = pins.root(hook);
    if programs.is_empty() {
        return Ok((Root::Absent, None));
    }
    if folder.join(FILTER).exists() {
        return observe_filter(pins, hook, programs);
    }
    if !folder.join("link").exists() {
        return Ok((Root::Detached, None));
    }
    let link = Link::open(folder.join("link")).map_err(maps::plain)?;
    let info = LinkInfo::from_fd(link.as_fd()).map_err(maps::plain)?;
    let index = if let LinkTypeInfo::Xdp(info) = &info.info {
        Some(info.ifindex)
    } else if let LinkTypeInfo::Tcx(info) = &info.info {
        Some(info.ifindex)
    } else {
        None
    };
    let here = interface_index(&hook.interface).is_ok_and(|here| index == Some(here));
    Ok(condition(if here { programs.get(&info.prog_id) } else { None }))
}

fn condition(running: Option<&Buffers>) -> (Root, Option<Buffers>) {
    match running {
        Some(buffers) => (Root::Attached, Some(*buffers)),
        None => (Root::Severed, None),
    }
}

fn observe_filter(
    pins: &Pins,
    hook: &Hook,
    programs: &BTreeMap<u32, Buffers>,
) -> io::Result<(Root, Option<Buffers>)> {
    let Ok(index) = interface_index(&hook.interface) else { return Ok(condition(None)) };
    let root = pins.entry(hook, Buffers::One).join("program");
    let root = Program::fd_from_pinned_path(root).map_err(maps::plain)?;
    let found = Filter::of_chain(index, hook.point).program(root.as_fd())?;
    Ok(condition(found.and_then(|found| programs.get(&found))))
}

fn target(slot: &Path, by_program: &BTreeMap<u32, Instance>) -> io::Result<Target> {
    Ok(match maps::read_slot(slot)? {
        None => Target::Nothing,
        Some(id) => by_program.get(&id).cloned().map_or(Target::Foreign, Target::Instance),
    })
}

fn program_id(pin: &Path) -> io::Result<Option<u32>> {
    if !pin.exists() {
        return Ok(None);
    }
    let program = Program::fd_from_pinned_path(pin).map_err(maps::plain)?;
    Program::id_from_fd(program.as_fd()).map(Some).map_err(maps::plain)
}

/// XDP programs of others: an interface has room for one.
fn foreign(
    interfaces: &BTreeSet<InterfaceName>,
    hooks: &BTreeMap<Hook, ObservedHook>,
) -> io::Result<BTreeMap<Hook, String>> {
    let mut foreign = BTreeMap::new();
    for interface in interfaces {
        let hook = Hook { interface: interface.clone(), point: HookPoint::Xdp };
        if hooks.get(&hook).is_some_and(|found| matches!(found.root, Root::Attached | Root::Severed)) {
            continue;
        }
        // The interface may have gone since it was listed.
        let Ok(index) = interface_index(interface) else { continue };
        let id = sys::xdp_program(index)?;
        if id != 0 {
            foreign.insert(hook, super::holder::describe(id));
        }
    }
    Ok(foreign)
}
