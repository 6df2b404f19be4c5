// SPDX-License-Identifier: Apache-2.0
//! The root: the constant beginning of a chain. It tail-calls its slot, and lets packets pass while that is empty.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libbpf_rs::MapHandle;
use package::HookPoint;
use plan::Buffers;

use super::{Spelling, maps, sys};
use crate::insn::{Insn, TAIL_CALL};

/// The flags that programs for these packets are loaded with: `BPF_F_XDP_HAS_FRAGS` of `linux/bpf.h`.
pub(super) fn flags(buffers: Buffers) -> u32 {
    match buffers {
        Buffers::One => 0,
        Buffers::Many => 1 << 5,
    }
}

/// The flag of programs that are loaded for one device, and are not offloaded to it: `BPF_F_XDP_DEV_BOUND_ONLY` of
/// `linux/bpf.h`.
pub(super) const DEVICE_BOUND: u32 = 1 << 6;

/// Loads a root with an empty slot.
pub(super) fn load(point: HookPoint, buffers: Buffers) -> io::Result<(OwnedFd, MapHandle)> {
    let spelling = Spelling::of(point);
    let slot = maps::create_slot("l3af_root")?;
    let mut insns = Insn::load_map(2, slot.as_fd().as_raw_fd()).to_vec();
    insns.push(Insn::put_32(3, 0));
    insns.push(Insn::call(TAIL_CALL));
    insns.push(Insn::put_32(0, spelling.pass));
    insns.push(Insn::exit());
    let program = sys::load_program(c"l3af_root", (spelling.kind, spelling.load), flags(buffers), &insns)?;
    Ok((program, slot))
}
