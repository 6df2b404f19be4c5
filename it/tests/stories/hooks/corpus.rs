// SPDX-License-Identifier: Apache-2.0
//! The splice does not change what programs do: every program of the corpus, in every way that the kernel accepts,
//! gives the verdict and the bytes that it gives when nobody touched it, and the chain goes on behind it as it should.

use std::fmt::Write as _;
use std::path::Path;

use it::{Specimen, corpus, foreign, repository, specimen};
use kernel::{Candidate, Membership, Ran, Trial, Way};
use package::{Enforcement, FlowFilter, HookPoint, KernelVersion, Object, ProceedSet, ProgramName};
use plan::Buffers;

use it::Dice;

/// What the last member of a test chain says: `XDP_TX`, `TC_ACT_TRAP`.
pub(crate) fn last_verdict(point: HookPoint) -> i32 {
    if point == HookPoint::Xdp { 3 } else { 8 }
}

pub(crate) fn programs(specimen: &Specimen) -> Vec<Candidate<'_>> {
    let point = if specimen.is_tc { HookPoint::TcIngress } else { HookPoint::Xdp };
    let object = Object::parse(&specimen.object).unwrap();
    let functions = object.programs.into_iter().map(|program| program.function);
    functions.map(|function| Candidate { point, object: &specimen.object, function }).collect()
}

/// The corpus, and the objects of others that this machine has.
fn all() -> impl Iterator<Item = Specimen> {
    corpus().unwrap().into_iter().chain(foreign().unwrap())
}

/// Frames of many kinds: protocols, tags, options, fragments, sizes; some cut off, some without sense.
pub(crate) fn frames(count: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice::new();
    (0..count).map(|_| frame(&mut dice)).collect()
}

fn frame(dice: &mut Dice) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    match dice.below(16) {
        // Noise, of any type that there may be.
        0 => frame.extend((0..dice.index(200)).map(|_| dice.byte()).collect::<Vec<_>>()),
        _ => packet(&mut frame, dice),
    }
    match dice.below(10) {
        // Cut off anywhere, or a little.
        0 => frame.truncate(dice.index(frame.len())),
        _ => frame.truncate(frame.len() - dice.index(12).min(frame.len())),
    }
    // A test run takes no less than an Ethernet header and something behind it.
    frame.resize(frame.len().max(15), 0);
    frame
}

/// Tags, a header of some protocol, and what is in it.
fn packet(frame: &mut Vec<u8>, dice: &mut Dice) {
    /// What fits one buffer of a test run, with its headers.
    const MOST: [usize; 3] = [80, 1400, 3000];
    for _ in 0..dice.below(4) {
        frame.extend([[0x81, 0x00], [0x88, 0xa8]][dice.index(2)]);
        frame.extend([dice.byte() & 0x3f, dice.byte()]);
    }
    let protocol = [6, 17, 1, 132, 58][dice.index(5)];
    match dice.below(8) {
        0 => frame.extend([0x08, 0x06]),
        1..=2 => {
            let fragment = dice.below(3) == 0;
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, if fragment { 44 } else { protocol }, 64]);
            frame.extend((0..32).map(|_| dice.byte() & 3));
            if fragment {
                frame.extend([protocol, 0, 0, dice.byte(), 0, 0, 0, dice.byte()]);
            }
        }
        _ => {
            let words = 5 + dice.byte() % 11;
            let fragment = if dice.below(6) == 0 { [0x20, dice.byte()] } else { [0, 0] };
            frame.extend([0x08, 0x00, 0x40 | words, 0, 0, 60, 0, dice.byte(), fragment[0], fragment[1]]);
            frame.extend([
                dice.byte(),
                protocol,
                0,
                0,
                10,
                0,
                0,
                dice.byte() & 7,
                10,
                0,
                dice.byte(),
                dice.byte(),
            ]);
            frame.extend(vec![0; usize::from(words - 5) * 4]);
        }
    }
    let most = MOST[dice.index(12).saturating_sub(9)];
    let body = dice.index(most);
    frame.extend((0..body).map(|_| dice.byte()));
}

/// At the end of a chain, a packet that passes TC is left to the programs of others (`TCX_NEXT`).
pub(crate) fn at_the_end(point: HookPoint, ran: &Ran) -> Ran {
    let passes = point != HookPoint::Xdp && [0, 3].contains(&ran.verdict);
    Ran { verdict: if passes { -1 } else { ran.verdict }, packet: ran.packet.clone(), nanoseconds: 0 }
}

pub(crate) fn run_all(trial: &Trial, frames: &[Vec<u8>]) -> Vec<Ran> {
    let run = |frame: &Vec<u8>| Ran { nanoseconds: 0, ..trial.run(frame, 1).unwrap() };
    frames.iter().map(run).collect()
}

/// Tries one way: `+` when it changes nothing, `-` when the kernel refuses it, `B` when the chain is broken.
fn try_way(candidate: &Candidate<'_>, way: Way, frames: &[Vec<u8>], alone: &[Ran]) -> char {
    let point = candidate.point;
    let how = Membership { way: Some(way), ..Membership::default_for(point) };
    let Ok(chain) = Trial::chain(point, &[(candidate.clone(), how.clone())]) else { return '-' };
    let expected: Vec<Ran> = alone.iter().map(|ran| at_the_end(point, ran)).collect();
    let same = run_all(&chain, frames) == expected;
    let counted = chain.readings().unwrap()[0].left.sum().packets == frames.len() as u64;

    let ends = specimen(if point == HookPoint::Xdp { "ends" } else { "ends_tc" }).unwrap();
    let last = (programs(&ends).remove(0), Membership::default_for(point));
    let chain = Trial::chain(point, &[(candidate.clone(), how.clone()), last]).unwrap();
    let goes_on = |ran: &&Ran| how.proceed.contains(ran.verdict);
    let behind = |ran: &Ran| {
        let verdict = if goes_on(&ran) { last_verdict(point) } else { ran.verdict };
        Ran { verdict, ..ran.clone() }
    };
    let expected: Vec<Ran> = alone.iter().map(behind).collect();
    let same_before_another = run_all(&chain, frames) == expected;
    let passed =
        chain.readings().unwrap()[1].left.sum().packets == alone.iter().filter(goes_on).count() as u64;
    if same && counted && same_before_another && passed { '+' } else { 'B' }
}

/// The ways by name, with a place below any stack for the first.
fn every_way(candidate: &Candidate<'_>) -> [Option<Way>; 4] {
    let ways = candidate.ways().unwrap();
    let find = |kind: fn(&Way) -> bool| ways.iter().copied().find(kind);
    [
        find(|way| matches!(way, Way::Register(..6))),
        find(|way| matches!(way, Way::Stack(_))),
        find(|way| matches!(way, Way::Register(6..))),
        Some(Way::Wrapper),
    ]
}

#[test]
fn the_splice_changes_nothing_and_every_program_that_loads_can_be_a_member() {
    let frames = frames(crate::rounds(300, 40));
    let mut table = String::from("program                               volatile stack saved wrapper\n");
    let mut unexpected = Vec::new();
    let is_new = has_room_for_wrappers();
    let mut tried = 0;
    for specimen in all() {
        for candidate in programs(&specimen) {
            let name = if programs(&specimen).len() == 1 {
                specimen.name.clone()
            } else {
                format!("{}: {}", specimen.name, candidate.function)
            };
            // The kernel takes no socket buffer for IP that has no whole header.
            let short = if specimen.is_tc { 62 } else { 0 };
            let frames: Vec<_> = frames.iter().filter(|frame| frame.len() > short).cloned().collect();
            let Ok(alone) = candidate.alone() else {
                writeln!(table, "{name:<37} does not load by itself").unwrap();
                continue;
            };
            let alone = run_all(&alone, &frames);
            let ways = every_way(&candidate);
            let signs = ways.map(|way| way.map_or('.', |way| try_way(&candidate, way, &frames, &alone)));
            writeln!(table, "{name:<37} {:>8} {:>5} {:>5} {:>7}", signs[0], signs[1], signs[2], signs[3])
                .unwrap();
            let throws = Object::parse(&specimen.object).unwrap().throws();
            let has_room = is_new || specimen.name != "full_stack_all_registers";
            // Since that kernel no way is offered that the verifier then refuses.
            let refused = is_new && signs.contains(&'-');
            if refused || (has_room && throws == signs.contains(&'+')) || throws != signs.contains(&'B') {
                unexpected.push(name);
            }
            tried += 1;
        }
    }
    let release = it::run("uname -r").unwrap();
    println!("Linux {}\n{table}", release.trim());
    drop(std::fs::write(repository().join(format!("target/corpus/{}.txt", release.trim())), &table));
    assert!(tried >= 60, "{table}");
    // Only what throws leaves a chain on a way that no splice sees; the plan refuses it.
    assert!(unexpected.is_empty(), "{unexpected:?} cannot be chained, or not as expected:\n{table}");
}

/// Before Linux 6.12 a wrapper counts as at least 32 bytes of stack.
fn has_room_for_wrappers() -> bool {
    crate::kernel() >= KernelVersion { major: 6, minor: 12 }
}

/// Programs that libbpf loads each time: they name things of the kernel, or have program arrays.
const FROM_THE_OBJECT: [&str; 7] = [
    "kernel_configuration",
    "legacy_next",
    "legacy_root",
    "legacy_tc_next",
    "open_iterator",
    "own_tail_call",
    "own_tail_call_in_subprogram",
];

#[test]
fn a_program_that_is_loaded_from_memory_is_the_same() {
    let frames = frames(crate::rounds(100, 20));
    let states = Path::new("/sys/fs/bpf").join(it::unique("l3af-memory-"));
    let mut remembered = 0;
    for specimen in all() {
        let short = if specimen.is_tc { 62 } else { 0 };
        let frames: Vec<_> = frames.iter().filter(|frame| frame.len() > short).cloned().collect();
        for candidate in programs(&specimen) {
            let Ok(alone) = candidate.alone() else { continue };
            let trial = Trial::from_memory(&candidate, &states);
            let _gone = std::fs::remove_dir_all(&states);
            let has_room = has_room_for_wrappers() || specimen.name != "full_stack_all_registers";
            if !has_room || Object::parse(&specimen.object).unwrap().throws() {
                continue;
            }
            let trial = trial.unwrap();
            assert_eq!(
                trial.is_none(),
                FROM_THE_OBJECT.contains(&specimen.name.as_str()),
                "{}",
                specimen.name
            );
            let Some(trial) = trial else { continue };
            let alone = run_all(&alone, &frames);
            let expected: Vec<Ran> = alone.iter().map(|ran| at_the_end(candidate.point, ran)).collect();
            assert_eq!(run_all(&trial, &frames), expected, "{}", specimen.name);
            assert_eq!(trial.readings().unwrap()[0].left.sum().packets, frames.len() as u64);
            remembered += 1;
        }
    }
    assert!(remembered >= 50, "{remembered}");
}

const XDP_PASS: i32 = 2;

#[test]
fn a_program_that_changes_packets_cannot_run_in_shadow() {
    for (name, refused) in [
        ("changes_packet", true),
        ("writes_through_the_stack", true),
        ("own_tail_call", true),
        ("drops", false),
        ("global_data", false),
        ("stack_480", false),
        ("static_and_global_subprograms", false),
    ] {
        let specimen = specimen(name).unwrap();
        let candidate = programs(&specimen).remove(0);
        let how = Membership { enforcement: Enforcement::Shadow, ..Membership::default_for(candidate.point) };
        let chain = Trial::chain(candidate.point, &[(candidate, how)]);
        match chain {
            Ok(_) => assert!(!refused, "{name}"),
            Err(error) => {
                assert!(refused && error.to_string().contains("cannot run in `shadow`"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn a_member_that_is_timed_counts_its_runs() {
    for name in ["drops", "own_tail_call", "stack_512"] {
        let specimen = specimen(name).unwrap();
        let candidate = programs(&specimen).remove(0);
        let how = Membership { timed: true, ..Membership::default_for(HookPoint::Xdp) };
        let trial = Trial::chain(HookPoint::Xdp, &[(candidate, how)]).unwrap();
        trial.run(&frames(1)[0], 100).unwrap();
        let run = trial.readings().unwrap()[0].run;
        assert_eq!(run.packets, 100, "{name}");
        assert!(run.bytes > 0, "{name} took some nanoseconds");
    }
}

/// Whether the kernel takes a program that tells what it said of packets, in one way; then that is looked at.
fn tells(candidate: &Candidate<'_>, way: Way, frames: &[Vec<u8>], alone: &[Ran]) -> bool {
    let (point, function) = (candidate.point, &candidate.function);
    let how =
        Membership { way: Some(way), sampled: Some(FlowFilter::default()), ..Membership::default_for(point) };
    let Ok(mut chain) = Trial::chain(point, &[(candidate.clone(), how)]) else { return false };
    let expected: Vec<Ran> = alone.iter().map(|ran| at_the_end(point, ran)).collect();
    assert_eq!(run_all(&chain, frames), expected, "{function}: {way:?}");
    let said = chain.samples().unwrap().into_iter().map(|told| (told.verdicts, told.returned));
    let wanted = alone.iter().zip(&expected).map(|(ran, end)| (vec![ran.verdict], end.verdict));
    assert_eq!(said.collect::<Vec<_>>(), wanted.collect::<Vec<_>>(), "{function}: {way:?}");
    true
}

#[test]
fn every_program_tells_what_it_said_of_a_packet_however_it_is_spliced() {
    let frames = frames(10);
    let mut tried = 0;
    for specimen in all() {
        let throws = Object::parse(&specimen.object).unwrap().throws();
        let has_room = has_room_for_wrappers() || specimen.name != "full_stack_all_registers";
        if throws || !has_room {
            continue;
        }
        let short = if specimen.is_tc { 62 } else { 0 };
        let frames: Vec<_> = frames.iter().filter(|frame| frame.len() > short).cloned().collect();
        for candidate in programs(&specimen) {
            let Ok(alone) = candidate.alone() else { continue };
            let alone = run_all(&alone, &frames);
            let ways = every_way(&candidate).into_iter().flatten();
            let told = ways.filter(|way| tells(&candidate, *way, &frames, &alone)).count();
            assert!(told > 0, "{} cannot be sampled", specimen.name);
            tried += 1;
        }
    }
    assert!(tried >= 50, "{tried}");
}

#[test]
fn a_packet_in_several_buffers_is_counted_whole() {
    let specimen = specimen("passes_fragments").unwrap();
    let how = Membership { buffers: Buffers::Many, ..Membership::default_for(HookPoint::Xdp) };
    let members = vec![(programs(&specimen).remove(0), how); 2];
    let chain = Trial::chain(HookPoint::Xdp, &members);
    if crate::kernel() < (KernelVersion { major: 5, minor: 18 }) {
        assert!(chain.is_err(), "Linux 5.18 is the first that has them");
        return;
    }
    let chain = chain.unwrap();
    let mut frame = frames(1).remove(0);
    frame.resize(9000, 1);
    let ran = chain.run(&frame, 1).unwrap();
    assert_eq!((ran.verdict, ran.packet.len()), (XDP_PASS, 9000));
    assert_eq!(chain.readings().unwrap()[1].left.0[2].bytes, 9000);
}

#[test]
fn a_proceed_set_may_name_any_verdict() {
    let ends = specimen("ends").unwrap();
    let specimen = specimen("drops").unwrap();
    for (names, goes_on) in
        [(vec!["drop"], true), (vec!["pass"], false), (vec!["aborted", "drop", "tx"], true)]
    {
        let proceed = ProceedSet::parse(HookPoint::Xdp, &names).unwrap();
        let how = Membership { proceed, ..Membership::default_for(HookPoint::Xdp) };
        let last = (programs(&ends).remove(0), Membership::default_for(HookPoint::Xdp));
        let chain = Trial::chain(HookPoint::Xdp, &[(programs(&specimen).remove(0), how), last]).unwrap();
        let verdict = chain.run(&frames(1)[0], 1).unwrap().verdict;
        assert_eq!(verdict == last_verdict(HookPoint::Xdp), goes_on, "{names:?}");
    }
}

#[test]
fn a_chain_of_thirty_three_members_runs_to_its_end() {
    let passes = specimen("passes").unwrap();
    let members: Vec<_> =
        (0..33).map(|_| (programs(&passes).remove(0), Membership::default_for(HookPoint::Xdp))).collect();
    let chain = Trial::chain(HookPoint::Xdp, &members).unwrap();
    chain.run(&frames(1)[0], 1).unwrap();
    let readings = chain.readings().unwrap();
    assert_eq!(readings[32].left.sum().packets, 1);
    assert!(readings[..32].iter().all(|reading| reading.left.sum().packets == 0));
    let function: ProgramName = "passes".parse().unwrap();
    assert_eq!(members[0].0.function, function);
}
