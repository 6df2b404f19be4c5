// SPDX-License-Identifier: Apache-2.0
//! The maps that a user program is handed: those of the members and probes of its package, as descriptors that are open when
//! it begins. [`VARIABLE`] says which is which.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use kernel::{Kernel, Unseen};
use package::Digest;
use plan::Desired;

/// The variable of its environment that tells a user program of its maps: a line for each, with the number of the descriptor, the
/// name of the map, the member or probe, and its hook, or `-` for a probe.
pub(super) const VARIABLE: &str = "L3AF_MAPS";

/// Maps by what is said of them: their name, the member or probe, and its hook. One that several share is there for each.
pub(super) type Handed = BTreeMap<String, Pin>;

/// The pin of a map. Another one under the same path is another map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pin {
    pub(super) path: PathBuf,
    inode: u64,
}

impl Pin {
    fn of(path: PathBuf) -> Self {
        // One that is gone again is not opened either.
        let inode = fs::metadata(&path).map_or(0, |found| found.ino());
        Self { path, inode }
    }
}

/// The maps of a package, of what is enabled of it.
pub(super) fn of(kernel: &dyn Kernel, desired: &Desired, package: &Digest) -> Handed {
    let mut handed = Handed::new();
    let mut add = |found: Result<BTreeMap<String, PathBuf>, Unseen>, of: &str| match found {
        Ok(maps) => handed.extend(maps.into_iter().map(|(map, pin)| (format!("{map} {of}"), Pin::of(pin)))),
        Err(unseen) => tracing::error!("a user program does not get the maps of {of}: {unseen}"),
    };
    for (hook, member) in
        desired.chains().iter().flat_map(|(hook, chain)| chain.iter().map(move |member| (hook, member)))
    {
        if member.is_enabled() && member.verified().package().index == *package {
            add(kernel.maps(hook, member.spec()), &format!("{} {hook}", member.spec().name));
        }
    }
    let probes = desired.probes().values().filter(|probe| probe.is_enabled());
    for probe in probes.filter(|probe| probe.verified().package().index == *package) {
        add(kernel.probe_maps(probe.spec()), &format!("{} -", probe.spec().name));
    }
    handed
}

/// Opens them for what this process executes. Returns what is said of them. They stay open for good.
pub(super) fn open(maps: &BTreeMap<String, PathBuf>) -> io::Result<String> {
    let mut opened: BTreeMap<&Path, OwnedFd> = BTreeMap::new();
    let mut said = String::new();
    for (name, pin) in maps {
        if !opened.contains_key(pin.as_path()) {
            let failed = |error: io::Error| {
                io::Error::new(error.kind(), format!("cannot open the map `{}`: {error}", pin.display()))
            };
            let map = kernel::open_map(pin).map_err(failed)?;
            // A descriptor that was duplicated so is not closed on exec (dup(2)).
            opened.insert(pin, rustix::io::dup(map)?);
        }
        let number = opened.get(pin.as_path()).map(OwnedFd::as_raw_fd).unwrap_or_default();
        said = format!("{said}{number} {name}\n");
    }
    opened.into_values().for_each(std::mem::forget);
    Ok(said)
}
