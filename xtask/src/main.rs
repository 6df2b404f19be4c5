// SPDX-License-Identifier: Apache-2.0
//! The chores of the project: `cargo xtask --help` lists them. `make` only calls them.

mod bench;
mod demo;
mod durability;
mod hub_kills;
mod npm;
mod programs;
mod python;
mod setup;
mod shell;
mod suite;
mod tidy;
mod tools;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "xtask", about = "The chores of the project", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Install the system packages that are missing (Debian, Ubuntu)
    Setup,
    /// Build the packages of `programs/`, with their programs for user space, into `target/programs`
    Programs,
    /// Make the Python environment of the tests, `target/python`
    Python,
    /// Install what the tests run with Node.js, `target/npm`
    Npm,
    /// Run every check and every test, as CI does
    ///
    /// With `L3AF_TEST=unprivileged` what needs root is left out.
    Test,
    /// Check what no compiler checks: documents, lengths, licences, unsafe code
    Tidy,
    /// Run the stories, or a command, on another kernel in QEMU
    Vm(vm::Arguments),
    /// Switch a node off in the middle of applying, again and again, and look what it has when it boots
    Durability(durability::Arguments),
    /// Kill a hub again and again while artifacts are pushed to it, and look for each one that it acknowledged
    HubKills {
        /// How often: `--pushes 1000 --kills 100`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure: `bench chain`, `bench change`, `bench verify`
    Bench {
        /// Measure in a guest, on another kernel
        #[arg(long, value_name = "KERNEL")]
        vm: Option<String>,
        /// Arguments of the benchmark; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build everything and show it on real packets
    Demo {
        /// Arguments of the demo; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Setup => setup::install(setup::EVERYTHING),
        Chore::Programs => programs::build(),
        Chore::Python => python::prepare(),
        Chore::Npm => npm::prepare(),
        Chore::Test => suite::run(),
        Chore::Tidy => tidy::run(),
        Chore::Vm(arguments) => vm::run(&arguments),
        Chore::Durability(arguments) => durability::run(&arguments),
        Chore::HubKills { arguments } => hub_kills::run(&arguments),
        Chore::Bench { vm: None, arguments } => bench::run(&arguments),
        Chore::Bench { vm: Some(release), arguments } => bench::run_in_guest(&release, &arguments),
        Chore::Demo { arguments } => demo::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("\nerror: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
