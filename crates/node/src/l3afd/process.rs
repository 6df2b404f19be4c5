// SPDX-License-Identifier: Apache-2.0
//! The process of the daemon, as l3afd v1 has it: its flags, and the file with its number.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::restart::is_successor;
use crate::{Config, Lock, Locked};

/// The number of the process cannot be written.
#[derive(Debug, Error)]
#[error("cannot write the number of the process to `{}` (`pid-file`)", path.display())]
pub struct NoPidFile {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Arguments with one dash, as Go has them, with the two that they have here.
pub fn as_spelled_today(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    const OLD: [&str; 2] = ["-config", "-version"];
    arguments.map(|argument| {
        let name = argument.to_str().map(|text| text.split('=').next().unwrap_or(text));
        if name.is_some_and(|name| OLD.contains(&name)) {
            let mut today = OsString::from("-");
            today.push(&argument);
            return today;
        }
        argument
    })
}

/// Takes the folder of state. Whoever takes over from another process tells it first that it is there.
///
/// # Errors
/// When somebody else keeps it, or it cannot be written.
pub fn lock(config: &Config) -> Result<Lock, Locked> {
    let takes_over = config.l3afd.is_some() && is_successor(&config.state);
    if takes_over { Lock::take_over(&config.state) } else { Lock::take(&config.state) }
}

/// Writes the number of the process to the file that `l3afd.cfg` names.
///
/// # Errors
/// When it cannot be written.
pub fn write_pid_file(config: &Config) -> Result<(), NoPidFile> {
    let Some(l3afd) = config.l3afd.as_ref().filter(|l3afd| l3afd.pid_file != OsStr::new("")) else {
        return Ok(());
    };
    let path = l3afd.pid_file.clone();
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = written.and_then(|()| fs::write(&path, std::process::id().to_string()));
    written.map_err(|source| NoPidFile { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_old_are_understood() {
        let told = as_spelled_today(
            ["l3afd", "-config", "a.cfg", "-config=b", "--pins", "-x"].map(OsString::from).into_iter(),
        );
        let told: Vec<OsString> = told.collect();
        assert_eq!(told, ["l3afd", "--config", "a.cfg", "--config=b", "--pins", "-x"]);
    }
}
