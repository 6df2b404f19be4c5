// SPDX-License-Identifier: Apache-2.0
//! `l3af`: the command line for people. Each command is a module; this is the rim where errors are printed.

mod arguments;
mod commands;
mod failure;
mod output;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use commands::{apply, build, chain, detach, inspect, key, ps, run, sign, status, stop, verify};

fn main() -> ExitCode {
    let Arguments { socket, command } = Arguments::parse();
    let result = match command {
        Command::Build(build) => build::run(&build),
        Command::Inspect(inspect) => inspect::run(&inspect),
        Command::Key { command } => key::run(&command),
        Command::Sign(sign) => sign::run(&sign),
        Command::Verify(verify) => verify::run(&verify),
        Command::Apply(apply) => apply::run(&socket, &apply),
        Command::Run(run) => run::run(&socket, run),
        Command::Ps(ps) => ps::run(&socket, &ps),
        Command::Chain(chain) => chain::run(&socket, &chain),
        Command::Stop(stop) => stop::run(&socket, &stop),
        Command::Status(status) => status::run(&socket, &status),
        Command::Detach(detach) => detach::run(&socket, &detach),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::problem(&failure);
            ExitCode::FAILURE
        }
    }
}
