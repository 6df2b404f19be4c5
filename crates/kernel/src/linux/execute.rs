// SPDX-License-Identifier: Apache-2.0
//! The steps of a plan, one function each.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use libbpf_rs::{Link, MapCore as _, MapHandle, MapType, Object as Loaded, Program};
use package::Mechanism;
use plan::{Buffers, Desired, Entry, Hook, Instance, Means, MemberSpec, Slot, State, Step};

use super::clsact::Filter;
use super::load::{Counting, Known, Loading, Splicing};
use super::pins::{FILTER, Pins, remove_tree};
use super::{Spelling, dispatcher, load, maps, qdisc, root, sys};
use crate::Refused;
use crate::record::Record;

/// Carries out one step.
pub(super) fn execute(pins: &Pins, known: &mut Known, step: &Step, desired: &Desired) -> Result<(), Refused> {
    let result = match step {
        Step::Load { hook, instance, spec } => {
            return load_member(&Place { pins, hook, instance }, known, spec, desired);
        }
        Step::CreateRoot { hook, buffers } => create_root(pins, hook, *buffers),
        Step::Carry { hook, from, to, maps } => carry(&pins.state(hook, from), &pins.state(hook, to), maps),
        Step::Link { hook, from, to } => link(pins, hook, from, to.as_ref()),
        Step::Dispatch { hook, serial, members } => dispatcher::build(pins, hook, *serial, members),
        Step::Attach { hook, means: Means::Link, entry } => attach(pins, hook, entry),
        Step::Attach { hook, means: Means::Filter, entry } => attach_filter(pins, hook, entry),
        Step::Turn { hook, to } => turn(pins, hook, to),
        Step::DropDispatcher { hook, serial } => remove_tree(&pins.dispatcher(hook, *serial)),
        Step::DropRoot { hook, buffers } => remove_tree(&pins.entry(hook, *buffers)),
        Step::Detach { hook } => detach(pins, hook),
        Step::Account { hook, order } => account(pins, hook, order),
        Step::Settle => maps::wait_for_running_programs(),
        Step::Unload { hook, instance } => unload(pins, hook, instance),
        Step::Forget { hook, state } => remove_tree(&pins.state(hook, state)),
        Step::RemoveRoot { hook } => pins.remove_hook(hook),
    };
    result.map_err(|source| explain(step, source))
}

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
fn carry(from: &Path, to: &Path, maps: &[String]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for map in maps {
        let (from, to) = (from.join(load::pin_name_of(map)), to.join(load::pin_name_of(map)));
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
    let state = pins.state(hook, &State { member: spec.name.clone(), object: spec.object });
    let loading = Loading {
        point: hook.point,
        package: &spec.package.name,
        function: &spec.function,
        object,
        config: &spec.config,
        buffers: spec.buffers,
        state: Some(&state),
    };
    let (loaded, kept) = match spec.mechanism {
        Mechanism::Splice => load_spliced(&loading, known, spec)?,
        Mechanism::Dispatcher => {
            let counters = maps::create_counters(hook.point).map_err(refused)?;
            (loading.load_extension(spec.enforcement)?, vec![("counters", counters)])
        }
        Mechanism::Alone => (loading.load_untouched()?.loaded, Vec::new()),
    };
    let pinned = pin_instance(&folder, &loaded, spec, &kept);
    if pinned.is_err() {
        // The next observation finds what is left; removing it now only spares a step.
        drop(remove_tree(&folder));
    }
    pinned.map_err(refused)
}

/// What is loaded, and the maps that are pinned beside it under their names.
type Made = (Loaded, Vec<(&'static str, MapHandle)>);

fn load_spliced(loading: &Loading<'_>, known: &mut Known, spec: &MemberSpec) -> Result<Made, Refused> {
    let failed = |error| Refused::action(format!("make the maps of `{}`", spec.name), error);
    let next = maps::create_slot("l3af_next").map_err(failed)?;
    let counters = maps::create_counters(loading.point).map_err(failed)?;
    let keys = maps::create_keys(loading.point).map_err(failed)?;
    let splicing = Splicing {
        proceed: &spec.proceed,
        enforcement: spec.enforcement,
        timed: spec.timed,
        next: next.as_fd(),
        counters: Some(Counting { cells: counters.as_fd(), keys: keys.as_fd() }),
    };
    let loaded = loading.load_as_known(&splicing, spec.object, known)?;
    Ok((loaded, vec![("next", next), ("counters", counters)]))
}

fn pin_instance(
    folder: &Path,
    loaded: &Loaded,
    spec: &MemberSpec,
    kept: &[(&str, MapHandle)],
) -> io::Result<()> {
    remove_tree(folder)?;
    fs::create_dir_all(folder)?;
    let program = loaded.progs().find(|program| program.name() == spec.function.as_ref());
    let program = program.ok_or_else(|| io::Error::other("the object lost its program while loading"))?;
    for (name, map) in kept {
        maps::pin(map, &folder.join(name))?;
    }
    // The kernel empties a program array when its last descriptor goes, though programs still use it.
    for (number, array) in loaded.maps().filter(|map| map.map_type() == MapType::ProgArray).enumerate() {
        sys::pin(array.as_fd(), &folder.join(format!("array{number}")))?;
    }
    sys::pin(program.as_fd(), &folder.join("program"))?;
    // The record is pinned last: an instance that has it is complete.
    maps::pin(&maps::create_record(&Record::from(spec))?, &folder.join("record"))
}

fn link(pins: &Pins, hook: &Hook, from: &Slot, to: Option<&Instance>) -> io::Result<()> {
    let slot = match from {
        Slot::Root(buffers) => pins.entry(hook, *buffers).join("slot"),
        Slot::Instance(instance) => pins.instance(hook, instance).join("next"),
    };
    let slot = MapHandle::from_pinned_path(slot).map_err(maps::plain)?;
    match to {
        Some(instance) => {
            let program = pins.instance(hook, instance).join("program");
            let program = Program::fd_from_pinned_path(program).map_err(maps::plain)?;
            maps::write_descriptor(&slot, program.as_fd())
        }
        None => maps::clear_slot(&slot),
    }
}

fn entry_program(pins: &Pins, hook: &Hook, entry: &Entry) -> io::Result<OwnedFd> {
    Program::fd_from_pinned_path(pins.entry_program(hook, entry)).map_err(maps::plain)
}

/// The other entry already leads to the whole chain: packets meet one or the other.
fn turn(pins: &Pins, hook: &Hook, to: &Entry) -> io::Result<()> {
    let (folder, program) = (pins.root(hook), entry_program(pins, hook, to)?);
    if folder.join(FILTER).exists() {
        let index = super::observe::interface_index(&hook.interface)?;
        return Filter::of_chain(index, hook.point).attach(program.as_fd());
    }
    let link = Link::open(folder.join("link")).map_err(maps::plain)?;
    sys::update_link(link.as_fd(), program.as_fd())
}

fn attach(pins: &Pins, hook: &Hook, entry: &Entry) -> io::Result<()> {
    let folder = pins.root(hook);
    fs::create_dir_all(&folder)?;
    let program = entry_program(pins, hook, entry)?;
    let index = super::observe::interface_index(&hook.interface)?;
    let link = sys::create_link(program.as_fd(), index, Spelling::of(hook.point).attach)?;
    sys::pin(link.as_fd(), &folder.join("link"))
}

/// Marks beside the pins tell what is ours: the filter, and the queueing discipline if we made it.
fn attach_filter(pins: &Pins, hook: &Hook, entry: &Entry) -> io::Result<()> {
    let folder = pins.root(hook);
    let program = entry_program(pins, hook, entry)?;
    let index = super::observe::interface_index(&hook.interface)?;
    if !qdisc::has_ingress(index)? {
        fs::create_dir_all(pins.discipline(hook))?;
    }
    fs::create_dir_all(folder.join(FILTER))?;
    Filter::of_chain(index, hook.point).attach(program.as_fd())
}

fn detach(pins: &Pins, hook: &Hook) -> io::Result<()> {
    let (folder, discipline) = (pins.root(hook), pins.discipline(hook));
    if folder.join(FILTER).exists() {
        // With its interface a filter is gone.
        if let Ok(index) = super::observe::interface_index(&hook.interface) {
            Filter::of_chain(index, hook.point).detach(discipline.exists())?;
            if !qdisc::has_ingress(index)? {
                remove_tree(&discipline)?;
            }
        } else {
            remove_tree(&discipline)?;
        }
        remove_tree(&folder.join(FILTER))?;
    }
    let link = folder.join("link");
    if link.exists() {
        // The kernel lets go of a link some time after its pin is gone; until then the interface is occupied. Where this
        // cannot be, it is detached already.
        drop(Link::open(&link).and_then(|link| link.detach()));
    }
    remove_file(&link)
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
    remove_tree(&pins.instance(hook, instance))
}

fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
