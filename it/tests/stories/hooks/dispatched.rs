// SPDX-License-Identifier: Apache-2.0
//! Members in a dispatcher do what they do alone: every program of the corpus whose types fit, run on packets. Where the
//! kernel permits no extension programs, none may load.

use std::fmt::Write as _;

use ::package::{Enforcement, HookPoint, KernelVersion, Object, ProceedSet};
use it::{corpus, specimen};
use kernel::{Candidate, Membership, Trial};
use plan::{Buffers, MOST_DISPATCHED};

use crate::hooks::corpus::{at_the_end, frames, last_verdict, programs, run_all};
use crate::hooks::mechanism::has_dispatchers;

/// Whether the plan lets a program into a dispatcher.
fn fits(candidate: &Candidate<'_>) -> bool {
    let object = Object::parse(candidate.object).unwrap();
    let program = object.program(&candidate.function).unwrap();
    let context = if candidate.point == HookPoint::Xdp { "xdp_md" } else { "__sk_buff" };
    let written: u32 = object.programs.iter().map(|program| program.tail_calls).sum();
    program.argument.as_deref() == Some(context) && written + object.tail_calls_in_functions == 0
}

fn alone_in_a_dispatcher(candidate: &Candidate<'_>) -> Result<Trial, kernel::Refused> {
    Trial::dispatched(candidate.point, &[(candidate.clone(), Membership::default_for(candidate.point))])
}

/// Runs a program in a dispatcher by itself and in front of another one: it must do what it does alone.
fn compare(candidate: &Candidate<'_>, dispatched: &Trial, frames: &[Vec<u8>]) {
    let (point, name) = (candidate.point, &candidate.function);
    let alone = run_all(&candidate.alone().unwrap(), frames);
    let proceed = ProceedSet::default_for(point);
    let expected: Vec<_> = alone
        .iter()
        .map(|ran| if proceed.contains(ran.verdict) { at_the_end(point, ran) } else { ran.clone() })
        .collect();
    assert_eq!(run_all(dispatched, frames), expected, "{name}");
    assert_eq!(dispatched.readings().unwrap()[0].left.sum().packets, frames.len() as u64, "{name}");
    let last = specimen(if point == HookPoint::Xdp { "ends" } else { "ends_tc" }).unwrap();
    let how = Membership::default_for(point);
    let members = [(candidate.clone(), how.clone()), (programs(&last).remove(0), how)];
    let chain = Trial::dispatched(point, &members).unwrap();
    for (before, after) in alone.iter().zip(run_all(&chain, frames)) {
        let goes_on = proceed.contains(before.verdict);
        let verdict = if goes_on { last_verdict(point) } else { before.verdict };
        assert_eq!((after.verdict, &after.packet), (verdict, &before.packet), "{name}");
    }
    let gone_on = alone.iter().filter(|ran| proceed.contains(ran.verdict)).count();
    assert_eq!(chain.readings().unwrap()[1].left.sum().packets, gone_on as u64, "{name}");
}

#[test]
fn a_program_does_in_a_dispatcher_what_it_does_alone() {
    let all = frames(crate::rounds(100, 20));
    let (mut table, mut ran, mut unexpected) = (String::new(), Vec::new(), Vec::new());
    for specimen in corpus().unwrap() {
        for candidate in programs(&specimen) {
            if candidate.alone().is_err() {
                continue;
            }
            let dispatched = alone_in_a_dispatcher(&candidate);
            // Linux 5.10 and 5.15 refuse extension programs whose global functions take the context.
            let is_old = crate::kernel() < KernelVersion { major: 6, minor: 1 };
            let has_functions = specimen.name == "static_and_global_subprograms";
            let should = has_dispatchers() && fits(&candidate) && !(is_old && has_functions);
            let sign = if dispatched.is_ok() { '+' } else { '-' };
            writeln!(table, "{:<33} {:<30} {sign}", specimen.name, candidate.function).unwrap();
            // A program with an empty program array of its own would do; nobody can know that it stays empty.
            if dispatched.is_ok() != should && !specimen.name.starts_with("legacy_") {
                let why = dispatched.as_ref().err().map(ToString::to_string).unwrap_or_default();
                unexpected.push(format!("{}: {why}", candidate.function));
            }
            // The kernel takes no socket buffer for IP that has no whole header.
            let short = if specimen.is_tc { 62 } else { 0 };
            let frames: Vec<_> = all.iter().filter(|frame| frame.len() > short).cloned().collect();
            if let Ok(dispatched) = dispatched {
                compare(&candidate, &dispatched, &frames);
                ran.push(specimen.name.clone());
            }
        }
    }
    println!("{table}");
    assert!(unexpected.is_empty(), "{unexpected:#?}\n{table}");
    if has_dispatchers() {
        assert!(ran.len() >= 20 && ran.contains(&"changes_packet".to_owned()), "{table}");
        let throws = crate::kernel() >= KernelVersion { major: 6, minor: 12 };
        assert_eq!(ran.contains(&"throws".to_owned()), throws, "{table}");
    }
}

#[test]
fn a_dispatcher_takes_two_hundred_and_fifty_members_and_counts_at_the_last() {
    let passes = specimen("passes").unwrap();
    let how = Membership::default_for(HookPoint::Xdp);
    let members = vec![(programs(&passes).remove(0), how); MOST_DISPATCHED];
    let chain = Trial::dispatched(HookPoint::Xdp, &members);
    if !has_dispatchers() {
        assert!(chain.is_err(), "the kernel was asked and said no");
        return;
    }
    let chain = chain.unwrap();
    chain.run(&frames(1)[0], 3).unwrap();
    let readings = chain.readings().unwrap();
    let left = |at: usize| readings[at].left.sum().packets;
    assert_eq!((left(MOST_DISPATCHED - 1), left(0)), (3, 0));
}

#[test]
fn a_member_of_a_dispatcher_that_is_timed_counts_its_runs() {
    if !has_dispatchers() {
        return;
    }
    let drops = specimen("drops").unwrap();
    let how = Membership { timed: true, ..Membership::default_for(HookPoint::Xdp) };
    let chain = Trial::dispatched(HookPoint::Xdp, &[(programs(&drops).remove(0), how)]).unwrap();
    chain.run(&frames(1)[0], 100).unwrap();
    let run = chain.readings().unwrap()[0].run;
    assert_eq!(run.packets, 100);
    assert!(run.bytes > 0, "it took some nanoseconds");
}

#[test]
fn a_member_of_a_dispatcher_in_shadow_is_counted_and_not_followed() {
    if !has_dispatchers() {
        return;
    }
    let (drops, ends) = (specimen("drops").unwrap(), specimen("ends").unwrap());
    let shadow = Membership { enforcement: Enforcement::Shadow, ..Membership::default_for(HookPoint::Xdp) };
    let shadowed = || (programs(&drops).remove(0), shadow.clone());
    let last = (programs(&ends).remove(0), Membership::default_for(HookPoint::Xdp));
    let chain = Trial::dispatched(HookPoint::Xdp, &[shadowed(), last]).unwrap();
    let all = frames(20);
    assert!(run_all(&chain, &all).iter().all(|ran| ran.verdict == last_verdict(HookPoint::Xdp)));
    let readings = chain.readings().unwrap();
    assert_eq!((readings[0].shadowed.0[1].packets, readings[0].left.sum().packets), (20, 0));
    assert_eq!(readings[1].left.sum().packets, 20);
    let chain = Trial::dispatched(HookPoint::Xdp, &[shadowed()]).unwrap();
    assert!(run_all(&chain, &all).iter().all(|ran| ran.verdict == 2), "it would have dropped all");
    let reading = chain.readings().unwrap().remove(0);
    let bytes: usize = all.iter().map(Vec::len).sum();
    assert_eq!((reading.left.0[2].bytes, reading.shadowed.0[1].bytes), (bytes as u64, bytes as u64));
    let changes = specimen("changes_packet").unwrap();
    let refused = Trial::dispatched(HookPoint::Xdp, &[(programs(&changes).remove(0), shadow)]).unwrap_err();
    assert!(refused.to_string().contains("cannot run in `shadow`"), "{refused}");
}

#[test]
fn a_proceed_set_of_a_dispatcher_may_name_any_verdict_or_none() {
    if !has_dispatchers() {
        return;
    }
    let (drops, ends) = (specimen("drops").unwrap(), specimen("ends").unwrap());
    let sets: [(&[&str], bool); 4] =
        [(&["drop"], true), (&["pass"], false), (&["aborted", "drop", "tx"], true), (&[], false)];
    for (names, goes_on) in sets {
        let proceed = ProceedSet::parse(HookPoint::Xdp, names).unwrap();
        let how = Membership { proceed, ..Membership::default_for(HookPoint::Xdp) };
        let first = || (programs(&drops).remove(0), how.clone());
        let last = (programs(&ends).remove(0), Membership::default_for(HookPoint::Xdp));
        let chain = Trial::dispatched(HookPoint::Xdp, &[first(), first(), last]).unwrap();
        let verdict = chain.run(&frames(1)[0], 1).unwrap().verdict;
        assert_eq!(verdict, if goes_on { last_verdict(HookPoint::Xdp) } else { 1 }, "{names:?}");
        let left =
            chain.readings().unwrap().iter().map(|reading| reading.left.sum().packets).collect::<Vec<_>>();
        assert_eq!(left, if goes_on { [0, 0, 1] } else { [1, 0, 0] }, "{names:?}");
        let alone = Trial::dispatched(HookPoint::Xdp, &[first()]).unwrap();
        assert_eq!(alone.run(&frames(1)[0], 1).unwrap().verdict, 1, "{names:?}");
    }
}

#[test]
fn a_dispatcher_takes_packets_in_several_buffers() {
    if !has_dispatchers() || crate::kernel() < (KernelVersion { major: 5, minor: 18 }) {
        return;
    }
    let specimen = specimen("passes_fragments").unwrap();
    let how = Membership { buffers: Buffers::Many, ..Membership::default_for(HookPoint::Xdp) };
    let chain = Trial::dispatched(HookPoint::Xdp, &vec![(programs(&specimen).remove(0), how); 2]).unwrap();
    let mut frame = frames(1).remove(0);
    frame.resize(9000, 1);
    let ran = chain.run(&frame, 1).unwrap();
    assert_eq!((ran.verdict, ran.packet.len()), (2, 9000));
    assert_eq!(chain.readings().unwrap()[1].left.0[2].bytes, 9000);
}
