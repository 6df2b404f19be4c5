// SPDX-License-Identifier: Apache-2.0
//! Whether what came of a test is what was expected, and how not.

use std::collections::BTreeMap;

use packet::{Packet, Pattern};
use serde_json::Value;
use wire::{MapEntry, TestPlace, Tested, TestedRun, TestedStep};

use super::case::{Case, Entries, Entry, Expected, Only, Verdict};
use super::values;
use crate::failure::{Failure, Outcome};

/// What a verdict is called after which the next member had the packet.
const WENT_ON: &str = "on to the next member";

/// How a test did not come out as expected; nothing where it did.
pub(super) fn judge(case: &Case, place: TestPlace, tested: &Tested) -> Result<Vec<String>, Failure> {
    check_told(case, tested)?;
    let mut found = Vec::new();
    for (number, (expected, step)) in case.expected.iter().zip(&tested.steps).enumerate() {
        let mut wrong: Vec<String> = Vec::new();
        wrong.extend(expected.verdict.as_ref().and_then(|verdict| verdicts(verdict, place, tested, step)));
        for run in &step.runs {
            wrong.extend(packet(expected, run)?);
        }
        for ((_, entries), read) in expected.maps.iter().zip(&step.read) {
            wrong.extend(map(case, &read.map, entries, &read.entries)?);
        }
        wrong.dedup();
        found.extend(wrong.into_iter().map(|wrong| format!("packet {}: {wrong}", number + 1)));
    }
    Ok(found)
}

/// Refuses an answer that leaves out something that was asked for: what nobody tells would pass for what was expected.
fn check_told(case: &Case, tested: &Tested) -> Outcome {
    let other = |told: String| {
        let hint = "is it of the same release as this command? `l3af --version` and `l3afd --version` tell";
        Err(Failure::new(format!("the daemon does not tell what was asked for: {told}")).with_hint(hint))
    };
    let (asked, told) = (case.expected.len(), tested.steps.len());
    if asked != told || case.wish.steps.len() != asked {
        return other(format!("of {told} packets where the test has {asked}"));
    }
    let asked = case.expected.iter().zip(&case.wish.steps).zip(&tested.steps).enumerate();
    for (number, ((expected, wish), step)) in asked {
        let (packet, met) = (number + 1, step.runs.iter().map(|run| u64::from(run.count)).sum::<u64>());
        if met != u64::from(wish.repeat) {
            return other(format!("of packet {packet}, {met} runs of {}", wish.repeat));
        }
        let are_told = expected.maps.iter().map(|(map, _)| map).eq(step.read.iter().map(|read| &read.map));
        if !are_told {
            let names: Vec<&str> = step.read.iter().map(|read| read.map.as_str()).collect();
            return other(format!("behind packet {packet}, the maps [{}]", names.join(", ")));
        }
    }
    Ok(())
}

/// How a program did something else in a chain than alone, where the test says nothing of it.
pub(super) fn compare(case: &Case, alone: &Tested, spliced: &Tested) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let steps = case.expected.iter().zip(alone.steps.iter().zip(&spliced.steps)).enumerate();
    for (number, (expected, (alone, in_chain))) in steps {
        let mut wrong = Vec::new();
        if expected.verdict.is_none() {
            let verdict = Verdict::Counts(counts(alone));
            wrong.extend(verdicts(&verdict, TestPlace::Spliced, spliced, in_chain));
        }
        let last = alone.runs.last().zip(in_chain.runs.last()).filter(|_| expected.out.is_none());
        if let Some((alone, in_chain)) = last {
            let pattern = Pattern::from(Packet::of_bytes(&bytes(alone)?));
            wrong.extend(pattern.differences(&bytes(in_chain)?).iter().map(ToString::to_string));
        }
        let told = wrong.into_iter();
        found.extend(told.map(|wrong| format!("packet {}: other than alone: {wrong}", number + 1)));
    }
    Ok(found)
}

/// How many runs ended with each verdict.
fn counts(step: &TestedStep) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for run in &step.runs {
        let verdict = run.verdict.clone().unwrap_or_else(|| WENT_ON.to_owned());
        *counts.entry(verdict).or_default() += run.count;
    }
    counts
}

fn verdicts(expected: &Verdict, place: TestPlace, tested: &Tested, step: &TestedStep) -> Option<String> {
    let got = counts(step);
    let runs: u32 = got.values().sum();
    let told = match expected {
        Verdict::Each(verdict) => BTreeMap::from([(verdict.clone(), runs)]),
        Verdict::Counts(counts) => counts.clone(),
    };
    let mut wanted = BTreeMap::new();
    for (verdict, count) in told.into_iter().filter(|(_, count)| *count > 0) {
        // In a chain nobody sees after which of them it went on.
        let goes_on = place == TestPlace::Spliced && tested.proceed.contains(&verdict);
        *wanted.entry(if goes_on { WENT_ON.to_owned() } else { verdict }).or_default() += count;
    }
    (wanted != got).then(|| format!("verdict: expected {}, got {}", list(&wanted, runs), list(&got, runs)))
}

fn list(counts: &BTreeMap<String, u32>, runs: u32) -> String {
    let one = |(verdict, count): (&String, &u32)| match (runs, count) {
        (1, _) => verdict.clone(),
        (_, 1) => format!("{verdict} once"),
        (_, count) => format!("{verdict} {count} times"),
    };
    counts.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn packet(expected: &Expected, run: &TestedRun) -> Result<Vec<String>, Failure> {
    let mut wrong = Vec::new();
    if let Some(pattern) = &expected.out {
        wrong.extend(pattern.differences(&bytes(run)?).iter().map(ToString::to_string));
    }
    let mut number = |name: &str, expected: Option<u32>, got: Option<u32>| {
        if let Some((expected, got)) = expected.zip(got).filter(|(expected, got)| expected != got) {
            wrong.push(format!("{name}: expected {expected}, got {got}"));
        }
    };
    number("mark", expected.mark, run.mark);
    number("priority", expected.priority, run.priority);
    Ok(wrong)
}

fn bytes(run: &TestedRun) -> Result<Vec<u8>, Failure> {
    run.bytes().ok_or_else(|| Failure::new("the daemon tells a packet that is not base64"))
}

/// How a map is not what was expected.
fn map(case: &Case, name: &str, entries: &Entries, got: &[MapEntry]) -> Result<Vec<String>, Failure> {
    let map = values::find(&case.maps, name)?;
    let (Entries::These(wanted) | Entries::Only(Only { only: wanted })) = entries;
    let mut wrong = Vec::new();
    let key_of = |entry: &Entry| entry.key.as_ref().map(|key| values::spelled(map, key));
    for entry in wanted {
        let key = key_of(entry);
        let place = key.as_ref().map_or_else(|| name.to_owned(), |key| format!("{name}[{key}]"));
        let found = got.iter().find(|got| got.key == key);
        match (found, &entry.value) {
            (Some(found), Some(value)) => {
                let differences = values::differences(map, value, &found.value)?;
                wrong.extend(differences.into_iter().map(|difference| format!("{place}{difference}")));
            }
            (None, Some(_)) => wrong.push(format!("{place}: expected an entry, got none")),
            (Some(found), None) => wrong.push(format!("{place}: expected no entry, got {}", found.value)),
            (None, None) => {}
        }
    }
    if matches!(entries, Entries::Only(_)) {
        let keys: Vec<Option<Value>> = wanted.iter().map(key_of).collect();
        let others = got.iter().filter(|got| !keys.contains(&got.key));
        wrong.extend(others.map(|other| {
            let key = other.key.clone().unwrap_or_default();
            format!("{name}[{key}]: expected no entry, got {}", other.value)
        }));
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use wire::{TestContext, TestStep, TestWish, TestedMap, base64};

    use super::*;

    /// A step whose runs ended with these verdicts and a packet; none of a verdict went on.
    fn step(verdicts: &[Option<&str>], packet: &str) -> TestedStep {
        let bytes = packet.parse::<Packet>().unwrap().to_bytes();
        let run = |verdict: Option<&str>| TestedRun {
            count: 1,
            verdict: verdict.map(str::to_owned),
            packet: base64(&bytes),
            mark: None,
            priority: None,
        };
        TestedStep {
            runs: verdicts.iter().copied().map(run).collect(),
            nanoseconds: 0,
            read: Vec::<TestedMap>::new(),
        }
    }

    fn tested(step: TestedStep) -> Tested {
        Tested { proceed: vec!["pass".to_owned()], steps: vec![step] }
    }

    /// A test of one packet of which only the verdict may be said.
    fn case(verdict: Option<Verdict>) -> Case {
        let packet =
            TestStep { packet: String::new(), repeat: 1, context: TestContext::default(), read: Vec::new() };
        Case {
            file: "tests/a.toml".to_owned(),
            name: "a".to_owned(),
            wish: TestWish {
                package: "file:/a".to_owned(),
                hook: package::HookPoint::Xdp,
                program: None,
                config: BTreeMap::new(),
                place: TestPlace::Alone,
                maps: BTreeMap::new(),
                steps: vec![packet],
            },
            expected: vec![Expected { verdict, out: None, mark: None, priority: None, maps: Vec::new() }],
            maps: Vec::new(),
        }
    }

    #[test]
    fn in_a_chain_a_packet_goes_on_behind_verdicts_that_say_so() {
        let check = |verdict: &str, got: Option<&str>| {
            let case = case(Some(Verdict::Each(verdict.to_owned())));
            judge(&case, TestPlace::Spliced, &tested(step(&[got], "eth"))).unwrap().join("; ")
        };
        assert_eq!(check("pass", None), "");
        assert_eq!(check("drop", Some("drop")), "");
        insta::assert_snapshot!(check("pass", Some("pass")), @"packet 1: verdict: expected on to the next member, got pass");
        insta::assert_snapshot!(check("drop", None), @"packet 1: verdict: expected drop, got on to the next member");
    }

    #[test]
    fn an_answer_that_leaves_something_out_is_refused() {
        let expected = Verdict::Each("drop".to_owned());
        let refused = |case: &Case, steps: Vec<TestedStep>| {
            let told = Tested { proceed: Vec::new(), steps };
            judge(case, TestPlace::Alone, &told).unwrap_err().to_string()
        };
        let mut case = case(Some(expected));
        insta::assert_snapshot!(refused(&case, Vec::new()), @"the daemon does not tell what was asked for: of 0 packets where the test has 1");
        insta::assert_snapshot!(refused(&case, vec![step(&[], "eth")]), @"the daemon does not tell what was asked for: of packet 1, 0 runs of 1");
        case.expected[0].maps = vec![("limits".to_owned(), Entries::These(Vec::new()))];
        insta::assert_snapshot!(refused(&case, vec![step(&[Some("drop")], "eth")]), @"the daemon does not tell what was asked for: behind packet 1, the maps []");
    }

    #[test]
    fn a_program_that_does_something_else_in_a_chain_is_told() {
        let check = |alone: TestedStep, spliced: TestedStep| {
            compare(&case(None), &tested(alone), &tested(spliced)).unwrap().join("; ")
        };
        let alone = || step(&[Some("pass"), Some("tx")], "eth / ipv4 / tcp");
        assert_eq!(check(alone(), step(&[None, Some("tx")], "eth / ipv4 / tcp")), "");
        let told = check(alone(), step(&[None, None], "eth / ipv4(ttl=63) / tcp"));
        insta::assert_snapshot!(told, @"packet 1: other than alone: verdict: expected on to the next member once, tx once, got on to the next member 2 times; packet 1: other than alone: ipv4.ttl: expected 64, got 63");
    }
}
