// SPDX-License-Identifier: Apache-2.0
//! From a l3afd v1 that runs to this daemon, and back: who runs ends, and its hooks change hands.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use thiserror::Error;

use crate::generation::Generations;
use crate::{Config, durable};

/// How long a daemon may take to end: it waits for its user programs.
const PATIENCE: Timespec = Timespec { tv_sec: 15, tv_nsec: 0 };

/// The daemon that runs cannot be ended.
#[derive(Debug, Error)]
pub enum NotEnded {
    /// Nothing says which process it is.
    #[error("this is for the configuration of a l3afd v1, as in `--config /etc/l3afd/l3afd.cfg`")]
    NoConfiguration,
    /// The number is that of another program.
    #[error(
        "`{}` (`pid-file`) has the number {pid}, which is `{name}` and no l3afd: remove the file if that one has ended",
        path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// The number.
        pid: i32,
        /// What the process is.
        name: String,
    },
    /// It does not end.
    #[error("cannot end the l3afd whose number is in `{}` (`pid-file`)", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// What it had in force cannot be put aside.
    #[error("cannot write `{}`", path.display())]
    Unmarked {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Ends the l3afd v1 that runs, at once, so that it takes nothing off its hooks, and what it started in user space. Where none runs
/// there is nothing to do.
///
/// # Errors
/// When another program has the number in its file, or it cannot be ended.
pub fn end_l3afd_v1(config: &Config) -> Result<(), NotEnded> {
    let Some(Running { number, handle, path }) = running(config)? else { return Ok(()) };
    let children = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?));
    let children: Vec<OwnedFd> =
        children.filter_map(|child| pidfd_open(child, PidfdFlags::empty()).ok()).collect();
    tracing::info!(pid = number, "ending the l3afd v1 that runs");
    // On SIGTERM it would take all of its programs off.
    end(&handle, Signal::KILL).map_err(|error| NotEnded::Failed { path, source: error.into() })?;
    for child in &children {
        if end(child, Signal::TERM) == Err(Errno::TIMEDOUT) {
            let _: Result<(), Errno> = pidfd_send_signal(child, Signal::KILL);
        }
    }
    Ok(())
}

/// Ends this daemon, and has the next one apply nothing of what it had in force. What is on its hooks is to be taken off then.
///
/// # Errors
/// When another program has the number in its file, or it does not end.
pub fn end_for_l3afd_v1(config: &Config) -> Result<(), NotEnded> {
    if let Some(Running { handle, path, .. }) = running(config)? {
        end(&handle, Signal::TERM).map_err(|error| NotEnded::Failed { path, source: error.into() })?;
    }
    let path = Generations::new(&config.state).detached();
    durable::write(&path, b"given back to a l3afd v1\n").map_err(|source| NotEnded::Unmarked { path, source })
}

/// The process whose number is in the file.
struct Running {
    number: i32,
    handle: OwnedFd,
    path: PathBuf,
}

fn running(config: &Config) -> Result<Option<Running>, NotEnded> {
    let path = config.l3afd.as_ref().ok_or(NotEnded::NoConfiguration)?.pid_file.clone();
    let Some(pid) = number(&path) else { return Ok(None) };
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => return Ok(None),
        Err(error) => return Err(NotEnded::Failed { path, source: error.into() }),
        Ok(handle) => handle,
    };
    let number = pid.as_raw_nonzero().get();
    match fs::read_to_string(format!("/proc/{number}/comm")) {
        Ok(name) if name.trim() == "l3afd" => Ok(Some(Running { number, handle, path })),
        Ok(name) => Err(NotEnded::Other { path, pid: number, name: name.trim().to_owned() }),
        // It has just ended.
        Err(_) => Ok(None),
    }
}

fn number(path: &Path) -> Option<Pid> {
    Pid::from_raw(fs::read_to_string(path).ok()?.trim().parse().ok()?)
}

/// Sends a signal to a process, and waits for its end.
fn end(process: &OwnedFd, signal: Signal) -> Result<(), Errno> {
    pidfd_send_signal(process, signal)?;
    let ended = retry_on_intr(|| poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&PATIENCE)))?;
    if ended == 0 { Err(Errno::TIMEDOUT) } else { Ok(()) }
}
