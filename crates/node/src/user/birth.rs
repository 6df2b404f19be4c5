// SPDX-License-Identifier: Apache-2.0
//! How a process of the daemon's becomes a user program.
//!
//! The daemon starts itself again under the name [`USER_PROGRAM`], with the sealed program as standard input. That
//! process is alone with its one thread, so it can make a session of its own, give up what the program is not to have, and be
//! sure which descriptors it leaves open, before it executes the sealed bytes. Between `fork` and `exec` the daemon itself
//! could do none of that without unsafe code.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Signal, getppid, set_parent_process_death_signal, setsid};

use super::confined::confine;
use super::handed;
use super::sealed::Sealed;
use super::terms::Terms;

/// What the daemon calls itself where it is about to become a user program.
pub const USER_PROGRAM: &str = "l3afd-user-program";

/// The environment of user programs. Nothing of the daemon's own is in it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command that becomes a sealed program with a name and arguments, on some terms, and writes to a file and in a folder.
pub(super) fn command(
    sealed: Sealed,
    (name, arguments): (&str, &[String]),
    terms: &Terms,
    log: &File,
    folder: &Path,
) -> io::Result<Command> {
    // The running daemon, also when its file was replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg0(USER_PROGRAM).arg(std::process::id().to_string()).args(terms.arguments());
    command.arg(name).args(arguments);
    command.env_clear().env("PATH", PATH).env("TMPDIR", folder).current_dir(folder);
    command.stdin(sealed.into_file()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    Ok(command)
}

/// Becomes the program that standard input is. The arguments are the daemon's process, the terms, the program's name, and its
/// own arguments. Returns only when it cannot.
pub fn become_user_program(mut arguments: impl Iterator<Item = OsString>) -> io::Error {
    match prepare(&mut arguments) {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

fn prepare(arguments: &mut impl Iterator<Item = OsString>) -> io::Result<Command> {
    let missing = || io::Error::new(io::ErrorKind::InvalidInput, "only the daemon starts this");
    let daemon: i32 = arguments.next().and_then(|text| text.to_str()?.parse().ok()).ok_or_else(missing)?;
    let terms = Terms::read(&mut *arguments).ok_or_else(missing)?;
    let name = arguments.next().ok_or_else(missing)?;
    setsid()?;
    // Pins are root's.
    let maps = handed::open(&terms.maps)?;
    terms.hold()?;
    // Nobody would watch it any more, and the next daemon starts one of its own. Whoever becomes another user forgets the
    // signal (`commit_creds`), so it is asked for only now.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if getppid().is_none_or(|parent| parent.as_raw_pid() != daemon) {
        return Err(io::Error::other("the daemon ended meanwhile"));
    }
    confine(terms.identity, terms.signals)?;
    // It stays open in the program: the interpreter of a script reads it under this name.
    let sealed = rustix::io::dup(io::stdin())?.into_raw_fd();
    let mut command = Command::new(Path::new("/proc/self/fd").join(sealed.to_string()));
    command.arg0(name).args(arguments).env(handed::VARIABLE, maps).stdin(Stdio::null());
    Ok(command)
}
