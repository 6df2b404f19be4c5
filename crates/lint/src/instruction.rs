// SPDX-License-Identifier: Apache-2.0
//! Instructions that came after the first (RFC 9669; `kernel/bpf/verifier.c` of Linux).

use package::{Instruction, KernelVersion};

const fn version(major: u16, minor: u16) -> KernelVersion {
    KernelVersion { major, minor }
}

/// What an instruction needs that the first kernels with BPF did not have: what it is, and since when.
pub(crate) fn since(insn: &Instruction) -> Option<(&'static str, KernelVersion)> {
    let (class, operation, mode) = (insn.opcode & 0x07, insn.opcode & 0xf0, insn.opcode & 0xe0);
    let is_division = matches!(operation, 0x30 | 0x90);
    match class {
        // LDX: MEMSX
        1 if mode == 0x80 => Some(("a load that extends the sign", version(6, 6))),
        // STX: ATOMIC; plain additions are as old as BPF.
        3 if mode == 0xc0 => match insn.immediate {
            0 => None,
            0x100 | 0x110 => Some(("an atomic load or store with an order", version(6, 15))),
            _ => Some(("an atomic operation other than adding without result", version(5, 12))),
        },
        // ALU64 END: bswap
        7 if operation == 0xd0 => Some(("an unconditional byte swap", version(6, 6))),
        7 if insn.opcode == 0xbf && insn.offset == 1 => {
            Some(("a cast of addresses of an arena", version(6, 9)))
        }
        4 | 7 if operation == 0xb0 && insn.offset != 0 => {
            Some(("a move that extends the sign", version(6, 6)))
        }
        4 | 7 if is_division && insn.offset != 0 => Some(("a signed division", version(6, 6))),
        6 if insn.opcode == 0x06 => Some(("a jump with a distance of 32 bits", version(6, 6))),
        6 => Some(("a jump that compares 32 bits", version(5, 1))),
        5 if insn.opcode == 0xe5 => Some(("a loop that may end anywhere (`may_goto`)", version(6, 9))),
        _ => None,
    }
}
