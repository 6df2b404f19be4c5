// SPDX-License-Identifier: Apache-2.0
//! Read-only data that one program has for itself: exclusive maps (Linux 6.18).
//!
//! Such a map is made with the digest of a program, and the verifier refuses every other program that names it
//! (`check_map_prog_compatibility` of `kernel/bpf/verifier.c`). libbpf digests what relocation made of the program when it
//! makes the maps, which is before the splice changes the instructions. So this is for programs that are not spliced.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::OnceLock;

use libbpf_rs::{MapCore as _, MapHandle, MapType, Object as Loaded, OpenObject};
use package::{Digest, HookPoint};
use plan::ReadOnlyData;

use super::code::is_read_only;
use super::maps::plain;
use super::{Spelling, sys};
use crate::code::normalized;
use crate::insn::{Insn, LOAD_64, MAP_FD};

/// Makes the read-only maps of an object exclusive to its program, where it loads one only and the kernel can.
pub(super) fn claim(object: &OpenObject) -> io::Result<()> {
    let mut programs = object.progs().filter(libbpf_rs::OpenProgram::autoload);
    let (Some(program), None) = (programs.next(), programs.next()) else { return Ok(()) };
    if !kernel_can() {
        return Ok(());
    }
    let read_only = object.maps().filter(|map| is_read_only(&map.name().to_string_lossy()));
    for map in read_only {
        sys::make_exclusive(&map, &program)?;
    }
    Ok(())
}

/// Who can use the read-only data of an object that was loaded; none where it has no such data. `otherwise` is the reason
/// where the kernel could have made it exclusive, and it is not.
pub(super) fn of_loaded(loaded: &Loaded, otherwise: ReadOnlyData) -> Option<ReadOnlyData> {
    let maps = loaded.maps().filter(|map| map.autocreate() && is_read_only(&map.name().to_string_lossy()));
    let are_exclusive: Vec<bool> = maps.map(|map| sys::is_exclusive(&map)).collect();
    match are_exclusive.as_slice() {
        [] => None,
        all if all.iter().all(|is_exclusive| *is_exclusive) => Some(ReadOnlyData::Exclusive),
        _ => Some(unless_kernel_cannot(otherwise)),
    }
}

/// This reason, where the kernel could have made maps exclusive.
pub(super) fn unless_kernel_cannot(reason: ReadOnlyData) -> ReadOnlyData {
    if kernel_can() { reason } else { ReadOnlyData::Unsupported }
}

/// Whether this kernel has exclusive maps: one must take the program that it is for, and no other. Asked once.
fn kernel_can() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let verdict = Spelling::of(HookPoint::Xdp).pass;
        let map = create_for(&naming(0, verdict));
        map.is_ok_and(|map| load(&map, verdict).is_ok() && load(&map, verdict + 1).is_err())
    })
}

/// Makes a map for a program of these instructions only.
fn create_for(insns: &[Insn]) -> io::Result<MapHandle> {
    let digest = Digest::of(&normalized(insns));
    let opts = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
        excl_prog_hash: digest.bytes().as_ptr().cast(),
        excl_prog_hash_size: u32::try_from(digest.bytes().len()).map_err(io::Error::other)?,
        ..libbpf_sys::bpf_map_create_opts::default()
    };
    MapHandle::create(MapType::Array, Some("l3af_exclusive"), 4, 4, 1, &opts).map_err(plain)
}

/// Loads a program that names a map.
fn load(map: &MapHandle, verdict: i32) -> io::Result<()> {
    let Spelling { kind, load, .. } = Spelling::of(HookPoint::Xdp);
    let insns = naming(map.as_fd().as_raw_fd(), verdict);
    sys::load_program(c"l3af_exclusive", (kind, load), 0, &insns).map(drop)
}

/// Instructions that name a map and end with a verdict.
fn naming(map: i32, verdict: i32) -> [Insn; 4] {
    let first = Insn { code: LOAD_64, dst: 1, src: MAP_FD, offset: 0, imm: map };
    let second = Insn { code: 0, dst: 0, src: 0, offset: 0, imm: 0 };
    [first, second, Insn::put_32(0, verdict), Insn::exit()]
}
