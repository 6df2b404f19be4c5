// SPDX-License-Identifier: Apache-2.0
//! Benchmarks: builds what they need and runs them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::shell::{self, command, repository};
use crate::{setup, vm};

/// Runs the benchmarks of the chain engine with these arguments.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let bench = build()?;
    // Beside a server that is installed, ours is built as it is released.
    if arguments.first().is_some_and(|bench| bench == "hub") {
        shell::run(&mut command("cargo build --quiet --release --package hub"))?;
    }
    shell::run(Command::new(bench).args(arguments).current_dir(repository()))
}

/// The same in a guest. Compilers take long there, so what is measured is compiled before.
pub(crate) fn run_in_guest(release: &str, arguments: &[String]) -> Result<()> {
    let bench = build()?;
    shell::run(Command::new(&bench).arg("compile").current_dir(repository()))?;
    vm::run_command(release, &format!("{} {}", bench.display(), arguments.join(" ")))
}

fn build() -> Result<PathBuf> {
    setup::install(setup::EVERYTHING)?;
    shell::run(&mut command("cargo build --quiet --workspace --bins"))?;
    Ok(repository().join("target/debug/l3af-bench"))
}
