// SPDX-License-Identifier: Apache-2.0
//! Where the epilogue keeps things: in the stack of the main program, which is free once that has finished, or, in a
//! wrapper, in registers, so that the wrapped program may use all of the stack.

use super::{CALLEE_SAVED, Splice, Way};

/// Offsets in the scratch area: the verdict and the number of a cell, four bytes each, and an amount of eight bytes.
pub(super) const VERDICT: i16 = 0;
pub(super) const KEY: i16 = 4;
pub(super) const AMOUNT: i16 = 8;
const SCRATCH_BYTES: i16 = 16;
/// Room for copies of headers.
const ROOM_BYTES: i16 = 48;

/// The places of one splice, as offsets from the frame pointer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Where the context waits.
    pub(super) context: Context,
    /// Where the time of entry waits, if it is measured.
    pub(super) start: Start,
    /// Where verdict, key and amount are kept.
    pub(super) scratch: Scratch,
    /// Forty-eight bytes for headers.
    pub(super) room: i16,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Context {
    Slot(i16),
    Register(u8),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Scratch {
    /// Sixteen bytes of stack.
    Stack(i16),
    /// Callee-saved registers.
    Registers { verdict: u8, key: u8, amount: u8 },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    Slot(i16),
    Register(u8),
}

impl Frame {
    pub(super) fn of(how: &Splice<'_>) -> Self {
        match how.way {
            Way::Stack(below) => Self::below(below, how.timed),
            Way::Register(register) if !CALLEE_SAVED.contains(&register) => Self::spilled(),
            Way::Register(register) => Self::beside(register),
            Way::Wrapper => {
                let [context, verdict, key, amount] = CALLEE_SAVED;
                let scratch = Scratch::Registers { verdict, key, amount };
                Self { scratch, room: -ROOM_BYTES, ..Self::beside(context) }
            }
        }
    }

    /// What the main program used of the stack is used again; only what does not fit there goes below the slots.
    fn below(context: u16, timed: bool) -> Self {
        let context = super::distance(usize::from(context));
        let used = context - 8;
        let start = context + 8;
        let slots = if timed { start } else { context };
        let (scratch, floor) = if used >= SCRATCH_BYTES {
            (SCRATCH_BYTES, slots)
        } else {
            (slots + SCRATCH_BYTES, slots + SCRATCH_BYTES)
        };
        let fits = used >= SCRATCH_BYTES + ROOM_BYTES;
        let room = if fits { SCRATCH_BYTES + ROOM_BYTES } else { floor + ROOM_BYTES };
        Self {
            context: Context::Slot(-context),
            start: Start::Slot(-start),
            scratch: Scratch::Stack(-scratch),
            room: -room,
        }
    }

    /// A register that the next call overwrites is kept in the stack when there will be one.
    fn spilled() -> Self {
        let context = SCRATCH_BYTES + 8;
        Self {
            context: Context::Slot(-context),
            start: Start::Slot(-context - 8),
            scratch: Scratch::Stack(-SCRATCH_BYTES),
            room: -context - ROOM_BYTES,
        }
    }

    fn beside(register: u8) -> Self {
        Self {
            context: Context::Register(register),
            start: Start::Register(super::start_register(register)),
            scratch: Scratch::Stack(-SCRATCH_BYTES),
            room: -SCRATCH_BYTES - ROOM_BYTES,
        }
    }
}
