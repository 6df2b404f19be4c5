// SPDX-License-Identifier: Apache-2.0
//! Running other programs, and talking about it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The folder of the repository.
pub(crate) fn repository() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask is a folder of the repository").to_owned()
}

/// Says something to whoever runs the chore.
#[expect(clippy::print_stdout, reason = "the one place that prints")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// A command that runs in the repository, from words without blanks.
pub(crate) fn command(line: &str) -> Command {
    let mut words = line.split_ascii_whitespace();
    let mut command = Command::new(words.next().expect("a command line has a first word"));
    command.args(words).current_dir(repository());
    command
}

/// Runs a command that talks for itself.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} failed: {status}") }
}

/// Runs a command and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {command:?}"))?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        bail!("{command:?} failed: {}", output.status)
    }
}

/// Runs a command, passes on each line that it prints, and shows each to a reader.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<()> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = child.stdout.take().context("the output was piped")?;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).trim_end_matches('\r').to_owned();
        say(&line);
        see(&line);
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { bail!("{command:?} failed: {status}") }
}

/// Whether a program can be found.
pub(crate) fn exists(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", "command -v \"$0\" >/dev/null", program])
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether this runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
