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
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// The daemon that runs cannot be ended.
#[derive(Debug, Error)]
pub enum NotEnded {
    /// Nothing says which process it is.
    #[error("this is for the configuration of a l3afd v1, as in `--config /etc/l3afd/l3afd.cfg`")]
    NoConfiguration,
    /// Nothing says what it ran.
    #[error("what a l3afd v1 runs is not known: `[l3af-config-store] filename` is empty")]
    NoStore,
    /// The store has nothing, or cannot be read.
    #[error("`{}` (`[l3af-config-store] filename`) has nothing that could be deployed; what runs goes on", path.display())]
    NothingStored {
        /// The file.
        path: PathBuf,
    },
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

/// Ends the l3afd v1 that runs, at once, so that it takes nothing off its hooks, and what it started in user space. This daemon then
/// applies nothing of what it had in force before, and what is in the store file in its place.
///
/// # Errors
/// When there is nothing in the store file, another program has the number in its file, or it cannot be ended.
pub fn end_l3afd_v1(config: &Config) -> Result<(), NotEnded> {
    let store = config.l3afd.as_ref().and_then(|l3afd| l3afd.store.clone());
    let running = running(config)?;
    // Nobody is ended whose place cannot be taken.
    let store = store.ok_or(NotEnded::NoStore)?;
    if !super::store::read(&store).is_ok_and(|entries| !entries.is_empty()) {
        return Err(NotEnded::NothingStored { path: store });
    }
    hold(config, "a l3afd v1 is taken over\n")?;
    let Some(Running { number, handle, path }) = running else { return Ok(()) };
    let children = children_of(number);
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
    let running = running(config)?;
    hold(config, "given back to a l3afd v1\n")?;
    let Some(Running { handle, path, .. }) = running else { return Ok(()) };
    end(&handle, Signal::TERM).map_err(|error| NotEnded::Failed { path, source: error.into() })
}

/// Has a daemon that starts apply nothing of what was in force.
fn hold(config: &Config, why: &str) -> Result<(), NotEnded> {
    let path = Generations::new(&config.state).detached();
    durable::write(&path, why.as_bytes()).map_err(|source| NotEnded::Unmarked { path, source })
}

/// The processes that a process started: each of its threads lists its own (`/proc/PID/task/TID/children`, proc(5)).
fn children_of(number: i32) -> Vec<OwnedFd> {
    let threads = fs::read_dir(format!("/proc/{number}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let lists: Vec<String> = lists.collect();
    let children = lists.iter().flat_map(|list| list.split_whitespace());
    let children = children.filter_map(|child| Pid::from_raw(child.parse().ok()?));
    children.filter_map(|child| pidfd_open(child, PidfdFlags::empty()).ok()).collect()
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
