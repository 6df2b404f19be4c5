// SPDX-License-Identifier: Apache-2.0
//! Running programs and keeping what they said.

use std::path::PathBuf;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// A program that ended.
#[derive(Debug)]
pub struct Ran {
    /// Whether it succeeded.
    pub ok: bool,
    /// What it printed.
    pub stdout: String,
    /// What it complained of.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            ok: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    /// What it printed, if it succeeded.
    ///
    /// # Errors
    /// When it failed: with what it complained of.
    pub fn success(self) -> Result<String> {
        if self.ok { Ok(self.stdout) } else { bail!("{}{}", self.stdout, self.stderr) }
    }
}

/// Runs a command line of words without blanks.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(line: &str) -> Result<String> {
    let mut words = line.split_ascii_whitespace();
    let program = words.next().context("an empty command line")?;
    let output =
        Command::new(program).args(words).output().with_context(|| format!("cannot start `{line}`"))?;
    Ran::from(output).success().with_context(|| format!("`{line}` failed"))
}

/// Runs a command line in a network namespace.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run_in(namespace: &str, line: &str) -> Result<String> {
    run(&format!("nsenter --net=/run/netns/{namespace} {line}"))
}

/// A binary of this project, beside the one that runs now.
///
/// # Errors
/// When it was not built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // A test binary is one folder deeper than the others.
    let found = own.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.exists());
    found.with_context(|| format!("`{name}` is not built: run `cargo build --workspace`"))
}
