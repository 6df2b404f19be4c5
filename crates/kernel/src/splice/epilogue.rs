// SPDX-License-Identifier: Apache-2.0
//! What a member does once its program has finished: judge the verdict, go on or count and leave.
//!
//! It is entered with the verdict in r0, which may be any number: a program may return what it likes. The stack of the
//! main program is free. Callee-saved registers are left alone, except for the one that may hold the context: a program
//! that uses none is spared the pushes and pops, which cost more than the rest of the way to the next member.

use package::{Enforcement, HookPoint};

use super::code::{Code, Label};
use super::exits::Entries;
use super::frame::{AMOUNT, Context, Frame, KEY, Scratch, Start, VERDICT};
use super::{CALLEE_SAVED, Classes, Splice, Way, flow};
use crate::insn::{BUFFER_LENGTH, CLOCK, FRAME, Insn, MAP_LOOKUP, TAIL_CALL, When, Width};
use crate::sample::note;

/// The instructions behind the program, and where they are entered with a verdict that is known.
pub(super) fn epilogue(how: &Splice<'_>) -> (Vec<Insn>, Option<Entries>) {
    let (classes, frame, code) = (Classes::of(how.point), Frame::of(how), Code::default());
    let mut epilogue = Epilogue { how, classes, frame, code, next: None };
    epilogue.spill();
    // Whatever is done with every packet must not be left out.
    let is_direct = epilogue.code.insns.is_empty()
        && !how.timed
        && how.sampled.is_none()
        && how.enforcement == Enforcement::Enforce;
    if how.timed {
        epilogue.measure();
    }
    epilogue.note();
    let mut leave = Label::default();
    match how.enforcement {
        Enforcement::Enforce => epilogue.proceed(&mut leave),
        Enforcement::Shadow => epilogue.overrule(),
        Enforcement::Canary(share) => {
            let mut enforced = Label::default();
            epilogue.keep_verdict();
            flow::choose(&mut epilogue.code, how.point, &epilogue.frame, share, &mut enforced);
            epilogue.restore_verdict();
            epilogue.overrule();
            epilogue.code.jump(&mut leave);
            epilogue.code.place(enforced);
            epilogue.restore_verdict();
            epilogue.proceed(&mut leave);
        }
    }
    let entries = Entries { next: epilogue.next, leave: epilogue.code.insns.len() };
    epilogue.code.place(leave);
    epilogue.leave();
    (epilogue.code.insns, is_direct.then_some(entries))
}

struct Epilogue<'a> {
    how: &'a Splice<'a>,
    classes: Classes,
    frame: Frame,
    code: Code,
    /// Where a verdict of the proceed set goes on, once there is such a place.
    next: Option<usize>,
}

/// Which cell is counted in.
enum Cell {
    /// The one whose number is in r0.
    InR0,
    /// This one.
    Number(i32),
}

/// What is added to the second half of a cell.
enum Amount {
    /// The length of the packet.
    Length,
    /// What was kept in the stack.
    Kept,
}

impl Epilogue<'_> {
    /// Keeps a context that waits in a register which the next call overwrites.
    fn spill(&mut self) {
        let calls = self.how.counters.is_some()
            || self.how.sampled.is_some()
            || self.how.enforcement != Enforcement::Enforce;
        if let (Some(register), Context::Slot(at)) = (self.volatile(), self.frame.context)
            && calls
        {
            self.code.push(Insn::store(Width::Double, FRAME, at, register));
        }
    }

    /// The register of the context, if a call overwrites it.
    fn volatile(&self) -> Option<u8> {
        match self.how.way {
            Way::Register(register) if !CALLEE_SAVED.contains(&register) => Some(register),
            Way::Register(_) | Way::Stack(_) | Way::Wrapper => None,
        }
    }

    /// Adds up how long the program ran.
    fn measure(&mut self) {
        self.keep_verdict();
        self.code.push(Insn::call(CLOCK));
        match self.frame.start {
            Start::Slot(at) => {
                self.code.push(Insn::load(Width::Double, 1, FRAME, at));
                self.code.push(Insn::subtract_register(0, 1));
            }
            Start::Register(register) => self.code.push(Insn::subtract_register(0, register)),
        }
        self.keep_amount();
        self.add_to_cell(&Cell::Number(2 * self.classes.count()), &Amount::Kept);
        self.restore_verdict();
    }

    /// Tail-calls the next member when the verdict is in the proceed set, and falls through where there is none. The
    /// verdict is in r0 before and after.
    fn proceed(&mut self, leave: &mut Label) {
        let mask = self.classes.mask(self.how.proceed);
        if mask == 0 {
            return;
        }
        if mask.is_power_of_two() {
            let class = i32::try_from(mask.trailing_zeros()).expect("a bit of a word has a small index");
            let only = class - self.classes.bias;
            self.code.jump_if(When::NotEqual, 0, only, leave);
            self.next = Some(self.code.insns.len());
            self.call_next_at_once();
            self.end(class, only);
            return;
        }
        let (class, bits) = self.free_registers();
        self.code.push(Insn::copy_32(class, 0));
        if self.classes.bias != 0 {
            self.code.push(Insn::add_32(class, self.classes.bias));
        }
        self.code.jump_if(When::Above, class, self.classes.known - 1, leave);
        self.code.push(Insn::put_32(bits, mask.cast_signed()));
        self.code.push(Insn::shift_right_32(bits, class));
        self.code.push(Insn::and_32(bits, 1));
        self.code.jump_if(When::Equal, bits, 0, leave);
        self.next = Some(self.code.insns.len());
        self.keep_verdict();
        self.call_next_at_once();
        self.restore_verdict();
    }

    /// Counts the verdict without following it: the chain goes on, and where it ends the packet passes.
    fn overrule(&mut self) {
        self.classify();
        self.code.push(Insn::add_32(0, self.classes.count()));
        self.add_to_cell(&Cell::InR0, &Amount::Length);
        self.call_next();
        self.code.push(Insn::put_32(0, pass(self.how.point)));
    }

    /// Two registers that hold nothing.
    fn free_registers(&self) -> (u8, u8) {
        let mut free = (1..=5).filter(|register| self.volatile() != Some(*register));
        let mut next = || free.next().expect("there are four of them");
        (next(), next())
    }

    /// Calls the next member where there was no call before.
    fn call_next_at_once(&mut self) {
        let untouched = self.how.enforcement == Enforcement::Enforce && self.how.sampled.is_none();
        match self.volatile().filter(|_| untouched) {
            Some(1) => {}
            Some(register) => self.code.push(Insn::copy(1, register)),
            None => self.put_context(1),
        }
        self.call_slot();
    }

    fn call_next(&mut self) {
        self.put_context(1);
        self.call_slot();
    }

    fn call_slot(&mut self) {
        self.code.extend(Insn::load_map(2, self.how.next));
        self.code.push(Insn::put_32(3, 0));
        self.code.push(Insn::call(TAIL_CALL));
    }

    /// Counts the packet by its verdict and returns that.
    fn leave(&mut self) {
        if self.how.counters.is_some() {
            self.keep_verdict();
            self.classify();
            self.add_to_cell(&Cell::InR0, &Amount::Length);
            self.restore_verdict();
        }
        self.sample();
        self.give_way();
        self.code.push(Insn::exit());
    }

    /// Leaves at the end of the chain with the one verdict that leads there.
    fn end(&mut self, class: i32, verdict: i32) {
        if self.how.sampled.is_some() {
            // As any other: what leaves goes on behind this.
            self.code.push(Insn::put_32(0, verdict));
            return;
        }
        if self.how.counters.is_some() {
            self.add_to_cell(&Cell::Number(class), &Amount::Length);
        }
        self.code.push(Insn::put_32(0, if self.gives_way(verdict) { TCX_NEXT } else { verdict }));
        self.code.push(Insn::exit());
    }

    /// Makes of the verdict in r0 the number of the cell that it is counted in.
    fn classify(&mut self) {
        let mut known = Label::default();
        if self.classes.bias != 0 {
            self.code.push(Insn::add_32(0, self.classes.bias));
        }
        self.code.jump_if(When::AtMost, 0, self.classes.known - 1, &mut known);
        self.code.push(Insn::put_32(0, self.classes.known));
        self.code.place(known);
    }

    /// A TC chain that lets a packet pass leaves it to the other programs of the hook. A verdict that is not in the
    /// proceed set ends the hook as its author meant.
    fn give_way(&mut self) {
        let giving: Vec<i32> = (0..self.classes.known).filter(|verdict| self.gives_way(*verdict)).collect();
        for verdict in giving {
            let mut other = Label::default();
            self.code.jump_if(When::NotEqual, 0, verdict, &mut other);
            self.code.push(Insn::put_32(0, TCX_NEXT));
            self.code.place(other);
        }
    }

    fn gives_way(&self, verdict: i32) -> bool {
        const OK: i32 = 0;
        const PIPE: i32 = 3;
        self.how.point != HookPoint::Xdp
            && [OK, PIPE].contains(&verdict)
            && self.how.proceed.contains(verdict)
    }

    /// Adds one and an amount to a cell, on this CPU.
    fn add_to_cell(&mut self, cell: &Cell, amount: &Amount) {
        let Some(counters) = self.how.counters else { return };
        let mut uncounted = Label::default();
        self.keep_key(cell);
        // Only the kernel knows the length of a packet in several buffers.
        let asked =
            matches!(amount, Amount::Length) && self.how.point == HookPoint::Xdp && self.how.fragments;
        if asked {
            self.put_context(1);
            self.code.push(Insn::call(BUFFER_LENGTH));
            self.keep_amount();
        }
        self.put_key(cell, counters.keys);
        self.code.extend(Insn::load_map(1, counters.cells));
        self.code.push(Insn::call(MAP_LOOKUP));
        self.code.jump_if_null(0, &mut uncounted);
        self.code.push(Insn::load(Width::Double, 1, 0, 0));
        self.code.push(Insn::add(1, 1));
        self.code.push(Insn::store(Width::Double, 0, 0, 1));
        match amount {
            Amount::Length if !asked => self.length(),
            Amount::Length | Amount::Kept => self.put_amount(),
        }
        self.code.push(Insn::load(Width::Double, 1, 0, 8));
        self.code.push(Insn::add_register(1, 2));
        self.code.push(Insn::store(Width::Double, 0, 8, 1));
        self.code.place(uncounted);
    }

    /// Writes the verdict into the note of the packet, where packets are sampled. It is in r0 before and after.
    fn note(&mut self) {
        let (Some(sampled), Some(counters)) = (self.how.sampled, self.how.counters) else { return };
        let mut unknown = Label::default();
        self.keep_verdict();
        self.find_note(sampled.notes, counters.keys, &mut unknown);
        self.code.push(Insn::copy(1, 0));
        self.restore_verdict();
        let at = note::VERDICTS + 4 * i16::from(sampled.number);
        self.code.push(Insn::store(Width::Word, 1, at, 0));
        self.code.place(unknown);
        self.restore_verdict();
    }

    /// Has the sampler leave the chain with what the hook is told, where packets are sampled. Where it is not there any more, the
    /// verdict is in r0 as before.
    fn sample(&mut self) {
        let (Some(sampled), Some(counters)) = (self.how.sampled, self.how.counters) else { return };
        let mut unsampled = Label::default();
        self.keep_verdict();
        self.find_note(sampled.notes, counters.keys, &mut unsampled);
        self.code.push(Insn::copy(2, 0));
        self.code.push(Insn::store_word(2, note::MEMBER, sampled.number.into()));
        self.restore_verdict();
        self.give_way();
        self.code.push(Insn::store(Width::Word, 2, note::RETURNED, 0));
        self.put_context(1);
        self.code.extend(Insn::load_map(2, sampled.sampler));
        self.code.push(Insn::put_32(3, 0));
        self.code.push(Insn::call(TAIL_CALL));
        self.code.place(unsampled);
        self.restore_verdict();
    }

    /// Puts the address of the note into r0.
    fn find_note(&mut self, notes: i32, keys: i32, unknown: &mut Label) {
        self.keep_key(&Cell::Number(0));
        self.put_key(&Cell::Number(0), keys);
        self.code.extend(Insn::load_map(1, notes));
        self.code.push(Insn::call(MAP_LOOKUP));
        self.code.jump_if_null(0, unknown);
    }

    fn keep_key(&mut self, cell: &Cell) {
        match (self.frame.scratch, cell) {
            (Scratch::Stack(at), Cell::InR0) => self.code.push(Insn::store(Width::Word, FRAME, at + KEY, 0)),
            (Scratch::Stack(at), Cell::Number(number)) => {
                self.code.push(Insn::store_word(FRAME, at + KEY, *number));
            }
            (Scratch::Registers { key, .. }, Cell::InR0) => self.code.push(Insn::copy_32(key, 0)),
            (Scratch::Registers { .. }, Cell::Number(_)) => {}
        }
    }

    /// Puts the address of the kept key into r2.
    fn put_key(&mut self, cell: &Cell, keys: i32) {
        const KEY_BYTES: i32 = 4;
        match (self.frame.scratch, cell) {
            (Scratch::Stack(at), _) => {
                self.code.push(Insn::copy(2, FRAME));
                self.code.push(Insn::add(2, i32::from(at + KEY)));
            }
            (Scratch::Registers { key, .. }, Cell::InR0) => {
                self.code.extend(Insn::load_map_value(2, keys, 0));
                self.code.push(Insn::shift_left(key, KEY_BYTES.trailing_zeros().cast_signed()));
                self.code.push(Insn::add_register(2, key));
            }
            (Scratch::Registers { .. }, Cell::Number(number)) => {
                self.code.extend(Insn::load_map_value(2, keys, *number * KEY_BYTES));
            }
        }
    }

    /// Puts the length of a packet in one buffer into r2. Uses r1.
    fn length(&mut self) {
        self.put_context(1);
        if self.how.point == HookPoint::Xdp {
            // `struct xdp_md`: data at 0, data_end at 4.
            self.code.push(Insn::load(Width::Word, 2, 1, 4));
            self.code.push(Insn::load(Width::Word, 1, 1, 0));
            self.code.push(Insn::subtract_register(2, 1));
        } else {
            // `struct __sk_buff`: len at 0.
            self.code.push(Insn::load(Width::Word, 2, 1, 0));
        }
    }

    fn put_context(&mut self, register: u8) {
        self.code.push(match self.frame.context {
            Context::Slot(at) => Insn::load(Width::Double, register, FRAME, at),
            Context::Register(kept) => Insn::copy(register, kept),
        });
    }

    /// Keeps the verdict that is in r0.
    fn keep_verdict(&mut self) {
        self.code.push(match self.frame.scratch {
            Scratch::Stack(at) => Insn::store(Width::Word, FRAME, at + VERDICT, 0),
            Scratch::Registers { verdict, .. } => Insn::copy_32(verdict, 0),
        });
    }

    fn restore_verdict(&mut self) {
        self.code.push(match self.frame.scratch {
            Scratch::Stack(at) => Insn::load(Width::Word, 0, FRAME, at + VERDICT),
            Scratch::Registers { verdict, .. } => Insn::copy_32(0, verdict),
        });
    }

    /// Keeps the amount that is in r0.
    fn keep_amount(&mut self) {
        self.code.push(match self.frame.scratch {
            Scratch::Stack(at) => Insn::store(Width::Double, FRAME, at + AMOUNT, 0),
            Scratch::Registers { amount, .. } => Insn::copy(amount, 0),
        });
    }

    /// Puts the kept amount into r2.
    fn put_amount(&mut self) {
        self.code.push(match self.frame.scratch {
            Scratch::Stack(at) => Insn::load(Width::Double, 2, FRAME, at + AMOUNT),
            Scratch::Registers { amount, .. } => Insn::copy(2, amount),
        });
    }
}

/// `TCX_NEXT` of `linux/bpf.h`; for a classifier under clsact the same number is `TC_ACT_UNSPEC`.
pub(crate) const TCX_NEXT: i32 = -1;

/// The verdict of a chain that lets a packet pass.
pub fn pass(point: HookPoint) -> i32 {
    const XDP_PASS: i32 = 2;
    match point {
        HookPoint::Xdp => XDP_PASS,
        HookPoint::TcIngress | HookPoint::TcEgress => TCX_NEXT,
    }
}
