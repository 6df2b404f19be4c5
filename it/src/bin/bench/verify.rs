// SPDX-License-Identifier: Apache-2.0
//! What the door costs, beside what the kernel asks of the same program afterwards.
//!
//! The package has the object of the rate limiter and a file of 1 MiB that nothing compresses. What is timed is `verify`: from
//! the files of a package in memory, by the digest of each, the signatures and every rule, to a package that may run. Reading
//! comes before, also where nothing is verified, and is told apart: it unpacks the layer, holds it against its digest and
//! reads the object. Loading is what `l3afd` would do next: open the object, make its maps, and have the verifier and the
//! compiler of the kernel go over the program.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result};
use it::repository;
use kernel::Candidate;
use package::{Digest, HookPoint, PackFile, PackSource, Package, Packed, Platform, pack};
use serde_json::json;
use trust::{
    Circumstances, Envelope, Evidence, Memory, PAYLOAD_TYPE, Policy, PrivateKey, Sign, Signer, Statement,
    Terms, Verified, verify,
};

use super::Options;
use super::change::{InMemory, quantile, rounded};
use super::programs::compile_source;

const PAYLOAD_BYTES: usize = 1 << 20;
const NOW: &str = "2030-01-01T00:00:00Z";

pub(crate) fn run(options: &Options) -> Result<()> {
    let rounds = options.rounds.unwrap_or(100);
    let object = compile_source("ratelimit", "programs/ratelimit/ratelimit.bpf.c", &[])?;
    let packed = package_with(&object)?;
    let (hybrid, classical) = (Signed::by(&packed, &hybrid())?, Signed::by(&packed, &classical())?);
    let candidate = Candidate { point: HookPoint::Xdp, object: &object, function: "ratelimit".parse()? };
    let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    // All take turns, so that what disturbs one disturbs all; the first finds colder caches, so they change places.
    for round in 0..rounds {
        let mut pair = [("hybrid", &hybrid), ("ed25519", &classical)];
        pair.rotate_left(round % 2);
        let packages = [hybrid.read()?, hybrid.read()?];
        for ((name, signed), package) in pair.into_iter().zip(packages) {
            times.entry(name).or_default().push(timed(|| signed.check(package))?);
        }
        times.entry("loading").or_default().push(timed(|| Ok(candidate.alone()?))?);
        times.entry("reading").or_default().push(timed(|| hybrid.read())?);
    }
    let median = |what: &str| rounded(quantile(&times[what], 0.5));
    tell(options, [median("hybrid"), median("ed25519"), median("loading"), median("reading")]);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn tell(options: &Options, [hybrid, ed25519, loading, reading]: [f64; 4]) {
    if options.json {
        let told =
            json!({ "hybrid_1mib_ms": hybrid, "ed25519_1mib_ms": ed25519, "kernel_verifier_ms": loading });
        println!("{told}");
        return;
    }
    println!("a package of 1 MiB, in milliseconds (medians)");
    println!("{:<44}{reading:>8.3}", "read");
    println!("{:<44}{ed25519:>8.3}", "verified, signed with Ed25519");
    println!("{:<44}{hybrid:>8.3}", "verified, signed with Ed25519 and ML-DSA-65");
    println!("{:<44}{loading:>8.3}", "its program loaded into the kernel");
}

fn timed<T>(what: impl FnOnce() -> Result<T>) -> Result<f64> {
    let begin = Instant::now();
    let done = black_box(what()?);
    let elapsed = begin.elapsed();
    // Letting it go costs something too, but nobody waits for that.
    drop(done);
    Ok(elapsed.as_secs_f64() * 1000.0)
}

/// A package of the rate limiter for this machine, with a payload.
fn package_with(object: &[u8]) -> Result<Packed> {
    let manifest = fs::read_to_string(repository().join("programs/ratelimit/package.toml"))?;
    let machine = Platform::this_machine().context("no platform is known for this machine")?;
    let (head, rest) = manifest.split_once("[[platform]]").context("it names no platform")?;
    let (_, rest) = rest.split_once("[[program]]").context("it names no program")?;
    let manifest = format!(
        "{head}[[platform]]\nos = \"{}\"\narchitecture = \"{}\"\n[[program]]{rest}",
        machine.os(),
        machine.architecture()
    );
    let file = |bytes: &[u8]| PackFile { bytes: bytes.to_vec(), executable: false };
    let source = fs::read(repository().join("programs/ratelimit/ratelimit.bpf.c"))?;
    let files = [
        ("ratelimit.bpf.o", file(object)),
        ("ratelimit.bpf.c", file(&source)),
        ("README.md", file(b"# ratelimit")),
        ("payload", file(&noise())),
    ];
    let files = files.map(|(path, file)| (path.to_owned(), file)).into();
    Ok(pack(&PackSource { manifest, files }, 0)?)
}

/// Bytes that nothing compresses: digests of numbers.
fn noise() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PAYLOAD_BYTES + 64);
    // 64 hexadecimal digits hold 32 bytes, so each pair becomes one.
    for number in 0.. {
        if bytes.len() >= PAYLOAD_BYTES {
            break;
        }
        let digits = Digest::of(&u64::to_le_bytes(number)).hex();
        let pairs = digits.as_bytes().chunks_exact(2).filter_map(|pair| str::from_utf8(pair).ok());
        bytes.extend(pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()));
    }
    bytes.truncate(PAYLOAD_BYTES);
    bytes
}

fn classical() -> Vec<PrivateKey> {
    vec![PrivateKey::from_seed([1; 32])]
}

fn hybrid() -> Vec<PrivateKey> {
    vec![PrivateKey::from_seed([1; 32]), PrivateKey::post_quantum_from_seed([1; 32])]
}

/// A package with a statement, and a machine that trusts who signed it.
struct Signed {
    blobs: InMemory,
    index: Digest,
    evidence: Evidence,
    policy: Policy,
    machine: Platform,
    memory: Memory,
}

impl Signed {
    fn by(packed: &Packed, keys: &[PrivateKey]) -> Result<Self> {
        let (blobs, index) = (InMemory::new(packed), packed.index.digest);
        let package = Package::read(&blobs, &index)?;
        let statement = Statement::about(&package, Terms::from(NOW.parse()?));
        let signer = Signer::of(keys.iter().map(|key| key.public().clone()).collect())?;
        let signing: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
        let envelope = Envelope::sign(PAYLOAD_TYPE, statement.to_json(), &signing)?.to_json();
        let policy = Policy::trusting(package.manifest.package.publisher, signer);
        let evidence = Evidence { envelopes: vec![envelope], ..Evidence::default() };
        let machine = Platform::this_machine().context("no platform is known for this machine")?;
        Ok(Self { blobs, index, evidence, policy, machine, memory: Memory::default() })
    }

    fn read(&self) -> Result<Package> {
        Ok(Package::read(&self.blobs, &self.index)?)
    }

    fn check(&self, package: Package) -> Result<Verified> {
        let Self { policy, machine, memory, .. } = self;
        let at = Circumstances::deployment(policy, machine, memory, NOW.parse()?);
        Ok(verify(package, &self.evidence, &at).outcome?)
    }
}
