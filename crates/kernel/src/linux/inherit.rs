// SPDX-License-Identifier: Apache-2.0
//! Links, and filters before them, of a daemon that was here before this one: its chain gets our root in one update, and packets meet the
//! one or the other.
//!
//! ```text
//! <hook>/inherited              the link, until the hook has a chain of ours
//! <hook>/inherited-filters/<priority>/
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
use super::pins::{Pins, names, remove_file, remove_tree};
use super::{maps, sys};

/// The priorities that the kernel gives filters that ask for none, from the first on (`tcf_auto_prio` of `net/sched/cls_api.c`).
const CHOSEN_BY_KERNEL: [u32; 4] = [49_152, 49_151, 49_150, 49_149];

/// Takes over what is attached by links that are pinned below a folder, and by filters with programs that are pinned below another.
/// Returns the hooks.
pub(super) fn inherit(pins: &Pins, links: &Path, programs: &Path) -> io::Result<BTreeSet<Hook>> {
    let devices = devices(None)?;
    let mut taken = BTreeSet::new();
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
        let is_own = |priority: &u32| {
            let program = filter(priority).program();
            program.is_ok_and(|program| program.is_some_and(|program| own.contains(&program)))
        };
        let hook = Hook { interface: interface.clone().into(), point };
        for priority in CHOSEN_BY_KERNEL.into_iter().filter(is_own) {
            fs::create_dir_all(filters(pins, &hook).join(priority.to_string()))?;
            taken.insert(hook.clone());
        }
    }
    Ok(taken)
}

/// Whether what runs on a hook is what was taken over.
pub(super) fn is_there(pins: &Pins, hook: &Hook) -> bool {
    place(pins, hook).exists()
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

/// Takes away the filters that were taken over. A chain of ours is in front of them.
pub(super) fn remove_filters(pins: &Pins, hook: &Hook) -> io::Result<()> {
    let (folder, index) = (filters(pins, hook), interface_index(&hook.interface)?);
    for priority in names(&folder)?.into_iter().filter_map(|name| name.parse().ok()) {
        Filter { index, point: hook.point, priority }.detach(false)?;
    }
    remove_tree(&folder)
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
