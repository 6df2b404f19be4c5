// SPDX-License-Identifier: Apache-2.0
//! The splice: makes an unmodified program continue with the next member of its chain.
//!
//! Every `exit` of the main program becomes a jump to an epilogue. The epilogue looks at the verdict: one in the
//! proceed set tail-calls what the member's own slot holds; any other, and a slot that holds nothing, counts the
//! packet and leaves the chain with the program's verdict. Subprograms and callbacks are moved, not changed.
//!
//! The instructions are those that the kernel is about to see: maps and CO-RE relocations are already resolved. The
//! verifier checks the result as it checks any program, so a splice that does not fit is refused, never wrong.

use package::{HookPoint, ProceedSet};
use thiserror::Error;

use crate::insn::{EXIT, FRAME, Insn, LOAD_64, MAP_LOOKUP, TAIL_CALL, When, Width};

/// What the epilogue needs to know.
#[derive(Debug, Clone)]
pub struct Splice<'a> {
    /// Which kind of program it is.
    pub point: HookPoint,
    /// The verdicts after which the chain goes on.
    pub proceed: &'a ProceedSet,
    /// Descriptor of the one-slot program array that holds the next member.
    pub next: i32,
    /// Descriptor of the per-CPU array of [`Cells`](crate::ledger::Cells).
    pub counters: i32,
    /// Where the context waits for the epilogue.
    pub keep: Keep,
}

/// Where the context waits for the epilogue while the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// In the stack, this many bytes below the frame pointer: below all that the program uses.
    Stack(u16),
    /// In a callee-saved register, 6 to 9, that the main program does not touch.
    Register(u8),
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
    epilogue: usize,
}

impl Moved {
    /// The new offset of the instruction that was at `offset`. The program still begins at 0.
    pub fn offset(self, offset: usize) -> usize {
        match offset {
            0 => 0,
            inside if inside < self.main_end => inside + PROLOGUE,
            behind => behind + PROLOGUE + self.epilogue,
        }
    }
}

/// A program cannot be spliced.
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

const PROLOGUE: usize = 1;
/// Registers that keep their value across calls. Once the main program has finished they are free.
const CALLEE_SAVED: [u8; 4] = [6, 7, 8, 9];

/// Splices one program.
///
/// # Errors
/// When the program leaves on a way that cannot be spliced, or is too long for a jump.
pub fn splice(insns: &[Insn], how: &Splice<'_>) -> Result<Spliced, Unspliceable> {
    let main_end = main_end(insns);
    check_main(&insns[..main_end])?;
    let epilogue = epilogue(how);
    let moved = Moved { main_end, epilogue: epilogue.len() };
    let mut spliced = Vec::with_capacity(PROLOGUE + insns.len() + epilogue.len());
    spliced.push(match how.keep {
        Keep::Stack(below) => Insn::store(Width::Double, FRAME, -offset(usize::from(below)), 1),
        Keep::Register(register) => Insn::copy(register, 1),
    });
    let mut second_half = false;
    for (index, insn) in insns[..main_end].iter().enumerate() {
        spliced.push(match insn.subprogram(index) {
            _ if second_half => *insn,
            Some(_) => Insn { imm: insn.imm + i32::from(offset(epilogue.len())), ..*insn },
            None if insn.code == EXIT => Insn::jump(offset(main_end - index - 1)),
            None => *insn,
        });
        second_half = !second_half && insn.code == LOAD_64;
    }
    spliced.extend(epilogue);
    spliced.extend_from_slice(&insns[main_end..]);
    Ok(Spliced { insns: spliced, moved })
}

/// The ways to keep the context that are worth trying, best first, for a program whose main function needs
/// `stack_bytes` of stack.
pub fn ways_to_keep(insns: &[Insn], stack_bytes: u16) -> Vec<Keep> {
    /// What one program may use (`MAX_BPF_STACK`).
    const STACK_LIMIT: u16 = 512;
    let below = stack_bytes.next_multiple_of(8) + 8;
    let stack = (below <= STACK_LIMIT).then_some(Keep::Stack(below));
    let main = &insns[..main_end(insns)];
    let free = CALLEE_SAVED.into_iter().find(|register| !main.iter().any(|insn| insn.touches(*register)));
    stack.into_iter().chain(free.map(Keep::Register)).collect()
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

fn offset(distance: usize) -> i16 {
    i16::try_from(distance)
        .expect("the main program was found short enough for jumps, and an epilogue is short")
}

/// Instructions with forward jumps to places that are not written yet.
#[derive(Default)]
struct Code {
    insns: Vec<Insn>,
}

/// Forward jumps that wait for their target.
#[derive(Default)]
struct Label(Vec<usize>);

impl Code {
    fn push(&mut self, insn: Insn) {
        self.insns.push(insn);
    }

    fn jump_if(&mut self, when: When, register: u8, imm: i32, to: &mut Label) {
        to.0.push(self.insns.len());
        self.push(Insn::jump_if(when, register, imm, 0));
    }

    fn jump_if_null(&mut self, register: u8, to: &mut Label) {
        to.0.push(self.insns.len());
        self.push(Insn::jump_if_null(register, 0));
    }

    fn place(&mut self, label: Label) {
        for at in label.0 {
            self.insns[at].offset = offset(self.insns.len() - at - 1);
        }
    }
}

/// The registers of an epilogue. All are free when the main program has finished.
struct Registers {
    context: u8,
    verdict: u8,
    class: u8,
}

/// The epilogue. It is entered with the verdict in r0, which may be any number: a program may return what it likes.
fn epilogue(how: &Splice<'_>) -> Vec<Insn> {
    let classes = Classes::of(how.point);
    let context = match how.keep {
        Keep::Stack(_) => 7,
        Keep::Register(register) => register,
    };
    let mut free = CALLEE_SAVED.into_iter().filter(|register| *register != context);
    let mut next = || free.next().expect("four registers are saved and three are used");
    let registers = Registers { context, verdict: next(), class: next() };
    let mut code = Code::default();
    code.push(Insn::copy(registers.verdict, 0));
    if let Keep::Stack(below) = how.keep {
        code.push(Insn::load(Width::Double, context, FRAME, -offset(usize::from(below))));
    }
    classify(&mut code, &classes, &registers);
    proceed(&mut code, how, &classes, &registers);
    count(&mut code, how, &registers);
    code.push(Insn::copy(0, registers.verdict));
    code.push(Insn::exit());
    code.insns
}

/// Puts the cell that the verdict is counted in into the class register.
fn classify(code: &mut Code, classes: &Classes, registers: &Registers) {
    let Registers { verdict, class, .. } = *registers;
    let mut known = Label::default();
    code.push(Insn::copy_32(class, verdict));
    if classes.bias != 0 {
        code.push(Insn::add_32(class, classes.bias));
    }
    code.jump_if(When::AtMost, class, classes.known - 1, &mut known);
    code.push(Insn::put_32(class, classes.known));
    code.place(known);
}

/// Tail-calls the next member when the verdict is in the proceed set, and falls through where there is none.
fn proceed(code: &mut Code, how: &Splice<'_>, classes: &Classes, registers: &Registers) {
    let Registers { context, verdict, class } = *registers;
    let mask = classes.mask(how.proceed);
    if mask == 0 {
        return;
    }
    let mut leave = Label::default();
    if mask.is_power_of_two() {
        let only = i32::try_from(mask.trailing_zeros()).expect("a bit of a word has a small index");
        code.jump_if(When::NotEqual, class, only, &mut leave);
    } else {
        code.push(Insn::put_32(1, mask.cast_signed()));
        code.push(Insn::shift_right_32(1, class));
        code.push(Insn::and_32(1, 1));
        code.jump_if(When::Equal, 1, 0, &mut leave);
    }
    code.push(Insn::copy(1, context));
    code.insns.extend(Insn::load_map(2, how.next));
    code.push(Insn::put_32(3, 0));
    code.push(Insn::call(TAIL_CALL));
    if how.point != HookPoint::Xdp {
        give_way(code, verdict);
    }
    code.place(leave);
}

/// A TC chain that lets a packet pass leaves it to the other programs of the hook (`TCX_NEXT`, which is -1).
fn give_way(code: &mut Code, verdict: u8) {
    const OK: i32 = 0;
    const PIPE: i32 = 3;
    const TCX_NEXT: i32 = -1;
    let (mut passing, mut decided) = (Label::default(), Label::default());
    code.jump_if(When::Equal, verdict, OK, &mut passing);
    code.jump_if(When::NotEqual, verdict, PIPE, &mut decided);
    code.place(passing);
    code.push(Insn::put_32(verdict, TCX_NEXT));
    code.place(decided);
}

/// Adds the packet and its bytes to the cell of its class, on this CPU. The stack of the main program is free now.
fn count(code: &mut Code, how: &Splice<'_>, registers: &Registers) {
    let Registers { context, class, .. } = *registers;
    let mut uncounted = Label::default();
    code.push(Insn::store(Width::Word, FRAME, -4, class));
    code.push(Insn::copy(2, FRAME));
    code.push(Insn::add(2, -4));
    code.insns.extend(Insn::load_map(1, how.counters));
    code.push(Insn::call(MAP_LOOKUP));
    code.jump_if_null(0, &mut uncounted);
    code.push(Insn::load(Width::Double, 1, 0, 0));
    code.push(Insn::add(1, 1));
    code.push(Insn::store(Width::Double, 0, 0, 1));
    if how.point == HookPoint::Xdp {
        // `struct xdp_md`: data at 0, data_end at 4. The length is that of the first buffer.
        code.push(Insn::load(Width::Word, 2, context, 4));
        code.push(Insn::load(Width::Word, 1, context, 0));
        code.push(Insn::subtract_register(2, 1));
    } else {
        // `struct __sk_buff`: len at 0.
        code.push(Insn::load(Width::Word, 2, context, 0));
    }
    code.push(Insn::load(Width::Double, 1, 0, 8));
    code.push(Insn::add_register(1, 2));
    code.push(Insn::store(Width::Double, 0, 8, 1));
    code.place(uncounted);
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

    fn mask(&self, proceed: &ProceedSet) -> u32 {
        let bits = (0..self.known).filter(|class| proceed.contains(class - self.bias));
        bits.fold(0, |mask, class| mask | 1 << class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insn::{CALL, SUBPROGRAM_ADDRESS, SUBPROGRAM_CALL};

    fn insn(code: u8, src: u8, imm: i32) -> Insn {
        Insn { code, dst: 2, src, offset: 0, imm }
    }

    /// A main function with an exit in the middle, a loop to its beginning, a call and the address of a callback;
    /// behind it the two subprograms.
    fn program() -> Vec<Insn> {
        vec![
            Insn::put_32(0, 2),
            Insn::jump_if(When::Equal, 0, 1, 1),
            Insn::exit(),
            insn(CALL, SUBPROGRAM_CALL, 4),
            insn(LOAD_64, SUBPROGRAM_ADDRESS, 5),
            insn(0, 0, 0),
            Insn::jump_if(When::NotEqual, 0, 1, -7),
            Insn::exit(),
            // The first subprogram.
            insn(CALL, SUBPROGRAM_CALL, 1),
            Insn::exit(),
            // The second one.
            Insn::exit(),
        ]
    }

    fn spliced(proceed: &[&str], keep: Keep) -> Spliced {
        let proceed = ProceedSet::parse(HookPoint::Xdp, proceed).unwrap();
        let how = Splice { point: HookPoint::Xdp, proceed: &proceed, next: 5, counters: 6, keep };
        splice(&program(), &how).unwrap()
    }

    #[test]
    fn every_exit_of_the_main_function_goes_to_the_epilogue_and_no_other() {
        let Spliced { insns, moved } = spliced(&["pass"], Keep::Stack(16));
        let epilogue = 1 + 8;
        assert_eq!(insns[3], Insn::jump(i16::try_from(epilogue - 4).unwrap()));
        assert_eq!(insns[8], Insn::jump(i16::try_from(epilogue - 9).unwrap()));
        let behind = moved.offset(8);
        assert_eq!(insns[behind..], program()[8..]);
        assert_eq!(insns[behind - 1], Insn::exit());
    }

    #[test]
    fn calls_and_addresses_lead_to_the_same_subprograms() {
        let Spliced { insns, moved } = spliced(&["pass"], Keep::Stack(16));
        let targets = |insns: &[Insn]| -> Vec<usize> {
            insns.iter().enumerate().filter_map(|(index, insn)| insn.subprogram(index)).collect()
        };
        let expected: Vec<usize> =
            targets(&program()).into_iter().map(|target| moved.offset(target)).collect();
        assert_eq!(targets(&insns), expected);
    }

    #[test]
    fn an_empty_proceed_set_makes_no_tail_call() {
        let calls =
            |spliced: &Spliced| spliced.insns.iter().filter(|insn| **insn == Insn::call(TAIL_CALL)).count();
        assert_eq!(calls(&spliced(&[], Keep::Stack(16))), 0);
        assert_eq!(calls(&spliced(&["pass", "drop"], Keep::Register(9))), 1);
    }

    #[test]
    fn the_context_waits_where_the_program_does_not_look() {
        let keep = ways_to_keep(&program(), 20);
        assert_eq!(keep, [Keep::Stack(32), Keep::Register(6)]);
        assert_eq!(ways_to_keep(&program(), 512), [Keep::Register(6)]);
        let busy: Vec<Insn> = (6..10).map(|register| Insn::copy(register, 1)).chain([Insn::exit()]).collect();
        assert_eq!(ways_to_keep(&busy, 505), []);
    }

    #[test]
    fn a_tail_call_of_its_own_is_refused() {
        let insns = [Insn::call(TAIL_CALL), Insn::exit()];
        let proceed = ProceedSet::default_for(HookPoint::Xdp);
        let how =
            Splice { point: HookPoint::Xdp, proceed: &proceed, next: 5, counters: 6, keep: Keep::Stack(8) };
        assert_eq!(splice(&insns, &how), Err(Unspliceable::OwnTailCall { at: 0 }));
        let long = vec![Insn::exit(); 32768];
        assert_eq!(splice(&long, &how), Err(Unspliceable::TooLong { instructions: 32768 }));
    }

    #[test]
    fn an_instruction_reads_as_it_is_written() {
        for insn in spliced(&["pass", "tx"], Keep::Register(8)).insns {
            assert_eq!(Insn::from_bytes(insn.to_bytes()), insn);
        }
    }
}
