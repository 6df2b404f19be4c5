// SPDX-License-Identifier: Apache-2.0
//! Benchmarks of the chain engine and of the door before it, on this machine's kernel, in namespaces of their own.
//!
//! Machines are noisy, so what is told is ratios: every sample is taken beside one of a reference, in an order that is
//! shuffled anew in each round.

mod chain;
mod change;
mod dispatched;
mod drift;
mod hub;
mod kills;
mod map;
mod node;
mod packages;
mod plot;
mod programs;
mod traffic;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[derive(Debug, Parser)]
#[command(name = "l3af-bench", about = "Benchmarks of the chain engine", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// What a member costs, by mechanism and length of the chain
    Chain(Options),
    /// Compile what `chain` measures; what is compiled already stays
    Compile,
    /// How long a change of a running chain takes, and what packets see of it
    Change(Options),
    /// How long a chain that somebody detached is detached
    Drift(Options),
    /// The hub beside `docker-registry`: small and large reads and pushes, memory; and searches among many packages
    Hub(Options),
    /// Kill a daemon in the middle of applying, before each of its system calls, and look what is in force afterwards
    Kills(Options),
    /// How fast entries of maps are set and told, and events become JSON
    Map(Options),
    /// What a daemon with a thousand members takes, to apply and adopt them, and at rest
    Node(Options),
    /// What a packet costs in each package of `programs/`, beside a program that does nothing and a parser written by hand
    Programs(Options),
    /// How long a package of 1 MiB is verified, and how long its program is loaded
    Verify(Options),
}

#[derive(Debug, clap::Args)]
struct Options {
    /// Print one JSON object on one line
    #[arg(long)]
    json: bool,
    /// Draw the result into a file (SVG)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Rounds of measuring (chain, drift, hub, map, verify), changes of each kind (change), documents applied (kills), or
    /// seconds of rest (node)
    #[arg(long)]
    rounds: Option<usize>,
    /// Runs in one sample (chain); emulated machines take a hundred times as long for one
    #[arg(long)]
    runs: Option<u32>,
    /// Measure only what is told under a name that begins so (hub): `push`, `search`
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

fn main() -> ExitCode {
    lift_descriptor_limit();
    let result = match Arguments::parse().bench {
        Bench::Chain(options) => chain::run(&options),
        Bench::Compile => chain::compile_all(),
        Bench::Change(options) => change::run(&options),
        Bench::Drift(options) => drift::run(&options),
        Bench::Hub(options) => hub::run(&options),
        Bench::Kills(options) => kills::run(&options),
        Bench::Map(options) => map::run(&options),
        Bench::Node(options) => node::run(&options),
        Bench::Programs(options) => packages::run(&options),
        Bench::Verify(options) => verify::run(&options),
    };
    finish(result)
}

/// Every program and map that is measured has a descriptor, more than most shells allow. Where that cannot be changed, making
/// one fails and says so.
fn lift_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

#[expect(clippy::print_stderr, reason = "a benchmark talks to people")]
fn finish(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
