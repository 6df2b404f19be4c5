// SPDX-License-Identifier: Apache-2.0
//! The maps that a user program is handed: those of the members and probes of its package, as descriptors that are open when
//! it begins. [`VARIABLE`] says which is which.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use kernel::{Kernel, OpenMap, Unseen};
use package::{Digest, Object};
use plan::{Constant, Desired};

/// The variable of its environment that tells a user program of its maps: a line for each, with the number of the descriptor, the
/// name of the map, the member or probe, and its hook, or `-` for a probe.
pub(super) const VARIABLE: &str = "L3AF_MAPS";

/// Maps by what is said of them: their name, the member or probe, and its hook; with the number that the kernel gave each. One
/// that several share is there for each. Pins come and go with instances; the map is the same as long as its number is.
pub(super) type Numbers = BTreeMap<String, u32>;

/// What the constants of an object are called among its maps.
const CONSTANTS: &str = ".rodata";

/// What a user program is handed. One that is handed something else is another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handed {
    /// Maps that are there.
    maps: Numbers,
    /// The constants of each instance, by what is said of them: instances come and go, and what they are configured with stays.
    constants: BTreeMap<String, Vec<u8>>,
}

/// What is handed, as the kernel has it. The maps of constants are there as long as this is.
#[derive(Debug)]
pub(super) struct Open {
    /// All of it.
    pub(super) numbers: Numbers,
    constants: Vec<OwnedFd>,
}

impl Handed {
    /// The maps of a package, of what is enabled of it.
    pub(super) fn of(kernel: &dyn Kernel, desired: &Desired, package: &Digest) -> Self {
        let mut handed = Self::default();
        for (hook, member) in
            desired.chains().iter().flat_map(|(hook, chain)| chain.iter().map(move |member| (hook, member)))
        {
            if member.is_enabled() && member.verified().package().index == *package {
                let spec = member.spec();
                let of = format!("{} {hook}", spec.name);
                handed.add_maps(kernel.maps(hook, spec), &of);
                handed.add_constants(member.object(), &spec.constants, &of);
            }
        }
        let probes = desired.probes().values().filter(|probe| probe.is_enabled());
        for probe in probes.filter(|probe| probe.verified().package().index == *package) {
            let spec = probe.spec();
            let of = format!("{} -", spec.name);
            handed.add_maps(kernel.probe_maps(spec), &of);
            handed.add_constants(probe.object(), &spec.constants, &of);
        }
        handed
    }

    fn add_maps(&mut self, found: Result<BTreeMap<String, PathBuf>, Unseen>, of: &str) {
        let number = |pin: PathBuf| OpenMap::open(&pin).and_then(|map| map.id());
        match found {
            // One that is gone again is not handed on.
            Ok(maps) => self.maps.extend(
                maps.into_iter().filter_map(|(map, pin)| Some((format!("{map} {of}"), number(pin).ok()?))),
            ),
            Err(unseen) => tracing::error!("a user program does not get the maps of {of}: {unseen}"),
        }
    }

    fn add_constants(&mut self, object: &[u8], configured: &BTreeMap<String, Constant>, of: &str) {
        let object = Object::parse(object).expect("a package that was read has objects that parse");
        let mut bytes = object.constants;
        Constant::write_all(configured, &mut bytes).expect("what was settled lies where the object has it");
        if !bytes.is_empty() {
            self.constants.insert(format!("{CONSTANTS} {of}"), bytes);
        }
    }

    /// Has all of it in the kernel.
    pub(super) fn make(&self) -> io::Result<Open> {
        let mut open = Open { numbers: self.maps.clone(), constants: Vec::new() };
        for (said, bytes) in &self.constants {
            let (map, number) = kernel::create_constants(bytes)?;
            open.numbers.insert(said.clone(), number);
            open.constants.push(map);
        }
        Ok(open)
    }
}

/// Opens them for what this process executes. Returns what is said of them. They stay open for good.
pub(super) fn open(maps: &Numbers) -> io::Result<String> {
    let mut opened: BTreeMap<u32, OwnedFd> = BTreeMap::new();
    let mut said = String::new();
    for (name, number) in maps {
        if !opened.contains_key(number) {
            let failed = |error: io::Error| {
                io::Error::new(
                    error.kind(),
                    format!("cannot open the map `{name}`, number {number}: {error}"),
                )
            };
            let map = kernel::open_map(*number).map_err(failed)?;
            // A descriptor that was duplicated so is not closed on exec (dup(2)).
            opened.insert(*number, rustix::io::dup(map)?);
        }
        let descriptor = opened.get(number).map(OwnedFd::as_raw_fd).unwrap_or_default();
        said = format!("{said}{descriptor} {name}\n");
    }
    opened.into_values().for_each(std::mem::forget);
    Ok(said)
}
