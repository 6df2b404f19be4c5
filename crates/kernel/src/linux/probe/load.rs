// SPDX-License-Identifier: Apache-2.0
//! Loading the program of a probe, as its author wrote it.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore as _, MapType, Object as Loaded, OpenObject, ProgramAttachType, ProgramType};
use package::Attachment;
use plan::{Code, ProbeSpec, ReadOnlyData, SharedMap, State};

use super::super::load::open_object;
use super::super::maps::plain;
use super::super::pins::Pins;
use super::super::state::Source;
use super::super::{code, exclusive, log, sys};
use super::attach::spelling;
use crate::Refused;

/// Loads the program; its maps are those that are pinned for it, or are pinned now.
pub(super) fn load(
    pins: &Pins,
    spec: &ProbeSpec,
    object: &[u8],
    configured: &BTreeMap<String, PathBuf>,
) -> Result<(Loaded, Code), Refused> {
    let state = pins.probe_state(&State { member: spec.name.clone(), object: spec.object });
    let shared = pins.all_of(&SharedMap::of_probe(spec));
    let action = |verb: &str, source: io::Error| {
        let (function, package) = (&spec.function, &spec.package.name);
        Refused::action(format!("{verb} `{function}` of package `{package}`"), source)
    };
    let source = Source {
        package: &spec.package.name,
        function: &spec.function,
        object,
        constants: &spec.constants,
        configured,
        state: Some(&state),
        shared: &shared,
    };
    let (result, log) =
        log::with(|log| Ok(open(spec, &source, log)?.load())).map_err(|error| action("open", error))?;
    let warning = sys::take_warning();
    let loaded = result.map_err(|error| match (log::telling_line(&log), warning) {
        (Some(line), _) => Refused::Verifier { function: spec.function.to_string(), line, log },
        // libbpf tells a refusal by its number, and its reasons beside it.
        (None, Some(warning)) => action("load", io::Error::other(format!("{warning}: {error:#}"))),
        (None, None) => action("load", io::Error::other(format!("{error:#}"))),
    })?;
    source.pin_state(&loaded).map_err(|error| action("pin the maps of", error))?;
    let digest = program(&loaded, spec).and_then(|program| code::attest_loaded(&loaded, &program));
    let digest = digest.map_err(|error| action("check", error))?;
    let read_only_data = exclusive::of_loaded(&loaded, ReadOnlyData::Several);
    Ok((loaded, Code { digest, untouched: None, read_only_data }))
}

fn open(spec: &ProbeSpec, source: &Source<'_>, log: &mut [u8]) -> io::Result<OpenObject> {
    let mut object = open_object(source.object)?;
    let (kind, attach) = spelling(&spec.attach);
    // Programs that its tail calls lead to are loaded with it.
    let has_slots = object.maps().any(|map| map.map_type() == MapType::ProgArray);
    for mut program in object.progs_mut() {
        let (wanted, known) = (program.name() == spec.function.as_ref(), program.prog_type());
        let reached = has_slots && known == ProgramType::from(kind);
        program.set_autoload(wanted || reached);
        if !wanted {
            continue;
        }
        sys::log_to(&program, log)?;
        if known == ProgramType::Unspec {
            program.set_prog_type(ProgramType::from(kind));
        } else if !fits(known, ProgramType::from(kind)) {
            let section = program.section().to_string_lossy();
            return Err(io::Error::other(format!(
                "its section `{section}` is one of another kind of program than `{}`",
                spec.attach.kind()
            )));
        }
        program.set_attach_type(ProgramAttachType::from(attach));
        if let Attachment::Traced { symbol, .. } = &spec.attach {
            let target = program.set_attach_target(0, Some(symbol.to_string()));
            target.map_err(|error| sys::take_warning().map_or_else(|| plain(error), io::Error::other))?;
        }
    }
    for mut map in object.maps_mut() {
        sys::forget_pin_path(&map)?;
        source.prepare_map(&mut map)?;
    }
    exclusive::claim(&object)?;
    Ok(object)
}

/// Raw tracepoints come in two types of programs.
fn fits(known: ProgramType, wanted: ProgramType) -> bool {
    known == wanted || (wanted == ProgramType::RawTracepoint && known == ProgramType::RawTracepointWritable)
}

/// The program in the object.
pub(super) fn program<'a>(loaded: &'a Loaded, spec: &ProbeSpec) -> io::Result<libbpf_rs::Program<'a>> {
    let found = loaded.progs().find(|program| program.name() == spec.function.as_ref());
    found.ok_or_else(|| io::Error::other("the object lost its program while loading"))
}

/// The kernel empties a program array when its last descriptor goes, though programs still use it.
pub(super) fn pin_arrays(loaded: &Loaded, folder: &Path) -> io::Result<()> {
    let arrays = loaded.maps().filter(|map| map.map_type() == MapType::ProgArray);
    for (number, array) in arrays.enumerate() {
        sys::pin(array.as_fd(), &folder.join(format!("array{number}")))?;
    }
    Ok(())
}
