// SPDX-License-Identifier: Apache-2.0
//! Reading what the kernel holds: pins, links, and where each slot leads.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{Link, Program};
use package::{HookPoint, Interface, KernelVersion, Layout, NetworkNamespace};
use plan::{
    Buffers, Facts, Hook, Incumbent, Instance, Neighbours, Observed, ObservedHook, ObservedInstance, Root,
    SharedMap, Target,
};

use super::clsact::Filter;
use super::device::{Device, devices, interface_index, within};
use super::pins::{FILTER, Pins, names, parse_instance, parse_state};
use super::state::LAYOUT;
use super::{Spelling, holder, incumbent, maps, sys};
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

/// The interfaces of all namespaces that matter.
type Devices = BTreeMap<Interface, Device>;

/// Reads everything.
pub(super) fn observe(pins: &Pins, namespaces: &BTreeSet<NetworkNamespace>) -> Result<Observed, Unseen> {
    let unseen = |what: &str| {
        let what = what.to_owned();
        move |source: io::Error| Unseen::new(what, source)
    };
    let kernel = kernel_version().map_err(unseen("the kernel's version"))?;
    let pinned = pins.hooks().map_err(unseen("the folder of pins"))?;
    let theirs = pinned.iter().filter_map(|hook| hook.interface.namespace.clone());
    let namespaces: BTreeSet<NetworkNamespace> = namespaces.iter().cloned().chain(theirs).collect();
    let devices = all_devices(&namespaces).map_err(unseen("the network interfaces"))?;
    let shared = observe_shared(pins, &pinned).map_err(unseen("the pins of shared maps"))?;
    let mut hooks = BTreeMap::new();
    for hook in pinned {
        let seeing = unseen(&format!("the pins of `{hook}`"));
        let found = observe_hook(pins, &hook, devices.get(&hook.interface)).map_err(seeing)?;
        hooks.insert(hook, found);
    }
    let foreign = foreign(pins, &devices, &hooks);
    let facts = Facts {
        kernel,
        tcx: kernel >= TCX,
        tail_calls: TAIL_CALLS,
        tail_calls_shared: kernel >= SHARED_TAIL_CALLS,
        fragments: kernel >= FRAGMENTS,
    };
    Ok(Observed { facts, interfaces: devices.into_keys().collect(), hooks, shared, foreign })
}

fn observe_shared(pins: &Pins, hooks: &[Hook]) -> io::Result<BTreeMap<SharedMap, Option<Layout>>> {
    let mut found = BTreeMap::new();
    for shared in pins.all_shared(hooks)? {
        let layout = observe_layout(&pins.shared(&shared))?;
        found.insert(shared, layout);
    }
    Ok(found)
}

/// What lies where in the maps of a folder; none where making them was not finished.
fn observe_layout(folder: &Path) -> io::Result<Option<Layout>> {
    let layout = folder.join(LAYOUT);
    if layout.exists() { maps::read_record(&layout).map(Some) } else { Ok(None) }
}

fn kernel_version() -> io::Result<KernelVersion> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    release.parse().map_err(io::Error::other)
}

fn all_devices(namespaces: &BTreeSet<NetworkNamespace>) -> io::Result<Devices> {
    let mut all = Devices::new();
    for namespace in [None].into_iter().chain(namespaces.iter().map(Some)) {
        let found = devices(namespace)?.into_iter();
        let named = |(name, device)| (Interface { namespace: namespace.cloned(), name }, device);
        all.extend(found.map(named));
    }
    Ok(all)
}

fn observe_hook(pins: &Pins, hook: &Hook, device: Option<&Device>) -> io::Result<ObservedHook> {
    let mut by_program = BTreeMap::new();
    let mut instances = BTreeMap::new();
    for name in names(&pins.instances(hook))? {
        let Some(instance) = parse_instance(&name) else { continue };
        if let Some(id) = program_id(&pins.instance(hook, &instance).join("program"))? {
            by_program.insert(id, instance.clone());
        }
        instances.insert(instance, ObservedInstance { spec: None, next: Target::Nothing });
    }
    let slots = Slots::read(pins, hook, by_program)?;
    for (instance, found) in &mut instances {
        let folder = pins.instance(hook, instance);
        if folder.join("record").exists() {
            let record: Record = maps::read_record(&folder.join("record"))?;
            found.spec = Some(record.into_spec(hook.point).map_err(io::Error::other)?);
            found.next = slots.target(&folder.join("next"))?;
        }
    }
    let (mut roots, mut programs) = (BTreeMap::new(), BTreeMap::new());
    for buffers in [Buffers::One, Buffers::Many] {
        let folder = pins.entry(hook, buffers);
        if let Some(program) = program_id(&folder.join("program"))? {
            programs.insert(program, buffers);
            roots.insert(buffers, slots.target(&folder.join("slot"))?);
        }
    }
    let (root, running) = observe_root(pins, hook, &programs, device)?;
    let mode = device.and_then(|device| device.xdp).filter(|_| root == Root::Attached).map(|xdp| xdp.mode);
    let neighbours =
        if root == Root::Attached { neighbours(hook, device, &programs)? } else { Neighbours::default() };
    let entry = running.or_else(|| roots.keys().next().copied()).unwrap_or_default();
    let accounted = maps::read_ledger(pins, hook)?.order().to_vec();
    let states = names(&pins.states(hook))?;
    let states = states.iter().filter_map(|name| parse_state(name)).map(|state| {
        let layout = observe_layout(&pins.state(hook, &state))?;
        Ok((state, layout))
    });
    let states = states.collect::<io::Result<_>>()?;
    let incumbent = slots.incumbent;
    Ok(ObservedHook { root, entry, mode, neighbours, incumbent, roots, instances, accounted, states })
}

/// The condition of the link or filter, and which of the root programs it runs.
fn observe_root(
    pins: &Pins,
    hook: &Hook,
    programs: &BTreeMap<u32, Buffers>,
    device: Option<&Device>,
) -> io::Result<(Root, Option<Buffers>)> {
    let folder = pins.root(hook);
    if programs.is_empty() {
        return Ok((Root::Absent, None));
    }
    if folder.join(FILTER).exists() {
        return observe_filter(pins, hook, programs);
    }
    if let Some(held) = program_id(&pins.incumbent(hook).join("program"))? {
        let running = incumbent::running(pins, hook, device)?;
        let waits = running == Some(held);
        return Ok(if waits {
            (Root::Detached, None)
        } else {
            condition(running.and_then(|id| programs.get(&id)))
        });
    }
    if !folder.join("link").exists() {
        return Ok((Root::Detached, None));
    }
    let link = Link::open(folder.join("link")).map_err(maps::plain)?;
    let info = LinkInfo::from_fd(link.as_fd()).map_err(maps::plain)?;
    let here = device.is_some_and(|device| leads_to(&info, device));
    Ok(condition(if here { programs.get(&info.prog_id) } else { None }))
}

/// Whether a link is one to this interface. Indexes are unique in their namespace only, so an XDP program must be there.
fn leads_to(info: &LinkInfo, device: &Device) -> bool {
    if let LinkTypeInfo::Xdp(xdp) = &info.info {
        return xdp.ifindex == device.index && device.xdp.is_some_and(|found| found.program == info.prog_id);
    }
    matches!(&info.info, LinkTypeInfo::Tcx(tcx) if tcx.ifindex == device.index)
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
    let found = within(hook.interface.namespace.as_ref(), || {
        Filter::of_chain(index, hook.point).program(root.as_fd())
    })?;
    Ok(condition(found.and_then(|found| programs.get(&found))))
}

/// Whose programs share a TC hook with a root of ours.
fn neighbours(
    hook: &Hook,
    device: Option<&Device>,
    roots: &BTreeMap<u32, Buffers>,
) -> io::Result<Neighbours> {
    let attach = Spelling::of(hook.point).attach;
    let Some(device) =
        device.filter(|_| hook.point != HookPoint::Xdp && kernel_version().is_ok_and(|kernel| kernel >= TCX))
    else {
        return Ok(Neighbours::default());
    };
    let programs = within(hook.interface.namespace.as_ref(), || sys::tcx_programs(device.index, attach))?;
    let ours = programs.iter().position(|id| roots.contains_key(id)).unwrap_or(programs.len());
    let names =
        |ids: &[u32]| ids.iter().map(|id| holder::name(*id).unwrap_or_else(|| id.to_string())).collect();
    Ok(Neighbours {
        before: names(&programs[..ours]),
        behind: names(programs.get(ours + 1..).unwrap_or_default()),
    })
}

/// What slots lead to, by the id of the program.
struct Slots {
    by_program: BTreeMap<u32, Instance>,
    incumbent: Incumbent,
    stub: Option<u32>,
}

impl Slots {
    fn read(pins: &Pins, hook: &Hook, by_program: BTreeMap<u32, Instance>) -> io::Result<Self> {
        let folder = pins.incumbent(hook);
        let stub = program_id(&folder.join("stub"))?;
        let incumbent = match (folder.join("program").exists(), stub) {
            (false, _) => Incumbent::Absent,
            (true, None) => Incumbent::Held,
            (true, Some(_)) => Incumbent::Member,
        };
        Ok(Self { by_program, incumbent, stub })
    }

    fn target(&self, slot: &Path) -> io::Result<Target> {
        Ok(match maps::read_slot(slot)? {
            None => Target::Nothing,
            Some(id) if self.stub == Some(id) => Target::Incumbent,
            Some(id) => self.by_program.get(&id).cloned().map_or(Target::Foreign, Target::Instance),
        })
    }
}

fn program_id(pin: &Path) -> io::Result<Option<u32>> {
    if !pin.exists() {
        return Ok(None);
    }
    let program = Program::fd_from_pinned_path(pin).map_err(maps::plain)?;
    Program::id_from_fd(program.as_fd()).map(Some).map_err(maps::plain)
}

/// XDP programs of others: an interface has room for one.
fn foreign(pins: &Pins, devices: &Devices, hooks: &BTreeMap<Hook, ObservedHook>) -> BTreeMap<Hook, String> {
    let mut foreign = BTreeMap::new();
    for (interface, device) in devices {
        let hook = Hook { interface: interface.clone(), point: HookPoint::Xdp };
        let ours = hooks.get(&hook).is_some_and(|found| {
            // What others let our own link run goes with the link.
            found.root == Root::Attached
                || found.root == Root::Severed && pins.root(&hook).join("link").exists()
        });
        if let Some(xdp) = device.xdp.filter(|_| !ours) {
            foreign.insert(hook, holder::describe(xdp.program));
        }
    }
    foreign
}
