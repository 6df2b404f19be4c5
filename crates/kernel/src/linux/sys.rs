// SPDX-License-Identifier: Apache-2.0
//! The only unsafe code of the project: what libbpf offers and libbpf-rs does not wrap.
//!
//! Everything here is a thin, safe function over one or two calls. It decides nothing.
#![expect(unsafe_code, reason = "the one module that crosses into libbpf")]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use libbpf_rs::AsRawLibbpf;
use libbpf_sys::{
    bpf_attach_type, bpf_func_info, bpf_insn, bpf_line_info, bpf_prog_load_opts, bpf_prog_type, bpf_program,
    libbpf_prog_handler_opts,
};

use crate::insn::Insn;
use crate::splice::Spliced;

/// What happens to the instructions of a program on their way to the kernel.
pub(crate) type Rewrite = Box<dyn FnMut(&[Insn]) -> Option<Spliced>>;

/// The rewriting of the load that is going on in this thread, and the tables that the kernel reads meanwhile.
struct Pending {
    rewrite: Rewrite,
    functions: Vec<bpf_func_info>,
    lines: Vec<bpf_line_info>,
}

thread_local! {
    static PENDING: RefCell<Option<Pending>> = const { RefCell::new(None) };
    static WARNINGS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes libbpf hand us each program's relocated instructions before it loads them. Handlers are global to the
/// process and are registered once.
pub(crate) fn register_handlers() -> io::Result<()> {
    static DONE: OnceLock<c_int> = OnceLock::new();
    let result = *DONE.get_or_init(|| {
        libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Warn, keep_warning)));
        let (xdp, tc) = (libbpf_sys::BPF_PROG_TYPE_XDP, libbpf_sys::BPF_PROG_TYPE_SCHED_CLS);
        // libbpf drops a handler when a program's type changes, so each is registered with the type of its programs.
        let known = [
            (c"xdp+", xdp),
            (c"xdp.frags+", xdp),
            (c"tc+", tc),
            (c"tcx+", tc),
            (c"classifier+", tc),
            (c"action+", tc),
        ];
        let known = known.map(|(section, kind)| register(Some(section), kind));
        // The one for names that libbpf does not know stays: there the type comes from the manifest.
        let unknown = register(None, libbpf_sys::BPF_PROG_TYPE_UNSPEC);
        known.into_iter().chain([unknown]).find(|result| *result < 0).unwrap_or(0)
    });
    check(result).map(drop)
}

fn register(section: Option<&CStr>, kind: bpf_prog_type) -> c_int {
    let opts = libbpf_prog_handler_opts {
        sz: size_of::<libbpf_prog_handler_opts>() as u64,
        prog_prepare_load_fn: Some(prepare_load),
        ..libbpf_prog_handler_opts::default()
    };
    let section = section.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: `section` is null or a C string and `opts` is a valid structure; libbpf copies both.
    unsafe { libbpf_sys::libbpf_register_prog_handler(section, kind, 0, &raw const opts) }
}

#[expect(clippy::needless_pass_by_value, reason = "libbpf-rs calls it so")]
fn keep_warning(_: libbpf_rs::PrintLevel, message: String) {
    WARNINGS.with_borrow_mut(|kept| kept.push_str(&message));
}

/// The last line that libbpf warned with in this thread since the last call.
pub(crate) fn take_warning() -> Option<String> {
    let kept = WARNINGS.take();
    kept.lines()
        .rfind(|line| !line.trim().is_empty())
        .map(|line| line.trim_start_matches("libbpf: ").to_owned())
}

/// Runs `load` while the instructions of the program it loads go through `rewrite`.
pub(crate) fn rewriting<T>(rewrite: Rewrite, load: impl FnOnce() -> T) -> T {
    PENDING.set(Some(Pending { rewrite, functions: Vec::new(), lines: Vec::new() }));
    let result = load();
    PENDING.set(None);
    result
}

/// Called by libbpf between relocation and loading of each program.
unsafe extern "C" fn prepare_load(prog: *mut bpf_program, opts: *mut bpf_prog_load_opts, _: c_long) -> c_int {
    PENDING.with_borrow_mut(|pending| {
        let Some(pending) = pending else { return 0 };
        // SAFETY: libbpf passes a program of the object it is loading.
        let count = unsafe { libbpf_sys::bpf_program__insn_cnt(prog) };
        // SAFETY: as above.
        let first = unsafe { libbpf_sys::bpf_program__insns(prog) };
        let count = usize::try_from(count).expect("instruction counts fit");
        // SAFETY: libbpf keeps `count` instructions of eight bytes at `first`, which is not null for a program.
        let bytes = unsafe { std::slice::from_raw_parts(first.cast::<[u8; 8]>(), count) };
        let insns: Vec<Insn> = bytes.iter().map(|bytes| Insn::from_bytes(*bytes)).collect();
        let Some(spliced) = (pending.rewrite)(&insns) else { return 0 };
        // SAFETY: libbpf passes the structure that it is about to load with, to be changed.
        let opts = unsafe { &mut *opts };
        move_functions(pending, opts, &spliced);
        move_lines(pending, opts, &spliced);
        let mut words = aligned(&spliced.insns);
        let count = words.len() as u64;
        // SAFETY: `words` holds `count` instructions, which libbpf copies; `prog` is its own.
        unsafe { libbpf_sys::bpf_program__set_insns(prog, words.as_mut_ptr().cast::<bpf_insn>(), count) }
    })
}

fn move_functions(pending: &mut Pending, opts: &mut bpf_prog_load_opts, spliced: &Spliced) {
    if opts.func_info.is_null() || opts.func_info_rec_size as usize != size_of::<bpf_func_info>() {
        return;
    }
    // SAFETY: libbpf keeps `func_info_cnt` records of the size just checked at `func_info`.
    let records = unsafe { std::slice::from_raw_parts(opts.func_info.cast(), opts.func_info_cnt as usize) };
    pending.functions = records.to_vec();
    for record in &mut pending.functions {
        record.insn_off = moved(spliced, record.insn_off);
    }
    opts.func_info = pending.functions.as_ptr().cast::<c_void>();
}

fn move_lines(pending: &mut Pending, opts: &mut bpf_prog_load_opts, spliced: &Spliced) {
    if opts.line_info.is_null() || opts.line_info_rec_size as usize != size_of::<bpf_line_info>() {
        return;
    }
    // SAFETY: libbpf keeps `line_info_cnt` records of the size just checked at `line_info`.
    let records = unsafe { std::slice::from_raw_parts(opts.line_info.cast(), opts.line_info_cnt as usize) };
    pending.lines = records.to_vec();
    for record in &mut pending.lines {
        record.insn_off = moved(spliced, record.insn_off);
    }
    opts.line_info = pending.lines.as_ptr().cast::<c_void>();
}

/// Instructions as the kernel reads them, aligned as it wants them.
fn aligned(insns: &[Insn]) -> Vec<u64> {
    insns.iter().map(|insn| u64::from_ne_bytes(insn.to_bytes())).collect()
}

fn moved(spliced: &Spliced, offset: u32) -> u32 {
    u32::try_from(spliced.moved.offset(offset as usize)).expect("programs are shorter than that")
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

/// Loads a program that is not in an object.
pub(crate) fn load_program(
    name: &CStr,
    kind: bpf_prog_type,
    attach: bpf_attach_type,
    insns: &[Insn],
) -> io::Result<OwnedFd> {
    let words = aligned(insns);
    let mut opts = bpf_prog_load_opts {
        sz: size_of::<bpf_prog_load_opts>() as u64,
        expected_attach_type: attach,
        ..bpf_prog_load_opts::default()
    };
    let first = words.as_ptr().cast::<bpf_insn>();
    let count = words.len() as u64;
    let licence = c"Dual BSD/GPL".as_ptr();
    // SAFETY: all pointers are to live values of the given lengths.
    own(unsafe { libbpf_sys::bpf_prog_load(kind, name.as_ptr(), licence, first, count, &raw mut opts) })
}

/// Attaches a program to an interface by a link.
pub(crate) fn create_link(
    program: BorrowedFd<'_>,
    index: u32,
    attach: bpf_attach_type,
) -> io::Result<OwnedFd> {
    let index = c_int::try_from(index).map_err(io::Error::other)?;
    // SAFETY: the call takes numbers and an optional structure, which is left out.
    own(unsafe { libbpf_sys::bpf_link_create(program.as_raw_fd(), index, attach, std::ptr::null()) })
}

/// Pins a kernel object.
pub(crate) fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: `path` is a C string.
    check(unsafe { libbpf_sys::bpf_obj_pin(object.as_raw_fd(), path.as_ptr()) }).map(drop)
}

/// The id of the XDP program on an interface, in whatever mode; 0 when there is none.
pub(crate) fn xdp_program(index: u32) -> io::Result<u32> {
    let index = c_int::try_from(index).map_err(io::Error::other)?;
    let mut id = 0;
    // SAFETY: `id` is written to during the call only.
    check(unsafe { libbpf_sys::bpf_xdp_query_id(index, 0, &raw mut id) })?;
    Ok(id)
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
