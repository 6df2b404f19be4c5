// SPDX-License-Identifier: Apache-2.0
//! Benchmarks: builds what they need and runs them.

use anyhow::Result;

use crate::setup;
use crate::shell::{self, command, repository};

/// Runs the benchmarks of the chain engine with these arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::install(setup::EVERYTHING)?;
    shell::run(&mut command("cargo build --quiet --package it --bin l3af-bench"))?;
    let bench = repository().join("target/debug/l3af-bench");
    shell::run(std::process::Command::new(bench).args(arguments).current_dir(repository()))
}
