// SPDX-License-Identifier: Apache-2.0
//! A short look: whether anything that a comparison would notice is other than before, without reading what it is.
//!
//! That pins come and go is heard (inotify(7)), so that nothing is read of their folders while nothing is heard. Of what changes
//! without that, where slots lead and who has the packets, the ids are read: some system calls for each member, where reading all
//! takes twenty. Hooks that are made in a rarer way, and probes, are read whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use package::{HookPoint, NetworkNamespace};
use plan::{Buffers, Hook};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, read};

use super::clsact::Filter;
use super::device::within;
use super::observe::{Devices, all_devices, has_tcx, observe_hook};
use super::pins::{Pins, names};
use super::{Spelling, probe, sys};
use crate::Glance;

/// Looks shortly. Tells nothing where pins came or went since it looked last, or nobody may listen to so many folders.
pub(super) fn glance(
    pins: &Pins,
    known: &mut Option<KnownPins>,
    namespaces: &BTreeSet<NetworkNamespace>,
) -> io::Result<Option<Glance>> {
    let Some(known) = known.as_ref().filter(|known| known.are_undisturbed()) else {
        // Whatever is the matter, a comparison tells.
        *known = KnownPins::listen_to(pins).ok();
        return Ok(None);
    };
    let theirs = known.hooks.iter().filter_map(|hook| hook.interface.namespace.clone());
    let devices = all_devices(&namespaces.iter().cloned().chain(theirs).collect())?;
    let mut hash = DefaultHasher::new();
    for (interface, device) in &devices {
        let xdp = device.xdp.map(|xdp| (xdp.program, xdp.mode as u8));
        (interface, device.index, device.address, xdp).hash(&mut hash);
    }
    for slot in &known.slots {
        let target = match sys::open_pin(slot) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(sys::slot_target(&opened?)?),
        };
        target.hash(&mut hash);
    }
    for hook in &known.rare {
        let found = observe_hook(pins, hook, devices.get(&hook.interface))?;
        format!("{found:?}").hash(&mut hash);
    }
    queues(&known.hooks, &devices)?.hash(&mut hash);
    format!("{:?}", probe::observe(pins)?).hash(&mut hash);
    Ok(Some(Glance(hash.finish())))
}

/// What is pinned, since when it was listened to.
#[derive(Debug)]
pub(super) struct KnownPins {
    /// Tells when a pin comes or goes.
    ears: OwnedFd,
    hooks: Vec<Hook>,
    slots: Vec<PathBuf>,
    /// The hooks of which not only slots can change.
    rare: Vec<Hook>,
}

impl KnownPins {
    fn listen_to(pins: &Pins) -> io::Result<Self> {
        let ears = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // First: what changes from here on is heard.
        listen(&ears, pins.folder())?;
        let hooks = pins.hooks()?;
        let is_rare = |hook: &&Hook| pins.incumbent(hook).exists() || pins.dispatchers(hook).exists();
        let rare = hooks.iter().filter(is_rare).cloned().collect();
        let mut slots = Vec::new();
        for hook in &hooks {
            slots.extend([Buffers::One, Buffers::Many].map(|buffers| pins.entry(hook, buffers).join("slot")));
            let instances = pins.instances(hook);
            slots.extend(names(&instances)?.iter().map(|name| instances.join(name).join("next")));
        }
        slots.retain(|slot| slot.exists());
        Ok(Self { ears, hooks, slots, rare })
    }

    /// Whether no pin came or went.
    fn are_undisturbed(&self) -> bool {
        read(&self.ears, &mut [0; 4096]) == Err(Errno::AGAIN)
    }
}

/// Listens to a folder and those in it.
fn listen(ears: &OwnedFd, folder: &Path) -> io::Result<()> {
    let changes = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::DELETE_SELF;
    inotify::add_watch(ears, folder, changes | WatchFlags::ONLYDIR)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            listen(ears, &entry.path())?;
        }
    }
    Ok(())
}

/// The programs that have the packets of TC hooks. Of XDP the interfaces tell.
fn queues(hooks: &[Hook], devices: &Devices) -> io::Result<Vec<Vec<u32>>> {
    let mut by_namespace: BTreeMap<_, Vec<(HookPoint, u32)>> = BTreeMap::new();
    for hook in hooks.iter().filter(|hook| hook.point != HookPoint::Xdp) {
        if let Some(device) = devices.get(&hook.interface) {
            let here = by_namespace.entry(hook.interface.namespace.as_ref()).or_default();
            here.push((hook.point, device.index));
        }
    }
    let has_tcx = has_tcx()?;
    let programs = |(point, index): (HookPoint, u32)| {
        if has_tcx {
            return sys::tcx_programs(index, Spelling::of(point).attach);
        }
        Ok(Filter::of_chain(index, point).program()?.into_iter().collect())
    };
    let mut found = Vec::new();
    for (namespace, queues) in by_namespace {
        found.extend(within(namespace, || queues.into_iter().map(programs).collect::<io::Result<Vec<_>>>())?);
    }
    Ok(found)
}
