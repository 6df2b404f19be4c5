// SPDX-License-Identifier: Apache-2.0
//! Another process takes over: it gets the sockets, so that callers notice nothing, waits until this one is gone, and adopts what
//! runs in the kernel, which never stops.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use command_fds::{CommandFdExt as _, FdMapping};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use super::L3afdConfig;
use super::release::{NotInstalled, install};
use crate::server::Shared;

/// The first descriptor that is handed over (`sd_listen_fds(3)`).
const FIRST: i32 = 3;
/// The file in the folder of state by which a successor tells that it is there.
const FILE: &str = "successor";
/// What a successor finds in its environment.
const MARK: &str = "L3AFD_SUCCESSOR";
/// How often to look whether it is there.
const PAUSE: Duration = Duration::from_millis(20);

/// What the process is that takes over.
#[derive(Debug)]
pub(crate) struct Successor {
    state: PathBuf,
    /// What is listened at, in the order in which it is handed over.
    listeners: Mutex<Vec<OwnedFd>>,
    is_coming: AtomicBool,
    end: watch::Sender<bool>,
}

/// No process takes over; this one goes on.
#[derive(Debug, Error)]
pub(crate) enum NoSuccessor {
    /// The version is not installed, and cannot be.
    #[error(transparent)]
    NotInstalled(#[from] NotInstalled),
    /// The version is no name of a folder.
    #[error("`{version}` is not the name of a version, such as `v2.1.0`")]
    BadVersion {
        /// What was given.
        version: String,
    },
    /// It cannot be started.
    #[error("cannot start `{}`: {source}", path.display())]
    Unstarted {
        /// What was to be started.
        path: PathBuf,
        /// Why it was not.
        source: io::Error,
    },
    /// It ended, or does not get as far as to wait.
    #[error("`{}` did not come up within {seconds} s, and this process goes on", path.display())]
    Silent {
        /// What was started.
        path: PathBuf,
        /// How long it had.
        seconds: u64,
    },
}

impl Successor {
    /// Nobody yet. `end` tells this process to end.
    pub(crate) fn new(state: &Path, listeners: Vec<OwnedFd>, end: watch::Sender<bool>) -> Self {
        let (state, listeners) = (state.to_owned(), Mutex::new(listeners));
        Self { state, listeners, is_coming: AtomicBool::new(false), end }
    }

    /// Whether another process is about to take over.
    pub(crate) fn is_coming(&self) -> bool {
        self.is_coming.load(Ordering::SeqCst)
    }

    /// Lets another process take over, unless one does already.
    pub(crate) fn begin(&self) -> bool {
        !self.is_coming.swap(true, Ordering::SeqCst)
    }

    /// Starts another process, and ends this one as soon as that is there.
    pub(crate) async fn start(
        &self,
        engine: &Shared,
        config: &L3afdConfig,
        version: &str,
    ) -> Result<(), NoSuccessor> {
        let started = self.try_start(engine, config, version).await;
        match &started {
            Ok(()) => drop(self.end.send_replace(true)),
            Err(_) => self.is_coming.store(false, Ordering::SeqCst),
        }
        started
    }

    async fn try_start(
        &self,
        engine: &Shared,
        config: &L3afdConfig,
        version: &str,
    ) -> Result<(), NoSuccessor> {
        check(version)?;
        install(engine, config, version).await?;
        let path = config.versions.join(version).join("l3afd/l3afd");
        drop(fs::remove_file(self.state.join(FILE)));
        let unstarted = |source| NoSuccessor::Unstarted { path: path.clone(), source };
        let mut child = self.spawn(&path).map_err(unstarted)?;
        let begin = Instant::now();
        while !self.is_there(&child) {
            let has_ended = !matches!(child.try_wait(), Ok(None));
            if has_ended || begin.elapsed() > config.patience {
                // One that has ended needs no signal.
                drop(child.kill());
                drop(child.wait());
                return Err(NoSuccessor::Silent { path, seconds: config.patience.as_secs() });
            }
            sleep(PAUSE).await;
        }
        tracing::info!(pid = child.id(), "process {} takes over", child.id());
        if let Err(error) = make_latest(&config.versions, version) {
            tracing::error!("`latest` does not lead to version {version}, which runs: {error}");
        }
        Ok(())
    }

    fn spawn(&self, path: &Path) -> io::Result<Child> {
        let listeners =
            self.listeners.lock().map_err(|_poisoned| io::Error::other("a call failed inside"))?;
        let mut mappings = Vec::new();
        for (child_fd, listener) in (FIRST..).zip(listeners.iter()) {
            mappings.push(FdMapping { parent_fd: listener.try_clone()?, child_fd });
        }
        let mut command = Command::new(path);
        command.args(std::env::args_os().skip(1));
        command.env(MARK, "1").env("LISTEN_FDS", listeners.len().to_string()).env_remove("LISTEN_PID");
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        command.spawn()
    }

    fn is_there(&self, child: &Child) -> bool {
        fs::read_to_string(self.state.join(FILE)).is_ok_and(|text| text.trim() == child.id().to_string())
    }
}

/// Whether this process takes over from another; that is told then that it is there.
pub(crate) fn is_successor(state: &Path) -> bool {
    let is_one = std::env::var_os(MARK).is_some();
    if is_one && let Err(error) = fs::write(state.join(FILE), std::process::id().to_string()) {
        tracing::error!("whoever runs before is not told that this process is there: {error}");
    }
    is_one
}

/// A version is the name of a folder, and leads nowhere else.
fn check(version: &str) -> Result<(), NoSuccessor> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
    // `latest` leads to a version, and what ends so is one that is being installed.
    let is_taken = version == "latest" || version.rsplit('.').next() == Some("new");
    if version.is_empty() || version.starts_with('.') || is_taken || !version.bytes().all(is_name) {
        return Err(NoSuccessor::BadVersion { version: version.to_owned() });
    }
    Ok(())
}

/// Has `latest` lead to a version from then on, where it does not yet.
fn make_latest(versions: &Path, version: &str) -> io::Result<()> {
    let (folder, latest) = (versions.join(version).join("l3afd"), versions.join("latest"));
    for file in ["l3afd", "l3afd.cfg"] {
        let (link, target, beside) =
            (latest.join(file), folder.join(file), latest.join(format!("{file}.new")));
        let leads_there = fs::read_link(&link).is_ok_and(|found| found == target);
        if leads_there || !target.exists() {
            continue;
        }
        drop(fs::remove_file(&beside));
        std::os::unix::fs::symlink(&target, &beside).and_then(|()| fs::rename(&beside, &link))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_version_is_the_one_that_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["v2.0.0/l3afd", "v2.1.0/l3afd", "latest"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for version in ["v2.0.0", "v2.1.0"] {
            fs::write(folder.path().join(version).join("l3afd/l3afd"), version).unwrap();
            make_latest(folder.path(), version).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join("latest/l3afd")).unwrap(), version);
        }
        for bad in ["../v2.0.0", "", ".v2", "v2/l3afd", "latest", "v2.new"] {
            assert!(matches!(check(bad), Err(NoSuccessor::BadVersion { .. })), "{bad}");
        }
    }
}
