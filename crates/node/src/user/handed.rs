// SPDX-License-Identifier: Apache-2.0
//! The maps that a user program is handed: those of the members and probes of its package, as descriptors that are open when
//! it begins. [`VARIABLE`] says which is which.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use kernel::{Kernel, OpenMap, Unseen};
use package::Digest;
use plan::Desired;

/// The variable of its environment that tells a user program of its maps: a line for each, with the number of the descriptor, the
/// name of the map, the member or probe, and its hook, or `-` for a probe.
pub(super) const VARIABLE: &str = "L3AF_MAPS";

/// Maps by what is said of them: their name, the member or probe, and its hook; with the number that the kernel gave each. One
/// that several share is there for each. Pins come and go with instances; the map is the same as long as its number is.
pub(super) type Handed = BTreeMap<String, u32>;

/// The maps that a document configures, with the digests of what they hold.
type Configured = BTreeMap<String, Digest>;

/// The maps of a package, of what is enabled of it.
pub(super) fn of(kernel: &dyn Kernel, desired: &Desired, package: &Digest) -> Handed {
    let mut handed = Handed::new();
    let number = |pin: PathBuf| OpenMap::open(&pin).and_then(|map| map.id());
    let mut add = |found: Result<BTreeMap<String, PathBuf>, Unseen>, but: &Configured, of: &str| match found {
        // What a document configures is another map whenever that changes. One that is gone again is not handed on.
        Ok(maps) => {
            let maps = maps.into_iter().filter(|(map, _)| !but.contains_key(map));
            handed.extend(maps.filter_map(|(map, pin)| Some((format!("{map} {of}"), number(pin).ok()?))));
        }
        Err(unseen) => tracing::error!("a user program does not get the maps of {of}: {unseen}"),
    };
    for (hook, member) in
        desired.chains().iter().flat_map(|(hook, chain)| chain.iter().map(move |member| (hook, member)))
    {
        if member.is_enabled() && member.verified().package().index == *package {
            let spec = member.spec();
            add(kernel.maps(hook, spec), &spec.contents, &format!("{} {hook}", spec.name));
        }
    }
    let probes = desired.probes().values().filter(|probe| probe.is_enabled());
    for probe in probes.filter(|probe| probe.verified().package().index == *package) {
        let spec = probe.spec();
        add(kernel.probe_maps(spec), &spec.contents, &format!("{} -", spec.name));
    }
    handed
}

/// Opens them for what this process executes. Returns what is said of them. They stay open for good.
pub(super) fn open(maps: &Handed) -> io::Result<String> {
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
