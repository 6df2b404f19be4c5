// SPDX-License-Identifier: Apache-2.0
//! What the splice does to instructions. That it does not change what programs do is shown on a real kernel, in `it`.

use package::Share;
use proptest::prelude::*;

use super::*;
use crate::insn::{CALL, SUBPROGRAM_ADDRESS, SUBPROGRAM_CALL, When};

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

fn how(proceed: &ProceedSet, way: Way) -> Splice<'_> {
    Splice {
        point: HookPoint::Xdp,
        proceed,
        enforcement: Enforcement::Enforce,
        next: 5,
        counters: Some(Counters { cells: 6, keys: 7 }),
        timed: false,
        sampled: None,
        fragments: false,
        way,
    }
}

fn spliced(proceed: &[&str], way: Way) -> Spliced {
    let proceed = ProceedSet::parse(HookPoint::Xdp, proceed).unwrap();
    splice(&program(), &how(&proceed, way)).unwrap()
}

fn targets(insns: &[Insn]) -> Vec<usize> {
    insns.iter().enumerate().filter_map(|(index, insn)| insn.subprogram(index)).collect()
}

fn tail_calls(spliced: &Spliced) -> usize {
    spliced.insns.iter().filter(|insn| **insn == Insn::call(TAIL_CALL)).count()
}

#[test]
fn every_exit_of_the_main_function_goes_to_the_epilogue_and_no_other() {
    let Spliced { insns, moved } = spliced(&["pass"], Way::Stack(16));
    let epilogue = 1 + 8;
    assert_eq!(insns[3], Insn::jump(i16::try_from(epilogue - 4).unwrap()));
    assert_eq!(insns[8], Insn::jump(i16::try_from(epilogue - 9).unwrap()));
    let behind = moved.offset(8);
    assert_eq!(insns[behind..], program()[8..]);
    assert_eq!(insns[behind - 1], Insn::exit());
}

#[test]
fn a_wrapper_leaves_the_program_as_it_is_and_calls_it() {
    let Spliced { insns, moved } = spliced(&["pass"], Way::Wrapper);
    assert!(moved.is_wrapped());
    assert_eq!(insns[moved.offset(0)..], program());
    assert_eq!(targets(&insns)[0], moved.offset(0));
}

#[test]
fn calls_and_addresses_lead_to_the_same_subprograms() {
    let Spliced { insns, moved } = spliced(&["pass"], Way::Stack(16));
    let expected: Vec<usize> = targets(&program()).into_iter().map(|target| moved.offset(target)).collect();
    assert_eq!(targets(&insns), expected);
}

#[test]
fn an_empty_proceed_set_makes_no_tail_call() {
    assert_eq!(tail_calls(&spliced(&[], Way::Stack(16))), 0);
    assert_eq!(tail_calls(&spliced(&["pass", "drop"], Way::Register(9))), 1);
}

#[test]
fn the_context_waits_where_the_program_does_not_look() {
    let (stays, quiet) =
        ([Insn::put_32(0, 2), Insn::exit()], [Insn::put_32(1, 2), Insn::copy(5, 1), Insn::exit()]);
    assert_eq!(ways(&stays, 0, false)[0], Way::Register(1));
    assert_eq!(ways(&quiet, 0, false)[0], Way::Register(4));
    assert_eq!(ways(&quiet, 0, true)[0], Way::Stack(8));
    assert_eq!(ways(&program(), 20, false), [Way::Stack(32), Way::Register(6), Way::Wrapper]);
    assert_eq!(ways(&program(), 512, false), [Way::Register(6), Way::Wrapper]);
    let busy: Vec<Insn> =
        (6..10).map(|register| Insn::copy(register, 1)).chain([Insn::call(7), Insn::exit()]).collect();
    assert_eq!(ways(&busy, 505, false), [Way::Wrapper]);
    assert_eq!(ways(&program(), 500, true), [Way::Register(6), Way::Wrapper]);
    assert_eq!(ways(&busy[1..], 500, true), [Way::Wrapper]);
}

#[test]
fn what_leaves_without_an_exit_or_is_too_long_for_a_jump_is_wrapped() {
    let insns = [Insn::call(TAIL_CALL), Insn::exit()];
    let proceed = ProceedSet::default_for(HookPoint::Xdp);
    assert_eq!(splice(&insns, &how(&proceed, Way::Stack(8))), Err(Unspliceable::OwnTailCall { at: 0 }));
    assert_eq!(ways(&insns, 0, false), [Way::Wrapper]);
    let long = vec![Insn::exit(); 32768];
    let refused = splice(&long, &how(&proceed, Way::Register(6)));
    assert_eq!(refused, Err(Unspliceable::TooLong { instructions: 32768 }));
    assert_eq!(ways(&long, 0, false), [Way::Wrapper]);
}

#[test]
fn an_instruction_reads_as_it_is_written() {
    for insn in spliced(&["pass", "tx"], Way::Register(8)).insns {
        assert_eq!(Insn::from_bytes(insn.to_bytes()), insn);
    }
}

fn any_splice() -> impl Strategy<Value = (u32, Enforcement, [bool; 4], Way, bool)> {
    let share = (1..Share::WHOLE).prop_map(|flows| Share::of_ten_thousand(flows).unwrap());
    let enforcement = prop_oneof![
        Just(Enforcement::Enforce),
        Just(Enforcement::Shadow),
        share.prop_map(Enforcement::Canary)
    ];
    let way = prop_oneof![
        (0..=512_u16).prop_map(Way::Stack),
        (0..16_u8).prop_map(Way::Register),
        Just(Way::Wrapper)
    ];
    (any::<u32>(), enforcement, any::<[bool; 4]>(), way, any::<bool>())
}

proptest! {
    /// Whatever the bytes, there is an answer, and every instruction that was there is found again.
    #[test]
    fn any_stream_of_instructions_gets_an_answer(
        bytes in proptest::collection::vec(any::<[u8; 8]>(), 0..200),
        (mask, enforcement, [counted, timed, sampled, fragments], way, tc) in any_splice(),
    ) {
        let insns: Vec<Insn> = bytes.into_iter().map(Insn::from_bytes).collect();
        let point = if tc { HookPoint::TcIngress } else { HookPoint::Xdp };
        let chosen = point.verdicts().iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
        let names: Vec<&str> = chosen.map(|(_, verdict)| verdict.name()).collect();
        let proceed = ProceedSet::parse(point, &names).unwrap();
        let counters = counted.then_some(Counters { cells: 6, keys: 7 });
        let sampled = sampled.then_some(Sampled { notes: 8, sampler: 9, number: 3 });
        let how =
            Splice { point, proceed: &proceed, enforcement, next: 5, counters, timed, sampled, fragments, way };
        prop_assert!(ways(&insns, 0, timed).contains(&Way::Wrapper));
        if let Ok(Spliced { insns: spliced, moved }) = splice(&insns, &how) {
            for (at, insn) in insns.iter().enumerate().skip(1) {
                let found = spliced[moved.offset(at)];
                let leaves = insn.code == EXIT || insn.target(at).is_some_and(|to| insns.get(to).is_some_and(|to| to.code == EXIT));
                let replaced = leaves || insn.subprogram(at).is_some();
                prop_assert!(found == *insn || replaced, "{at}: {insn:?} became {found:?}");
            }
        }
    }
}
