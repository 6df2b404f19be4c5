// SPDX-License-Identifier: Apache-2.0
//! Dispatchers in the kernel: built, pinned, observed, and whether there can be any.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use libbpf_rs::{MapHandle, Program};
use package::{Enforcement, HookPoint, ProceedSet};
use plan::{Buffers, Hook, Instance, MemberSpec, ObservedInstance};

use super::device::{interface_index, within};
use super::pins::{Pins, names, remove_tree};
use super::{Spelling, maps, root, sys};
use crate::dispatcher::{Dispatch, Dispatched, Seat, dispatcher};
use crate::insn::Insn;
use crate::record::Record;

/// A dispatcher that is loaded, with the types of its members' functions.
pub(super) struct Loaded {
    pub(super) program: OwnedFd,
    pub(super) functions: Vec<u32>,
}

/// The name of the function of a member.
pub(super) fn function_name(number: usize) -> String {
    format!("member{number}")
}

/// What a dispatcher is loaded for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    pub(super) point: HookPoint,
    pub(super) buffers: Buffers,
    /// The interface, in the network namespace of this thread, where members ask it about packets.
    pub(super) device: Option<u32>,
}

/// Loads a dispatcher, which counts where it is given counters.
pub(super) fn load(
    Purpose { point, buffers, device }: Purpose,
    seats: Vec<Seat<'_>>,
    counters: Option<BorrowedFd<'_>>,
) -> io::Result<Loaded> {
    let spelling = Spelling::of(point);
    let counters = counters.map(|counters| counters.as_raw_fd());
    let how = Dispatch { point, seats, counters, fragments: buffers == Buffers::Many };
    let Dispatched { insns, functions } = dispatcher(&how);
    let mut named = vec![(c"l3af_dispatcher".to_owned(), 0)];
    for (number, at) in functions.iter().enumerate() {
        named.push((CString::new(function_name(number)).map_err(io::Error::other)?, *at));
    }
    let typed = sys::Typed {
        kind: spelling.kind,
        attach: spelling.load,
        flags: root::flags(buffers) | device.map_or(0, |_| root::DEVICE_BOUND),
        device: device.unwrap_or_default(),
        context: spelling.context,
        insns: &insns,
        functions: &named,
        replaces: None,
    };
    let (program, mut functions) = typed.load()?;
    functions.remove(0);
    Ok(Loaded { program, functions })
}

/// A dispatcher that gets no packets: what a program is verified against that is to take the place of functions.
pub(super) fn pattern(purpose: Purpose) -> io::Result<OwnedFd> {
    pattern_of(purpose).map(|pattern| pattern.program)
}

fn pattern_of(purpose: Purpose) -> io::Result<Loaded> {
    let proceed = ProceedSet::default_for(purpose.point);
    load(purpose, vec![Seat { proceed: &proceed, shadow: false, timed: false }], None)
}

/// Whether this kernel lets programs take the place of functions (`BPF_PROG_TYPE_EXT`). Asked once: some refuse it to
/// everybody, whatever their version.
pub fn extensions_are_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| try_one().is_ok())
}

fn try_one() -> io::Result<()> {
    let spelling = Spelling::of(HookPoint::Xdp);
    let purpose = Purpose { point: HookPoint::Xdp, buffers: Buffers::One, device: None };
    let pattern = pattern_of(purpose)?;
    let function = *pattern.functions.first().ok_or_else(|| io::Error::other("it has no function"))?;
    let typed = sys::Typed {
        kind: libbpf_sys::BPF_PROG_TYPE_EXT,
        attach: 0,
        flags: 0,
        device: 0,
        context: spelling.context,
        insns: &[Insn::put_32(0, spelling.pass), Insn::exit()],
        functions: &[(c"l3af_probe".to_owned(), 0)],
        replaces: Some((pattern.program.as_fd(), function)),
    };
    typed.load().map(drop)
}

/// Builds a dispatcher of loaded instances. The links of its functions are pinned with it.
pub(super) fn build(pins: &Pins, hook: &Hook, serial: u64, members: &[Instance]) -> io::Result<()> {
    let folder = pins.dispatcher(hook, serial);
    remove_tree(&folder)?;
    fs::create_dir_all(folder.join("links"))?;
    let specs = members.iter().map(|member| read_spec(pins, hook, member));
    let specs = specs.collect::<io::Result<Vec<_>>>()?;
    let counters = members.iter().map(|member| {
        MapHandle::from_pinned_path(pins.instance(hook, member).join("counters")).map_err(maps::plain)
    });
    let counters = maps::create_array_of(&counters.collect::<io::Result<Vec<_>>>()?)?;
    let buffers = specs.first().map_or(Buffers::One, |spec| spec.buffers);
    let is_bound = specs.iter().any(|spec| spec.device_bound);
    let device = if is_bound { Some(interface_index(&hook.interface)?) } else { None };
    let dispatcher = within(hook.interface.namespace.as_ref(), || {
        let purpose = Purpose { point: hook.point, buffers, device };
        load(purpose, specs.iter().map(seat).collect(), Some(counters.as_fd()))
    })?;
    for (number, (member, function)) in members.iter().zip(&dispatcher.functions).enumerate() {
        let program = pins.instance(hook, member).join("program");
        let program = Program::fd_from_pinned_path(program).map_err(maps::plain)?;
        let link = sys::replace_function(program.as_fd(), dispatcher.program.as_fd(), *function)?;
        sys::pin(link.as_fd(), &folder.join("links").join(number.to_string()))?;
    }
    maps::pin(&counters, &folder.join("counters"))?;
    maps::pin(&maps::create_record(&members)?, &folder.join("record"))?;
    // The program is pinned last: a dispatcher that has it is complete.
    sys::pin(dispatcher.program.as_fd(), &folder.join("program"))
}

fn seat(spec: &MemberSpec) -> Seat<'_> {
    let shadow = spec.enforcement != Enforcement::Enforce;
    Seat { proceed: &spec.proceed, shadow, timed: spec.timed }
}

fn read_spec(pins: &Pins, hook: &Hook, member: &Instance) -> io::Result<MemberSpec> {
    let record: Record = maps::read_record(&pins.instance(hook, member).join("record"))?;
    record.into_spec(hook.point).map_err(io::Error::other)
}

/// Whether any dispatcher of a hook is of this instance, among others.
pub(super) fn has_member(pins: &Pins, hook: &Hook, instance: &Instance) -> io::Result<bool> {
    let all = recorded(pins, hook)?;
    Ok(all.values().flatten().any(|members| members.contains(instance)))
}

/// The dispatchers of a hook. One is complete while each of its members is there and every link has its pin.
pub(super) fn observe(
    pins: &Pins,
    hook: &Hook,
    instances: &BTreeMap<Instance, ObservedInstance>,
) -> io::Result<BTreeMap<u64, Option<Vec<Instance>>>> {
    let mut dispatchers = recorded(pins, hook)?;
    for (serial, found) in &mut dispatchers {
        let links = names(&pins.dispatcher(hook, *serial).join("links"))?.len();
        let is_whole = |members: &Vec<Instance>| {
            links == members.len() && members.iter().all(|member| instances.contains_key(member))
        };
        *found = found.take().filter(is_whole);
    }
    Ok(dispatchers)
}

/// The members of each dispatcher; none where building it was not finished.
fn recorded(pins: &Pins, hook: &Hook) -> io::Result<BTreeMap<u64, Option<Vec<Instance>>>> {
    let mut dispatchers = BTreeMap::new();
    for name in names(&pins.dispatchers(hook))? {
        let Ok(serial) = name.parse::<u64>() else { continue };
        let folder = pins.dispatcher(hook, serial);
        let is_complete = folder.join("program").exists() && folder.join("record").exists();
        let members = if is_complete { Some(maps::read_record(&folder.join("record"))?) } else { None };
        dispatchers.insert(serial, members);
    }
    Ok(dispatchers)
}
