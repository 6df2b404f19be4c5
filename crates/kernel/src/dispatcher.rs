// SPDX-License-Identifier: Apache-2.0
//! The dispatcher: a program that is generated for exactly the members of one chain.
//!
//! It calls one global function for each member, which the member's own program, unchanged, takes the place of
//! (`BPF_PROG_TYPE_EXT`). It looks at each verdict as the epilogue of a splice does, and counts a packet where it leaves.
//! Like a path it never changes: another chain gets another dispatcher.

use package::{HookPoint, ProceedSet};

use crate::insn::{CLOCK, FRAME, Insn, MAP_LOOKUP, When, Width};
use crate::splice::code::{Code, Label};
use crate::splice::{Classes, TCX_NEXT, pass};

/// What a dispatcher does.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch<'a> {
    /// Which kind of program it is.
    pub(crate) point: HookPoint,
    /// What it calls, in order.
    pub(crate) seats: Vec<Seat<'a>>,
    /// Descriptor of an array of maps: the counters of each member. Without it nothing is counted.
    pub(crate) counters: Option<i32>,
    /// Whether it meets packets in several buffers (`xdp.frags`).
    pub(crate) fragments: bool,
}

/// The place of one member.
#[derive(Debug, Clone)]
pub(crate) struct Seat<'a> {
    /// The verdicts after which the chain goes on.
    pub(crate) proceed: &'a ProceedSet,
    /// Whether its verdict is counted and not followed.
    pub(crate) shadow: bool,
    /// Whether its run time is measured.
    pub(crate) timed: bool,
}

/// The instructions of a dispatcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dispatched {
    pub(crate) insns: Vec<Insn>,
    /// Where the function of each member begins.
    pub(crate) functions: Vec<usize>,
}

/// Where the context waits.
const CONTEXT: u8 = 6;
/// The number of the member that was called last.
const MEMBER: u8 = 7;
/// Where a verdict waits.
const VERDICT: u8 = 8;
/// The time when a member was called.
const START: u8 = 9;
/// Places in the stack.
const MEMBER_KEY: i16 = -4;
const CELL_KEY: i16 = -8;
const AMOUNT: i16 = -16;

/// `bpf_skb_pull_data` and `bpf_xdp_adjust_tail` of `linux/bpf.h`.
const PULL_DATA: i32 = 39;
const ADJUST_TAIL: i32 = 65;

/// Generates a dispatcher.
pub(crate) fn dispatcher(how: &Dispatch<'_>) -> Dispatched {
    let mut main = Main { how, classes: Classes::of(how.point), code: Code::default(), calls: Vec::new() };
    let mut leave = Label::default();
    main.code.push(Insn::copy(CONTEXT, 1));
    for (number, seat) in how.seats.iter().enumerate() {
        main.call(number, seat);
        if main.goes_on(seat) {
            main.judge(seat, &mut leave);
        } else if number + 1 < how.seats.len() {
            main.leave_always(&mut leave);
        }
    }
    // The kernel refuses code that nothing leads to.
    let has_end = how.seats.last().is_none_or(|seat| main.goes_on(seat));
    if has_end {
        main.leave();
        main.give_way();
        main.code.push(Insn::exit());
    }
    if !has_end || leave.is_awaited() {
        main.code.place(leave);
        main.leave();
        main.code.push(Insn::exit());
    }
    let Main { code: Code { mut insns }, calls, .. } = main;
    let mut functions = Vec::new();
    for at in calls {
        let distance = insns.len() - at - 1;
        insns[at].imm = i32::try_from(distance).expect("a dispatcher is short");
        functions.push(insns.len());
        insns.extend(vacant(how.point));
    }
    Dispatched { insns, functions }
}

/// The function of a member before that takes its place: it lets packets pass.
///
/// Since Linux 6.12.y a program that may change packets takes no place of a function that does not. These calls change
/// nothing, but they might.
fn vacant(point: HookPoint) -> [Insn; 4] {
    let helper = if point == HookPoint::Xdp { ADJUST_TAIL } else { PULL_DATA };
    [Insn::put_32(2, 0), Insn::call(helper), Insn::put_32(0, pass(point)), Insn::exit()]
}

struct Main<'a> {
    how: &'a Dispatch<'a>,
    classes: Classes,
    code: Code,
    /// The instructions that call the functions.
    calls: Vec<usize>,
}

/// What is added to the second half of a cell.
enum Amount {
    /// The length of the packet.
    Length,
    /// The time since the member was called.
    Time,
}

impl Main<'_> {
    fn call(&mut self, number: usize, seat: &Seat<'_>) {
        let number = i32::try_from(number).expect("there are some hundreds of members at most");
        self.code.push(Insn::put_32(MEMBER, number));
        if seat.timed {
            self.code.push(Insn::call(CLOCK));
            self.code.push(Insn::copy(START, 0));
        }
        self.code.push(Insn::copy(1, CONTEXT));
        self.calls.push(self.code.insns.len());
        self.code.push(Insn::call_subprogram(0));
        if seat.timed {
            self.code.push(Insn::copy_32(VERDICT, 0));
            self.code.push(Insn::call(CLOCK));
            self.code.push(Insn::subtract_register(0, START));
            self.code.push(Insn::store(Width::Double, FRAME, AMOUNT, 0));
            self.code.push(Insn::put_32(0, 2 * self.classes.count()));
            self.add_to_cell(&Amount::Time);
            self.code.push(Insn::copy_32(0, VERDICT));
        }
    }

    /// Whether anything follows a member, by some verdict of it.
    fn goes_on(&self, seat: &Seat<'_>) -> bool {
        seat.shadow || self.classes.mask(seat.proceed) != 0
    }

    /// Leaves by every verdict. What follows is never reached; but the verifier must not know, as it removes what it knows to
    /// be dead, and nothing can take the place of a function that is gone. It does not know that the time is never zero.
    fn leave_always(&mut self, leave: &mut Label) {
        let mut never = Label::default();
        self.code.push(Insn::copy_32(VERDICT, 0));
        self.code.push(Insn::call(CLOCK));
        self.code.jump_if_null(0, &mut never);
        self.code.push(Insn::copy_32(0, VERDICT));
        self.code.jump(leave);
        self.code.place(never);
    }

    /// Goes on where the verdict in r0 says so. The last verdict of a chain is in r0 at its end.
    fn judge(&mut self, seat: &Seat<'_>, leave: &mut Label) {
        if seat.shadow {
            self.classify();
            self.code.push(Insn::add_32(0, self.classes.count()));
            self.add_to_cell(&Amount::Length);
            self.code.push(Insn::put_32(0, pass(self.how.point)));
            return;
        }
        let mask = self.classes.mask(seat.proceed);
        if mask.is_power_of_two() {
            let class = i32::try_from(mask.trailing_zeros()).expect("a bit of a word has a small index");
            self.code.jump_if(When::NotEqual, 0, class - self.classes.bias, leave);
        } else {
            self.code.push(Insn::copy_32(1, 0));
            if self.classes.bias != 0 {
                self.code.push(Insn::add_32(1, self.classes.bias));
            }
            self.code.jump_if(When::Above, 1, self.classes.known - 1, leave);
            self.code.push(Insn::put_32(2, mask.cast_signed()));
            self.code.push(Insn::shift_right_32(2, 1));
            self.code.push(Insn::and_32(2, 1));
            self.code.jump_if(When::Equal, 2, 0, leave);
        }
    }

    /// Counts the packet by the verdict in r0, which stays there.
    fn leave(&mut self) {
        self.code.push(Insn::copy_32(VERDICT, 0));
        self.classify();
        self.add_to_cell(&Amount::Length);
        self.code.push(Insn::copy_32(0, VERDICT));
    }

    /// At the end of a TC chain a packet that passes is left to the other programs of the hook.
    fn give_way(&mut self) {
        const PASSING: [i32; 2] = [0, 3];
        if self.how.point == HookPoint::Xdp {
            return;
        }
        for verdict in PASSING {
            let mut other = Label::default();
            self.code.jump_if(When::NotEqual, 0, verdict, &mut other);
            self.code.push(Insn::put_32(0, TCX_NEXT));
            self.code.place(other);
        }
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

    /// Adds one and an amount to the cell whose number is in r0, of the member that was called last, on this CPU.
    fn add_to_cell(&mut self, amount: &Amount) {
        let Some(counters) = self.how.counters else { return };
        let mut uncounted = Label::default();
        self.code.push(Insn::store(Width::Word, FRAME, CELL_KEY, 0));
        self.code.push(Insn::store(Width::Word, FRAME, MEMBER_KEY, MEMBER));
        if matches!(amount, Amount::Length) {
            self.length();
        }
        self.key(MEMBER_KEY);
        self.code.extend(Insn::load_map(1, counters));
        self.code.push(Insn::call(MAP_LOOKUP));
        self.code.jump_if_null(0, &mut uncounted);
        self.key(CELL_KEY);
        self.code.push(Insn::copy(1, 0));
        self.code.push(Insn::call(MAP_LOOKUP));
        self.code.jump_if_null(0, &mut uncounted);
        self.code.push(Insn::load(Width::Double, 1, 0, 0));
        self.code.push(Insn::add(1, 1));
        self.code.push(Insn::store(Width::Double, 0, 0, 1));
        self.code.push(Insn::load(Width::Double, 1, 0, 8));
        self.code.push(Insn::load(Width::Double, 2, FRAME, AMOUNT));
        self.code.push(Insn::add_register(1, 2));
        self.code.push(Insn::store(Width::Double, 0, 8, 1));
        self.code.place(uncounted);
    }

    /// Puts the address of a key into r2.
    fn key(&mut self, at: i16) {
        self.code.push(Insn::copy(2, FRAME));
        self.code.push(Insn::add(2, i32::from(at)));
    }

    /// Keeps the length of the packet as the amount.
    fn length(&mut self) {
        self.code.put_length(CONTEXT, self.how.point, self.how.fragments);
        self.code.push(Insn::store(Width::Double, FRAME, AMOUNT, 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generate(point: HookPoint, members: usize) -> Dispatched {
        let proceed = ProceedSet::default_for(point);
        let seats = vec![Seat { proceed: &proceed, shadow: true, timed: true }; members];
        dispatcher(&Dispatch { point, seats, counters: Some(3), fragments: true })
    }

    #[test]
    fn every_member_has_a_function_that_is_called_once_and_in_order() {
        for point in HookPoint::ALL {
            for members in [1, 2, plan::MOST_DISPATCHED] {
                let Dispatched { insns, functions } = generate(point, members);
                let calls = insns.iter().enumerate().filter_map(|(at, insn)| insn.subprogram(at));
                assert_eq!(calls.collect::<Vec<_>>(), functions);
                assert_eq!(functions.len(), members);
                assert!(functions.iter().all(|at| insns[*at..*at + 4] == vacant(point)));
            }
        }
    }

    #[test]
    fn a_member_with_one_proceeding_verdict_costs_four_instructions() {
        let proceed = ProceedSet::default_for(HookPoint::Xdp);
        let length = |members| {
            let seats = vec![Seat { proceed: &proceed, shadow: false, timed: false }; members];
            let how = Dispatch { point: HookPoint::Xdp, seats, counters: Some(3), fragments: false };
            dispatcher(&how).functions[0]
        };
        assert_eq!(length(3) - length(2), 4, "number, context, call, verdict");
    }
}
