// SPDX-License-Identifier: Apache-2.0
//! What a run of tests has on this machine while it works. It goes with the command, also when that is interrupted; what a command
//! leaves that is killed outright goes with the next.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::{Failure, Outcome};

/// What the names of folders and pins of runs begin with.
const PREFIX: &str = "l3af-test-";
/// The file in a folder that is locked while its run goes on.
const LOCK: &str = "lock";
/// Where pins are.
const PINS: &str = "/sys/fs/bpf";

/// What a run has.
#[derive(Clone)]
pub(super) struct Leavings(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    folders: Vec<OwnFolder>,
    daemon: Option<(Child, PathBuf)>,
    /// Nothing may be added any more.
    is_over: bool,
}

/// A folder that is known to be in use until this goes.
struct OwnFolder {
    folder: TempDir,
    _lock: File,
}

/// Works, and tidies up when the work is over, or when somebody wants it to end.
pub(super) fn with(work: impl FnOnce(&Leavings) -> Outcome + Send + 'static) -> Outcome {
    remove_pins(Path::new(PINS));
    let leavings = Leavings(Arc::default());
    let folder = leavings.folder_in(&std::env::temp_dir(), PREFIX)?;
    // What is compiled and packed lies in it as well.
    tempfile::env::override_temp_dir(&folder).map_err(|other| {
        Failure::new(format!("folders of this command are made in `{}` already", other.display()))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = if outlives_terminal() { None } else { Some(signal(SignalKind::hangup())?) };
        let (tell, told) = oneshot::channel();
        let of_work = leavings.clone();
        // What it waits for need not be something that can be given up: it ends with the program.
        let worker = thread::spawn(move || tell.send(work(&of_work)));
        let interrupted = || Err(Failure::new("interrupted"));
        tokio::select! {
            _ = interrupt.recv() => interrupted(),
            _ = terminate.recv() => interrupted(),
            Some(()) = async { hangup.as_mut()?.recv().await } => interrupted(),
            told = told => match (told, worker.join()) {
                (Ok(outcome), _) => outcome,
                (Err(_), Err(panic)) => std::panic::resume_unwind(panic),
                (Err(nothing), Ok(_)) => Err(nothing.into()),
            },
        }
    });
    leavings.end();
    ended
}

/// Whether whoever started this command has it ignore that a terminal is gone, as nohup(1) does (`SigIgn` of proc(5)).
fn outlives_terminal() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    ignored.is_some_and(|ignored| ignored & 1 == 1)
}

impl Leavings {
    /// Makes a folder of the run, and removes those that such runs left which were killed.
    pub(super) fn folder_in(&self, parent: &Path, prefix: &str) -> Result<PathBuf, Failure> {
        let mut kept = self.open()?;
        let own = OwnFolder::begin(parent, prefix)?;
        let path = own.folder.path().to_owned();
        kept.folders.push(own);
        Ok(path)
    }

    /// Removes a folder of the run that has done its work.
    pub(super) fn remove(&self, folder: &Path) {
        self.kept().folders.retain(|own| own.folder.path() != folder);
    }

    /// Starts a daemon that pins below a folder of its own.
    pub(super) fn start(&self, begin: impl FnOnce(&Path) -> Result<Child, Failure>) -> Outcome {
        let mut kept = self.open()?;
        let pins = Path::new(PINS).join(format!("{PREFIX}{}", std::process::id()));
        kept.daemon = Some((begin(&pins)?, pins));
        Ok(())
    }

    /// Whether the daemon is there.
    pub(super) fn is_running(&self) -> bool {
        let mut kept = self.kept();
        kept.daemon.as_mut().is_some_and(|(child, _)| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends the daemon. Nothing is deployed in it, so that nothing is lost when it is killed.
    pub(super) fn stop(&self) {
        self.kept().stop();
    }

    fn end(&self) {
        let mut kept = self.kept();
        kept.is_over = true;
        kept.stop();
        for own in kept.folders.drain(..) {
            remove(own.folder.path());
        }
    }

    fn open(&self) -> Result<MutexGuard<'_, Kept>, Failure> {
        let kept = self.kept();
        if kept.is_over { Err(Failure::new("interrupted")) } else { Ok(kept) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn stop(&mut self) {
        let Some((mut child, pins)) = self.daemon.take() else { return };
        drop(child.kill());
        drop(child.wait());
        remove(&pins);
    }
}

impl OwnFolder {
    fn begin(parent: &Path, prefix: &str) -> io::Result<Self> {
        remove_abandoned(parent, prefix)?;
        let folder = tempfile::Builder::new().prefix(prefix).tempdir_in(parent)?;
        // It has its name only once it is locked, so that nobody finds it and thinks that its run is gone.
        let unlocked = folder.path().join("unlocked");
        let lock = File::create(&unlocked)?;
        // Where the file system has no locks, nobody takes it for abandoned either.
        drop(lock.lock());
        fs::rename(unlocked, folder.path().join(LOCK))?;
        Ok(Self { folder, _lock: lock })
    }
}

/// Removes a folder, also one that a compiler or a daemon is writing into yet.
fn remove(folder: &Path) {
    (0..5).take_while(|_| fs::remove_dir_all(folder).is_err() && folder.exists()).for_each(drop);
}

/// The user as whom this command runs: a process belongs to its effective user (proc(5)).
pub(super) fn own_user() -> io::Result<u32> {
    Ok(fs::metadata("/proc/self")?.uid())
}

/// Removes folders whose runs are gone. Those of other users are not looked into.
fn remove_abandoned(parent: &Path, prefix: &str) -> io::Result<()> {
    let user = own_user()?;
    for entry in fs::read_dir(parent)?.filter_map(Result::ok) {
        let is_named_so = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
        let is_own = || entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == user);
        if !is_named_so || !is_own() {
            continue;
        }
        let lock = File::open(entry.path().join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            remove(&entry.path());
        }
    }
    Ok(())
}

/// Removes pins of processes that are gone.
fn remove_pins(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        if number.is_some_and(|number| !Path::new(&format!("/proc/{number}")).exists()) {
            remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn folders_of_runs_that_are_gone_go_with_the_next() {
        let parent = tempfile::tempdir().unwrap();
        for (folder, file) in [("run-gone", LOCK), ("run-begins", "unlocked"), ("other", LOCK)] {
            fs::create_dir(parent.path().join(folder)).unwrap();
            fs::write(parent.path().join(folder).join(file), "").unwrap();
        }
        let first = OwnFolder::begin(parent.path(), "run-").unwrap();
        let second = OwnFolder::begin(parent.path(), "run-").unwrap();
        let name = |own: &OwnFolder| own.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        let mut expected = vec!["other".to_owned(), "run-begins".to_owned(), name(&first), name(&second)];
        expected.sort();
        assert_eq!(names(parent.path()), expected);
    }

    #[test]
    fn pins_of_processes_that_are_gone_go_with_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let own = format!("{PREFIX}{}", std::process::id());
        // No process has so great a number (PID_MAX_LIMIT of `include/linux/threads.h`).
        for name in [own.as_str(), "l3af-test-4194305", "l3af-test-x", "l3af"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        remove_pins(parent.path());
        let mut expected = vec!["l3af".to_owned(), own, "l3af-test-x".to_owned()];
        expected.sort();
        assert_eq!(names(parent.path()), expected);
    }
}
