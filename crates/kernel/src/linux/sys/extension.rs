// SPDX-License-Identifier: Apache-2.0
//! Programs of several typed functions, and programs that take the place of one of them (`BPF_PROG_TYPE_EXT`).

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use libbpf_sys::{
    bpf_attach_type, bpf_func_info, bpf_insn, bpf_link_create_opts, bpf_prog_load_opts, bpf_prog_type,
};

use super::tables::{Types, add_context_prototype, add_function};
use super::{aligned, check, own};
use crate::insn::Insn;

/// A program that is not in an object, all of whose functions take its context and return a number.
pub(crate) struct Typed<'a> {
    pub(crate) kind: bpf_prog_type,
    pub(crate) attach: bpf_attach_type,
    pub(crate) flags: u32,
    /// The interface that it is loaded for; 0 for any.
    pub(crate) device: u32,
    /// The name of the structure that is its context.
    pub(crate) context: &'a CStr,
    pub(crate) insns: &'a [Insn],
    /// The names of its functions and where they begin, the main one first.
    pub(crate) functions: &'a [(CString, usize)],
    /// The function of a loaded program whose place it takes.
    pub(crate) replaces: Option<(BorrowedFd<'a>, u32)>,
}

impl Typed<'_> {
    /// Loads it. Returns the type of each function as well, by which others can take its place.
    pub(crate) fn load(&self) -> io::Result<(OwnedFd, Vec<u32>)> {
        let types = Types::empty()?;
        let prototype = add_context_prototype(types.0, self.context)?;
        let add = |(name, _): &(CString, usize)| {
            add_function(types.0, name, libbpf_sys::BTF_FUNC_GLOBAL, prototype)
        };
        let ids = self.functions.iter().map(add).collect::<io::Result<Vec<u32>>>()?;
        // SAFETY: `types` is a BTF object of ours.
        check(unsafe { libbpf_sys::btf__load_into_kernel(types.0) })?;
        // SAFETY: as above.
        let loaded = check(unsafe { libbpf_sys::btf__fd(types.0) })?;
        let functions = self.functions.iter().zip(&ids).map(|((_, at), id)| {
            let insn_off = u32::try_from(*at).map_err(io::Error::other)?;
            Ok(bpf_func_info { insn_off, type_id: *id })
        });
        let functions = functions.collect::<io::Result<Vec<_>>>()?;
        self.load_with(&functions, loaded.unsigned_abs()).map(|program| (program, ids))
    }

    fn load_with(&self, functions: &[bpf_func_info], types: u32) -> io::Result<OwnedFd> {
        let words = aligned(self.insns);
        let mut opts = bpf_prog_load_opts {
            sz: size_of::<bpf_prog_load_opts>() as u64,
            expected_attach_type: self.attach,
            prog_flags: self.flags,
            prog_ifindex: self.device,
            prog_btf_fd: types,
            func_info: functions.as_ptr().cast(),
            func_info_cnt: u32::try_from(functions.len()).map_err(io::Error::other)?,
            func_info_rec_size: u32::try_from(size_of::<bpf_func_info>()).map_err(io::Error::other)?,
            ..bpf_prog_load_opts::default()
        };
        if let Some((program, function)) = self.replaces {
            opts.attach_prog_fd = program.as_raw_fd().unsigned_abs();
            opts.attach_btf_id = function;
        }
        let name = self.functions.first().map_or(c"", |(name, _)| name.as_c_str());
        let first = words.as_ptr().cast::<bpf_insn>();
        let (count, licence) = (words.len() as u64, c"Dual BSD/GPL".as_ptr());
        // SAFETY: all pointers are to live values of the given lengths.
        own(unsafe {
            libbpf_sys::bpf_prog_load(self.kind, name.as_ptr(), licence, first, count, &raw mut opts)
        })
    }
}

/// Lets a program take the place of a function of another one, as long as the link lives.
pub(crate) fn replace_function(
    extension: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    function: u32,
) -> io::Result<OwnedFd> {
    let mut opts = bpf_link_create_opts {
        sz: size_of::<bpf_link_create_opts>() as u64,
        ..bpf_link_create_opts::default()
    };
    opts.target_btf_id = function;
    let (extension, program) = (extension.as_raw_fd(), program.as_raw_fd());
    // SAFETY: the call takes numbers and a structure of the given size.
    own(unsafe { libbpf_sys::bpf_link_create(extension, program, 0, &raw const opts) })
}
