// SPDX-License-Identifier: Apache-2.0
//! Links, and filters before them, of a daemon that was here before this one: a link gets our root in one update, and packets meet the one
//! or the other. Behind a filter of ours they meet both, until the other one is removed.
//!
//! ```text
//! <hook>/inherited              the link, until the hook has a chain of ours
//! <hook>/inherited-filters/<priority>:<program>/
//! ```
//!
//! While that is there, what runs on the hook is not of somebody else: it goes on until a chain of ours takes its place, or
//! the hook is cleared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{Link, Program, ProgramAttachType};
use package::{HookPoint, InterfaceName};
use plan::Hook;

use super::clsact::Filter;
use super::device::{Device, devices, interface_index};
use super::pins::{FILTER, Pins, names, remove_file, remove_tree};
use super::{maps, sys};

/// The priorities that the kernel gives filters that ask for none, from the first on (`tcf_auto_prio` of `net/sched/cls_api.c`).
const CHOSEN_BY_KERNEL: [u32; 4] = [49_152, 49_151, 49_150, 49_149];

/// Takes over what is attached by links that are pinned below a folder, and by filters with programs that are pinned below another.
/// Returns the hooks, with those that were taken over before and have no chain yet.
pub(super) fn inherit(pins: &Pins, links: &Path, programs: &Path) -> io::Result<BTreeSet<Hook>> {
    let devices = devices(None)?;
    let held = |hook: &Hook| place(pins, hook).exists() || filters(pins, hook).exists();
    let mut taken: BTreeSet<Hook> = pins.hooks()?.into_iter().filter(held).collect();
    for path in files(links)? {
        let Ok(link) = Link::open(&path) else { continue };
        let info = LinkInfo::from_fd(link.as_fd()).map_err(maps::plain)?;
        let Some(hook) = hook_of(&info, &devices).filter(|hook| !taken.contains(hook)) else { continue };
        let place = place(pins, &hook);
        fs::create_dir_all(pins.hook(&hook))?;
        if !place.exists() {
            sys::pin(link.as_fd(), &place)?;
        }
        fs::remove_file(&path)?;
        taken.insert(hook);
    }
    let own = files(programs)?.into_iter().filter_map(|path| Program::fd_from_pinned_path(path).ok());
    let own: BTreeSet<u32> = own.filter_map(|program| Program::id_from_fd(program.as_fd()).ok()).collect();
    let both = [HookPoint::TcIngress, HookPoint::TcEgress];
    for (interface, device, point) in
        devices.iter().flat_map(|(interface, device)| both.map(|point| (interface, device, point)))
    {
        let filter = |priority: &u32| Filter { index: device.index, point, priority: *priority };
        let program = |priority: &u32| filter(priority).program().ok().flatten();
        let is_own =
            |priority: u32| Some((priority, program(&priority).filter(|program| own.contains(program))?));
        let hook = Hook { interface: interface.clone().into(), point };
        for (priority, program) in CHOSEN_BY_KERNEL.into_iter().filter_map(is_own) {
            fs::create_dir_all(filters(pins, &hook).join(format!("{priority}:{program}")))?;
            taken.insert(hook.clone());
        }
    }
    Ok(taken)
}

/// Whether what runs on a hook of an interface with this index is what was taken over.
pub(super) fn is_there(pins: &Pins, hook: &Hook, index: u32) -> bool {
    let link =
        Some(place(pins, hook)).filter(|place| place.exists()).and_then(|place| Link::open(place).ok());
    let info = link.and_then(|link| LinkInfo::from_fd(link.as_fd()).ok());
    // A link whose interface went has another index.
    info.is_some_and(|info| matches!(&info.info, LinkTypeInfo::Xdp(xdp) if xdp.ifindex == index))
}

/// Lets a root have the packets of the link that was taken over, which is that of the chain from then on. Returns false where there is
/// none, or one that cannot run the root: it is gone then.
pub(super) fn attach(pins: &Pins, hook: &Hook, program: BorrowedFd<'_>) -> io::Result<bool> {
    let place = place(pins, hook);
    if !place.exists() {
        return Ok(false);
    }
    let link = Link::open(&place).map_err(maps::plain)?;
    if sys::update_link(link.as_fd(), program).is_err() {
        // Its program was loaded in an older way, or its interface is gone. The hook has no chain for a moment.
        drop(link.detach());
        remove_file(&place)?;
        return Ok(false);
    }
    fs::create_dir_all(pins.root(hook))?;
    sys::pin(link.as_fd(), &pins.root(hook).join("link"))?;
    remove_file(&place)?;
    Ok(true)
}

/// Takes away the filters that were taken over, but for those that somebody else has by now: a chain of ours is in front of them, or none
/// is wanted.
pub(super) fn remove_filters(pins: &Pins, hook: &Hook) -> io::Result<()> {
    let folder = filters(pins, hook);
    if !folder.exists() {
        return Ok(());
    }
    // With its interface a filter is gone.
    let Ok(index) = interface_index(&hook.interface) else { return remove_tree(&folder) };
    let told = names(&folder)?;
    let told = told.iter().filter_map(|name| name.split_once(':'));
    for (priority, program) in told.filter_map(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)))
    {
        let filter = Filter { index, point: hook.point, priority };
        if filter.program()? == Some(program) {
            filter.detach(false)?;
        }
    }
    remove_tree(&folder)
}

/// Takes away what a daemon that was killed meanwhile did not, behind chains of ours.
pub(super) fn finish(pins: &Pins) -> io::Result<()> {
    let attached = |hook: &Hook| ["link", FILTER].iter().any(|means| pins.root(hook).join(means).exists());
    pins.hooks()?.iter().filter(|hook| attached(hook)).try_for_each(|hook| remove_filters(pins, hook))
}

fn place(pins: &Pins, hook: &Hook) -> PathBuf {
    pins.hook(hook).join("inherited")
}

fn filters(pins: &Pins, hook: &Hook) -> PathBuf {
    pins.hook(hook).join("inherited-filters")
}

fn hook_of(link: &LinkInfo, devices: &BTreeMap<InterfaceName, Device>) -> Option<Hook> {
    let (index, point) = if let LinkTypeInfo::Xdp(xdp) = &link.info {
        (xdp.ifindex, HookPoint::Xdp)
    } else if let LinkTypeInfo::Tcx(tcx) = &link.info {
        let is_egress = matches!(tcx.attach_type, ProgramAttachType::TcxEgress);
        (tcx.ifindex, if is_egress { HookPoint::TcEgress } else { HookPoint::TcIngress })
    } else {
        return None;
    };
    let (interface, _) = devices.iter().find(|(_, device)| device.index == index)?;
    Some(Hook { interface: interface.clone().into(), point })
}

/// The files below a folder, in their order; none where there is no such folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in names(folder)? {
        let path = folder.join(name);
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
