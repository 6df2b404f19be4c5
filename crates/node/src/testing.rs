// SPDX-License-Identifier: Apache-2.0
//! Programs of packages on made-up packets. They are loaded for that, attached nowhere, and gone with the answer.

mod ask;
mod bad_test;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::{Change, PacketContext, Stand, Stood, Terms};
use maps::{Faults, Map};
use package::{HookPoint, InterfaceName};
use plan::Member;
use serde_json::Value;
use wire::{TestContext, TestPlace, TestStep, TestWish, Tested, TestedRun, TestedStep, base64};

pub(crate) use self::bad_test::BadTest;
use crate::engine::{HERE, Held};

/// How long a test may take. Nobody waits for longer, and nobody else tests meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that is tested.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) member: Member,
    pub(crate) point: HookPoint,
    /// What its maps are.
    pub(crate) maps: Arc<[Map]>,
}

/// A program that is loaded, and what its maps are.
struct Loaded<'a> {
    stand: Stand,
    candidate: &'a Candidate,
    /// How many bytes of packets and maps may be told yet.
    left_bytes: Cell<usize>,
    /// When the test must be over.
    until: Instant,
}

/// Refuses a test that asks for too much, before anything is done for it.
pub(crate) fn check(wish: &TestWish) -> Result<(), BadTest> {
    let within = |what, found: u64, most: u64| {
        if found > most { Err(BadTest::TooMuch { what, found, most }) } else { Ok(()) }
    };
    within("packets", wish.steps.len() as u64, TestWish::MOST_STEPS as u64)?;
    let runs = wish.steps.iter().map(|step| u64::from(step.repeat)).sum();
    within("runs", runs, TestWish::MOST_RUNS)?;
    if let Some(number) = wish.steps.iter().position(|step| step.repeat == 0) {
        return Err(BadTest::NoRuns { number });
    }
    let reads = wish.steps.iter().flat_map(|step| &step.read);
    let reads = reads.map(|read| 1 + read.keys.as_ref().map_or(0, Vec::len)).sum::<usize>();
    within("maps and keys to read", reads as u64, TestWish::MOST_READS as u64)?;
    let entries = wish.maps.values().map(Vec::len).sum::<usize>();
    within("entries of maps", entries as u64, TestWish::MOST_ENTRIES as u64)
}

impl Candidate {
    /// Has the program meet all packets.
    pub(crate) fn test(&self, wish: &TestWish) -> Result<Tested, BadTest> {
        let until = Instant::now() + PATIENCE;
        let spec = self.member.spec();
        let terms = Terms {
            package: &spec.package.name,
            constants: &spec.constants,
            configured: self.member.configured(),
            buffers: spec.buffers,
        };
        let program = kernel::Candidate {
            point: self.point,
            object: self.member.object(),
            function: spec.function.clone(),
        };
        let stand = match wish.place {
            TestPlace::Alone => Stand::alone(&program, &terms),
            TestPlace::Spliced => Stand::between(&program, &terms, &spec.proceed),
        };
        let left_bytes = Cell::new(TestWish::MOST_TOLD_BYTES);
        let loaded = Loaded { stand: stand.map_err(BadTest::Refused)?, candidate: self, left_bytes, until };
        loaded.write(&wish.maps)?;
        let steps = wish.steps.iter().enumerate().map(|(number, step)| loaded.step(number, step));
        let steps = steps.collect::<Result<_, _>>()?;
        Ok(Tested { proceed: spec.proceed.names().into_iter().map(str::to_owned).collect(), steps })
    }
}

/// Entries as bytes, or all that is wrong with them.
fn encoded(held: &Held, entries: &[Value], place: &str) -> Result<Vec<Change>, Faults> {
    let (mut changes, mut wrong) = (Vec::with_capacity(entries.len()), None::<Faults>);
    for (number, entry) in entries.iter().enumerate() {
        let faults = match held.map.encode(entry, HERE) {
            Ok(entry) => {
                changes.push(Change::Set { key: entry.key, values: vec![entry.value] });
                continue;
            }
            Err(faults) => faults.within(&format!("{place}/{number}")),
        };
        wrong = Some(wrong.map_or_else(|| faults.clone(), |before| before.and(faults.clone())));
    }
    wrong.map_or(Ok(changes), Err)
}

impl Loaded<'_> {
    /// Writes entries of maps before the first packet.
    fn write(&self, maps: &BTreeMap<String, Vec<Value>>) -> Result<(), BadTest> {
        for (name, entries) in maps {
            let place = format!("/maps/{name}");
            let held = self.open(name, &place)?;
            if held.map.variables.is_some() {
                return Err(BadTest::Variables { map: name.clone(), place });
            }
            let changes = encoded(&held, entries, &place)
                .map_err(|faults| BadTest::Value { map: name.clone(), faults })?;
            let written = held.open.change(&changes);
            written.map_err(|source| BadTest::Unwritten { map: name.clone(), source })?;
        }
        Ok(())
    }

    /// Has the program meet one packet, as often as was asked for.
    fn step(&self, number: usize, step: &TestStep) -> Result<TestedStep, BadTest> {
        let packet = step.bytes().ok_or(BadTest::NoPacket { number })?;
        if !(TestWish::LEAST_BYTES..=TestWish::MOST_BYTES).contains(&packet.len()) {
            return Err(BadTest::PacketSize { number, bytes: packet.len() });
        }
        let context = self.context(number, &step.context)?;
        let (mut runs, mut nanoseconds) = (Vec::<TestedRun>::new(), 0);
        for _ in 0..step.repeat {
            self.in_time()?;
            let stood = self.stand.run(&packet, &context);
            let stood = stood.map_err(|source| BadTest::NotTaken { number, source })?;
            nanoseconds += u64::from(stood.nanoseconds);
            let run = self.told(stood);
            match runs.last_mut() {
                Some(last) if *last == (TestedRun { count: last.count, ..run.clone() }) => last.count += 1,
                _ => {
                    self.spend(run.packet.len())?;
                    runs.push(run);
                }
            }
        }
        let read = step.read.iter().enumerate();
        let read = read.map(|(place, wish)| self.read(wish, &format!("/steps/{number}/read/{place}")));
        let nanoseconds = nanoseconds / u64::from(step.repeat);
        Ok(TestedStep { runs, nanoseconds, read: read.collect::<Result<_, _>>()? })
    }

    /// Refuses to go on where the test takes too long.
    fn in_time(&self) -> Result<(), BadTest> {
        let is_over = Instant::now() > self.until;
        if is_over { Err(BadTest::TooLong { seconds: PATIENCE.as_secs() }) } else { Ok(()) }
    }

    /// Takes what is told from what may be told. Small things take some room as well.
    fn spend(&self, bytes: usize) -> Result<(), BadTest> {
        let left = self.left_bytes.get().checked_sub(bytes + 64);
        self.left_bytes.set(left.ok_or(BadTest::TooMuchToTell)?);
        Ok(())
    }

    fn told(&self, stood: Stood) -> TestedRun {
        let Stood { verdict, packet, marked, .. } = stood;
        let name = |verdict| match self.candidate.point.verdict(verdict) {
            Some(verdict) => verdict.name().to_owned(),
            None => verdict.to_string(),
        };
        TestedRun {
            count: 1,
            verdict: verdict.map(name),
            packet: base64(&packet),
            mark: marked.map(|(mark, _)| mark),
            priority: marked.map(|(_, priority)| priority),
        }
    }

    fn context(&self, number: usize, told: &TestContext) -> Result<PacketContext, BadTest> {
        let TestContext { interface, queue, mark, priority } = told;
        let is_xdp = self.candidate.point == HookPoint::Xdp;
        let stray = match (is_xdp, *mark, *priority, *queue) {
            (true, 1.., _, _) => Some("mark"),
            (true, _, 1.., _) => Some("priority"),
            (false, _, _, 1..) => Some("queue"),
            (true, _, _, 1..) if interface.is_none() => Some("queue"),
            _ => None,
        };
        if let Some(field) = stray {
            return Err(BadTest::Stray { number, field });
        }
        let named = |name: &String| {
            let name = name.parse::<InterfaceName>();
            let name = name.map_err(|bad| BadTest::Interface { number, problem: bad.to_string() })?;
            Ok(package::Interface { namespace: None, name })
        };
        let interface = interface.as_ref().map(named).transpose()?;
        Ok(PacketContext { interface, queue: *queue, mark: *mark, priority: *priority })
    }

    /// Opens a map that has entries.
    fn open(&self, name: &str, place: &str) -> Result<Held, BadTest> {
        let known = || self.candidate.maps.iter().map(|map| map.name.clone()).collect();
        let no_map = || BadTest::NoMap { map: name.to_owned(), place: place.to_owned(), known: known() };
        let map = self.candidate.maps.iter().find(|map| map.name == name).ok_or_else(no_map)?;
        if map.value.is_none() || !map.kind.has_entries() {
            return Err(BadTest::NoEntries { map: name.to_owned(), kind: map.kind, place: place.to_owned() });
        }
        let open = self.stand.map(name);
        let open = open.map_err(|source| BadTest::Unread { map: name.to_owned(), source })?;
        let is_configured = self.candidate.member.spec().contents.contains_key(name);
        Ok(Held { map: map.clone(), open: open.ok_or_else(no_map)?, is_configured })
    }
}

#[cfg(test)]
mod tests {
    use wire::TestRead;

    use super::*;

    fn wish(steps: Vec<TestStep>) -> TestWish {
        TestWish {
            package: "file:/a".to_owned(),
            hook: HookPoint::Xdp,
            program: None,
            config: BTreeMap::new(),
            place: TestPlace::Alone,
            maps: BTreeMap::new(),
            steps,
        }
    }

    fn step(repeat: u32, keys: usize) -> TestStep {
        let read = TestRead { map: "a".to_owned(), keys: Some(vec![Value::Null; keys]) };
        TestStep { packet: String::new(), repeat, context: TestContext::default(), read: vec![read] }
    }

    #[test]
    fn what_would_take_long_is_refused_before_anything_is_done() {
        let refused = |steps| check(&wish(steps)).unwrap_err().to_string();
        assert!(check(&wish(vec![step(1, 9_999); 10])).is_ok());
        insta::assert_snapshot!(refused(vec![step(1, 9_999); 11]), @"110000 maps and keys to read are too many for one test: it has at most 100000");
        insta::assert_snapshot!(refused(vec![step(50_001, 0); 2]), @"100002 runs are too many for one test: it has at most 100000");
    }

    #[test]
    fn a_packet_that_no_run_meets_is_refused() {
        let refused = check(&wish(vec![step(1, 0), step(0, 0)])).unwrap_err();
        insta::assert_snapshot!(refused.to_string(), @"the program never meets packet 2");
    }
}
