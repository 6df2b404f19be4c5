// SPDX-License-Identifier: Apache-2.0
//! Memory of the kernel that is read at distances which no loader adjusts to the running kernel (CO-RE).
//!
//! What the source had for attributes is not in an object; what counts is there: the instruction that reads, and whether
//! `.BTF.ext` says that its distance is adjusted.

use package::{Function, Instruction};

use crate::Finding;
use crate::examined::{Examined, Kind};
use crate::registers::{Registers, Value, before};
use crate::rules::{FIXED_ACCESS, FIXED_READ};

/// The kinds of programs, by section, whose context leads to structures of the kernel.
const TRACING: [&str; 16] = [
    "kprobe",
    "kretprobe",
    "ksyscall",
    "kretsyscall",
    "tracepoint",
    "tp",
    "raw_tracepoint",
    "raw_tp",
    "tp_btf",
    "fentry",
    "fexit",
    "fmod_ret",
    "lsm",
    "lsm_cgroup",
    "iter",
    "kprobe.multi",
];

pub(crate) fn check(examined: &Examined<'_>, findings: &mut Vec<Finding>) {
    for function in &examined.code.functions {
        let context = if TRACING.contains(&function.kind()) { Value::Context } else { Value::Unknown };
        let states = before(function, context);
        for (insn, state) in function.instructions.iter().zip(states) {
            findings.extend(state.and_then(|registers| reads(examined, function, insn, &registers)));
        }
    }
}

fn reads(
    examined: &Examined<'_>,
    function: &Function,
    insn: &Instruction,
    registers: &Registers,
) -> Option<Finding> {
    let at = (function, insn.slot);
    let name = match insn.helper() {
        Some(4) => "bpf_probe_read",
        Some(45) => "bpf_probe_read_str",
        Some(113) => "bpf_probe_read_kernel",
        Some(115) => "bpf_probe_read_kernel_str",
        _ => return access(examined, at, insn, registers),
    };
    // The third argument is the address.
    let (Value::Moved(distance) | Value::KeptMoved(distance)) = registers[3] else { return None };
    let what = format!(
        "`{name}` reads {distance} bytes behind an address of the kernel; the function has {}",
        adjusted(function)
    );
    Some(examined.at(&FIXED_READ, at, what))
}

fn access(
    examined: &Examined<'_>,
    at: (&Function, usize),
    insn: &Instruction,
    registers: &Registers,
) -> Option<Finding> {
    let is_load = insn.opcode & 0x07 == 1 && matches!(insn.opcode & 0xe0, 0x60 | 0x80);
    let distance = match registers.get(usize::from(insn.source))? {
        Value::Kernel => i32::from(insn.offset),
        Value::Moved(distance) => distance.saturating_add(insn.offset.into()),
        Value::Unknown | Value::Context | Value::Stack | Value::Kept | Value::KeptMoved(_) => return None,
    };
    let what = format!(
        "it reads {} bytes, {distance} bytes behind an address of the kernel; the function has {}",
        width(insn),
        adjusted(at.0)
    );
    (is_load && !insn.is_adjusted).then(|| examined.at(&FIXED_ACCESS, at, what))
}

fn width(insn: &Instruction) -> u8 {
    match insn.opcode & 0x18 {
        0x00 => 4,
        0x08 => 2,
        0x10 => 1,
        _ => 8,
    }
}

fn adjusted(function: &Function) -> String {
    match function.adjusted {
        0 => "no place that loaders adjust (CO-RE)".to_owned(),
        1 => "one place that loaders adjust (CO-RE), and this is not it".to_owned(),
        more => format!("{more} places that loaders adjust (CO-RE), and this is none of them"),
    }
}
