// SPDX-License-Identifier: Apache-2.0
//! The calls of bpf(2) by others that can change what is attached, as two programs at its tracepoints see them.
//!
//! The first notes which command a thread is about to carry out, if it is one of [`COMMANDS`]; the second tells of it in a ring
//! buffer when it went well. The kernel's networking tells nothing of links (`BPF_LINK_UPDATE`, `BPF_LINK_DETACH`, TCX). What a
//! program does from inside the kernel (`bpf_sys_bpf`), and a link that goes with its last descriptor, is not seen.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, RingBuffer, RingBufferBuilder};

use super::super::maps;
use super::super::probe::link_tracepoint;
use super::super::sys;
use super::Caller;
use crate::insn::{FRAME, Insn, MAP_LOOKUP, When, Width};

/// Numbers of `enum bpf_cmd` in `linux/bpf.h`, with their names.
const COMMANDS: [(u64, &str); 5] = [
    (8, "BPF_PROG_ATTACH"),
    (9, "BPF_PROG_DETACH"),
    (28, "BPF_LINK_CREATE"),
    (29, "BPF_LINK_UPDATE"),
    (34, "BPF_LINK_DETACH"),
];

/// Numbers of helpers (`enum bpf_func_id`).
const MAP_UPDATE: i32 = 2;
const MAP_DELETE: i32 = 3;
const CURRENT_THREAD: i32 = 14;
const CURRENT_NAME: i32 = 16;
const RING_OUTPUT: i32 = 130;

/// How many threads may be in such a call at once.
const THREADS: u32 = 1024;
/// Room for what was not read yet: a power of two, and whole pages everywhere.
const RING_BYTES: u32 = 64 * 1024;
/// What is told of a call: the process and the thread (`pid << 32 | tid`), the command, the name of the thread.
const TOLD_BYTES: usize = 32;

/// Those who listen to calls.
#[derive(Debug)]
pub(super) struct Calls {
    ring: RingBuffer<'static>,
    heard: Arc<Mutex<Vec<Caller>>>,
    map: MapHandle,
    /// What threads are about, by thread.
    pending: MapHandle,
    _links: [OwnedFd; 2],
}

impl Calls {
    /// Listens from now on to what other processes do.
    pub(super) fn listen() -> io::Result<Self> {
        let pending = maps::create(MapType::Hash, "l3af_calls", (8, 8), THREADS)?;
        let map = maps::create(MapType::RingBuf, "l3af_called", (0, 0), RING_BYTES)?;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&map, move |bytes| {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(parse(bytes));
                0
            })
            .map_err(maps::plain)?;
        let ring = builder.build().map_err(maps::plain)?;
        let links = [
            attach(c"l3af_call", "sys_enter_bpf", &entry(&pending, std::process::id()))?,
            attach(c"l3af_called", "sys_exit_bpf", &end(&pending, &map))?,
        ];
        Ok(Self { ring, heard, map, pending, _links: links })
    }

    /// What was heard since.
    pub(super) fn take(&self) -> io::Result<Vec<Caller>> {
        self.ring.consume().map_err(maps::plain)?;
        Ok(std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Who is in the middle of such a call. What it changes may be so already.
    pub(super) fn calling(&self) -> Vec<Caller> {
        let calls = self.pending.keys().filter_map(|thread| {
            let command = self.pending.lookup(&thread, MapFlags::ANY).ok()??;
            let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
            let pid = u32::try_from(number(&thread)? >> 32).ok()?;
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            Some(Caller { pid, name: name.trim_end().to_owned(), command: command_name(number(&command)?)? })
        });
        calls.collect()
    }

    /// Is readable while something was heard.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

fn attach(name: &CStr, event: &str, insns: &[Insn]) -> io::Result<OwnedFd> {
    let program = sys::load_program(name, (libbpf_sys::BPF_PROG_TYPE_TRACEPOINT, 0), 0, insns)?;
    let named = |name: &str| name.parse().map_err(io::Error::other);
    link_tracepoint(program.as_fd(), (&named("syscalls")?, &named(event)?), 0)
}

/// Notes the command that a thread of another process begins. The context of such a tracepoint has the number of the call at 8, and
/// its arguments, or its result, from 16 on.
fn entry(pending: &MapHandle, own: u32) -> Vec<Insn> {
    let mask = COMMANDS.iter().fold(0, |mask, (number, _)| mask | 1 << number);
    let own = own.cast_signed();
    let mut insns = vec![
        Insn::load(Width::Double, 6, 1, 16),
        Insn::jump_if(When::Above, 6, 63, TO_END),
        Insn::put_32(2, 1),
        Insn::shift_left_register(2, 6),
    ];
    insns.extend(Insn::put_64(3, mask));
    insns.extend([
        Insn::and_register(2, 3),
        Insn::jump_if_null(2, TO_END),
        Insn::call(CURRENT_THREAD),
        Insn::store(Width::Double, FRAME, -8, 0),
        Insn::shift_right(0, 32),
        Insn::jump_if(When::Equal, 0, own, TO_END),
        Insn::store(Width::Double, FRAME, -16, 6),
    ]);
    insns.extend(Insn::load_map(1, pending.as_fd().as_raw_fd()));
    insns.extend(frame_in(2, -8));
    insns.extend(frame_in(3, -16));
    insns.extend([Insn::put_32(4, 0), Insn::call(MAP_UPDATE)]);
    finish(insns)
}

/// Tells of a command that its thread has carried out.
fn end(pending: &MapHandle, ring: &MapHandle) -> Vec<Insn> {
    let map = |register, map: &MapHandle| Insn::load_map(register, map.as_fd().as_raw_fd());
    let mut insns = vec![
        Insn::load(Width::Double, 7, 1, 16),
        Insn::call(CURRENT_THREAD),
        Insn::store(Width::Double, FRAME, -32, 0),
    ];
    insns.extend(map(1, pending));
    insns.extend(frame_in(2, -32));
    insns.extend([
        Insn::call(MAP_LOOKUP),
        Insn::jump_if_null(0, TO_END),
        Insn::load(Width::Double, 6, 0, 0),
        Insn::store(Width::Double, FRAME, -24, 6),
    ]);
    insns.extend(map(1, pending));
    insns.extend(frame_in(2, -32));
    // A result below zero is an error: nobody is told of it.
    insns.extend([Insn::shift_right(7, 63), Insn::jump_if(When::NotEqual, 7, 0, 0)]);
    let telling = insns.len();
    insns.extend(frame_in(1, -16));
    insns.extend([Insn::put_32(2, 16), Insn::call(CURRENT_NAME)]);
    insns.extend(map(1, ring));
    insns.extend(frame_in(2, -32));
    insns.extend([Insn::put_32(3, 32), Insn::put_32(4, 0), Insn::call(RING_OUTPUT)]);
    // It is forgotten when it is told: whoever looks for callers first and then at what was told misses none.
    insns[telling - 1].offset = i16::try_from(insns.len() - telling).expect("it is a short program");
    insns.extend(map(1, pending));
    insns.extend(frame_in(2, -32));
    insns.push(Insn::call(MAP_DELETE));
    finish(insns)
}

/// Where the address of a place on the stack is wanted.
fn frame_in(register: u8, at: i32) -> [Insn; 2] {
    [Insn::copy(register, FRAME), Insn::add(register, at)]
}

/// Stands for a jump to the end, until that is known.
const TO_END: i16 = i16::MAX;

/// Ends a program, and leads the jumps that go there.
fn finish(mut insns: Vec<Insn>) -> Vec<Insn> {
    let end = insns.len();
    for (index, insn) in insns.iter_mut().enumerate().filter(|(_, insn)| insn.offset == TO_END) {
        insn.offset = i16::try_from(end - index - 1).expect("it is a short program");
    }
    insns.extend([Insn::put_32(0, 0), Insn::exit()]);
    insns
}

fn command_name(number: u64) -> Option<&'static str> {
    COMMANDS.iter().find(|(command, _)| *command == number).map(|(_, name)| *name)
}

fn parse(bytes: &[u8]) -> Option<Caller> {
    let bytes: &[u8; TOLD_BYTES] = bytes.first_chunk()?;
    let number = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().expect("it has that many bytes"));
    let command = command_name(number(8))?;
    let name = CStr::from_bytes_until_nul(&bytes[16..]).ok()?.to_string_lossy().into_owned();
    Some(Caller { pid: u32::try_from(number(0) >> 32).ok()?, name, command })
}
