// SPDX-License-Identifier: Apache-2.0
//! Links: how programs are attached to interfaces, and who else is there.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libbpf_sys::{bpf_attach_type, bpf_link_create_opts, bpf_prog_query_opts, bpf_xdp_attach_opts};

use super::{check, own};

/// How a link is made: flags that the kind of link knows, and the program that it stands beside, by id.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Linking {
    /// `XDP_FLAGS_*` of `linux/if_link.h` for XDP, `BPF_F_BEFORE` and `BPF_F_AFTER` of `linux/bpf.h` for TCX.
    pub(crate) flags: u32,
    /// The neighbour at TCX; 0 for none.
    pub(crate) neighbour: u32,
}

/// Attaches a program to an interface by a link.
pub(crate) fn create_link(
    program: BorrowedFd<'_>,
    index: u32,
    attach: bpf_attach_type,
    how: Linking,
) -> io::Result<OwnedFd> {
    let index = c_int::try_from(index).map_err(io::Error::other)?;
    let mut opts = bpf_link_create_opts {
        sz: size_of::<bpf_link_create_opts>() as u64,
        flags: how.flags,
        ..bpf_link_create_opts::default()
    };
    if how.neighbour != 0 {
        opts.__bindgen_anon_1.tcx.relative_id = how.neighbour;
    }
    // SAFETY: the structure is valid during the call.
    own(unsafe { libbpf_sys::bpf_link_create(program.as_raw_fd(), index, attach, &raw const opts) })
}

/// The ids of the programs at a TCX hook, in the order in which packets meet them.
pub(crate) fn tcx_programs(index: u32, attach: bpf_attach_type) -> io::Result<Vec<u32>> {
    /// `BPF_MPROG_MAX` of `linux/bpf_mprog.h`.
    const MOST: usize = 64;
    let index = c_int::try_from(index).map_err(io::Error::other)?;
    let mut ids = vec![0; MOST];
    let mut opts = bpf_prog_query_opts {
        sz: size_of::<bpf_prog_query_opts>() as u64,
        prog_ids: ids.as_mut_ptr(),
        ..bpf_prog_query_opts::default()
    };
    opts.__bindgen_anon_1.count = u32::try_from(MOST).map_err(io::Error::other)?;
    // SAFETY: the structure points to room for so many ids as it says.
    check(unsafe { libbpf_sys::bpf_prog_query_opts(index, attach, &raw mut opts) })?;
    // SAFETY: both members of the union are the same number.
    ids.truncate(unsafe { opts.__bindgen_anon_1.count } as usize);
    Ok(ids)
}

/// A program by its id.
pub(crate) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes a number.
    own(unsafe { libbpf_sys::bpf_prog_get_fd_by_id(id) })
}

/// A link by its id.
pub(crate) fn link_by_id(id: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes a number.
    own(unsafe { libbpf_sys::bpf_link_get_fd_by_id(id) })
}

/// Puts an XDP program in the place of another that is attached without a link, if that is still there.
pub(crate) fn exchange_xdp(
    index: u32,
    flags: u32,
    (old, new): (BorrowedFd<'_>, BorrowedFd<'_>),
) -> io::Result<()> {
    let index = c_int::try_from(index).map_err(io::Error::other)?;
    let opts = bpf_xdp_attach_opts {
        sz: size_of::<bpf_xdp_attach_opts>() as u64,
        old_prog_fd: old.as_raw_fd(),
        ..bpf_xdp_attach_opts::default()
    };
    // SAFETY: the structure is valid during the call.
    check(unsafe { libbpf_sys::bpf_xdp_attach(index, new.as_raw_fd(), flags, &raw const opts) }).map(drop)
}

/// Lets a link run another program.
pub(crate) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let (link, program) = (link.as_raw_fd(), program.as_raw_fd());
    // SAFETY: the call takes numbers and an optional structure, which is left out.
    check(unsafe { libbpf_sys::bpf_link_update(link, program, std::ptr::null()) }).map(drop)
}
