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
    let targets: BTreeSet<usize> =
        main.iter().enumerate().filter_map(|(index, insn)| insn.target(index)).collect();
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
    known.collect()
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

    #[test]
    fn a_verdict_that_is_written_down_goes_straight_on_or_straight_out() {
        let (pass, drop) = (Insn::put_32(0, 2), Insn::put_32(0, 1));
        assert_eq!(entered(&[pass, Insn::exit()]), [(1, 10)]);
        assert_eq!(entered(&[drop, Insn::exit()]), [(1, 20)]);
        // Two verdicts, one exit: that is reached with either.
        assert_eq!(entered(&[pass, Insn::jump(1), drop, Insn::exit()]), [(1, 10)]);
    }

    #[test]
    fn what_may_be_reached_in_another_way_asks() {
        let pass = Insn::put_32(0, 2);
        let branch = Insn::jump_if(When::Equal, 1, 0, 1);
        assert_eq!(entered(&[branch, pass, Insn::exit()]), []);
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
