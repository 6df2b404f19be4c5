// SPDX-License-Identifier: Apache-2.0
//! How an entry gets the packets of its hook, and how it loses them: by link, as a filter, in exchange for another program.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use libbpf_rs::{Link, Program};
use package::{HookPoint, Position, XdpMode};
use plan::{Entry, Hook, name_in_kernel};

use super::clsact::Filter;
use super::device::{interface_index, within};
use super::incumbent::mode_flags;
use super::pins::{FILTER, Pins, remove_file, remove_tree};
use super::sys::Linking;
use super::{Spelling, holder, incumbent, inherit, maps, qdisc, sys};

/// Gives an entry the packets of the program that is held.
pub(super) fn by_exchange(pins: &Pins, hook: &Hook, entry: &Entry) -> io::Result<()> {
    incumbent::put(pins, hook, program(pins, hook, entry)?.as_fd())
}

fn program(pins: &Pins, hook: &Hook, entry: &Entry) -> io::Result<OwnedFd> {
    Program::fd_from_pinned_path(pins.entry_program(hook, entry)).map_err(maps::plain)
}

/// The other entry already leads to the whole chain: packets meet one or the other.
pub(super) fn turn(pins: &Pins, hook: &Hook, to: &Entry) -> io::Result<()> {
    let after = program(pins, hook, to)?;
    if pins.incumbent(hook).join("program").exists() {
        return incumbent::put(pins, hook, after.as_fd());
    }
    let folder = pins.root(hook);
    if folder.join(FILTER).exists() {
        let index = interface_index(&hook.interface)?;
        return within(hook.interface.namespace.as_ref(), || {
            Filter::of_chain(index, hook.point).attach(after.as_fd())
        });
    }
    let link = Link::open(folder.join("link")).map_err(maps::plain)?;
    sys::update_link(link.as_fd(), after.as_fd())
}

/// Attaches an entry by a link of its own.
pub(super) fn by_link(
    pins: &Pins,
    hook: &Hook,
    entry: &Entry,
    (mode, position): (Option<XdpMode>, Option<&Position>),
) -> io::Result<()> {
    let program = program(pins, hook, entry)?;
    if inherit::attach(pins, hook, program.as_fd())? {
        return inherit::remove_filters(pins, hook);
    }
    let index = interface_index(&hook.interface)?;
    let spelling = Spelling::of(hook.point);
    let link = within(hook.interface.namespace.as_ref(), || {
        let create = |how| sys::create_link(program.as_fd(), index, spelling.attach, how);
        match (hook.point, mode) {
            (HookPoint::Xdp, Some(mode)) => create(Linking { flags: mode_flags(mode), neighbour: 0 }),
            // A driver may be able to run XDP programs and not want this one, for the size of its buffers or queues.
            (HookPoint::Xdp, None) => create(Linking::default()).or_else(|native| {
                create(Linking { flags: mode_flags(XdpMode::Generic), neighbour: 0 })
                    .map_err(|_generic| native)
            }),
            (HookPoint::TcIngress | HookPoint::TcEgress, _) => {
                create(place(position, index, spelling.attach)?)
            }
        }
    })?;
    fs::create_dir_all(pins.root(hook))?;
    sys::pin(link.as_fd(), &pins.root(hook).join("link"))?;
    inherit::remove_filters(pins, hook)
}

/// Where a TC link goes: `BPF_F_BEFORE` and `BPF_F_AFTER` of `linux/bpf.h`, beside nobody at the end of that side.
fn place(
    position: Option<&Position>,
    index: u32,
    attach: libbpf_sys::bpf_attach_type,
) -> io::Result<Linking> {
    const BEFORE: u32 = 1 << 3;
    const AFTER: u32 = 1 << 4;
    let (flags, name) = match position {
        None => return Ok(Linking::default()),
        Some(Position::First) => return Ok(Linking { flags: BEFORE, neighbour: 0 }),
        Some(Position::Last) => return Ok(Linking { flags: AFTER, neighbour: 0 }),
        Some(Position::Before(name)) => (BEFORE, name),
        Some(Position::After(name)) => (AFTER, name),
    };
    let name = name_in_kernel(name.as_ref());
    let programs = sys::tcx_programs(index, attach)?;
    let neighbour = programs.into_iter().find(|id| holder::name(*id).as_deref() == Some(name));
    Ok(neighbour.map_or(Linking::default(), |neighbour| Linking { flags, neighbour }))
}

/// Marks beside the pins tell what is ours: the filter, and the queueing discipline if we made it.
pub(super) fn by_filter(pins: &Pins, hook: &Hook, entry: &Entry) -> io::Result<()> {
    let folder = pins.root(hook);
    let program = program(pins, hook, entry)?;
    let index = interface_index(&hook.interface)?;
    within(hook.interface.namespace.as_ref(), || {
        if !qdisc::has_ingress(index)? {
            fs::create_dir_all(pins.discipline(hook))?;
        }
        fs::create_dir_all(folder.join(FILTER))?;
        Filter::of_chain(index, hook.point).attach(program.as_fd())?;
        inherit::remove_filters(pins, hook)
    })
}

/// Takes a chain off its hook, by whatever means it is there.
pub(super) fn detach(pins: &Pins, hook: &Hook) -> io::Result<()> {
    let folder = pins.root(hook);
    if folder.join(FILTER).exists() {
        detach_filter(pins, hook)?;
        remove_tree(&folder.join(FILTER))?;
    }
    if pins.incumbent(hook).join("program").exists() {
        incumbent::give_back(pins, hook)?;
    }
    remove_link(&folder.join("link"))
}

/// A link whose pin is removed goes some time later; the next one needs its place at once.
fn remove_link(pin: &Path) -> io::Result<()> {
    if !pin.exists() {
        return Ok(());
    }
    let link = Link::open(pin).map_err(maps::plain)?;
    // One that somebody detached already, or whose interface is gone, cannot be detached, and need not be.
    drop(link.detach());
    remove_file(pin)
}

fn detach_filter(pins: &Pins, hook: &Hook) -> io::Result<()> {
    let discipline = pins.discipline(hook);
    // With its interface a filter is gone.
    let Ok(index) = interface_index(&hook.interface) else { return remove_tree(&discipline) };
    within(hook.interface.namespace.as_ref(), || {
        Filter::of_chain(index, hook.point).detach(discipline.exists())?;
        if qdisc::has_ingress(index)? { Ok(()) } else { remove_tree(&discipline) }
    })
}
