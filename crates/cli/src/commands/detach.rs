// SPDX-License-Identifier: Apache-2.0
//! `l3af detach --all`: takes everything off. It needs no daemon, no network and no policy: a link in the kernel lives as
//! long as its pin, and a pin is a file. Where a chain is a filter (TC before Linux 6.6), `tc` takes it off.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::call;
use crate::arguments::Detach;
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn run(socket: &Path, arguments: &Detach) -> Outcome {
    match call(socket, async |node| node.stop_all().await) {
        Ok(applied) => {
            output::note(&format!("the daemon stopped all members (generation {})", applied.generation));
        }
        Err(failure) => {
            output::note(&format!("the daemon did not do it: {failure}"));
            hold(&arguments.state)?;
        }
    }
    let removed = remove_pins(&arguments.pins).map_err(|error| {
        Failure::new(format!("cannot remove the pins in `{}`: {error}", arguments.pins.display()))
            .with_hint("run it as root")
    })?;
    for hook in &removed {
        output::data(&format!("removed {hook}"));
    }
    output::note("nothing is attached any more");
    Ok(())
}

/// Tells a daemon that starts later to leave everything off.
fn hold(state: &Path) -> Outcome {
    if !state.join("current").exists() {
        return Ok(());
    }
    let marker = state.join("detached");
    let text = "taken off by `l3af detach --all`; the next `l3af apply` or `l3af run` ends this\n";
    fs::write(&marker, text).map_err(|error| {
        Failure::new(format!("cannot write `{}`: {error}", marker.display())).with_hint("run it as root")
    })
}

/// Removes links first: from then on packets pass, whatever else fails.
fn remove_pins(pins: &Path) -> io::Result<Vec<String>> {
    let probes = remove_probes(pins)?;
    let mut hooks: Vec<PathBuf> = Vec::new();
    for interface in folders(pins)? {
        hooks.extend(folders(&interface)?.into_iter().filter(|folder| !folder.ends_with("discipline")));
    }
    for hook in &hooks {
        match fs::remove_file(hook.join("root/link")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
        if hook.join("root/filter").exists() {
            remove_filter(hook)?;
        }
    }
    for interface in folders(pins)? {
        if interface.join("discipline").exists() {
            remove_discipline(&interface)?;
        }
        fs::remove_dir_all(interface)?;
    }
    let name =
        |hook: &PathBuf| hook.strip_prefix(pins).unwrap_or(hook).display().to_string().replace(':', ".");
    Ok(hooks.iter().map(name).chain(probes).collect())
}

/// The folder of probes, which have no interface; `crates/kernel/src/linux/probe/mod.rs` draws it.
const PROBES: &str = "probes-outside-of-chains";

/// Removes the links of all probes, then the rest of them. Returns which there were.
fn remove_probes(pins: &Path) -> io::Result<Vec<String>> {
    let folder = pins.join(PROBES);
    let probes = folders(&folder.join("instances"))?;
    for probe in &probes {
        match fs::remove_dir_all(probe.join("links")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let name = |probe: &PathBuf| probe.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(probes.iter().map(|probe| format!("probe {}", name(probe))).collect())
}

/// The priority of the filters that are chains.
const PRIORITY: &str = "5039";

fn remove_filter(hook: &Path) -> io::Result<()> {
    let way = if hook.ends_with("tc-egress") { "egress" } else { "ingress" };
    let interface = hook.parent().map(interface_of).unwrap_or_default();
    // With its interface a filter is gone already.
    if Path::new("/sys/class/net").join(&interface).exists() {
        tc(&["filter", "del", "dev", &interface, way, "prio", PRIORITY])?;
    }
    Ok(())
}

/// The discipline was made for a chain. Where somebody else has filters in it by now, it stays.
fn remove_discipline(folder: &Path) -> io::Result<()> {
    let interface = interface_of(folder);
    if !Path::new("/sys/class/net").join(&interface).exists() {
        return Ok(());
    }
    for way in ["ingress", "egress"] {
        if !tc(&["filter", "show", "dev", &interface, way])?.trim().is_empty() {
            return Ok(());
        }
    }
    tc(&["qdisc", "del", "dev", &interface, "clsact"]).map(drop)
}

/// A colon stands for the dot in the names of pins.
fn interface_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().replace(':', ".")
}

fn tc(arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("tc").args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("`tc {}`: {said}", arguments.join(" "))))
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
