// SPDX-License-Identifier: Apache-2.0
//! The way of a program's instructions from libbpf to the kernel: they are handed over, changed, and may be loaded once
//! more without libbpf's help.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_int, c_long};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use libbpf_sys::{
    bpf_attach_type, bpf_insn, bpf_prog_load_opts, bpf_prog_type, bpf_program, libbpf_prog_handler_opts,
};

use super::tables::{Described, Tables};
use super::{aligned, check, own};
use crate::insn::Insn;
use crate::splice::Spliced;

/// What happens to the instructions of a program on their way to the kernel.
pub(crate) type Rewrite = Box<dyn FnMut(&[Insn]) -> Option<Spliced>>;

/// The rewriting of the load that is going on in this thread.
struct Pending {
    target: Target,
    rewrite: Rewrite,
    seen: Option<Relocated>,
    /// The tables that the kernel reads meanwhile.
    described: Option<Described>,
}

/// The program of an object whose instructions are rewritten.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) function: CString,
    /// The name of the structure that is its context (`xdp_md`, `__sk_buff`).
    pub(crate) context: &'static CStr,
    /// The type that a main function gets which is called by a wrapper; none where the object has no types.
    pub(crate) original: Option<u32>,
}

/// What libbpf made of a program, before it was spliced: all that it takes to load it again, but for the maps.
#[derive(Debug)]
pub(crate) struct Relocated {
    /// The instructions, with the map descriptors of that load.
    pub(crate) insns: Vec<Insn>,
    target: Target,
    tables: Tables,
    types: Option<OwnedFd>,
    attach: bpf_attach_type,
    flags: u32,
    kernel_version: u32,
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

/// Runs `load` while the instructions of the target go through `rewrite`. Returns as well what they were before, unless
/// the program needs more than is kept of it.
pub(crate) fn rewriting<T>(
    target: Target,
    rewrite: Rewrite,
    load: impl FnOnce() -> T,
) -> (T, Option<Relocated>) {
    PENDING.set(Some(Pending { target, rewrite, seen: None, described: None }));
    let result = load();
    (result, PENDING.take().and_then(|pending| pending.seen))
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
        if let Err(error) = pending.describe(opts, insns, &spliced) {
            return error.raw_os_error().map_or(-1, i32::wrapping_neg);
        }
        let mut words = aligned(&spliced.insns);
        let count = words.len() as u64;
        // SAFETY: `words` holds `count` instructions, which libbpf copies; `prog` is its own.
        unsafe { libbpf_sys::bpf_program__set_insns(prog, words.as_mut_ptr().cast::<bpf_insn>(), count) }
    })
}

impl Pending {
    /// Keeps what the program was, and lets its tables say what it has become.
    fn describe(
        &mut self,
        opts: &mut bpf_prog_load_opts,
        insns: Vec<Insn>,
        spliced: &Spliced,
    ) -> io::Result<()> {
        let tables = Tables::of(opts);
        let described = tables.clone().describe(&self.target, &insns, spliced)?;
        self.seen = Relocated::of(&self.target, opts, insns, tables);
        described.put_into(opts)?;
        self.described = Some(described);
        Ok(())
    }
}

impl Relocated {
    /// None where the program needs more than is kept here: functions of kernel modules, another program, a device.
    fn of(target: &Target, opts: &bpf_prog_load_opts, insns: Vec<Insn>, tables: Tables) -> Option<Self> {
        let plain = opts.fd_array.is_null() && opts.fd_array_cnt == 0;
        let alone = opts.attach_btf_id == 0 && opts.attach_prog_fd == 0 && opts.attach_btf_obj_fd == 0;
        if !plain || !alone || opts.prog_ifindex != 0 || opts.token_fd != 0 {
            return None;
        }
        let types = match opts.prog_btf_fd {
            0 => None,
            descriptor => {
                // SAFETY: libbpf keeps the descriptor open at least until this load is over.
                let types = unsafe { BorrowedFd::borrow_raw(descriptor.cast_signed()) };
                Some(types.try_clone_to_owned().ok()?)
            }
        };
        Some(Self {
            insns,
            target: target.clone(),
            tables,
            types,
            attach: opts.expected_attach_type,
            flags: opts.prog_flags,
            kernel_version: opts.kern_version,
        })
    }

    /// The types that its maps are described with.
    pub(crate) fn types(&self) -> Option<BorrowedFd<'_>> {
        self.types.as_ref().map(AsFd::as_fd)
    }

    /// Loads what a splice made of it.
    pub(crate) fn load(&self, kind: bpf_prog_type, licence: &CStr, spliced: &Spliced) -> io::Result<OwnedFd> {
        let mut opts = bpf_prog_load_opts {
            sz: size_of::<bpf_prog_load_opts>() as u64,
            expected_attach_type: self.attach,
            prog_btf_fd: self.types.as_ref().map_or(0, |types| types.as_raw_fd().unsigned_abs()),
            prog_flags: self.flags,
            kern_version: self.kernel_version,
            ..bpf_prog_load_opts::default()
        };
        // The kernel reads the tables while it loads.
        let described = self.tables.clone().describe(&self.target, &self.insns, spliced)?;
        described.put_into(&mut opts)?;
        let words = aligned(&spliced.insns);
        let (name, licence) = (self.target.function.as_ptr(), licence.as_ptr());
        let first = words.as_ptr().cast::<bpf_insn>();
        let count = words.len() as u64;
        // SAFETY: all pointers are to live values of the given lengths.
        own(unsafe { libbpf_sys::bpf_prog_load(kind, name, licence, first, count, &raw mut opts) })
    }
}
