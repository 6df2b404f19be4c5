// SPDX-License-Identifier: Apache-2.0
//! What attaching probes takes: perf events, and links to what is no interface.

use std::ffi::{CStr, CString, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libbpf_sys::{
    bpf_attach_type, bpf_link_create_opts, bpf_link_create_opts__bindgen_ty_1, bpf_prog_info,
    bpf_raw_tp_opts, perf_event_attr,
};

use super::{check, own};

/// Of `linux/perf_event.h`.
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;

/// What a link is told besides its target.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LinkOptions {
    /// The cookie of a perf event.
    PerfEvent { cookie: u64 },
    /// The cookie of a trampoline.
    Tracing { cookie: u64 },
    /// A place of netfilter.
    Netfilter { family: u32, hook: u32, priority: i32, flags: u32 },
    /// Nothing.
    None,
}

/// A perf event, as `perf_event_open(2)` has it.
#[derive(Debug, Clone)]
pub(crate) struct PerfEvent<'a> {
    /// The number of its source.
    pub(crate) kind: u32,
    /// What it counts.
    pub(crate) config: u64,
    /// A name, for sources that take one: of a function or a file.
    pub(crate) name: Option<&'a CStr>,
    /// An offset behind that name.
    pub(crate) offset: u64,
    /// After how many events it fires, or how often in a second.
    pub(crate) sample: Sample,
    /// The process; -1 for all.
    pub(crate) pid: i32,
    /// The processor; -1 for all.
    pub(crate) cpu: i32,
}

/// When a perf event fires.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sample {
    /// Each time after so many events.
    Period(u64),
    /// So often in a second.
    Frequency(u64),
}

/// Opens a perf event.
pub(crate) fn open_perf_event(event: &PerfEvent<'_>) -> io::Result<OwnedFd> {
    let mut attributes = perf_event_attr {
        type_: event.kind,
        size: u32::try_from(size_of::<perf_event_attr>()).map_err(io::Error::other)?,
        config: event.config,
        ..perf_event_attr::default()
    };
    match event.sample {
        Sample::Period(period) => attributes.__bindgen_anon_1.sample_period = period,
        Sample::Frequency(frequency) => {
            attributes.__bindgen_anon_1.sample_freq = frequency;
            attributes.set_freq(1);
        }
    }
    if let Some(name) = event.name {
        attributes.__bindgen_anon_3.config1 = name.as_ptr() as u64;
        attributes.__bindgen_anon_4.config2 = event.offset;
    }
    let (pid, cpu, group) = (event.pid, event.cpu, -1);
    // SAFETY: the structure, and the name that it points to, live until the call returns.
    let result = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw mut attributes, pid, cpu, group, PERF_FLAG_FD_CLOEXEC)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let descriptor = c_int::try_from(result).map_err(io::Error::other)?;
    // SAFETY: the kernel returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Attaches a program to what a descriptor or a number stands for; 0 where the program itself knows its target.
pub(crate) fn create_link_to(
    program: BorrowedFd<'_>,
    target: c_int,
    attach: bpf_attach_type,
    options: LinkOptions,
) -> io::Result<OwnedFd> {
    let mut opts = bpf_link_create_opts {
        sz: size_of::<bpf_link_create_opts>() as u64,
        ..bpf_link_create_opts::default()
    };
    let more: &mut bpf_link_create_opts__bindgen_ty_1 = &mut opts.__bindgen_anon_1;
    match options {
        LinkOptions::PerfEvent { cookie } => more.perf_event.bpf_cookie = cookie,
        LinkOptions::Tracing { cookie } => more.tracing.cookie = cookie,
        LinkOptions::Netfilter { family, hook, priority, flags } => {
            more.netfilter.pf = family;
            more.netfilter.hooknum = hook;
            more.netfilter.priority = priority;
            more.netfilter.flags = flags;
        }
        LinkOptions::None => {}
    }
    // SAFETY: the structure is live and tells its size.
    own(unsafe { libbpf_sys::bpf_link_create(program.as_raw_fd(), target, attach, &raw const opts) })
}

/// Attaches a program to a raw tracepoint.
pub(crate) fn open_raw_tracepoint(
    program: BorrowedFd<'_>,
    name: &CString,
    cookie: u64,
) -> io::Result<OwnedFd> {
    let size = size_of::<bpf_raw_tp_opts>() as u64;
    let mut opts = bpf_raw_tp_opts { sz: size, tp_name: name.as_ptr(), cookie };
    // SAFETY: the structure, and the name that it points to, live until the call returns.
    own(unsafe { libbpf_sys::bpf_raw_tracepoint_open_opts(program.as_raw_fd(), &raw mut opts) })
}

/// How often a program ran and for how many nanoseconds, while the kernel counted (`kernel.bpf_stats_enabled`).
pub(crate) fn run_statistics(program: BorrowedFd<'_>) -> io::Result<(u64, u64)> {
    let info = program_info(program)?;
    Ok((info.run_cnt, info.run_time_ns))
}

/// The tag of a program: the beginning of the digest of its instructions.
pub(crate) fn tag(program: BorrowedFd<'_>) -> io::Result<[u8; 8]> {
    program_info(program).map(|info| info.tag)
}

fn program_info(program: BorrowedFd<'_>) -> io::Result<bpf_prog_info> {
    let mut info = bpf_prog_info::default();
    let mut length = u32::try_from(size_of::<bpf_prog_info>()).map_err(io::Error::other)?;
    let descriptor = program.as_raw_fd();
    // SAFETY: `info` is written to during the call only, and `length` tells its size.
    check(unsafe { libbpf_sys::bpf_prog_get_info_by_fd(descriptor, &raw mut info, &raw mut length) })?;
    Ok(info)
}
