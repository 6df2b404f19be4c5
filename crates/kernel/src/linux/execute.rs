// SPDX-License-Identifier: Apache-2.0
//! The steps of a plan, one function each.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use libbpf_rs::{MapHandle, Program};
use package::Mechanism;
use plan::{Buffers, Desired, Hook, Instance, Means, MemberSpec, SharedMap, Slot, State, Step};

use super::device::{interface_index, within};
use super::known::Known;
use super::load::{self, Counting, Loading, Ready, Splicing};
use super::pins::{Pins, remove_tree};
use super::samples::Sampling;
use super::state::{Source, pin_name_of};
use super::{attach, configured, dispatcher, fill, incumbent, inherit, maps, probe, root, sys};
use crate::Refused;
use crate::record::Record;

/// Carries out one step.
pub(super) fn execute(pins: &Pins, known: &mut Known, step: &Step, desired: &Desired) -> Result<(), Refused> {
    let result = match step {
        Step::Load { hook, instance, spec } => {
            return load_member(&Place { pins, hook, instance }, known, spec, desired);
        }
        Step::Probe(step) => return probe::execute(pins, known, step, desired),
        Step::CreateRoot { hook, buffers } => create_root(pins, hook, *buffers),
        Step::Carry { hook, from, to, maps } => carry(&pins.state(hook, from), &pins.state(hook, to), maps),
        Step::Link { hook, from, to } => link(pins, hook, from, to.as_ref()),
        Step::Hold { hook } => incumbent::hold(pins, hook),
        Step::Include { hook } => incumbent::include(pins, hook),
        Step::LinkIncumbent { hook, from } => link_incumbent(pins, hook, from),
        Step::Dispatch { hook, serial, members } => dispatcher::build(pins, hook, *serial, members),
        Step::Attach { hook, means: Means::Link, entry, mode, position } => {
            attach::by_link(pins, hook, entry, (*mode, position.as_ref()))
        }
        Step::Attach { hook, means: Means::Exchange, entry, .. } => attach::by_exchange(pins, hook, entry),
        Step::Attach { hook, means: Means::Filter, entry, .. } => attach::by_filter(pins, hook, entry),
        Step::Turn { hook, to } => attach::turn(pins, hook, to),
        Step::DropDispatcher { hook, serial } => remove_tree(&pins.dispatcher(hook, *serial)),
        Step::DropRoot { hook, buffers } => remove_tree(&pins.entry(hook, *buffers)),
        Step::Detach { hook } => attach::detach(pins, hook),
        Step::Account { hook, order } => account(pins, hook, order),
        // Whoever walks the plan does it.
        Step::Start { .. } => Ok(()),
        Step::Settle => maps::wait_for_running_programs(),
        Step::Unload { hook, instance } => unload(pins, hook, instance),
        Step::Forget { hook, state } => remove_tree(&pins.state(hook, state)),
        Step::ForgetShared { shared } => pins.remove_shared(shared),
        Step::RemoveRoot { hook } => {
            inherit::remove_filters(pins, hook).and_then(|()| pins.remove_hook(hook))
        }
    };
    result.map_err(|source| explain(step, source))
}

/// What the names of pins of a member's own program arrays begin with.
pub(super) const ARRAY: &str = "array:";

struct Place<'a> {
    pins: &'a Pins,
    hook: &'a Hook,
    instance: &'a Instance,
}

fn explain(step: &Step, source: io::Error) -> Refused {
    Refused::action(step.to_string(), source)
}

/// Makes a root beside the other one, if there is one.
fn create_root(pins: &Pins, hook: &Hook, buffers: Buffers) -> io::Result<()> {
    let folder = pins.entry(hook, buffers);
    remove_tree(&folder)?;
    fs::create_dir_all(&folder)?;
    let (program, slot) = root::load(hook.point, buffers)?;
    maps::pin(&slot, &folder.join("slot"))?;
    let ledger = pins.root(hook).join("ledger");
    if !ledger.exists() {
        maps::pin(&maps::create_ledger()?, &ledger)?;
    }
    // The program is pinned last: a root that has it is complete.
    sys::pin(program.as_fd(), &folder.join("program"))
}

/// Pins maps a second time.
pub(super) fn carry(from: &Path, to: &Path, maps: &[String]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for map in maps {
        let (from, to) = (from.join(pin_name_of(map)), to.join(pin_name_of(map)));
        // A map that nothing used has no pin.
        if from.exists() && !to.exists() {
            maps::pin(&MapHandle::from_pinned_path(from).map_err(maps::plain)?, &to)?;
        }
    }
    Ok(())
}

fn load_member(
    place: &Place<'_>,
    known: &mut Known,
    spec: &MemberSpec,
    desired: &Desired,
) -> Result<(), Refused> {
    let Place { pins, hook, instance } = place;
    let folder = pins.instance(hook, instance);
    let refused = |source: io::Error| Refused::action(format!("load {instance} on `{hook}`"), source);
    let object = desired.object(&spec.object).ok_or_else(|| {
        refused(io::Error::new(io::ErrorKind::NotFound, format!("no package holds object {}", spec.object)))
    })?;
    let own = State { member: spec.name.clone(), object: spec.object };
    let state = pins.state(hook, &own);
    let shared = pins.all_of(&SharedMap::of(hook, spec));
    let device =
        if spec.device_bound { Some(interface_index(&hook.interface).map_err(refused)?) } else { None };
    let making = configured::Making::begin(&folder, &spec.contents, || {
        configured::siblings(&pins.instances(hook), &own)
    });
    let making = making.map_err(refused)?;
    let loading = Loading {
        point: hook.point,
        buffers: spec.buffers,
        device,
        source: Source {
            package: &spec.package.name,
            function: &spec.function,
            object,
            constants: &spec.constants,
            configured: making.pins(),
            state: Some(&state),
            shared: &shared,
        },
    };
    // The kernel looks for the device in the network namespace of the thread.
    let namespace = hook.interface.namespace.as_ref().filter(|_| device.is_some());
    let sampling = spec.sampled.and_then(|number| Some((known.sampling(hook)?, number)));
    let (ready, kept) =
        within(namespace, || Ok(make(&loading, known, spec, sampling.as_ref()))).map_err(refused)??;
    fill::fill(&spec.fills, |map| loading.source.pin_of(map), &mut known.filled).map_err(refused)?;
    making.fill(desired).map_err(refused)?;
    pin_instance(&folder, &ready, spec, &kept).map_err(refused)?;
    making.done();
    Ok(())
}

/// What is loaded, and the maps that are pinned beside it under their names.
type Made = (Ready, Vec<(&'static str, MapHandle)>);

/// Where a member tells its verdicts, and its number.
type Told = (Arc<Sampling>, u8);

fn make(
    loading: &Loading<'_>,
    known: &mut Known,
    spec: &MemberSpec,
    told: Option<&Told>,
) -> Result<Made, Refused> {
    match spec.mechanism {
        Mechanism::Splice => load_spliced(loading, known, spec, told),
        Mechanism::Dispatcher => {
            let failed = |error| Refused::action(format!("make the counters of `{}`", spec.name), error);
            let counters = maps::create_counters(loading.point).map_err(failed)?;
            Ok((loading.load_extension(spec.enforcement)?, vec![("counters", counters)]))
        }
        Mechanism::Alone => Ok((loading.load_alone()?, Vec::new())),
    }
}

fn load_spliced(
    loading: &Loading<'_>,
    known: &mut Known,
    spec: &MemberSpec,
    told: Option<&Told>,
) -> Result<Made, Refused> {
    let failed = |error| Refused::action(format!("make the maps of `{}`", spec.name), error);
    let next = maps::create_slot("l3af_next").map_err(failed)?;
    let counters = maps::create_counters(loading.point).map_err(failed)?;
    let keys = known.keys(loading.point).map_err(failed)?;
    let slot = told.map(|(sampling, _)| sampling.slot(spec.buffers)).transpose().map_err(failed)?;
    let sampled = told.zip(slot.as_ref()).map(|((sampling, number), slot)| load::Sampling {
        notes: sampling.notes(),
        sampler: slot.as_fd(),
        number: *number,
    });
    let splicing = Splicing {
        proceed: &spec.proceed,
        enforcement: spec.enforcement,
        timed: spec.timed,
        next: next.as_fd(),
        counters: Some(Counting { cells: counters.as_fd(), keys: keys.as_fd() }),
        sampled,
    };
    let ready = loading.load_as_known(&splicing, spec.object, known)?;
    Ok((ready, vec![("next", next), ("counters", counters)]))
}

fn pin_instance(
    folder: &Path,
    ready: &Ready,
    spec: &MemberSpec,
    kept: &[(&str, MapHandle)],
) -> io::Result<()> {
    for (name, map) in kept {
        maps::pin(map, &folder.join(name))?;
    }
    // The kernel empties a program array when its last descriptor goes, though programs still use it.
    for (name, array) in &ready.arrays {
        maps::pin(array, &folder.join(format!("{ARRAY}{name}")))?;
    }
    sys::pin(ready.program.as_fd(), &folder.join("program"))?;
    // The record is pinned last: an instance that has it is complete.
    maps::pin(&maps::create_record(&Record::new(spec, ready.code.clone()))?, &folder.join("record"))
}

fn link(pins: &Pins, hook: &Hook, from: &Slot, to: Option<&Instance>) -> io::Result<()> {
    let slot = slot(pins, hook, from)?;
    match to {
        Some(instance) => {
            let program = pins.instance(hook, instance).join("program");
            let program = Program::fd_from_pinned_path(program).map_err(maps::plain)?;
            maps::write_descriptor(&slot, program.as_fd())
        }
        None => maps::clear_slot(&slot),
    }
}

fn link_incumbent(pins: &Pins, hook: &Hook, from: &Slot) -> io::Result<()> {
    let stub = Program::fd_from_pinned_path(pins.incumbent(hook).join("stub")).map_err(maps::plain)?;
    maps::write_descriptor(&slot(pins, hook, from)?, stub.as_fd())
}

fn slot(pins: &Pins, hook: &Hook, slot: &Slot) -> io::Result<MapHandle> {
    let path = match slot {
        Slot::Root(buffers) => pins.entry(hook, *buffers).join("slot"),
        Slot::Instance(instance) => pins.instance(hook, instance).join("next"),
    };
    MapHandle::from_pinned_path(path).map_err(maps::plain)
}

fn account(pins: &Pins, hook: &Hook, order: &[Instance]) -> io::Result<()> {
    let mut ledger = maps::read_ledger(pins, hook)?;
    ledger.take_over(&maps::read_counters(pins, hook)?, order.to_vec());
    maps::write_ledger(pins, hook, &ledger)
}

fn unload(pins: &Pins, hook: &Hook, instance: &Instance) -> io::Result<()> {
    // It would run on there, under a name that another instance could get.
    if dispatcher::has_member(pins, hook, instance)? {
        return Err(io::Error::other("a dispatcher runs it"));
    }
    if let Some(last) = maps::read_instance_counters(pins, hook, instance)?
        && pins.root(hook).join("ledger").exists()
    {
        let mut ledger = maps::read_ledger(pins, hook)?;
        ledger.close(instance, last);
        maps::write_ledger(pins, hook, &ledger)?;
    }
    configured::forget_replaced(&pins.instances(hook), instance, |own| pins.state(hook, own))?;
    remove_tree(&pins.instance(hook, instance))
}
