// SPDX-License-Identifier: Apache-2.0
//! How long a change of a running chain takes until packets follow it, and whether any packet sees something else than
//! the chain before or the chain after.
//!
//! Each member writes its number into a list that the packet carries; the last one counts the lists. What is timed is
//! the way from the plan to its switch, loading included; what is done behind the switch concerns no packet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use it::Pair;
use kernel::{Kernel, Linux};
use package::{BlobError, Blobs, Digest, HookPoint, PackFile, PackSource, Package, Packed, Platform, pack};
use plan::{Desired, Hook, Member, MemberWish, Plan, Step, reconcile};
use serde_json::{Map, Value, json};
use trust::Verified;

use super::Options;
use super::programs::compile;
use super::traffic::Traffic;

const LENGTHS: [usize; 3] = [4, 10, 30];
/// The number that stands in place of the middle one after `replace`.
const REPLACED: u8 = 200;

/// One kind of change in chains of one length.
#[derive(Debug, Default)]
struct Outcome {
    times_ms: Vec<f64>,
    packets: u64,
    neither: u64,
    seconds: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let rounds = options.rounds.unwrap_or(100);
    let pair = Pair::new()?;
    let traffic = Traffic::start(&pair.left)?;
    let pins = Path::new("/sys/fs/bpf").join(it::unique("l3af-bench-"));
    let folder = pins.clone();
    let interface = pair.right.interface.clone();
    let outcomes = pair.right.inside(move || Bench::new(&folder, &interface)?.run(rounds))??;
    let sent = traffic.end()?;
    if let Some(path) = &options.plot {
        let mut lines: BTreeMap<&str, BTreeMap<usize, f64>> = BTreeMap::new();
        for ((operation, length), outcome) in &outcomes {
            lines.entry(operation).or_default().insert(*length, quantile(&outcome.times_ms, 0.5) * 1000.0);
        }
        super::plot::lines("Until a change is in effect", "microseconds, median", &lines, path)?;
    }
    if options.json {
        print_json(&outcomes);
    } else {
        print(&outcomes, sent);
    }
    std::fs::remove_dir(&pins).context("something is left of the chains")?;
    Ok(())
}

/// The blobs of a package in memory, by digest.
pub(crate) struct InMemory(BTreeMap<Digest, Vec<u8>>);

impl InMemory {
    pub(crate) fn new(packed: &Packed) -> Self {
        Self(packed.blobs.iter().map(|blob| (blob.digest(), blob.bytes.clone())).collect())
    }
}

impl Blobs for InMemory {
    fn blob(&self, digest: &Digest, _: u64) -> Result<Vec<u8>, BlobError> {
        self.0.get(digest).cloned().ok_or(BlobError::Missing)
    }
}

/// A package of one program, as if it had been verified.
fn verified(name: &str, object: Vec<u8>) -> Result<Arc<Verified>> {
    let machine = Platform::this_machine().context("no platform is known for this machine")?;
    let manifest = format!(
        "[package]\nname = \"{name}\"\npublisher = \"bench\"\nversion = \"0.1.0\"\ndescription = \"{name}\"\n\
         category = \"network\"\nsubcategory = \"bench\"\nlicense = \"Apache-2.0\"\ndocumentation = \"README.md\"\n\
         [kernel]\nmin = \"5.10\"\n[[platform]]\nos = \"linux\"\narchitecture = \"{}\"\n\
         [[program]]\nfunction = \"{name}\"\nobject = \"{name}.bpf.o\"\nhook = \"xdp\"\n",
        machine.architecture()
    );
    let file = |bytes: Vec<u8>| PackFile { bytes, executable: false };
    let files = [(format!("{name}.bpf.o"), file(object)), ("README.md".to_owned(), file(name.into()))];
    let packed = pack(&PackSource { manifest, files: files.into() }, 0)?;
    let package = Package::read(&InMemory::new(&packed), &packed.index.digest)?;
    it::unverified(package)
}

struct Bench {
    kernel: Linux,
    pins: PathBuf,
    hook: Hook,
    stamp: Arc<Verified>,
    other_stamp: Arc<Verified>,
    record: Arc<Verified>,
}

/// A chain as it is wanted, and the list that its packets carry.
#[derive(Clone)]
struct Wanted {
    desired: Desired,
    list: Vec<u8>,
}

/// A member of a chain: its number, and whether it is of the other version and goes on after more verdicts.
#[derive(Clone, Copy)]
struct Stamp {
    name: u8,
    replaced: bool,
    proceeds: bool,
}

impl Bench {
    fn new(pins: &Path, interface: &str) -> Result<Self> {
        Ok(Self {
            kernel: Linux::open(pins)?,
            pins: pins.to_owned(),
            hook: Hook { interface: interface.parse()?, point: HookPoint::Xdp },
            stamp: verified("stamp", compile("stamp", &[])?)?,
            other_stamp: verified("stamp", compile("stamp", &["-DVERSION=2"])?)?,
            record: verified("record", compile("record", &[])?)?,
        })
    }

    fn run(mut self, rounds: usize) -> Result<BTreeMap<(&'static str, usize), Outcome>> {
        let mut outcomes = BTreeMap::new();
        for length in LENGTHS {
            let plain: Vec<Stamp> = (1..length)
                .zip(1..)
                .map(|(_, name)| Stamp { name, replaced: false, proceeds: false })
                .collect();
            let middle = plain.len() / 2;
            let (mut without, mut swapped) = (plain.clone(), plain.clone());
            let (mut replaced, mut proceeding) = (plain.clone(), plain.clone());
            without.remove(middle);
            swapped.swap(middle - 1, middle);
            replaced[middle].replaced = true;
            proceeding[middle].proceeds = true;
            let pairs = [
                (("remove", "insert"), &without),
                (("reorder", "reorder"), &swapped),
                (("replace", "replace"), &replaced),
                (("proceed", "proceed"), &proceeding),
            ];
            for ((there, back), other) in pairs {
                let states = [self.wanted(&plain)?, self.wanted(other)?];
                let changes = self.alternate(&states, [there, back], rounds)?;
                outcomes.extend(changes.into_iter().map(|(name, outcome)| ((name, length), outcome)));
            }
        }
        self.reach(&Desired::default())?;
        Ok(outcomes)
    }

    fn wanted(&self, stamps: &[Stamp]) -> Result<Wanted> {
        let (mut members, mut list) = (Vec::new(), Vec::new());
        for stamp in stamps {
            let number = if stamp.replaced { REPLACED } else { stamp.name };
            let package = if stamp.replaced { &self.other_stamp } else { &self.stamp };
            let proceed = stamp.proceeds.then(|| vec!["pass".to_owned(), "tx".to_owned()]);
            let config = BTreeMap::from([("number".to_owned(), serde_json::Value::from(i64::from(number)))]);
            let wish = MemberWish { proceed, config, ..MemberWish::default() };
            members.push(Member::new(format!("m{}", stamp.name).parse()?, self.hook.point, package, wish)?);
            list.push(number);
        }
        members.push(Member::new("record".parse()?, self.hook.point, &self.record, MemberWish::default())?);
        let mut desired = Desired::default();
        desired.chain(self.hook.clone(), members)?;
        Ok(Wanted { desired, list })
    }

    fn reach(&mut self, desired: &Desired) -> Result<()> {
        let plan = reconcile(desired, &self.kernel.observe(&BTreeSet::new())?)?;
        Ok(kernel::apply(&mut self.kernel, &plan, desired)?)
    }

    /// Goes from one state to the other and back, and looks at what the packets saw meanwhile.
    fn alternate(
        &mut self,
        states: &[Wanted; 2],
        names: [&'static str; 2],
        rounds: usize,
    ) -> Result<BTreeMap<&'static str, Outcome>> {
        self.reach(&states[0].desired)?;
        // What was on its way before is counted before.
        thread::sleep(Duration::from_millis(20));
        let before = self.lists()?;
        let begin = Instant::now();
        let mut outcomes: BTreeMap<&'static str, Outcome> = BTreeMap::new();
        for round in 0..2 * rounds {
            let to = &states[(round + 1) % 2];
            let time_ms = self.change(&to.desired)?;
            outcomes.entry(names[round % 2]).or_default().times_ms.push(time_ms);
        }
        let seconds = begin.elapsed().as_secs_f64();
        let expected: BTreeSet<&[u8]> = states.iter().map(|state| state.list.as_slice()).collect();
        let (mut packets, mut neither) = (0, 0);
        for (list, count) in self.lists()? {
            let news = count - before.get(&list).copied().unwrap_or_default();
            packets += news;
            if !expected.contains(list.as_slice()) {
                neither += news;
            }
        }
        for outcome in outcomes.values_mut() {
            (outcome.packets, outcome.neither, outcome.seconds) = (packets, neither, seconds);
        }
        Ok(outcomes)
    }

    /// Makes one change; returns how many milliseconds passed until packets followed it.
    fn change(&mut self, desired: &Desired) -> Result<f64> {
        let plan = reconcile(desired, &self.kernel.observe(&BTreeSet::new())?)?;
        let switch = switch_of(&plan)?;
        let begin = Instant::now();
        for planned in &plan.steps[..=switch] {
            self.kernel.execute(&planned.step, desired)?;
        }
        let time_ms = begin.elapsed().as_secs_f64() * 1000.0;
        for planned in &plan.steps[switch + 1..] {
            self.kernel.execute(&planned.step, desired)?;
        }
        Ok(time_ms)
    }

    /// How many packets carried which list.
    fn lists(&self) -> Result<BTreeMap<Vec<u8>, u64>> {
        let states = self.pins.join(self.hook.interface.name.as_ref()).join("xdp/state");
        let state = std::fs::read_dir(&states)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.join("lists").exists())
            .context("the last member has no map")?;
        let dump = it::run(&format!("bpftool -j map dump pinned {}", state.join("lists").display()))?;
        let entries: Vec<Value> = serde_json::from_str(&dump)?;
        entries.iter().map(entry).collect()
    }
}

/// The step that puts a plan into effect: the last write of a slot.
fn switch_of(plan: &Plan) -> Result<usize> {
    let found = plan.steps.iter().rposition(|planned| matches!(planned.step, Step::Link { .. }));
    found.context("nothing is switched")
}

/// Reads one entry of a dump of bytes: the length of the list, its numbers, and the count.
fn entry(entry: &Value) -> Result<(Vec<u8>, u64)> {
    let bytes = |name: &str| -> Result<Vec<u8>> {
        let texts = entry[name].as_array().context("`bpftool` says nothing")?;
        let byte = |text: &Value| {
            Ok(u8::from_str_radix(text.as_str().context("no text")?.trim_start_matches("0x"), 16)?)
        };
        texts.iter().map(byte).collect()
    };
    let (key, value) = (bytes("key")?, bytes("value")?);
    let (Some((length, numbers)), Ok(count)) = (key.split_first(), <[u8; 8]>::try_from(value)) else {
        bail!("`bpftool` prints maps in another way than this benchmark reads");
    };
    let list = numbers.iter().take(usize::from(*length)).copied().collect();
    Ok((list, u64::from_ne_bytes(count)))
}

pub(crate) fn quantile(samples: &[f64], share: f64) -> f64 {
    let mut samples = samples.to_vec();
    samples.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index between 0 and the length"
    )]
    let at = (samples.len().saturating_sub(1) as f64 * share).round() as usize;
    samples.get(at).copied().unwrap_or(f64::NAN)
}

type Outcomes = BTreeMap<(&'static str, usize), Outcome>;

#[expect(clippy::print_stdout, reason = "this is the data")]
fn print_json(outcomes: &Outcomes) {
    let operations: Map<String, Value> = outcomes
        .iter()
        .map(|((operation, length), outcome)| {
            let told = json!({
                "p50_ms": rounded(quantile(&outcome.times_ms, 0.5)),
                "p99_ms": rounded(quantile(&outcome.times_ms, 0.99)),
                "packets": outcome.packets,
                "neither": outcome.neither,
            });
            (format!("{operation}@{length}"), told)
        })
        .collect();
    println!("{}", json!({ "op": operations }));
}

pub(crate) fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "this is the data, for people")]
fn print(outcomes: &Outcomes, sent: u64) {
    println!(
        "{:<10}{:>8}{:>10}{:>10}{:>14}{:>10}{:>14}",
        "change", "members", "p50 ms", "p99 ms", "packets", "neither", "packets/s"
    );
    for ((operation, length), outcome) in outcomes {
        let (p50, p99) = (quantile(&outcome.times_ms, 0.5), quantile(&outcome.times_ms, 0.99));
        let rate = outcome.packets as f64 / outcome.seconds;
        let Outcome { packets, neither, .. } = outcome;
        println!("{operation:<10}{length:>8}{p50:>10.3}{p99:>10.3}{packets:>14}{neither:>10}{rate:>14.0}");
    }
    println!("\n{sent} packets were sent");
}
