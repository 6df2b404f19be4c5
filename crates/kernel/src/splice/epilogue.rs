// SPDX-License-Identifier: Apache-2.0
//! What a member does once its program has finished: judge the verdict, go on or count and leave.
//!
//! It is entered with the verdict in r0, which may be any number: a program may return what it likes. The stack of the
//! main program and its callee-saved registers are free.

use package::{Enforcement, HookPoint};

use super::code::{Code, Label};
use super::{CALLEE_SAVED, Classes, Splice, Way, distance, flow};
use crate::insn::{BUFFER_LENGTH, CLOCK, FRAME, Insn, MAP_LOOKUP, TAIL_CALL, When, Width};

/// What the callee-saved registers are used for.
pub(super) struct Registers {
    pub(super) context: u8,
    pub(super) verdict: u8,
    pub(super) class: u8,
    pub(super) spare: u8,
}

impl Registers {
    pub(super) fn of(way: Way) -> Self {
        let context = match way {
            Way::Stack(_) | Way::Wrapper => CALLEE_SAVED[0],
            Way::Register(register) => register,
        };
        let mut free = CALLEE_SAVED.into_iter().filter(|register| *register != context);
        let mut next = || free.next().expect("four registers are saved, one of which may hold the context");
        Self { context, verdict: next(), class: next(), spare: next() }
    }
}

/// The instructions behind the program.
pub(super) fn epilogue(how: &Splice<'_>) -> Vec<Insn> {
    let mut epilogue = Epilogue {
        how,
        classes: Classes::of(how.point),
        registers: Registers::of(how.way),
        code: Code::default(),
    };
    epilogue.enter();
    epilogue.classify();
    let mut leave = Label::default();
    match how.enforcement {
        Enforcement::Enforce => epilogue.proceed(&mut leave),
        Enforcement::Shadow => epilogue.overrule(),
        Enforcement::Canary(share) => {
            let mut enforced = Label::default();
            flow::choose(&mut epilogue.code, how.point, &epilogue.registers, share, &mut enforced);
            epilogue.overrule();
            epilogue.code.jump(&mut leave);
            epilogue.code.place(enforced);
            epilogue.proceed(&mut leave);
        }
    }
    epilogue.code.place(leave);
    epilogue.leave();
    epilogue.code.insns
}

struct Epilogue<'a> {
    how: &'a Splice<'a>,
    classes: Classes,
    registers: Registers,
    code: Code,
}

impl Epilogue<'_> {
    /// Takes up the verdict and the context, and measures how long the program ran.
    fn enter(&mut self) {
        let Registers { context, verdict, spare, .. } = self.registers;
        self.code.push(Insn::copy(verdict, 0));
        if let Way::Stack(below) = self.how.way {
            let place = -distance(usize::from(below));
            self.code.push(Insn::load(Width::Double, context, FRAME, place));
            if self.how.timed {
                self.code.push(Insn::load(Width::Double, spare, FRAME, place - 8));
            }
        }
        if self.how.timed {
            self.code.push(Insn::call(CLOCK));
            self.code.push(Insn::subtract_register(0, spare));
            self.code.push(Insn::copy(spare, 0));
            self.code.push(Insn::put_32(1, 2 * self.classes.count()));
            self.add_to_cell(1);
        }
    }

    /// Puts the cell that the verdict is counted in into the class register.
    fn classify(&mut self) {
        let Registers { verdict, class, .. } = self.registers;
        let mut known = Label::default();
        self.code.push(Insn::copy_32(class, verdict));
        if self.classes.bias != 0 {
            self.code.push(Insn::add_32(class, self.classes.bias));
        }
        self.code.jump_if(When::AtMost, class, self.classes.known - 1, &mut known);
        self.code.push(Insn::put_32(class, self.classes.known));
        self.code.place(known);
    }

    /// Tail-calls the next member when the verdict is in the proceed set, and falls through where there is none.
    fn proceed(&mut self, leave: &mut Label) {
        let Registers { verdict, class, .. } = self.registers;
        let mask = self.classes.mask(self.how.proceed);
        if mask == 0 {
            return;
        }
        if mask.is_power_of_two() {
            let only = i32::try_from(mask.trailing_zeros()).expect("a bit of a word has a small index");
            self.code.jump_if(When::NotEqual, class, only, leave);
        } else {
            self.code.push(Insn::put_32(1, mask.cast_signed()));
            self.code.push(Insn::shift_right_32(1, class));
            self.code.push(Insn::and_32(1, 1));
            self.code.jump_if(When::Equal, 1, 0, leave);
        }
        self.call_next();
        if self.how.point != HookPoint::Xdp {
            give_way(&mut self.code, verdict);
        }
    }

    /// Counts the verdict without following it: the chain goes on, and where it ends the packet passes.
    fn overrule(&mut self) {
        let Registers { verdict, class, .. } = self.registers;
        self.length();
        self.code.push(Insn::copy_32(1, class));
        self.code.push(Insn::add_32(1, self.classes.count()));
        self.add_to_cell(1);
        let pass = pass(self.how.point);
        self.code.push(Insn::put_32(verdict, pass));
        self.code.push(Insn::put_32(class, pass + self.classes.bias));
        self.call_next();
    }

    fn call_next(&mut self) {
        self.code.push(Insn::copy(1, self.registers.context));
        self.code.extend(Insn::load_map(2, self.how.next));
        self.code.push(Insn::put_32(3, 0));
        self.code.push(Insn::call(TAIL_CALL));
    }

    /// Counts the packet by its verdict and returns that.
    fn leave(&mut self) {
        let Registers { verdict, class, .. } = self.registers;
        if self.how.counters.is_some() {
            self.length();
            self.add_to_cell(class);
        }
        self.code.push(Insn::copy(0, verdict));
        self.code.push(Insn::exit());
    }

    /// Puts the length of the packet in bytes into the spare register.
    fn length(&mut self) {
        let Registers { context, spare, .. } = self.registers;
        if self.how.point != HookPoint::Xdp {
            // `struct __sk_buff`: len at 0.
            self.code.push(Insn::load(Width::Word, spare, context, 0));
        } else if self.how.fragments {
            self.code.push(Insn::copy(1, context));
            self.code.push(Insn::call(BUFFER_LENGTH));
            self.code.push(Insn::copy(spare, 0));
        } else {
            // `struct xdp_md`: data at 0, data_end at 4.
            self.code.push(Insn::load(Width::Word, spare, context, 4));
            self.code.push(Insn::load(Width::Word, 1, context, 0));
            self.code.push(Insn::subtract_register(spare, 1));
        }
    }

    /// Adds one and the spare register to a cell, on this CPU.
    fn add_to_cell(&mut self, cell: u8) {
        let Some(counters) = self.how.counters else { return };
        let mut uncounted = Label::default();
        let code = &mut self.code;
        code.push(Insn::store(Width::Word, FRAME, -4, cell));
        code.push(Insn::copy(2, FRAME));
        code.push(Insn::add(2, -4));
        code.extend(Insn::load_map(1, counters));
        code.push(Insn::call(MAP_LOOKUP));
        code.jump_if_null(0, &mut uncounted);
        code.push(Insn::load(Width::Double, 1, 0, 0));
        code.push(Insn::add(1, 1));
        code.push(Insn::store(Width::Double, 0, 0, 1));
        code.push(Insn::load(Width::Double, 1, 0, 8));
        code.push(Insn::add_register(1, self.registers.spare));
        code.push(Insn::store(Width::Double, 0, 8, 1));
        code.place(uncounted);
    }
}

/// `TCX_NEXT` of `linux/bpf.h`; for a classifier under clsact the same number is `TC_ACT_UNSPEC`.
const TCX_NEXT: i32 = -1;

/// The verdict of a chain that lets a packet pass.
pub(super) fn pass(point: HookPoint) -> i32 {
    const XDP_PASS: i32 = 2;
    match point {
        HookPoint::Xdp => XDP_PASS,
        HookPoint::TcIngress | HookPoint::TcEgress => TCX_NEXT,
    }
}

/// A TC chain that lets a packet pass leaves it to the other programs of the hook.
fn give_way(code: &mut Code, verdict: u8) {
    const OK: i32 = 0;
    const PIPE: i32 = 3;
    let (mut passing, mut decided) = (Label::default(), Label::default());
    code.jump_if(When::Equal, verdict, OK, &mut passing);
    code.jump_if(When::NotEqual, verdict, PIPE, &mut decided);
    code.place(passing);
    code.push(Insn::put_32(verdict, TCX_NEXT));
    code.place(decided);
}
