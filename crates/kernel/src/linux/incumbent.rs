// SPDX-License-Identifier: Apache-2.0
//! The XDP program of somebody else that had the packets of an interface before a chain of ours.
//!
//! It is held, with its link if it has one, and gets the packets back when the chain goes: both ways by one update, of its
//! link or of the interface. A chain can end in it, through a program of ours that counts what it gets.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use libbpf_rs::query::{LinkInfo, LinkInfoIter, LinkTypeInfo};
use libbpf_rs::{Link, Program};
use package::{Enforcement, ProceedSet, XdpMode};
use plan::{Buffers, Hook};
use rustix::io::Errno;

use super::device::{Device, Xdp, devices, within};
use super::pins::{Pins, remove_file, remove_tree};
use super::{Spelling, maps, root, sys};
use crate::insn::Insn;
use crate::splice::{Counters, Splice, splice, ways};

/// Holds the program that has the packets of a hook now.
pub(super) fn hold(pins: &Pins, hook: &Hook) -> io::Result<()> {
    let folder = pins.incumbent(hook);
    remove_tree(&folder)?;
    let device = device(hook)?;
    let gone = || io::Error::new(io::ErrorKind::NotFound, "the program that had the interface is gone");
    let program = device.xdp.ok_or_else(gone)?.program;
    fs::create_dir_all(&folder)?;
    if let Some(link) = link_of(device.index, program) {
        sys::pin(sys::link_by_id(link)?.as_fd(), &folder.join("link"))?;
    }
    // The program is pinned last: what is held is complete when it has one.
    sys::pin(sys::program_by_id(program)?.as_fd(), &folder.join("program"))
}

/// The id of the link by which a program is attached to an interface.
fn link_of(index: u32, program: u32) -> Option<u32> {
    let attached = |info: &LinkInfo| matches!(&info.info, LinkTypeInfo::Xdp(xdp) if xdp.ifindex == index);
    LinkInfoIter::default().find(|info| info.prog_id == program && attached(info)).map(|info| info.id)
}

/// Makes a program that counts packets and passes them on to the one that is held.
pub(super) fn include(pins: &Pins, hook: &Hook) -> io::Result<()> {
    let folder = pins.incumbent(hook);
    for part in ["stub", "next", "counters"] {
        remove_file(&folder.join(part))?;
    }
    let spelling = Spelling::of(hook.point);
    let (next, counters) = (maps::create_slot("l3af_next")?, maps::create_counters(hook.point)?);
    let keys = maps::create_keys(hook.point)?;
    maps::write_descriptor(&next, held(&folder)?.as_fd()).map_err(|error| unchainable(&error))?;
    let insns = [Insn::put_32(0, spelling.pass), Insn::exit()];
    let way =
        ways(&insns, 0, false).into_iter().next().expect("a program of two instructions can be spliced");
    let splicing = Splice {
        point: hook.point,
        proceed: &ProceedSet::default_for(hook.point),
        // What it counts is not its own verdict: every packet goes on.
        enforcement: Enforcement::Shadow,
        next: next.as_fd().as_raw_fd(),
        counters: Some(Counters { cells: counters.as_fd().as_raw_fd(), keys: keys.as_fd().as_raw_fd() }),
        timed: false,
        sampled: None,
        fragments: false,
        way,
    };
    let spliced = splice(&insns, &splicing).map_err(io::Error::other)?;
    let flags = root::flags(Buffers::One);
    let stub = sys::load_program(c"l3af_incumbent", (spelling.kind, spelling.load), flags, &spliced.insns)?;
    maps::pin(&next, &folder.join("next"))?;
    maps::pin(&counters, &folder.join("counters"))?;
    sys::pin(stub.as_fd(), &folder.join("stub"))
}

/// The members of a chain must agree in how they were loaded, and the kernel tells no more than that they do not.
fn unchainable(source: &io::Error) -> io::Error {
    io::Error::other(format!(
        "its program was loaded for packets in several buffers, for a device, or in an older way, and cannot be a member; \
         `occupied = \"replace\"` puts it aside: {source}"
    ))
}

/// Gives the packets back, and lets go. Where nobody has them any more, there is nothing to give back.
pub(super) fn give_back(pins: &Pins, hook: &Hook) -> io::Result<()> {
    let folder = pins.incumbent(hook);
    let devices = devices(hook.interface.namespace.as_ref())?;
    if running(pins, hook, devices.get(&hook.interface.name))?.is_some() {
        match put(pins, hook, held(&folder)?.as_fd()) {
            Err(error) if is_gone(&error) => {}
            put => put?,
        }
    }
    remove_tree(&folder)
}

/// Whether the place was given up after it was looked at: whoever had it may attach again by themselves at any time.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::NOLINK)
}

/// Gives the packets of the program that is held, or of the entry that has them in its place, to another program.
pub(super) fn put(pins: &Pins, hook: &Hook, program: BorrowedFd<'_>) -> io::Result<()> {
    let link = pins.incumbent(hook).join("link");
    if link.exists() {
        let link = Link::open(link).map_err(maps::plain)?;
        return sys::update_link(link.as_fd(), program);
    }
    let device = device(hook)?;
    let gone = || io::Error::new(io::ErrorKind::NotFound, "nothing runs there any more");
    let xdp = device.xdp.ok_or_else(gone)?;
    let old = sys::program_by_id(xdp.program)?;
    within(hook.interface.namespace.as_ref(), || {
        sys::exchange_xdp(device.index, mode_flags(xdp.mode), (old.as_fd(), program))
    })
}

/// The id of the program that has the packets which the held one had; none where its place is gone.
pub(super) fn running(pins: &Pins, hook: &Hook, device: Option<&Device>) -> io::Result<Option<u32>> {
    let link = pins.incumbent(hook).join("link");
    let xdp = device.and_then(|device| device.xdp);
    if !link.exists() {
        return Ok(xdp.map(|xdp| xdp.program));
    }
    let link = Link::open(link).map_err(maps::plain)?;
    let info = LinkInfo::from_fd(link.as_fd()).map_err(maps::plain)?;
    // Of an interface that is gone the link still tells the program.
    Ok(xdp.filter(|xdp: &Xdp| xdp.program == info.prog_id).map(|xdp| xdp.program))
}

fn held(folder: &Path) -> io::Result<OwnedFd> {
    Program::fd_from_pinned_path(folder.join("program")).map_err(maps::plain)
}

fn device(hook: &Hook) -> io::Result<Device> {
    let devices = devices(hook.interface.namespace.as_ref())?;
    let gone =
        || io::Error::new(io::ErrorKind::NotFound, format!("there is no interface `{}`", hook.interface));
    devices.get(&hook.interface.name).copied().ok_or_else(gone)
}

/// `XDP_FLAGS_*_MODE` of `linux/if_link.h`.
pub(super) fn mode_flags(mode: XdpMode) -> u32 {
    match mode {
        XdpMode::Generic => 1 << 1,
        XdpMode::Native => 1 << 2,
        XdpMode::Offloaded => 1 << 3,
    }
}
