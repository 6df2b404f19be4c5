// SPDX-License-Identifier: Apache-2.0
//! What registers hold before each instruction of a function, as far as it tells whose memory is read.
//!
//! It is no verifier: where ways through the function disagree, nothing is known, and nothing is told.

use std::collections::BTreeMap;

use package::{Function, Instruction};

/// What a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Value {
    /// Nobody knows.
    #[default]
    Unknown,
    /// The address of what the program was given.
    Context,
    /// An address on the stack.
    Stack,
    /// An address that came from the kernel.
    Kernel,
    /// What was kept on the stack: if it is an address, nobody knows whose.
    Kept,
    /// An address of the kernel and a distance that no loader adjusts.
    Moved(i32),
    /// The same of what was kept.
    KeptMoved(i32),
}

/// What all registers hold.
pub(crate) type Registers = [Value; 11];

const LOAD_8_BYTES: u8 = 0x79;
const MOVE: u8 = 0xbf;
const ADD_NUMBER: u8 = 0x07;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;
const JUMP: u8 = 0x05;
const FAR_JUMP: u8 = 0x06;
const WIDE: u8 = 0x18;
/// `bpf_get_current_task` and `bpf_get_current_task_btf`.
const CURRENT_TASK: [u32; 2] = [35, 158];

/// What registers hold before each instruction that can be reached, by its place in the list.
pub(crate) fn before(function: &Function, context: Value) -> Vec<Option<Registers>> {
    let insns = &function.instructions;
    let places: BTreeMap<usize, usize> =
        insns.iter().enumerate().map(|(place, insn)| (insn.slot, place)).collect();
    let mut states: Vec<Option<Registers>> = vec![None; insns.len()];
    let mut first = Registers::default();
    first[1] = context;
    first[10] = Value::Stack;
    let mut waiting = vec![(0, first)];
    while let Some((place, incoming)) = waiting.pop() {
        let Some(insn) = insns.get(place) else { continue };
        let joined = states[place].map_or(incoming, |known| join(known, incoming));
        if states[place] == Some(joined) {
            continue;
        }
        states[place] = Some(joined);
        let after = step(joined, insn);
        let targets = following(insn).into_iter().flatten();
        waiting.extend(targets.filter_map(|slot| Some((*places.get(&slot)?, after))));
    }
    states
}

/// The slots of what comes after an instruction.
fn following(insn: &Instruction) -> [Option<usize>; 2] {
    let next = insn.slot + if insn.opcode == WIDE { 2 } else { 1 };
    let jump = |distance: i64| {
        usize::try_from(i64::try_from(next).unwrap_or(i64::MAX).saturating_add(distance)).ok()
    };
    match insn.opcode {
        EXIT => [None, None],
        JUMP => [jump(insn.offset.into()), None],
        FAR_JUMP => [jump(insn.immediate.into()), None],
        CALL => [Some(next), None],
        _ if matches!(insn.opcode & 7, 5 | 6) => [Some(next), jump(insn.offset.into())],
        _ => [Some(next), None],
    }
}

fn join(one: Registers, other: Registers) -> Registers {
    let mut joined = Registers::default();
    for ((joined, one), other) in joined.iter_mut().zip(one).zip(other) {
        *joined = if one == other { one } else { Value::Unknown };
    }
    joined
}

fn step(mut registers: Registers, insn: &Instruction) -> Registers {
    let read = |register: u8| registers.get(usize::from(register)).copied().unwrap_or_default();
    let (destination, source) = (read(insn.destination), read(insn.source));
    let written = match insn.opcode {
        CALL => {
            let is_task = insn.helper().is_some_and(|helper| CURRENT_TASK.contains(&helper));
            registers[1..6].fill(Value::Unknown);
            registers[0] = if is_task { Value::Kernel } else { Value::Unknown };
            return registers;
        }
        MOVE if insn.offset == 0 => source,
        ADD_NUMBER => moved(destination, insn),
        LOAD_8_BYTES => match source {
            Value::Context | Value::Kernel => Value::Kernel,
            Value::Stack => Value::Kept,
            Value::Unknown | Value::Kept | Value::Moved(_) | Value::KeptMoved(_) => Value::Unknown,
        },
        // Stores and jumps write no register.
        _ if matches!(insn.opcode & 7, 2 | 3 | 5 | 6) => return registers,
        _ => Value::Unknown,
    };
    if let Some(register) = registers.get_mut(usize::from(insn.destination)) {
        *register = written;
    }
    registers
}

fn moved(value: Value, insn: &Instruction) -> Value {
    let by = insn.immediate;
    match value {
        Value::Unknown | Value::Context | Value::Stack => value,
        _ if insn.is_adjusted => Value::Unknown,
        Value::Kernel | Value::Kept if by == 0 => value,
        Value::Kernel => Value::Moved(by),
        Value::Kept => Value::KeptMoved(by),
        Value::Moved(distance) => Value::Moved(distance.wrapping_add(by)),
        Value::KeptMoved(distance) => Value::KeptMoved(distance.wrapping_add(by)),
    }
}
