// SPDX-License-Identifier: Apache-2.0
//! Probes: programs outside of any chain, each with its links pinned beside it.
//!
//! ```text
//! <pins>/probes-outside-of-chains/instances/<probe>#<serial>/{program, record, links/<number>}
//! <pins>/probes-outside-of-chains/state/<probe>#<object digest>/<map>
//! ```
//!
//! The name of the first folder is longer than that of any interface. An instance is complete when it has its record,
//! and attached when it has the folder of links, which gets its name when all of them are in it.

mod attach;
mod elf;
mod load;
mod observe;
mod target;
mod usdt;

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::{Link, Program};
use package::Attachment;
use plan::{Desired, Instance, ProbeSpec, ProbeStep, State};

use super::known::Known;
use super::pins::{Pins, names, remove_file, remove_tree};
use super::{configured, execute, fill, maps, sys};
use crate::Refused;
use crate::probe_record::ProbeRecord;

pub(super) use attach::link_tracepoint;
pub(super) use observe::{lacks, observe, runs};
pub(super) use target::{missing, mount_tracefs};

/// The folder of all probes.
const FOLDER: &str = "probes-outside-of-chains";

impl Pins {
    fn probes(&self) -> PathBuf {
        self.folder().join(FOLDER)
    }

    pub(super) fn probe_instances(&self) -> PathBuf {
        self.probes().join("instances")
    }

    fn probe(&self, instance: &Instance) -> PathBuf {
        self.probe_instances().join(instance.to_string())
    }

    fn probe_states(&self) -> PathBuf {
        self.probes().join("state")
    }

    pub(super) fn probe_state(&self, state: &State) -> PathBuf {
        self.probe_states().join(format!("{}#{}", state.member, state.object.hex()))
    }
}

/// Carries out one step.
pub(super) fn execute(
    pins: &Pins,
    known: &mut Known,
    step: &ProbeStep,
    desired: &Desired,
) -> Result<(), Refused> {
    let result = match step {
        ProbeStep::Load { instance, spec } => return load_instance((pins, known), instance, spec, desired),
        ProbeStep::Attach { instance, spec } => return attach_instance(pins, instance, spec, desired),
        ProbeStep::Carry { from, to, maps } => {
            execute::carry(&pins.probe_state(from), &pins.probe_state(to), maps)
        }
        ProbeStep::Detach { instance } => detach(&pins.probe(instance)),
        ProbeStep::Remove { instance } => remove(pins, instance),
        ProbeStep::Forget { state } => remove_tree(&pins.probe_state(state)).and_then(|()| tidy(pins)),
    };
    result.map_err(|source| Refused::action(step.to_string(), source))
}

/// The set of maps of a probe.
pub(super) fn state_of(spec: &ProbeSpec) -> State {
    State { member: spec.name.clone(), object: spec.object }
}

/// The bytes of a probe's object.
fn object<'a>(spec: &ProbeSpec, desired: &'a Desired) -> Result<&'a [u8], Refused> {
    desired.object(&spec.object).ok_or_else(|| {
        let missing = format!("no package holds object {}", spec.object);
        Refused::action(format!("load the probe `{}`", spec.name), io::Error::other(missing))
    })
}

fn load_instance(
    (pins, known): (&Pins, &mut Known),
    instance: &Instance,
    spec: &ProbeSpec,
    desired: &Desired,
) -> Result<(), Refused> {
    let refused =
        |verb: &'static str| move |source| Refused::action(format!("{verb} the probe `{instance}`"), source);
    let folder = pins.probe(instance);
    let making = configured::Making::begin(&folder, &spec.contents, || {
        configured::siblings(&pins.probe_instances(), &state_of(spec))
    });
    let making = making.map_err(refused("begin"))?;
    let (loaded, code) = load::load(pins, spec, object(spec, desired)?, making.pins())?;
    let filled = fill::fill_probe(pins, spec, &mut known.filled).and_then(|()| making.fill(desired));
    filled.map_err(refused("fill the maps of"))?;
    let pin = || {
        load::pin_arrays(&loaded, &folder)?;
        sys::pin(load::program(&loaded, spec)?.as_fd(), &folder.join("program"))?;
        // The record is pinned last: an instance that has it is complete.
        maps::pin(&maps::create_record(&ProbeRecord::new(spec, code.clone()))?, &folder.join("record"))
    };
    pin().map_err(refused("pin"))?;
    making.done();
    Ok(())
}

fn attach_instance(
    pins: &Pins,
    instance: &Instance,
    spec: &ProbeSpec,
    desired: &Desired,
) -> Result<(), Refused> {
    let folder = pins.probe(instance);
    let refused = |source: io::Error| {
        let (kind, attach) = (spec.attach.kind(), &spec.attach);
        Refused::action(format!("attach the probe `{}` to {kind} `{attach}`", spec.name), source)
    };
    detach(&folder).map_err(refused)?;
    let links = if matches!(spec.attach, Attachment::Usdt { .. }) {
        // libbpf attaches such a program together with its maps, and only as it loads them.
        let configured = configured::pins(&folder, &spec.contents);
        let (loaded, _) = load::load(pins, spec, object(spec, desired)?, &configured)?;
        let program = folder.join("program");
        remove_file(&program).map_err(refused)?;
        let attach = || {
            sys::pin(load::program(&loaded, spec)?.as_fd(), &program)?;
            usdt::attach(&loaded, spec)
        };
        attach().map_err(refused)?
    } else {
        let program = Program::fd_from_pinned_path(folder.join("program")).map_err(maps::plain);
        program.and_then(|program| attach::attach(program.as_fd(), &spec.attach)).map_err(refused)?
    };
    pin_links(&folder, &links).map_err(refused)
}

/// Pins links in a folder that gets its name when it is complete.
fn pin_links(folder: &Path, links: &[OwnedFd]) -> io::Result<()> {
    let unfinished = folder.join("attaching");
    remove_tree(&unfinished)?;
    fs::create_dir(&unfinished)?;
    for (number, link) in links.iter().enumerate() {
        sys::pin(link.as_fd(), &unfinished.join(number.to_string()))?;
    }
    fs::rename(unfinished, folder.join("links"))
}

/// A link whose pin goes ends some time later (`bpf_link_put` of Linux), and its place is free only then. So it is
/// detached before; kinds that know no detaching need none, since they have room for many.
fn detach(folder: &Path) -> io::Result<()> {
    let links = folder.join("links");
    for name in names(&links)? {
        let link = Link::open(links.join(name)).map_err(maps::plain)?;
        let _unsupported = link.detach();
    }
    remove_tree(&links)
}

/// Links go first: from then on no event reaches it, whatever else fails.
fn remove(pins: &Pins, instance: &Instance) -> io::Result<()> {
    let folder = pins.probe(instance);
    detach(&folder)?;
    configured::forget_replaced(&pins.probe_instances(), instance, |own| pins.probe_state(own))?;
    remove_tree(&folder)?;
    tidy(pins)
}

/// Removes folders that nothing is in any more.
fn tidy(pins: &Pins) -> io::Result<()> {
    for folder in [pins.probe_instances(), pins.probe_states(), pins.probes()] {
        match fs::remove_dir(folder) {
            Err(error)
                if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) =>
            {
                return Err(error);
            }
            Err(_) | Ok(()) => {}
        }
    }
    Ok(())
}

/// A name as the kernel takes it.
fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(io::Error::other)
}
