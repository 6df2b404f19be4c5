// SPDX-License-Identifier: Apache-2.0
//! Reading one hook: its pins, its link or filter, and where each slot leads.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{Link, Program};
use package::{HookPoint, Mechanism};
use plan::{
    Buffers, Entry, Hook, Incumbent, Instance, Neighbours, ObservedHook, ObservedInstance, Root, Target,
};

use super::{TCX, kernel_version, observe_layout};
use crate::linux::clsact::Filter;
use crate::linux::device::{Device, within};
use crate::linux::pins::{FILTER, Pins, names, parse_instance, parse_state};
use crate::linux::{Spelling, code, dispatcher, holder, incumbent, maps, sys};
use crate::record::Record;

/// Reads what there is at a hook, whose interface may be gone.
pub(in crate::linux) fn observe(
    pins: &Pins,
    hook: &Hook,
    device: Option<&Device>,
) -> io::Result<ObservedHook> {
    let mut by_program = BTreeMap::new();
    let mut instances = BTreeMap::new();
    for name in names(&pins.instances(hook))? {
        let Some(instance) = parse_instance(&name) else { continue };
        if let Some(id) = program_id(&pins.instance(hook, &instance).join("program"))? {
            by_program.insert(id, instance.clone());
        }
        instances.insert(instance, ObservedInstance { spec: None, code: None, next: Target::Nothing });
    }
    let slots = Slots::read(pins, hook, by_program)?;
    for (instance, found) in &mut instances {
        let folder = pins.instance(hook, instance);
        if folder.join("record").exists() {
            let record: Record = maps::read_record(&folder.join("record"))?;
            found.code.clone_from(&record.code);
            let is_recorded = code::is_recorded(&folder.join("program"), found.code.as_ref())?;
            let spec = record.into_spec(hook.point).map_err(io::Error::other)?;
            if spec.mechanism == Mechanism::Splice {
                found.next = slots.target(&folder.join("next"))?;
            }
            // A program with other instructions is not what was loaded, whoever pinned it there.
            found.spec = Some(spec).filter(|_| is_recorded);
        }
    }
    let mut roots = BTreeMap::new();
    for buffers in [Buffers::One, Buffers::Many] {
        let folder = pins.entry(hook, buffers);
        if folder.join("program").exists() {
            roots.insert(buffers, slots.target(&folder.join("slot"))?);
        }
    }
    let dispatchers = dispatcher::observe(pins, hook, &instances)?;
    let entries = entries(&roots, &dispatchers, &instances);
    let (root, running) = observe_root(pins, hook, &entries, device)?;
    let attached = device.filter(|_| root == Root::Attached);
    forget_unproven(&mut instances, &dispatchers, running.as_ref().filter(|_| attached.is_some()));
    let mode = attached.and_then(|device| device.xdp).map(|xdp| xdp.mode);
    let neighbours = match (attached, &running) {
        (Some(device), Some(entry)) => neighbours(pins, hook, device, entry)?,
        _ => Neighbours::default(),
    };
    let entry = running.or_else(|| entries.into_iter().next()).unwrap_or_default();
    let accounted = maps::read_ledger(pins, hook)?.order().to_vec();
    let states = names(&pins.states(hook))?;
    let states = states.iter().filter_map(|name| parse_state(name)).map(|state| {
        let layout = observe_layout(&pins.state(hook, &state))?;
        Ok((state, layout))
    });
    let states = states.collect::<io::Result<_>>()?;
    let incumbent = slots.incumbent;
    Ok(ObservedHook {
        root,
        entry,
        mode,
        neighbours,
        incumbent,
        roots,
        dispatchers,
        instances,
        accounted,
        states,
    })
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
    let own = instances.iter().filter_map(|(name, found)| {
        let spec = found.spec.as_ref()?;
        match spec.mechanism {
            Mechanism::Alone => Some(Entry::Alone(name.clone())),
            Mechanism::Splice if spec.device_bound => Some(Entry::Head(name.clone())),
            Mechanism::Splice | Mechanism::Dispatcher => None,
        }
    });
    roots.chain(dispatchers).chain(own).collect()
}

/// The kernel does not tell for which device a program was loaded, or whether that is still there; an interface of the same
/// name and number can be another one. But it attaches a program to no other device, so that the one which has the packets is
/// for this one, and of all others nothing is known.
fn forget_unproven(
    instances: &mut BTreeMap<Instance, ObservedInstance>,
    dispatchers: &BTreeMap<u64, Option<Vec<Instance>>>,
    attached: Option<&Entry>,
) {
    let has_packets = |name: &Instance| match attached {
        Some(Entry::Head(entry) | Entry::Alone(entry)) => name == entry,
        Some(Entry::Dispatcher(serial)) => {
            dispatchers.get(serial).into_iter().flatten().flatten().any(|member| member == name)
        }
        Some(Entry::Root(_)) | None => false,
    };
    for (name, found) in instances {
        found.spec.take_if(|spec| spec.device_bound && !has_packets(name));
    }
}

/// The condition of the link or filter, and which of the entries it runs.
fn observe_root(
    pins: &Pins,
    hook: &Hook,
    entries: &[Entry],
    device: Option<&Device>,
) -> io::Result<(Root, Option<Entry>)> {
    let folder = pins.root(hook);
    let held = program_id(&pins.incumbent(hook).join("program"))?;
    let running = if held.is_some() {
        incumbent::running(pins, hook, device)?
    } else if folder.join(FILTER).exists() {
        filter_program(hook, device)?
    } else if folder.join("link").exists() {
        link_program(&folder.join("link"), device)?
    } else {
        return Ok((if entries.is_empty() { Root::Absent } else { Root::Detached }, None));
    };
    if running.is_some() && running == held {
        return Ok((if entries.is_empty() { Root::Absent } else { Root::Detached }, None));
    }
    for entry in entries {
        if running.is_some() && program_id(&pins.entry_program(hook, entry))? == running {
            return Ok((Root::Attached, Some(entry.clone())));
        }
    }
    Ok((Root::Severed, None))
}

/// The id of the program that a link of this interface runs.
fn link_program(link: &Path, device: Option<&Device>) -> io::Result<Option<u32>> {
    let link = Link::open(link).map_err(maps::plain)?;
    let info = LinkInfo::from_fd(link.as_fd()).map_err(maps::plain)?;
    let here = device.is_some_and(|device| leads_to(&info, device));
    Ok(here.then_some(info.prog_id))
}

/// Whether a link is one to this interface. Indexes are unique in their namespace only, so an XDP program must be there.
fn leads_to(info: &LinkInfo, device: &Device) -> bool {
    if let LinkTypeInfo::Xdp(xdp) = &info.info {
        return xdp.ifindex == device.index && device.xdp.is_some_and(|found| found.program == info.prog_id);
    }
    matches!(&info.info, LinkTypeInfo::Tcx(tcx) if tcx.ifindex == device.index)
}

fn filter_program(hook: &Hook, device: Option<&Device>) -> io::Result<Option<u32>> {
    let Some(device) = device else { return Ok(None) };
    within(hook.interface.namespace.as_ref(), || Filter::of_chain(device.index, hook.point).program())
}

/// Whose programs share a TC hook with an entry of ours.
fn neighbours(pins: &Pins, hook: &Hook, device: &Device, entry: &Entry) -> io::Result<Neighbours> {
    if hook.point == HookPoint::Xdp || kernel_version()? < TCX {
        return Ok(Neighbours::default());
    }
    let attach = Spelling::of(hook.point).attach;
    let programs = within(hook.interface.namespace.as_ref(), || sys::tcx_programs(device.index, attach))?;
    let own = program_id(&pins.entry_program(hook, entry))?;
    let ours = programs.iter().position(|id| Some(*id) == own).unwrap_or(programs.len());
    let name = |id: &u32| holder::name(*id).unwrap_or_else(|| id.to_string());
    let behind = programs.get(ours + 1..).unwrap_or_default();
    Ok(Neighbours {
        before: programs[..ours].iter().map(name).collect(),
        behind: behind.iter().map(name).collect(),
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

/// The numbers of the programs of all instances of a hook.
pub(in crate::linux) fn program_ids(pins: &Pins, hook: &Hook) -> io::Result<BTreeMap<Instance, u32>> {
    let mut ids = BTreeMap::new();
    for instance in names(&pins.instances(hook))?.iter().filter_map(|name| parse_instance(name)) {
        let id = program_id(&pins.instance(hook, &instance).join("program"))?;
        ids.extend(id.map(|id| (instance, id)));
    }
    Ok(ids)
}

fn program_id(pin: &Path) -> io::Result<Option<u32>> {
    if !pin.exists() {
        return Ok(None);
    }
    let program = Program::fd_from_pinned_path(pin).map_err(maps::plain)?;
    Program::id_from_fd(program.as_fd()).map(Some).map_err(maps::plain)
}
