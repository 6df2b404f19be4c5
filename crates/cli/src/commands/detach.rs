// SPDX-License-Identifier: Apache-2.0
//! `l3af detach --all`: takes everything off. It needs no running daemon, no network and no policy.
//!
//! Where no daemon answers, `l3afd --detach` does it. Where there is no `l3afd`, pins are removed: a link in the kernel
//! lives as long as its pin, and a pin is a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::call;
use crate::arguments::{Daemon, Detach};
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn run(daemon: &Daemon, arguments: &Detach) -> Outcome {
    daemon.of_this_machine("detach")?;
    match call(daemon, async |node| node.stop_all().await) {
        Ok(applied) => {
            output::note(&format!("the daemon stopped all members (generation {})", applied.generation));
        }
        Err(failure) => {
            output::note(&format!("the daemon did not do it: {failure}"));
            hold(&arguments.state)?;
        }
    }
    match detach_by_daemon(&arguments.pins) {
        Ok(steps) => output::data(steps.trim_end()),
        Err(error) => {
            output::note(&format!("`l3afd --detach` did not do it either: {error}"));
            remove_links(&arguments.pins)?;
        }
    }
    output::note("nothing is attached any more");
    Ok(())
}

/// Lets the daemon's own program take off what is pinned; returns what it did.
fn detach_by_daemon(pins: &Path) -> io::Result<String> {
    told_by_daemon(Command::new(daemon_program()?).arg("--detach").arg("--pins").arg(pins))
}

/// The program of the daemon: the one beside this one, or that of the path.
pub(super) fn daemon_program() -> io::Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name("l3afd");
    Ok(if beside.exists() { beside } else { PathBuf::from("l3afd") })
}

/// Runs it, and returns what it says.
pub(super) fn told_by_daemon(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

/// Tells a daemon that starts later to leave everything off.
fn hold(state: &Path) -> Outcome {
    if !state.join("generations").exists() {
        return Ok(());
    }
    let marker = state.join("detached");
    let text = "taken off by `l3af detach --all`; the next `l3af apply` or `l3af run` ends this\n";
    fs::write(&marker, text).map_err(|error| {
        Failure::new(format!("cannot write `{}`: {error}", marker.display())).with_hint("run it as root")
    })
}

/// Removes all links, and then all pins. What more than that must be done for is left, and named.
fn remove_links(pins: &Path) -> Outcome {
    let failed = |error: io::Error| {
        Failure::new(format!("cannot remove the pins in `{}`: {error}", pins.display()))
            .with_hint("run it as root")
    };
    let hooks = hooks(pins).map_err(failed)?;
    let needs_more = |hook: &&PathBuf| hook.join("root/filter").exists() || hook.join("incumbent").exists();
    let (left, simple): (Vec<&PathBuf>, Vec<&PathBuf>) = hooks.iter().partition(needs_more);
    for hook in &simple {
        remove_link(&hook.join("root/link")).map_err(failed)?;
    }
    for folder in
        if left.is_empty() { folders(pins).map_err(failed)? } else { simple.into_iter().cloned().collect() }
    {
        fs::remove_dir_all(&folder).map_err(failed)?;
        output::data(&format!("removed {}", folder.display()));
    }
    let Some(first) = left.first() else { return Ok(()) };
    Err(Failure::new(format!(
        "the chain of `{}` is attached as a filter, or took a place over",
        first.display()
    ))
    .with_hint("`l3afd --detach` takes it off"))
}

fn remove_link(link: &Path) -> io::Result<()> {
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// The folders of hooks, however deep: those that have one of a root.
fn hooks(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for inner in folders(folder)? {
        if inner.ends_with("root") {
            return Ok(vec![folder.to_owned()]);
        }
        found.extend(hooks(&inner)?);
    }
    Ok(found)
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}
