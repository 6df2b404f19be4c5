// SPDX-License-Identifier: Apache-2.0
//! Running other programs.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::Unbootable;

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn unstarted(command: &Command) -> impl FnOnce(std::io::Error) -> Unbootable {
    let program = program(command);
    move |source| Unbootable::Start { program, source }
}

/// Runs a command that talks for itself.
pub(crate) fn run(command: &mut Command) -> Result<(), Unbootable> {
    let status = command.status().map_err(unstarted(command))?;
    if status.success() { Ok(()) } else { Err(Unbootable::Failed { program: program(command), status }) }
}

/// Runs a command, and writes what it prints into a file.
pub(crate) fn run_into(command: &mut Command, file: std::fs::File) -> Result<(), Unbootable> {
    run(command.stdout(file))
}

/// Runs a command and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, Unbootable> {
    let done = command.stderr(Stdio::inherit()).output().map_err(unstarted(command))?;
    if !done.status.success() {
        return Err(Unbootable::Failed { program: program(command), status: done.status });
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Runs a command, and shows each line that it prints to a reader.
pub(crate) fn watch(command: &mut Command, mut see: impl FnMut(&str)) -> Result<(), Unbootable> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(unstarted(command))?;
    let unread = || Unbootable::file(format!("read what `{}` prints", program(command)));
    for line in child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).split(b'\n')) {
        see(String::from_utf8_lossy(&line.map_err(unread())?).trim_end_matches('\r'));
    }
    let status = child.wait().map_err(unread())?;
    if status.success() { Ok(()) } else { Err(Unbootable::Failed { program: program(command), status }) }
}
