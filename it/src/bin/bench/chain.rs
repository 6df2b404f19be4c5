// SPDX-License-Identifier: Apache-2.0
//! What a member costs: the same work N times, put together in every way, in nanoseconds for a packet.
//!
//! What the test run itself costs, measured with a program that does nothing, is subtracted.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, Result};
use it::Pair;
use kernel::{Attached, Candidate, Membership, Trial};
use package::{FlowFilter, HookPoint, Interface};
use serde_json::{Map, Value, json};

use super::Options;
use super::programs::{compile, datagram};

const LENGTHS: [usize; 7] = [1, 2, 4, 8, 10, 16, 32];
/// Runs in one sample: some milliseconds.
const RUNS: u32 = 200_000;
/// How much is measured of each build.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    runs: u32,
}
/// Everything is loaded anew so often: where the kernel puts programs in memory changes what they cost.
const BUILDS: usize = 12;

/// Something that takes a packet, in a length.
struct Contender {
    mechanism: &'static str,
    length: usize,
    entry: Rc<Trial>,
    /// The packet, which may say where it goes.
    frame: Vec<u8>,
    /// What must stay for it.
    _keeps: Vec<(Trial, Option<Attached>)>,
    /// Samples in nanoseconds, less one of the reference beside each.
    costs: Vec<f64>,
}

/// Costs in nanoseconds by mechanism and length, one for each round.
type Samples = BTreeMap<(&'static str, usize), Vec<f64>>;
/// Nanoseconds by mechanism and length.
type Table = BTreeMap<&'static str, BTreeMap<usize, f64>>;

pub(crate) fn run(options: &Options) -> Result<()> {
    let rounds = options.rounds.unwrap_or(48).div_ceil(BUILDS);
    let effort = Effort { rounds, runs: options.runs.unwrap_or(RUNS) };
    let pair = Pair::new()?;
    let samples = pair.right.inside(move || -> Result<Samples> {
        let mut samples = Samples::new();
        for build in 0..BUILDS {
            for (what, costs) in measure_xdp(effort)?.into_iter().chain(measure_tc(build, effort)?) {
                samples.entry(what).or_default().extend(costs);
            }
        }
        Ok(samples)
    })??;
    let ratios = ratios(&samples);
    let mut table = Table::new();
    for ((mechanism, length), costs) in samples {
        table.entry(mechanism).or_default().insert(length, middle(costs));
    }
    if let Some(path) = &options.plot {
        let xdp = table.iter().filter(|(mechanism, _)| !matches!(**mechanism, "clsact" | "tcx"));
        let drawn = xdp.map(|(mechanism, costs)| (*mechanism, costs.clone())).collect();
        super::plot::lines("What a packet costs", "nanoseconds for a packet", &drawn, path)?;
    }
    if options.json {
        print_json(&table, &ratios);
    } else {
        print(&table, &ratios);
    }
    Ok(())
}

fn measure_xdp(effort: Effort) -> Result<Samples> {
    let point = HookPoint::Xdp;
    let empty = compile("empty", &[])?;
    let (stage, cooperating) = (compile("stage", &[])?, compile("cooperating", &[])?);
    let reference = contender("empty", 0, of_xdp(&empty, "empty")?.alone()?);
    let mut contenders = Vec::new();
    for length in LENGTHS {
        let [inlined, functions] = in_one_program(length)?;
        let chain = |counted, sampled: bool| -> Result<Trial> {
            let sampled = sampled.then(FlowFilter::default);
            let how = Membership { counted, sampled, ..Membership::default_for(point) };
            let member = (of_xdp(&stage, "stage")?, how);
            Ok(Trial::chain(point, &vec![member; length])?)
        };
        let by_hand = vec![(of_xdp(&cooperating, "stage")?, "next_prog_array"); length];
        let trials = [
            ("inlined", of_xdp(&inlined, "stages")?.alone()?),
            ("functions", of_xdp(&functions, "stages")?.alone()?),
            ("tail-call", Trial::cooperating(&by_hand)?),
            ("spliced", chain(false, false)?),
            ("spliced-counted", chain(true, false)?),
            ("spliced-sampled", chain(true, true)?),
        ];
        let dispatched = super::dispatched::trials(&of_xdp(&stage, "stage")?, length)?;
        let all = trials.into_iter().chain(dispatched);
        contenders.extend(all.map(|(mechanism, trial)| contender(mechanism, length, trial)));
    }
    sample(&reference, &mut contenders, effort)
}

/// So many stages in one program: inlined, and as functions.
fn in_one_program(length: usize) -> Result<[Vec<u8>; 2]> {
    let stages = format!("-DSTAGES={length}");
    Ok([compile("stages", &[&stages])?, compile("stages", &[&stages, "-DFUNCTION=__noinline"])?])
}

/// Compiles everything, for a machine on which that takes long.
pub(crate) fn compile_all() -> Result<()> {
    for name in ["empty", "stage", "cooperating", "tc"] {
        compile(name, &[])?;
    }
    LENGTHS.into_iter().try_for_each(|length| in_one_program(length).map(drop))
}

fn of_xdp<'a>(object: &'a [u8], function: &str) -> Result<Candidate<'a>> {
    Ok(Candidate { point: HookPoint::Xdp, object, function: function.parse()? })
}

fn contender(mechanism: &'static str, length: usize, trial: Trial) -> Contender {
    let (entry, frame) = (Rc::new(trial), datagram());
    Contender { mechanism, length, entry, frame, _keeps: Vec::new(), costs: Vec::new() }
}

/// Samples all contenders, each beside the reference, in an order that changes from round to round.
fn sample(reference: &Contender, contenders: &mut [Contender], effort: Effort) -> Result<Samples> {
    let time = |contender: &Contender| -> Result<f64> {
        Ok(f64::from(contender.entry.run(&contender.frame, effort.runs)?.nanoseconds))
    };
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    let mut lengths = LENGTHS.to_vec();
    for _ in 0..effort.rounds {
        shuffle(&mut lengths, &mut dice);
        for length in &lengths {
            // What is compared with each other is measured within some milliseconds.
            let mut order: Vec<usize> =
                (0..contenders.len()).filter(|at| contenders[*at].length == *length).collect();
            shuffle(&mut order, &mut dice);
            for at in order {
                let (beside, sample) = (time(reference)?, time(&contenders[at])?);
                contenders[at].costs.push(sample - beside);
            }
        }
    }
    let taken = contenders
        .iter_mut()
        .map(|contender| ((contender.mechanism, contender.length), std::mem::take(&mut contender.costs)));
    Ok(taken.collect())
}

/// TC programs run on packets that are sent out of an interface, one for each contender, where the last program drops
/// them. What the sending costs, measured with that last program alone, is subtracted.
fn measure_tc(build: usize, effort: Effort) -> Result<Samples> {
    let point = HookPoint::TcEgress;
    let object = compile("tc", &[])?;
    let source = Rc::new(of_tc(&object, "source")?.alone()?);
    let end = || -> Result<Trial> { Ok(of_tc(&object, "end")?.alone()?) };
    let chain = |length, counted| -> Result<Trial> {
        let member = (of_tc(&object, "stage")?, Membership { counted, ..Membership::default_for(point) });
        Ok(Trial::chain(point, &vec![member; length])?)
    };
    let stages =
        |length| (0..length).map(|_| Ok(of_tc(&object, "stage")?.alone()?)).collect::<Result<Vec<_>>>();
    let mut interfaces = 0;
    let mut attached = |mechanism, length, trials: Vec<Trial>| -> Result<Contender> {
        interfaces += 1;
        attach(mechanism, length, trials, &source, &format!("b{build}x{interfaces}"))
    };
    let reference = attached("tcx", 0, vec![end()?])?;
    let mut contenders = Vec::new();
    for length in LENGTHS {
        contenders.push(attached("tc-spliced", length, vec![chain(length, false)?, end()?])?);
        contenders.push(attached("tc-spliced-counted", length, vec![chain(length, true)?, end()?])?);
        for mechanism in ["tcx", "clsact"] {
            let mut trials = stages(length)?;
            trials.push(end()?);
            contenders.push(attached(mechanism, length, trials)?);
        }
    }
    sample(&reference, &mut contenders, effort)
}

fn of_tc<'a>(object: &'a [u8], function: &str) -> Result<Candidate<'a>> {
    Ok(Candidate { point: HookPoint::TcEgress, object, function: function.parse()? })
}

/// Makes an interface and attaches programs to it, in order.
fn attach(
    mechanism: &'static str,
    length: usize,
    trials: Vec<Trial>,
    source: &Rc<Trial>,
    name: &str,
) -> Result<Contender> {
    it::run(&format!("ip link add {name} type veth peer name {name}p"))?;
    it::run(&format!("ip link set {name} up"))?;
    let interface: Interface = name.parse()?;
    let link = it::run(&format!("ip -o link show {name}"))?;
    let index: u32 = link.split(':').next().context("`ip` says nothing")?.trim().parse()?;
    let mut keeps = Vec::new();
    for (trial, priority) in trials.into_iter().zip(1..) {
        let attached = if mechanism == "clsact" {
            trial.attach_filter(&interface, priority)?;
            None
        } else {
            Some(trial.attach(&interface)?)
        };
        keeps.push((trial, attached));
    }
    let mut frame = datagram();
    frame[42..46].copy_from_slice(&index.to_ne_bytes());
    Ok(Contender { mechanism, length, entry: Rc::clone(source), frame, _keeps: keeps, costs: Vec::new() })
}

/// Fisher and Yates, with xorshift64.
fn shuffle<T>(order: &mut [T], dice: &mut u64) {
    for at in (1..order.len()).rev() {
        *dice ^= *dice << 13;
        *dice ^= *dice >> 7;
        *dice ^= *dice << 17;
        let other = usize::try_from(*dice % (at as u64 + 1)).unwrap_or(at);
        order.swap(at, other);
    }
}

/// The mean of the middle half: the kernel tells whole nanoseconds, between which a median could not tell.
pub(crate) fn middle(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    let quarter = samples.len() / 4;
    let half = &samples[quarter..samples.len() - quarter];
    #[expect(clippy::cast_precision_loss, reason = "there are some hundreds of them")]
    let count = half.len() as f64;
    half.iter().sum::<f64>() / count
}

/// The ratios that the design sets bars for, of samples that were taken in the same round.
fn ratios(samples: &Samples) -> BTreeMap<String, f64> {
    let bars = [
        ("spliced", "tail-call", 10),
        ("spliced", "tail-call", 32),
        ("spliced-counted", "spliced", 10),
        ("spliced-sampled", "spliced-counted", 10),
        ("spliced", "freplace", 10),
        ("spliced-counted", "freplace-counted", 10),
        ("spliced", "libxdp", 10),
        ("tc-spliced", "tcx", 10),
        ("tc-spliced", "clsact", 10),
    ];
    let ratio = |(one, other, length): (&'static str, &'static str, usize)| {
        let pairs = samples.get(&(one, length))?.iter().zip(samples.get(&(other, length))?);
        let ratios = pairs.filter(|(_, other)| **other > 0.0).map(|(one, other)| one / other);
        Some((format!("{one}/{other}@{length}"), middle(ratios.collect())))
    };
    bars.into_iter().filter_map(ratio).collect()
}

fn rounded(number: f64, digits: i32) -> Value {
    let unit = 10_f64.powi(digits);
    json!((number * unit).round() / unit)
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn print_json(table: &Table, ratios: &BTreeMap<String, f64>) {
    let mechanisms: Map<String, Value> = table
        .iter()
        .map(|(mechanism, costs)| {
            let costs: Map<String, Value> =
                costs.iter().map(|(length, cost)| (length.to_string(), rounded(*cost, 1))).collect();
            ((*mechanism).to_owned(), Value::Object(costs))
        })
        .collect();
    let ratios: Map<String, Value> =
        ratios.iter().map(|(name, ratio)| (name.clone(), rounded(*ratio, 3))).collect();
    println!("{}", json!({ "mechanism": mechanisms, "ratio": ratios }));
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn print(table: &Table, ratios: &BTreeMap<String, f64>) {
    let head: Vec<String> = LENGTHS.iter().map(|length| format!("{length:>8}")).collect();
    println!("nanoseconds for a packet\n{:<20}{}", "members", head.concat());
    for (mechanism, costs) in table {
        let row: Vec<String> = costs.values().map(|cost| format!("{cost:>8.1}")).collect();
        println!("{mechanism:<20}{}", row.concat());
    }
    println!();
    for (name, ratio) in ratios {
        println!("{name:<36}{ratio:.3}");
    }
}
