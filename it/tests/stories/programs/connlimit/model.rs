// SPDX-License-Identifier: Apache-2.0
//! Random segments of clients, and what a model says of each: verdict and counts must be the same in the kernel.
//!
//! The model has no tables, locks or clocks; what it says is what the documentation of the package says.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::packages;

const LIMIT: usize = 2;

/// What a client does with one of its connections.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Syn(u32),
    /// An acknowledgement, so far from what comes next, with so much data.
    Go(i32, u16),
    Fin(i32),
    Reset(i32),
}

/// What a model knows of a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    stage: Stage,
    next: u32,
    /// What a SYN would have it go on with.
    renewed: Option<u32>,
    half_closed: bool,
    was_reset: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Unknown,
    Opening,
    Held,
    Over,
}

#[derive(Debug, Default)]
struct Model {
    flows: BTreeMap<(u8, u16), Flow>,
}

/// How far a number may be from what is expected.
const NEAR: u32 = 65535;

fn is_near(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) <= NEAR || b.wrapping_sub(a) <= NEAR
}

impl Model {
    fn held(&self, source: u8) -> usize {
        self.flows.iter().filter(|((of, _), flow)| *of == source && flow.stage == Stage::Held).count()
    }

    /// The segment that a deed is, and whether it passes.
    fn meet(&mut self, (source, port): (u8, u16), deed: Deed) -> (String, bool) {
        let full = self.held(source) >= LIMIT;
        let flow = self.flows.entry((source, port)).or_default();
        let number = |off: i32| flow.next.wrapping_add_signed(off);
        match deed {
            Deed::Syn(seq) => (format!("seq={seq}"), flow.syn(seq, full)),
            Deed::Go(off, bytes) => {
                let seq = number(off);
                (
                    format!("seq={seq}, ack=1, flags=ack) / 0x00*{bytes}"),
                    flow.go(seq, bytes.into(), false, full),
                )
            }
            Deed::Fin(off) => {
                let seq = number(off);
                (format!("seq={seq}, ack=1, flags=fin+ack"), flow.go(seq, 1, true, full))
            }
            Deed::Reset(off) => {
                let seq = number(off);
                flow.reset(seq);
                (format!("seq={seq}, flags=rst"), true)
            }
        }
    }
}

impl Flow {
    fn syn(&mut self, seq: u32, full: bool) -> bool {
        let next = seq.wrapping_add(1);
        match self.stage {
            Stage::Held => self.renewed = Some(next),
            Stage::Unknown | Stage::Opening | Stage::Over if full => return false,
            Stage::Unknown | Stage::Opening | Stage::Over => {
                *self = Self { stage: Stage::Opening, next, ..Self::default() };
            }
        }
        true
    }

    /// A segment with so many numbers; whether it passes.
    fn go(&mut self, seq: u32, length: u32, fin: bool, full: bool) -> bool {
        let end = seq.wrapping_add(length);
        match self.stage {
            Stage::Unknown => return true,
            Stage::Opening if seq.wrapping_sub(self.next) > NEAR => return true,
            Stage::Over if !(self.was_reset && is_near(seq, self.next)) => return true,
            Stage::Opening | Stage::Over if full => return false,
            Stage::Opening | Stage::Over => {
                (self.stage, self.renewed) = (Stage::Held, None);
                self.advance(end);
                self.half_closed |= fin;
                return true;
            }
            Stage::Held => {}
        }
        if self.renewed == Some(seq) {
            *self = Self { stage: Stage::Held, next: seq, ..Self::default() };
        }
        if fin && !is_near(seq, self.next) {
            return true;
        }
        self.advance(end);
        self.half_closed |= fin;
        if !fin && is_near(end, self.next) {
            self.renewed = None;
        }
        true
    }

    fn reset(&mut self, seq: u32) {
        match self.stage {
            Stage::Opening if seq == self.next => self.stage = Stage::Over,
            Stage::Held => {
                if self.renewed == Some(seq) {
                    *self = Self { stage: Stage::Held, next: seq, ..Self::default() };
                }
                if is_near(seq, self.next) {
                    (self.stage, self.was_reset) = (Stage::Over, true);
                }
            }
            Stage::Unknown | Stage::Opening | Stage::Over => {}
        }
    }

    fn advance(&mut self, end: u32) {
        let ahead = end.wrapping_sub(self.next);
        if ahead > 0 && ahead <= 1 << 24 {
            self.next = end;
        }
    }
}

fn deed() -> impl Strategy<Value = Deed> {
    let off = || {
        prop_oneof![
            6 => Just(0),
            2 => -3..4_i32,
            1 => prop_oneof![Just(65535), Just(65536), Just(-65535), Just(-65536)],
            1 => any::<i32>(),
        ]
    };
    prop_oneof![
        4 => prop_oneof![Just(0_u32), Just(u32::MAX), Just(1_000_000), any::<u32>()].prop_map(Deed::Syn),
        6 => (off(), 0..1000_u16).prop_map(|(off, bytes)| Deed::Go(off, bytes)),
        2 => off().prop_map(Deed::Fin),
        3 => off().prop_map(Deed::Reset),
    ]
}

/// A test of the package: segments, their verdicts, and the counts behind each.
fn test(number: usize, deeds: &[((u8, u16), Deed)]) -> String {
    let mut model = Model::default();
    let mut text = format!(
        "[[test]]\nname = \"sequence {number}\"\nprogram = \"connlimit\"\n\
         config = {{ connections_per_source = {LIMIT}, count_handshakes = false, close_seconds = \"24h\", idle_seconds = \"24h\" }}\n"
    );
    for (flow, deed) in deeds {
        let (segment, passes) = model.meet(*flow, *deed);
        let close = if segment.contains(')') { "" } else { ")" };
        let verdict = if passes { "pass" } else { "drop" };
        let counts = (1..=2).map(|source| (source, model.held(source))).filter(|(_, held)| *held > 0);
        let counts: Vec<String> = counts
            .map(|(source, held)| format!("{{ key = \"192.0.2.{source}\", value = {held} }}"))
            .collect();
        write!(
            text,
            "[[test.packet]]\nin = \"eth / ipv4(src=192.0.2.{}) / tcp(sport={}, dport=443, {segment}{close}\"\n\
             verdict = \"{verdict}\"\nexpect.sources = {{ only = [{}] }}\n",
            flow.0,
            flow.1,
            counts.join(", ")
        )
        .expect("text takes all");
    }
    text
}

#[test]
fn random_segments_are_judged_and_counted_as_the_model_does() {
    const SEQUENCES: usize = 8;
    let mut runner = TestRunner::deterministic();
    let deeds = prop::collection::vec(((1..=2_u8, 1000..1004_u16), deed()), 120);
    let tests: String = (0..SEQUENCES)
        .map(|number| test(number, &deeds.new_tree(&mut runner).expect("deeds are found").current()))
        .collect();
    let folder = packages().path("modelled/programs");
    fs::create_dir_all(&folder).unwrap();
    for name in ["include", "connlimit"] {
        let source = it::repository().join("programs").join(name);
        it::run(&format!("cp -r {} {folder}", source.display())).unwrap();
    }
    let tried = format!("{folder}/connlimit");
    fs::remove_dir_all(format!("{tried}/tests")).unwrap();
    fs::create_dir(format!("{tried}/tests")).unwrap();
    fs::write(format!("{tried}/tests/model.toml"), tests).unwrap();
    let ran = packages().l3af(&["test", &tried, "--alone"]).unwrap();
    assert!(ran.ok, "{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains(&format!("{SEQUENCES} passed")), "{}", ran.stdout);
}
