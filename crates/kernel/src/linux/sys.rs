// SPDX-License-Identifier: Apache-2.0
//! The only unsafe code of the project: what libbpf offers and libbpf-rs does not wrap.
//!
//! Everything here is a thin, safe function over one or two calls. It decides nothing.
#![expect(unsafe_code, reason = "the one module that crosses into libbpf")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_int, c_long, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use libbpf_rs::{AsRawLibbpf, ObjectBuilder, OpenObject};
use libbpf_sys::{
    bpf_attach_type, bpf_func_info, bpf_insn, bpf_line_info, bpf_prog_load_opts, bpf_prog_type, bpf_program,
    bpf_test_run_opts, btf, libbpf_prog_handler_opts,
};

mod probe;

pub(crate) use probe::{
    LinkOptions, PerfEvent, Sample, create_link_to, link_by_id, open_perf_event, open_raw_tracepoint,
    run_statistics,
};

use crate::insn::Insn;
use crate::splice::Spliced;

/// What happens to the instructions of a program on their way to the kernel.
pub(crate) type Rewrite = Box<dyn FnMut(&[Insn]) -> Option<Spliced>>;

/// The rewriting of the load that is going on in this thread, and the tables that the kernel reads meanwhile.
struct Pending {
    target: Target,
    rewrite: Rewrite,
    types: Option<Types>,
    functions: Vec<bpf_func_info>,
    lines: Vec<bpf_line_info>,
}

/// The program of an object whose instructions are rewritten.
pub(crate) struct Target {
    /// Its name.
    pub(crate) function: CString,
    /// The name of the structure that is its context (`xdp_md`, `__sk_buff`).
    pub(crate) context: &'static CStr,
    /// The type that a main function gets which is called by a wrapper; none where the object has no types.
    pub(crate) original: Option<u32>,
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

/// Runs `load` while the instructions of the target go through `rewrite`.
pub(crate) fn rewriting<T>(target: Target, rewrite: Rewrite, load: impl FnOnce() -> T) -> T {
    let (functions, lines) = (Vec::new(), Vec::new());
    PENDING.set(Some(Pending { target, rewrite, types: None, functions, lines }));
    let result = load();
    PENDING.set(None);
    result
}

/// Called by libbpf between relocation and loading of each program.
unsafe extern "C" fn prepare_load(prog: *mut bpf_program, opts: *mut bpf_prog_load_opts, _: c_long) -> c_int {
    PENDING.with_borrow_mut(|pending| {
        let Some(pending) = pending else { return 0 };
        // SAFETY: libbpf passes a program of the object it is loading.
        let name = unsafe { libbpf_sys::bpf_program__name(prog) };
        // SAFETY: the name of a program is a C string that lives as long as the program.
        let name = unsafe { CStr::from_ptr(name) };
        if name != pending.target.function.as_c_str() {
            return 0;
        }
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
        if let Err(error) = pending.describe(opts, &insns, &spliced) {
            return error.raw_os_error().map_or(-1, i32::wrapping_neg);
        }
        let mut words = aligned(&spliced.insns);
        let count = words.len() as u64;
        // SAFETY: `words` holds `count` instructions, which libbpf copies; `prog` is its own.
        unsafe { libbpf_sys::bpf_program__set_insns(prog, words.as_mut_ptr().cast::<bpf_insn>(), count) }
    })
}

impl Pending {
    /// Lets the tables of functions and lines say what the instructions have become.
    fn describe(
        &mut self,
        opts: &mut bpf_prog_load_opts,
        insns: &[Insn],
        spliced: &Spliced,
    ) -> io::Result<()> {
        self.functions = records(opts.func_info, opts.func_info_rec_size, opts.func_info_cnt);
        self.lines = records(opts.line_info, opts.line_info_rec_size, opts.line_info_cnt);
        let moved = |offset: u32| {
            u32::try_from(spliced.moved.offset(offset as usize)).expect("programs are shorter than that")
        };
        self.functions.iter_mut().for_each(|record| record.insn_off = moved(record.insn_off));
        self.lines.iter_mut().for_each(|record| record.insn_off = moved(record.insn_off));
        if spliced.moved.is_wrapped() {
            match (self.functions.first().copied(), self.target.original) {
                (Some(main), Some(original)) => {
                    self.functions[0].type_id = original;
                    self.functions.insert(0, bpf_func_info { insn_off: 0, type_id: main.type_id });
                }
                _ => self.invent_types(opts, insns, moved)?,
            }
            if let Some(first) = self.lines.first().copied() {
                self.lines.insert(0, bpf_line_info { insn_off: 0, ..first });
            }
        }
        if !self.functions.is_empty() {
            opts.func_info = self.functions.as_ptr().cast::<c_void>();
            opts.func_info_cnt = u32::try_from(self.functions.len()).map_err(io::Error::other)?;
            opts.func_info_rec_size = u32::try_from(size_of::<bpf_func_info>()).map_err(io::Error::other)?;
        }
        if !self.lines.is_empty() {
            opts.line_info = self.lines.as_ptr().cast::<c_void>();
            opts.line_info_cnt = u32::try_from(self.lines.len()).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// A function is only verified on its own when its type says that it is global. Where the object has no types,
    /// it gets some that say no more than that.
    fn invent_types(
        &mut self,
        opts: &mut bpf_prog_load_opts,
        insns: &[Insn],
        moved: impl Fn(u32) -> u32,
    ) -> io::Result<()> {
        let types = Types::empty()?;
        let main = add_original(types.0, self.target.context)?;
        let function = add_static_function(types.0)?;
        // SAFETY: `types` is a BTF object of ours.
        check(unsafe { libbpf_sys::btf__load_into_kernel(types.0) })?;
        // SAFETY: as above.
        opts.prog_btf_fd = check(unsafe { libbpf_sys::btf__fd(types.0) })?.unsigned_abs();
        let targets = insns.iter().enumerate().filter_map(|(index, insn)| insn.subprogram(index));
        let targets: BTreeSet<u32> = targets.filter_map(|target| u32::try_from(target).ok()).collect();
        self.functions = vec![bpf_func_info { insn_off: 0, type_id: main }];
        self.functions.push(bpf_func_info { insn_off: moved(0), type_id: main });
        let others = targets.into_iter().filter(|target| *target != 0);
        let others = others.map(|target| bpf_func_info { insn_off: moved(target), type_id: function });
        self.functions.extend(others);
        self.types = Some(types);
        self.lines.clear();
        Ok(())
    }
}

/// The records of a table that libbpf passes; none where their size is not the one that is known here.
fn records<T: Copy>(first: *const c_void, record_bytes: u32, count: u32) -> Vec<T> {
    if first.is_null() || record_bytes as usize != size_of::<T>() {
        return Vec::new();
    }
    // SAFETY: libbpf keeps `count` records of the size just checked at `first`.
    unsafe { std::slice::from_raw_parts(first.cast::<T>(), count as usize) }.to_vec()
}

/// Types of our own making (BTF).
struct Types(*mut btf);

impl Types {
    fn empty() -> io::Result<Self> {
        // SAFETY: the call takes nothing.
        let types = unsafe { libbpf_sys::btf__new_empty() };
        if types.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(types)) }
    }
}

impl Drop for Types {
    fn drop(&mut self) {
        // SAFETY: it was made by `btf__new_empty` and is freed once.
        unsafe { libbpf_sys::btf__free(self.0) }
    }
}

/// Adds the type of a global function `int (struct <context> *)` to the types of an object that is open and not loaded;
/// none where it has no types.
pub(crate) fn add_original_to(object: &OpenObject, context: &CStr) -> io::Result<Option<u32>> {
    // SAFETY: the object is open as long as the reference lives.
    let types = unsafe { libbpf_sys::bpf_object__btf(object.as_libbpf_object().as_ptr()) };
    if types.is_null() { Ok(None) } else { add_original(types, context).map(Some) }
}

fn add_original(types: *mut btf, context: &CStr) -> io::Result<u32> {
    // The verifier knows a context by the name of the structure, whatever its members (`btf_get_prog_ctx_type`).
    // SAFETY: `types` is a BTF object, and names are C strings, which are copied; the same holds below.
    let structure = check(unsafe { libbpf_sys::btf__add_struct(types, context.as_ptr(), 0) })?;
    // SAFETY: as above.
    let pointer = check(unsafe { libbpf_sys::btf__add_ptr(types, structure) })?;
    let prototype = add_prototype(types)?;
    // SAFETY: as above; the prototype is the type that was added last.
    check(unsafe { libbpf_sys::btf__add_func_param(types, c"context".as_ptr(), pointer) })?;
    add_function(types, c"l3af_original", libbpf_sys::BTF_FUNC_GLOBAL, prototype)
}

fn add_static_function(types: *mut btf) -> io::Result<u32> {
    let prototype = add_prototype(types)?;
    add_function(types, c"l3af_function", libbpf_sys::BTF_FUNC_STATIC, prototype)
}

fn add_prototype(types: *mut btf) -> io::Result<c_int> {
    let signed = c_int::try_from(libbpf_sys::BTF_INT_SIGNED).map_err(io::Error::other)?;
    // SAFETY: `types` is a BTF object, and the name is a C string, which is copied.
    let int = check(unsafe { libbpf_sys::btf__add_int(types, c"int".as_ptr(), 4, signed) })?;
    // SAFETY: as above.
    check(unsafe { libbpf_sys::btf__add_func_proto(types, int) })
}

fn add_function(types: *mut btf, name: &CStr, linkage: u32, prototype: c_int) -> io::Result<u32> {
    // SAFETY: `types` is a BTF object, and the name is a C string, which is copied.
    let id = check(unsafe { libbpf_sys::btf__add_func(types, name.as_ptr(), linkage, prototype) })?;
    Ok(id.unsigned_abs())
}

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

/// Runs a program on a packet (`BPF_PROG_TEST_RUN`). `out` gets the packet as the program left it; returns the verdict,
/// the length of that packet, and the average time of a run in nanoseconds.
pub(crate) fn test_run(
    program: BorrowedFd<'_>,
    packet: &[u8],
    out: &mut [u8],
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
    // SAFETY: the structure points to live slices with their lengths.
    check(unsafe { libbpf_sys::bpf_prog_test_run_opts(program.as_raw_fd(), &raw mut opts) })?;
    Ok((opts.retval, opts.data_size_out as usize, opts.duration))
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

/// Lets a link run another program.
pub(crate) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let (link, program) = (link.as_raw_fd(), program.as_raw_fd());
    // SAFETY: the call takes numbers and an optional structure, which is left out.
    check(unsafe { libbpf_sys::bpf_link_update(link, program, std::ptr::null()) }).map(drop)
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
