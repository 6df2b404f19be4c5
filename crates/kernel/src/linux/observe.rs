// SPDX-License-Identifier: Apache-2.0
//! Reading what the kernel holds: pins, links, and where each slot leads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{Link, Program};
use package::{HookPoint, InterfaceName, KernelVersion, Mechanism};
use plan::{Buffers, Entry, Facts, Hook, Instance, Observed, ObservedHook, ObservedInstance, Root, Target};
use rustix::net::netdevice::name_to_index;

use super::clsact::Filter;
use super::load::LAYOUT;
use super::pins::{FILTER, Pins, names, parse_instance, parse_state};
use super::{dispatcher, maps, sys};
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
        extensions: dispatcher::extensions_are_permitted(),
    };
    Ok(Observed { facts, interfaces, hooks, foreign })
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
            let spec = record.into_spec(hook.point).map_err(io::Error::other)?;
            if spec.mechanism == Mechanism::Splice {
                found.next = target(&folder.join("next"), &by_program)?;
            }
            found.spec = Some(spec);
        }
    }
    let mut roots = BTreeMap::new();
    for buffers in [Buffers::One, Buffers::Many] {
        let folder = pins.entry(hook, buffers);
        if folder.join("program").exists() {
            roots.insert(buffers, target(&folder.join("slot"), &by_program)?);
        }
    }
    let dispatchers = dispatcher::observe(pins, hook, &instances)?;
    let entries = entries(&roots, &dispatchers, &instances);
    let (root, running) = observe_root(pins, hook, &entries)?;
    let entry = running.or_else(|| entries.into_iter().next()).unwrap_or_default();
    let accounted = maps::read_ledger(pins, hook)?.order().to_vec();
    let states = names(&pins.states(hook))?;
    let states = states.iter().filter_map(|name| parse_state(name)).map(|state| {
        let layout = pins.state(hook, &state).join(LAYOUT);
        let layout = if layout.exists() { Some(maps::read_record(&layout)?) } else { None };
        Ok((state, layout))
    });
    let states = states.collect::<io::Result<_>>()?;
    Ok(ObservedHook { root, entry, roots, dispatchers, instances, accounted, states })
}

/// What could hold the hook.
fn entries(
    roots: &BTreeMap<Buffers, Target>,
    dispatchers: &BTreeMap<u64, Option<Vec<Instance>>>,
    instances: &BTreeMap<Instance, ObservedInstance>,
) -> Vec<Entry> {
    let roots = roots.keys().copied().map(Entry::Root);
    // One that lost something may still have the packets.
    let dispatchers = dispatchers.keys().copied().map(Entry::Dispatcher);
    let is_alone =
        |found: &ObservedInstance| found.spec.as_ref().is_some_and(|spec| spec.mechanism == Mechanism::Alone);
    let alone = instances.iter().filter(|(_, found)| is_alone(found));
    roots.chain(dispatchers).chain(alone.map(|(name, _)| Entry::Alone(name.clone()))).collect()
}

/// The condition of the link or filter, and which of the entries it runs.
fn observe_root(pins: &Pins, hook: &Hook, entries: &[Entry]) -> io::Result<(Root, Option<Entry>)> {
    let folder = pins.root(hook);
    let running = if folder.join(FILTER).exists() {
        filter_program(hook)?
    } else if folder.join("link").exists() {
        link_program(&folder.join("link"), hook)?
    } else {
        return Ok((if entries.is_empty() { Root::Absent } else { Root::Detached }, None));
    };
    for entry in entries {
        if running.is_some() && program_id(&pins.entry_program(hook, entry))? == running {
            return Ok((Root::Attached, Some(entry.clone())));
        }
    }
    Ok((Root::Severed, None))
}

/// The id of the program that a link of this interface runs.
fn link_program(link: &Path, hook: &Hook) -> io::Result<Option<u32>> {
    let link = Link::open(link).map_err(maps::plain)?;
    let info = LinkInfo::from_fd(link.as_fd()).map_err(maps::plain)?;
    let index = if let LinkTypeInfo::Xdp(info) = &info.info {
        Some(info.ifindex)
    } else if let LinkTypeInfo::Tcx(info) = &info.info {
        Some(info.ifindex)
    } else {
        None
    };
    let here = interface_index(&hook.interface).is_ok_and(|here| index == Some(here));
    Ok(here.then_some(info.prog_id))
}

fn filter_program(hook: &Hook) -> io::Result<Option<u32>> {
    let Ok(index) = interface_index(&hook.interface) else { return Ok(None) };
    Filter::of_chain(index, hook.point).program()
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
