// SPDX-License-Identifier: Apache-2.0
//! `l3af`: builds, signs and runs eBPF packages.
//!
//! This file only starts a command and tells how it ended. Data goes to stdout, everything else to stderr.

mod arguments;
mod commands;
mod failure;
mod output;
mod package_source;
mod progress;
mod signing_key;
mod subject;

use std::process::ExitCode;

fn main() -> ExitCode {
    let Err(failure) = commands::run(arguments::Arguments::read()) else { return ExitCode::SUCCESS };
    output::note(&format!("error: {failure}"));
    if let Some(hint) = failure.hint() {
        output::note(&format!("hint: {hint}"));
    }
    if let Some(log) = failure.log() {
        output::note(&format!("log: {log}"));
    }
    ExitCode::FAILURE
}
