// SPDX-License-Identifier: Apache-2.0
//! What a packet costs in each package of `programs/`: on traffic that passes, that is dropped, and that it knows nothing of.
//!
//! Each sample is taken beside one of a program that does nothing and one of a parser that is written by hand for the same headers
//! (`it/bench/parser.bpf.c`), on the same packet. Where a program changes the packet, so that a second run would meet another one,
//! all three run once in a call, and the call costs what it costs for all three.

mod cases;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use it::{Ran, fill, frame, repository};
use kernel::{Candidate, Stand, Terms};
use package::{Config, HookPoint, Manifest, PackageName, ProgramSpec};
use plan::{Buffers, Configuration, Configured};
use serde_json::{Map, Value, json};

use self::cases::{CASES, Case, Entries};
use super::Options;
use super::programs::{compile, compile_source};

/// Runs in one call, and calls in one sample where a run changes the packet.
const RUNS: u32 = 100_000;
const CALLS: u32 = 2_000;
const ROUNDS: usize = 24;
/// What the comparison of block lists is called, beside kinds of traffic.
const BLOCK_LIST: &str = "block_list";

/// A program with a packet.
struct Contender {
    case: &'static Case,
    stand: Stand,
    packet: Vec<u8>,
    samples: Vec<Sample>,
}

/// Nanoseconds that were measured side by side.
#[derive(Debug, Clone, Copy)]
struct Sample {
    own: f64,
    empty: f64,
    parser: f64,
}

/// What is measured beside a program.
struct References {
    empty: Stand,
    parser: Stand,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let references: BTreeMap<bool, References> =
        [(true, references(HookPoint::Xdp)?), (false, references(HookPoint::TcIngress)?)].into();
    let mut contenders = CASES.iter().map(Contender::new).collect::<Result<Vec<_>>>()?;
    let (rounds, runs) = (options.rounds.unwrap_or(ROUNDS), options.runs.unwrap_or(RUNS));
    for _ in 0..rounds {
        for contender in &mut contenders {
            let beside = &references[&(contender.case.point == HookPoint::Xdp)];
            contender.sample(beside, runs)?;
        }
    }
    let mut told = tell(contenders);
    told.entry("ddos-guard").or_default().insert(BLOCK_LIST, block_list()?);
    if let Some(path) = &options.plot {
        plot(&told, path)?;
    }
    if options.json {
        print_json(&told);
    } else {
        print(&told);
    }
    Ok(())
}

fn references(point: HookPoint) -> Result<References> {
    let object = compile("parser", &[])?;
    let of = if point == HookPoint::Xdp { "xdp" } else { "tc" };
    let stand = |function: String| -> Result<Stand> {
        let candidate = Candidate { point, object: &object, function: function.parse()? };
        let (package, constants): (PackageName, _) = ("parser".parse()?, BTreeMap::new());
        let configured = Configured::default();
        let terms = Terms {
            package: &package,
            constants: &constants,
            configured: &configured,
            buffers: Buffers::One,
        };
        Ok(Stand::alone(&candidate, &terms)?)
    };
    Ok(References { empty: stand(format!("empty_{of}"))?, parser: stand(format!("parse_{of}"))? })
}

impl Contender {
    /// Loads a program as the case has it, and brings it into the state that the case is about.
    fn new(case: &'static Case) -> Result<Self> {
        let told = || format!("{} on traffic that is {}", case.package, case.traffic);
        Self::load(case).with_context(told)
    }

    fn load(case: &'static Case) -> Result<Self> {
        let folder = format!("programs/{}", case.package);
        let manifest = fs::read_to_string(repository().join(&folder).join("package.toml"))?;
        let manifest = Manifest::parse(&manifest)?;
        let program = program(&manifest, case)?;
        let source = program.source.as_ref().context("it has no source")?;
        let object =
            compile_source(program.object.trim_end_matches(".bpf.o"), &format!("{folder}/{source}"), &[])?;
        let config: Config = serde_json::from_str(case.config)?;
        let Configuration { constants, maps: configured } =
            Configuration::settle(&manifest, (program, &object), config, None)?;
        let candidate = Candidate { point: case.point, object: &object, function: program.function.clone() };
        let terms = Terms {
            package: &manifest.package.name,
            constants: &constants,
            configured: &configured,
            buffers: Buffers::One,
        };
        let stand = Stand::alone(&candidate, &terms)?;
        let interface = manifest.interface(&program.object, &object)?;
        for entries in case.entries {
            fill(&stand, &interface, entries.map, counted_up(entries))?;
        }
        for before in case.before {
            stand.run(&frame(before)?, &kernel::PacketContext::default())?;
        }
        let packet = frame(case.packet)?;
        let (verdict, _) = stand.measure(&packet, 1)?;
        ensure!(verdict == case.verdict, "it returns {verdict}, and not {}", case.verdict);
        Ok(Self { case, stand, packet, samples: Vec::new() })
    }

    /// Measures it and what it is compared with.
    fn sample(&mut self, beside: &References, runs: u32) -> Result<()> {
        let one = |stand: &Stand| -> Result<f64> {
            if !self.case.changes_packet {
                return Ok(f64::from(stand.measure(&self.packet, runs)?.1));
            }
            let calls = CALLS.min(runs);
            let total = (0..calls).try_fold(0.0, |total, _| -> Result<f64> {
                Ok(total + f64::from(stand.measure(&self.packet, 1)?.1))
            })?;
            Ok(total / f64::from(calls))
        };
        let sample =
            Sample { empty: one(&beside.empty)?, parser: one(&beside.parser)?, own: one(&self.stand)? };
        self.samples.push(sample);
        Ok(())
    }
}

fn program<'m>(manifest: &'m Manifest, case: &Case) -> Result<&'m ProgramSpec> {
    let mut programs = manifest.programs.iter();
    let found =
        programs.find(|program| case.function.is_none_or(|function| program.function.as_ref() == function));
    found.context("it has no such program")
}

/// Entries as JSON, of which keys are counted up.
fn counted_up(entries: &Entries) -> impl Iterator<Item = String> {
    (0..entries.count).map(|number| {
        let text = entries.entry.replace("{number}", &number.to_string());
        text.replace("{ipv4}", &std::net::Ipv4Addr::from(0x0b00_0000 + number).to_string())
    })
}

/// What a list of a million blocked addresses costs beside Debian's `xdp-filter` (`it/bench/block_list.py`).
fn block_list() -> Result<Value> {
    compile_source("ddos-guard", "programs/ddos-guard/ddos-guard.bpf.c", &[])?;
    let mut script = Command::new(repository().join("it/bench/block_list.py"));
    script.arg("--object").arg(repository().join("target/bench/ddos-guard.bpf.o"));
    let measured = Ran::from(script.args(["--builds", "3", "--json"]).output()?).success()?;
    Ok(serde_json::from_str(&measured)?)
}

/// What came of it, by package and traffic.
type Told = BTreeMap<&'static str, BTreeMap<&'static str, Value>>;

fn tell(contenders: Vec<Contender>) -> Told {
    let mut told = Told::new();
    for Contender { case, samples, .. } in contenders {
        let middle = |of: fn(&Sample) -> f64| super::chain::middle(samples.iter().map(of).collect());
        let costs = json!({
            "ns_per_packet": rounded(middle(|sample| sample.own)),
            "baseline_ns": rounded(middle(|sample| sample.empty)),
            "parser_ns": rounded(middle(|sample| sample.parser)),
            "cost_over_parser": rounded(middle(|sample| {
                (sample.own - sample.empty) / (sample.parser - sample.empty).max(0.5)
            })),
        });
        told.entry(case.package).or_default().insert(case.traffic, costs);
    }
    told
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// Bars of what each costs beyond a program that does nothing.
fn plot(told: &Told, path: &std::path::Path) -> Result<()> {
    let mut bars = Vec::new();
    for (package, traffic) in told {
        for (name, costs) in traffic.iter().filter(|(name, _)| **name != BLOCK_LIST) {
            let number = |key: &str| costs[key].as_f64().unwrap_or_default();
            bars.push((format!("{package}: {name}"), number("ns_per_packet") - number("baseline_ns")));
        }
    }
    super::plot::bars("What a packet costs beyond an empty program", "nanoseconds", &bars, path)
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn print_json(told: &Told) {
    let told: Map<String, Value> =
        told.iter().map(|(package, traffic)| ((*package).to_owned(), json!(traffic))).collect();
    println!("{}", Value::Object(told));
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn print(told: &Told) {
    println!(
        "nanoseconds for a packet{:>36}{:>10}{:>10}{:>18}",
        "program", "empty", "parser", "cost over parser"
    );
    for (package, traffic) in told {
        for (name, costs) in traffic.iter().filter(|(name, _)| **name != BLOCK_LIST) {
            let number = |key: &str| costs[key].as_f64().unwrap_or_default();
            println!(
                "{:<50}{:>10.1}{:>10.1}{:>10.1}{:>18.2}",
                format!("{package}: {name}"),
                number("ns_per_packet"),
                number("baseline_ns"),
                number("parser_ns"),
                number("cost_over_parser")
            );
        }
    }
    let block_list = &told["ddos-guard"][BLOCK_LIST];
    println!("a million blocked addresses, beyond an empty program");
    for source in ["blocked", "passed"] {
        for heat in ["warm", "cold"] {
            println!("{:<50}{}", format!("{source}, {heat}"), block_list[source][heat]);
        }
    }
}
