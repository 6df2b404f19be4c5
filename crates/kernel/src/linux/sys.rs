// SPDX-License-Identifier: Apache-2.0
//! The only unsafe code of the project: what libbpf offers and libbpf-rs does not wrap.
//!
//! Everything here is a thin, safe function over one or two calls. It decides nothing.
#![expect(unsafe_code, reason = "the one module that crosses into libbpf")]

pub(crate) mod batch;
mod extension;
mod links;
mod rewrite;
mod tables;

use std::ffi::{CStr, CString, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use libbpf_rs::{AsRawLibbpf, ObjectBuilder};
use libbpf_sys::{bpf_attach_type, bpf_insn, bpf_prog_load_opts, bpf_prog_type, bpf_test_run_opts};

mod probe;

pub(crate) use probe::{
    LinkOptions, PerfEvent, Sample, create_link_to, open_perf_event, open_raw_tracepoint, run_statistics, tag,
};

use crate::insn::Insn;
pub(crate) use extension::{Typed, replace_function};

pub(crate) use links::{
    Linking, create_link, exchange_xdp, link_by_id, program_by_id, tcx_programs, update_link,
};
pub(crate) use rewrite::{Relocated, Rewrite, Target, register_handlers, rewriting, take_warning};
pub(crate) use tables::{Keys, add_original_to, types_by_size, types_of_map};

/// Instructions as the kernel reads them, aligned as it wants them.
fn aligned(insns: &[Insn]) -> Vec<u64> {
    insns.iter().map(|insn| u64::from_ne_bytes(insn.to_bytes())).collect()
}

/// Tells libbpf the configuration of the kernel, for programs that ask for it.
pub(crate) fn set_kernel_configuration(builder: &ObjectBuilder, text: &CStr) {
    // SAFETY: the options are the builder's own, and nobody else looks at them meanwhile; the caller keeps `text` alive
    // until the object is opened, when libbpf has read it.
    unsafe { (*builder.as_libbpf_object().as_ptr()).kconfig = text.as_ptr() };
}

/// Gives a program the buffer that the verifier writes its log to.
pub(crate) fn log_to(program: &libbpf_rs::OpenProgramMut<'_>, log: &mut [u8]) -> io::Result<()> {
    let size = log.len() as u64;
    let program = program.as_libbpf_object().as_ptr();
    // SAFETY: the caller keeps `log` alive until the object is loaded or dropped.
    check(unsafe { libbpf_sys::bpf_program__set_log_buf(program, log.as_mut_ptr().cast(), size) }).map(drop)
}

/// Makes libbpf forget that a map wants to be pinned by its name.
pub(crate) fn forget_pin_path(map: &libbpf_rs::OpenMapMut<'_>) -> io::Result<()> {
    let map = map.as_libbpf_object().as_ptr();
    // SAFETY: a null path is documented to clear the pin path.
    check(unsafe { libbpf_sys::bpf_map__set_pin_path(map, std::ptr::null()) }).map(drop)
}

/// Makes a map that is not made yet exclusive to a program of its object (`BPF_MAP_CREATE` with `excl_prog_hash`).
pub(crate) fn make_exclusive(
    map: &libbpf_rs::OpenMap<'_>,
    program: &libbpf_rs::OpenProgram<'_>,
) -> io::Result<()> {
    let (map, program) = (map.as_libbpf_object().as_ptr(), program.as_libbpf_object().as_ptr());
    // SAFETY: both are of an object that is open; libbpf refuses when it is not the same one.
    check(unsafe { libbpf_sys::bpf_map__set_exclusive_program(map, program) }).map(drop)
}

/// Lets nobody write to a map from user space any more (`BPF_MAP_FREEZE`, Linux 5.2).
pub(crate) fn freeze(map: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the kernel checks the descriptor.
    check(unsafe { libbpf_sys::bpf_map_freeze(map.as_raw_fd()) }).map(drop)
}

/// Whether libbpf made a map for one program only.
pub(crate) fn is_exclusive(map: &libbpf_rs::Map<'_>) -> bool {
    let map = map.as_libbpf_object().as_ptr();
    // SAFETY: it is a map of an object that is loaded.
    !unsafe { libbpf_sys::bpf_map__exclusive_program(map) }.is_null()
}

/// Loads a program that is not in an object.
pub(crate) fn load_program(
    name: &CStr,
    (kind, attach): (bpf_prog_type, bpf_attach_type),
    flags: u32,
    insns: &[Insn],
) -> io::Result<OwnedFd> {
    let words = aligned(insns);
    let mut opts = bpf_prog_load_opts {
        sz: size_of::<bpf_prog_load_opts>() as u64,
        expected_attach_type: attach,
        prog_flags: flags,
        ..bpf_prog_load_opts::default()
    };
    let first = words.as_ptr().cast::<bpf_insn>();
    let count = words.len() as u64;
    let licence = c"Dual BSD/GPL".as_ptr();
    // SAFETY: all pointers are to live values of the given lengths.
    own(unsafe { libbpf_sys::bpf_prog_load(kind, name.as_ptr(), licence, first, count, &raw mut opts) })
}

/// Runs a program on a packet (`BPF_PROG_TEST_RUN`). `out` gets the packet as the program left it, and `context`, where there is one,
/// what the kernel says of it then; returns the verdict, the length of that packet, and the average time of a run in nanoseconds.
pub(crate) fn test_run(
    program: BorrowedFd<'_>,
    packet: &[u8],
    out: &mut [u8],
    context: &mut [u8],
    repeat: u32,
) -> io::Result<(u32, usize, u32)> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
    let mut opts = bpf_test_run_opts {
        sz: size_of::<bpf_test_run_opts>() as u64,
        data_in: packet.as_ptr().cast::<c_void>(),
        data_size_in: length(packet)?,
        data_out: out.as_mut_ptr().cast::<c_void>(),
        data_size_out: length(out)?,
        repeat: c_int::try_from(repeat).map_err(io::Error::other)?,
        ..bpf_test_run_opts::default()
    };
    if out.is_empty() {
        opts.data_out = std::ptr::null_mut();
    }
    if !context.is_empty() {
        opts.ctx_size_in = length(context)?;
        opts.ctx_size_out = opts.ctx_size_in;
        opts.ctx_out = context.as_mut_ptr().cast::<c_void>();
        // The kernel has read it before it writes it.
        opts.ctx_in = opts.ctx_out.cast_const();
    }
    // SAFETY: the structure points to live slices with their lengths.
    check(unsafe { libbpf_sys::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut opts) })?;
    Ok((opts.retval, opts.data_size_out as usize, opts.duration))
}

/// Lets a program hold a map that its instructions do not name.
pub(crate) fn bind_map(program: BorrowedFd<'_>, map: BorrowedFd<'_>) -> io::Result<()> {
    let (program, map) = (program.as_raw_fd(), map.as_raw_fd());
    // SAFETY: the call takes numbers and an optional structure, which is left out.
    check(unsafe { libbpf_sys::bpf_prog_bind_map(program, map, std::ptr::null()) }).map(drop)
}

/// Opens what is pinned somewhere.
pub(crate) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    // SAFETY: `path` is a C string.
    own(unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) })
}

/// The id of the program that the only slot of a program array leads to.
pub(crate) fn slot_target(slot: &OwnedFd) -> io::Result<Option<u32>> {
    let (first, mut id) = (0_u32, 0_u32);
    // SAFETY: keys and values of program arrays are four bytes each.
    let found = check(unsafe {
        libbpf_sys::bpf_map_lookup_elem(slot.as_raw_fd(), (&raw const first).cast(), (&raw mut id).cast())
    });
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(|_| Some(id)),
    }
}

/// The key that comes behind another one in a map, or the first; none at the end.
pub(crate) fn next_key(
    map: BorrowedFd<'_>,
    before: Option<&[u8]>,
    key_bytes: usize,
) -> io::Result<Option<Vec<u8>>> {
    let mut next = vec![0; key_bytes];
    let before = before.map_or(std::ptr::null(), <[u8]>::as_ptr);
    // SAFETY: both are keys of the map, or none for the one before.
    let found = check(unsafe {
        libbpf_sys::bpf_map_get_next_key(map.as_raw_fd(), before.cast(), next.as_mut_ptr().cast())
    });
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(|_| Some(next)),
    }
}

/// Pins a kernel object.
pub(crate) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: `path` is a C string.
    check(unsafe { libbpf_sys::bpf_obj_pin(object.as_raw_fd(), path.as_ptr()) }).map(drop)
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(io::Error::other)
}

/// libbpf returns a negative error number.
fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) }
}

fn own(result: c_int) -> io::Result<OwnedFd> {
    let descriptor = check(result)?;
    // SAFETY: libbpf returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
