// SPDX-License-Identifier: Apache-2.0
//! Exits whose verdict is written just before them: they need not ask for it, and enter the epilogue behind the question.

use std::collections::{BTreeMap, BTreeSet};

use package::ProceedSet;

use crate::insn::{EXIT, INDIRECT_JUMP, Insn, JUMP, LONG_JUMP};

/// Where an epilogue is entered with a verdict that is known, counted from its beginning.
pub(super) struct Entries {
    /// With a verdict of the proceed set; none where the set is empty.
    pub(super) next: Option<usize>,
    /// With any other.
    pub(super) leave: usize,
}

/// The instructions of a main function that become jumps into the epilogue behind it, by their index.
pub(super) fn enter(main: &[Insn], proceed: &ProceedSet, entries: &Entries) -> BTreeMap<usize, Insn> {
    // Where an indirect jump leads is not written in it (`gotox`, Linux 7.0).
    if main.iter().any(|insn| insn.code == INDIRECT_JUMP) {
        return BTreeMap::new();
    }
    let jumps: Vec<(usize, usize)> =
        main.iter().enumerate().filter_map(|(index, insn)| Some((index, insn.target(index)?))).collect();
    let targets: BTreeSet<usize> = jumps.iter().map(|(_, to)| *to).collect();
    let known = main.windows(2).enumerate().filter_map(|(index, pair)| {
        let (verdict, at) = (pair[0].verdict()?, index + 1);
        // What others jump to may be reached with another verdict.
        if targets.contains(&at) || !leaves(main, at) {
            return None;
        }
        let entry = entries.next.filter(|_| proceed.contains(verdict)).unwrap_or(entries.leave);
        let distance = i16::try_from(main.len() - at - 1 + entry).ok()?;
        Some((at, Insn::jump(distance)))
    });
    let mut known = known.collect();
    keep_all_reached(main, &jumps, &mut known);
    known
}

/// The verifier refuses instructions that nothing leads to, and the question is always there: some exit must ask, and
/// each that asks must be reached.
fn keep_all_reached(main: &[Insn], jumps: &[(usize, usize)], known: &mut BTreeMap<usize, Insn>) {
    let asks = |known: &BTreeMap<usize, Insn>| -> Vec<usize> {
        let exits = main.iter().enumerate().filter(|(at, insn)| insn.code == EXIT && !known.contains_key(at));
        exits.map(|(at, _)| at).collect()
    };
    for exit in asks(known) {
        let falls = exit == 0 || ![JUMP, LONG_JUMP, EXIT].contains(&main[exit - 1].code);
        let mut leading = jumps.iter().filter(|(_, to)| *to == exit).map(|(from, _)| *from);
        if !falls && leading.clone().all(|from| known.contains_key(&from)) {
            leading.next_back().and_then(|last| known.remove(&last));
        }
    }
    if asks(known).is_empty() {
        known.pop_last();
    }
}

/// Whether the function ends at an instruction, or jumps from there to where it ends.
fn leaves(main: &[Insn], at: usize) -> bool {
    let ends = |at: usize| main.get(at).is_some_and(|insn| insn.code == EXIT);
    let jumps = [JUMP, LONG_JUMP].contains(&main[at].code);
    ends(at) || (jumps && main[at].target(at).is_some_and(ends))
}

#[cfg(test)]
mod tests {
    use package::HookPoint;

    use super::*;
    use crate::insn::When;

    const ENTRIES: Entries = Entries { next: Some(10), leave: 20 };

    /// Which instructions enter the epilogue, and where.
    fn entered(main: &[Insn]) -> Vec<(usize, usize)> {
        let known = enter(main, &ProceedSet::default_for(HookPoint::Xdp), &ENTRIES);
        known.into_iter().map(|(at, jump)| (at, jump.target(at).unwrap() - main.len())).collect()
    }

    /// Jumps over two instructions.
    fn branch() -> Insn {
        Insn::jump_if(When::Equal, 1, 0, 2)
    }

    #[test]
    fn a_verdict_that_is_written_down_goes_straight_on_or_straight_out() {
        let (pass, drop) = (Insn::put_32(0, 2), Insn::put_32(0, 1));
        assert_eq!(
            entered(&[branch(), pass, Insn::exit(), drop, Insn::exit(), Insn::exit()]),
            [(2, 10), (4, 20)]
        );
        // Two verdicts, one exit: that is reached with either.
        assert_eq!(entered(&[pass, Insn::jump(1), drop, Insn::exit()]), [(1, 10)]);
    }

    #[test]
    fn some_exit_asks_and_each_that_does_is_reached() {
        let pass = Insn::put_32(0, 2);
        assert_eq!(entered(&[pass, Insn::exit()]), []);
        assert_eq!(entered(&[branch(), pass, Insn::exit(), pass, Insn::exit()]), [(2, 10)]);
        // Nothing but these two jumps leads to the exit.
        assert_eq!(entered(&[branch(), pass, Insn::jump(2), pass, Insn::jump(0), Insn::exit()]), [(2, 10)]);
    }

    #[test]
    fn what_may_be_reached_in_another_way_asks() {
        let pass = Insn::put_32(0, 2);
        assert_eq!(entered(&[Insn::jump_if(When::Equal, 1, 0, 1), pass, Insn::exit()]), []);
        let long = Insn { code: LONG_JUMP, imm: 1, ..Insn::jump(0) };
        assert_eq!(entered(&[long, pass, Insn::exit()]), []);
        let indirect = Insn { code: INDIRECT_JUMP, ..Insn::jump(0) };
        assert_eq!(entered(&[indirect, pass, Insn::exit()]), []);
        assert_eq!(entered(&[Insn::put_32(1, 2), Insn::exit(), Insn::copy(0, 1), Insn::exit()]), []);
    }

    #[test]
    fn what_no_jump_can_cross_asks() {
        let mut main = vec![Insn::put_32(0, 2), Insn::exit()];
        main.resize(usize::from(i16::MAX.unsigned_abs()), Insn::put_32(1, 0));
        assert_eq!(entered(&main), []);
    }
}
