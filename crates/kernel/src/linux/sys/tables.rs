// SPDX-License-Identifier: Apache-2.0
//! What a debugger is told of a program: its functions and lines, which move with the splice, and types for a program that
//! is wrapped and has none.

use std::collections::BTreeSet;
use std::ffi::{CStr, c_int, c_void};
use std::io;

use libbpf_rs::{AsRawLibbpf, OpenMap, OpenObject};
use libbpf_sys::{bpf_func_info, bpf_line_info, bpf_prog_load_opts, btf};

use super::check;
use super::rewrite::Target;
use crate::insn::Insn;
use crate::splice::Spliced;

/// The tables of a program as its author's compiler wrote them.
#[derive(Debug, Clone, Default)]
pub(super) struct Tables {
    functions: Vec<bpf_func_info>,
    lines: Vec<bpf_line_info>,
}

/// The tables of a program that went through the splice. The kernel reads them while it loads.
pub(super) struct Described {
    tables: Tables,
    /// Types of our own, where the object has none.
    types: Option<Types>,
}

impl Tables {
    /// Those that libbpf is about to load with.
    pub(super) fn of(opts: &bpf_prog_load_opts) -> Self {
        Self {
            functions: records(opts.func_info, opts.func_info_rec_size, opts.func_info_cnt),
            lines: records(opts.line_info, opts.line_info_rec_size, opts.line_info_cnt),
        }
    }

    /// Lets them say what the instructions have become.
    pub(super) fn describe(
        mut self,
        target: &Target,
        insns: &[Insn],
        spliced: &Spliced,
    ) -> io::Result<Described> {
        let moved = |offset: u32| {
            u32::try_from(spliced.moved.offset(offset as usize)).expect("programs are shorter than that")
        };
        self.functions.iter_mut().for_each(|record| record.insn_off = moved(record.insn_off));
        self.lines.iter_mut().for_each(|record| record.insn_off = moved(record.insn_off));
        if !spliced.moved.is_wrapped() {
            return Ok(Described { tables: self, types: None });
        }
        let (Some(main), Some(original)) = (self.functions.first().copied(), target.original) else {
            return invent_types(target.context, insns, moved);
        };
        self.functions[0].type_id = original;
        self.functions.insert(0, bpf_func_info { insn_off: 0, type_id: main.type_id });
        if let Some(first) = self.lines.first().copied() {
            self.lines.insert(0, bpf_line_info { insn_off: 0, ..first });
        }
        Ok(Described { tables: self, types: None })
    }
}

impl Described {
    /// Lets a load use them, as long as they live.
    pub(super) fn put_into(&self, opts: &mut bpf_prog_load_opts) -> io::Result<()> {
        let count = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let Tables { functions, lines } = &self.tables;
        if let Some(types) = &self.types {
            opts.prog_btf_fd = types.descriptor()?;
            (opts.line_info, opts.line_info_cnt) = (std::ptr::null(), 0);
        }
        if !functions.is_empty() {
            opts.func_info = functions.as_ptr().cast::<c_void>();
            opts.func_info_cnt = count(functions.len())?;
            opts.func_info_rec_size = count(size_of::<bpf_func_info>())?;
        }
        if !lines.is_empty() {
            opts.line_info = lines.as_ptr().cast::<c_void>();
            opts.line_info_cnt = count(lines.len())?;
            opts.line_info_rec_size = count(size_of::<bpf_line_info>())?;
        }
        Ok(())
    }
}

/// A function is only verified on its own when its type says that it is global. Where the object has no types, it gets
/// some that say no more than that.
fn invent_types(context: &CStr, insns: &[Insn], moved: impl Fn(u32) -> u32) -> io::Result<Described> {
    let types = Types::empty()?;
    let main = add_original(types.0, context)?;
    let function = add_static_function(types.0)?;
    // SAFETY: `types` is a BTF object of ours.
    check(unsafe { libbpf_sys::btf__load_into_kernel(types.0) })?;
    let targets = insns.iter().enumerate().filter_map(|(index, insn)| insn.subprogram(index));
    let targets: BTreeSet<u32> = targets.filter_map(|target| u32::try_from(target).ok()).collect();
    let others = targets.into_iter().filter(|target| *target != 0);
    let others = others.map(|target| bpf_func_info { insn_off: moved(target), type_id: function });
    let mut functions = vec![bpf_func_info { insn_off: 0, type_id: main }];
    functions.push(bpf_func_info { insn_off: moved(0), type_id: main });
    functions.extend(others);
    Ok(Described { tables: Tables { functions, lines: Vec::new() }, types: Some(types) })
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
pub(crate) struct Types(pub(super) *mut btf);

impl Types {
    pub(super) fn empty() -> io::Result<Self> {
        // SAFETY: the call takes nothing.
        let types = unsafe { libbpf_sys::btf__new_empty() };
        if types.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(types)) }
    }

    /// The descriptor of those that are loaded.
    pub(crate) fn descriptor(&self) -> io::Result<u32> {
        // SAFETY: it is a BTF object.
        Ok(check(unsafe { libbpf_sys::btf__fd(self.0) })?.unsigned_abs())
    }
}

impl Drop for Types {
    fn drop(&mut self) {
        // SAFETY: it was made by `btf__new_empty` and is freed once.
        unsafe { libbpf_sys::btf__free(self.0) }
    }
}

/// The kinds of types that a map takes for its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Integers, as arrays do.
    Integers,
    /// Structures, as tries do, and hashes may.
    Structures,
}

/// Types of a key, number 1, and a value, number 2, of which no more is known than their sizes, as the kernel holds them.
pub(crate) fn types_by_size(keys: Keys, key_bytes: u32, value_bytes: u32) -> io::Result<Types> {
    let types = Types::empty()?;
    let made = match keys {
        // SAFETY: `types` is a BTF object, and names are C strings, which are copied; the same holds below.
        Keys::Integers => unsafe { libbpf_sys::btf__add_int(types.0, c"key".as_ptr(), key_bytes.into(), 0) },
        // SAFETY: as above.
        Keys::Structures => unsafe { libbpf_sys::btf__add_struct(types.0, c"key".as_ptr(), key_bytes) },
    };
    check(made)?;
    // SAFETY: as above.
    check(unsafe { libbpf_sys::btf__add_struct(types.0, c"value".as_ptr(), value_bytes) })?;
    // SAFETY: `types` is a BTF object.
    check(unsafe { libbpf_sys::btf__load_into_kernel(types.0) })?;
    Ok(types)
}

/// Adds the type of a global function `int (struct <context> *)` to the types of an object that is open and not loaded;
/// none where it has no types.
pub(crate) fn add_original_to(object: &OpenObject, context: &CStr) -> io::Result<Option<u32>> {
    // SAFETY: the object is open as long as the reference lives.
    let types = unsafe { libbpf_sys::bpf_object__btf(object.as_libbpf_object().as_ptr()) };
    if types.is_null() { Ok(None) } else { add_original(types, context).map(Some) }
}

/// The numbers of the types of a map's keys and values, among the types of its object.
pub(crate) fn types_of_map(map: &OpenMap<'_>) -> (u32, u32) {
    let map = map.as_libbpf_object().as_ptr();
    // SAFETY: the map's object is open as long as the reference lives.
    let key = unsafe { libbpf_sys::bpf_map__btf_key_type_id(map) };
    // SAFETY: as above.
    (key, unsafe { libbpf_sys::bpf_map__btf_value_type_id(map) })
}

fn add_original(types: *mut btf, context: &CStr) -> io::Result<u32> {
    let prototype = add_context_prototype(types, context)?;
    add_function(types, c"l3af_original", libbpf_sys::BTF_FUNC_GLOBAL, prototype)
}

/// Adds the prototype `int (struct <context> *)`.
pub(super) fn add_context_prototype(types: *mut btf, context: &CStr) -> io::Result<c_int> {
    // The verifier knows a context by the name of the structure, whatever its members (`btf_get_prog_ctx_type`).
    // SAFETY: `types` is a BTF object, and names are C strings, which are copied; the same holds below.
    let structure = check(unsafe { libbpf_sys::btf__add_struct(types, context.as_ptr(), 0) })?;
    // SAFETY: as above.
    let pointer = check(unsafe { libbpf_sys::btf__add_ptr(types, structure) })?;
    let prototype = add_prototype(types)?;
    // SAFETY: as above; the prototype is the type that was added last.
    check(unsafe { libbpf_sys::btf__add_func_param(types, c"context".as_ptr(), pointer) })?;
    Ok(prototype)
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

pub(super) fn add_function(types: *mut btf, name: &CStr, linkage: u32, prototype: c_int) -> io::Result<u32> {
    // SAFETY: `types` is a BTF object, and the name is a C string, which is copied.
    let id = check(unsafe { libbpf_sys::btf__add_func(types, name.as_ptr(), linkage, prototype) })?;
    Ok(id.unsigned_abs())
}
