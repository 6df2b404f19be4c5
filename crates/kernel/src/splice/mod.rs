// SPDX-License-Identifier: Apache-2.0
//! The splice: makes an unmodified program continue with the next member of its chain.
//!
//! Every `exit` of the main program becomes a jump to an epilogue, or, where that cannot be, a wrapper calls the main
//! program and goes on with the epilogue. The epilogue looks at the verdict: one in the proceed set tail-calls what the
//! member's own slot holds; any other, and a slot that holds nothing, counts the packet and leaves the chain with the
//! program's verdict. Subprograms and callbacks are moved, not changed.
//!
//! The instructions are those that the kernel is about to see: maps and CO-RE relocations are already resolved. The
//! verifier checks the result as it checks any program, so a splice that does not fit is refused, never wrong.

pub(crate) mod code;
mod epilogue;
mod exits;
pub(crate) mod flow;
mod frame;

use package::{Enforcement, HookPoint, ProceedSet};
use thiserror::Error;

pub(crate) use epilogue::TCX_NEXT;
pub use epilogue::pass;

use crate::insn::{CLOCK, EXIT, FRAME, Insn, LOAD_64, TAIL_CALL, Width};

/// What the epilogue needs to know.
#[derive(Debug, Clone)]
pub struct Splice<'a> {
    /// Which kind of program it is.
    pub point: HookPoint,
    /// The verdicts after which the chain goes on.
    pub proceed: &'a ProceedSet,
    /// For which packets the verdict counts.
    pub enforcement: Enforcement,
    /// Descriptor of the one-slot program array that holds the next member.
    pub next: i32,
    /// Where packets are counted.
    pub counters: Option<Counters>,
    /// Whether its run time is measured.
    pub timed: bool,
    /// Where its verdicts are told, if somebody asks for packets; it takes counters as well.
    pub sampled: Option<Sampled>,
    /// Whether it meets packets in several buffers (`xdp.frags`).
    pub fragments: bool,
    /// How the program and its epilogue are put together.
    pub way: Way,
}

/// Descriptors of the maps for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// The per-CPU array of [`Cells`](crate::ledger::Cells).
    pub cells: i32,
    /// An array of one value: the numbers of the cells in order, four bytes each. A function that has no stack left finds
    /// the keys of cells there.
    pub keys: i32,
}

/// Where a member tells its verdicts: descriptors, and its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled {
    /// The per-CPU array of the note of the packet.
    pub notes: i32,
    /// The program array of the sampler.
    pub sampler: i32,
    /// Which member it is, from 0.
    pub number: u8,
}

/// How a program and its epilogue are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The epilogue is in the main program; the context waits in the stack, this many bytes below the frame pointer:
    /// below all that the program uses.
    Stack(u16),
    /// The epilogue is in the main program; the context waits in a register that the main program does not touch: one of
    /// r6 to r9, or, in a program that makes no calls, of r2 to r5. It stays in r1 where it is never overwritten.
    Register(u8),
    /// A new main program calls the old one, which becomes a global function, and goes on with the epilogue.
    Wrapper,
}

/// A program that went through the splice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spliced {
    /// The instructions.
    pub insns: Vec<Insn>,
    /// How instruction offsets moved, for line and function information.
    pub moved: Moved,
}

/// How far the instructions of a program moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    main_end: usize,
    prologue: usize,
    epilogue: usize,
    wrapped: bool,
}

impl Moved {
    /// The new offset of the instruction that was at `offset`. A program that is not wrapped still begins at 0.
    pub fn offset(self, offset: usize) -> usize {
        match offset {
            0 if !self.wrapped => 0,
            inside if inside < self.main_end => inside + self.prologue,
            behind => behind + self.prologue + self.epilogue,
        }
    }

    /// Whether the program begins with a new function, and the old main function is behind it.
    pub fn is_wrapped(self) -> bool {
        self.wrapped
    }
}

/// A program cannot be spliced in this way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unspliceable {
    /// A tail call leaves the program on a way that has no exit to splice.
    #[error(
        "its main function makes a tail call of its own at instruction {at}, behind which the chain would end"
    )]
    OwnTailCall {
        /// The index of the call.
        at: usize,
    },
    /// A jump cannot reach the epilogue.
    #[error("its main function has {instructions} instructions, more than a jump can cross (32767)")]
    TooLong {
        /// How many it has.
        instructions: usize,
    },
}

/// What one program may use of the stack (`MAX_BPF_STACK`).
const STACK_LIMIT: u16 = 512;
/// The register in which a program gets its context.
const CONTEXT: u8 = 1;
/// Registers that keep their value until the next call.
const CALLER_SAVED: [u8; 4] = [5, 4, 3, 2];
/// Registers that keep their value across calls. Once the main program has finished they are free.
const CALLEE_SAVED: [u8; 4] = [6, 7, 8, 9];

/// Splices one program.
///
/// # Errors
/// When the program cannot be put together with its epilogue in this way. [`Way::Wrapper`] always can.
pub fn splice(insns: &[Insn], how: &Splice<'_>) -> Result<Spliced, Unspliceable> {
    let main_end = main_end(insns);
    match how.way {
        Way::Wrapper => Ok(wrap(insns, how)),
        Way::Stack(_) | Way::Register(_) => {
            check_main(&insns[..main_end])?;
            Ok(extend(insns, main_end, how))
        }
    }
}

/// The ways that are worth trying, best first, for a program whose main function needs `stack_bytes` of stack.
///
/// The order is that of their price: a move, a store and a load, a push and a pop, a call.
pub fn ways(insns: &[Insn], stack_bytes: u16, timed: bool) -> Vec<Way> {
    let main = &insns[..main_end(insns)];
    if check_main(main).is_err() {
        return vec![Way::Wrapper];
    }
    let is_free = |register: &u8| !main.iter().any(|insn| insn.touches(*register));
    // Asking for the time at entry is a call.
    let calls = timed || main.iter().any(|insn| insn.calls());
    let stays = (!main.iter().any(|insn| insn.writes(CONTEXT))).then_some(CONTEXT);
    let volatile = stays.or_else(|| CALLER_SAVED.into_iter().find(is_free)).filter(|_| !calls);
    let below = stack_bytes.next_multiple_of(8).saturating_add(8);
    let stack = (below + if timed { 8 } else { 0 } <= STACK_LIMIT).then_some(Way::Stack(below));
    // The time of entry needs a register as well.
    let fits = |register: &u8| !timed || is_free(&start_register(*register));
    let saved = CALLEE_SAVED.into_iter().filter(is_free).find(fits);
    let ways = volatile.map(Way::Register).into_iter().chain(stack);
    ways.chain(saved.map(Way::Register)).chain([Way::Wrapper]).collect()
}

/// The register where the time of entry waits when the context waits in this one.
fn start_register(context: u8) -> u8 {
    CALLEE_SAVED.into_iter().rfind(|register| *register != context).expect("there are four of them")
}

/// Where the main program ends: libbpf appends the subprograms it reaches behind it.
fn main_end(insns: &[Insn]) -> usize {
    let targets = insns.iter().enumerate().filter_map(|(index, insn)| insn.subprogram(index));
    targets.min().unwrap_or(insns.len()).min(insns.len())
}

fn check_main(main: &[Insn]) -> Result<(), Unspliceable> {
    if main.len() > usize::from(i16::MAX.unsigned_abs()) {
        return Err(Unspliceable::TooLong { instructions: main.len() });
    }
    match main.iter().position(|insn| *insn == Insn::call(TAIL_CALL)) {
        Some(at) => Err(Unspliceable::OwnTailCall { at }),
        None => Ok(()),
    }
}

/// Puts the epilogue behind the main program and lets all its exits lead there.
fn extend(insns: &[Insn], main_end: usize, how: &Splice<'_>) -> Spliced {
    let prologue = prologue(how);
    let (epilogue, entries) = epilogue::epilogue(how);
    let known = entries.map(|entries| exits::enter(&insns[..main_end], how.proceed, &entries));
    let known = known.unwrap_or_default();
    let moved = Moved { main_end, prologue: prologue.len(), epilogue: epilogue.len(), wrapped: false };
    let shift = i32::from(distance(epilogue.len()));
    let mut spliced = prologue;
    spliced.reserve(insns.len() + epilogue.len());
    let mut second_half = false;
    for (index, insn) in insns[..main_end].iter().enumerate() {
        spliced.push(match insn.subprogram(index) {
            _ if second_half => *insn,
            _ if known.contains_key(&index) => known[&index],
            Some(_) => Insn { imm: insn.imm.wrapping_add(shift), ..*insn },
            None if insn.code == EXIT => Insn::jump(distance(main_end - index - 1)),
            None => *insn,
        });
        second_half = !second_half && insn.code == LOAD_64;
    }
    spliced.extend(epilogue);
    spliced.extend_from_slice(&insns[main_end..]);
    Spliced { insns: spliced, moved }
}

/// Keeps the context where the epilogue finds it, and the time of entry.
fn prologue(how: &Splice<'_>) -> Vec<Insn> {
    let Way::Stack(below) = how.way else { return prologue_in_registers(how) };
    let place = -distance(usize::from(below));
    let mut prologue = vec![Insn::store(Width::Double, FRAME, place, 1)];
    if how.timed {
        prologue.push(Insn::call(CLOCK));
        prologue.push(Insn::store(Width::Double, FRAME, place - 8, 0));
        prologue.push(Insn::load(Width::Double, 1, FRAME, place));
    }
    prologue
}

fn prologue_in_registers(how: &Splice<'_>) -> Vec<Insn> {
    let context = if let Way::Register(register) = how.way { register } else { CALLEE_SAVED[0] };
    let mut prologue = if context == CONTEXT { Vec::new() } else { vec![Insn::copy(context, CONTEXT)] };
    if how.timed {
        prologue.push(Insn::call(CLOCK));
        prologue.push(Insn::copy(start_register(context), 0));
        prologue.push(Insn::copy(1, context));
    }
    prologue
}

/// Puts a new main program in front, which calls the old one.
fn wrap(insns: &[Insn], how: &Splice<'_>) -> Spliced {
    let mut wrapper = prologue_in_registers(how);
    let (epilogue, _) = epilogue::epilogue(how);
    wrapper.push(Insn::call_subprogram(i32::from(distance(epilogue.len()))));
    wrapper.extend(epilogue);
    let moved = Moved { main_end: insns.len(), prologue: wrapper.len(), epilogue: 0, wrapped: true };
    wrapper.extend_from_slice(insns);
    Spliced { insns: wrapper, moved }
}

fn distance(instructions: usize) -> i16 {
    i16::try_from(instructions)
        .expect("the main program was found short enough for jumps, and an epilogue is short")
}

/// How verdicts map to counter cells: `verdict + bias` for the known ones, one more cell for all others.
pub(crate) struct Classes {
    pub(crate) bias: i32,
    pub(crate) known: i32,
}

impl Classes {
    pub(crate) fn of(point: HookPoint) -> Self {
        match point {
            HookPoint::Xdp => Self { bias: 0, known: 5 },
            // TC_ACT_UNSPEC is -1.
            HookPoint::TcIngress | HookPoint::TcEgress => Self { bias: 1, known: 10 },
        }
    }

    /// How many cells there are for verdicts, that of unknown ones included.
    pub(crate) fn count(&self) -> i32 {
        self.known + 1
    }

    pub(crate) fn mask(&self, proceed: &ProceedSet) -> u32 {
        let bits = (0..self.known).filter(|class| proceed.contains(class - self.bias));
        bits.fold(0, |mask, class| mask | 1 << class)
    }
}

#[cfg(test)]
mod tests;
