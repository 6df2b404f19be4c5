// SPDX-License-Identifier: Apache-2.0
//! One user program: started, watched, started again when it ends, and ended when nobody wants it any more.
//!
//! A thread waits for its process. Others see how it is, and tell it to stop, through [`Watched`].

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use package::{Digest, PackageName, PublisherName, Version};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};
use trust::Verified;
use wire::{UserProgramState, UserProgramView};

use super::birth;
use super::sealed::Sealed;

/// How long it has from being asked to end to being killed.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// The wait before it is started again; it doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A program that ran for so long starts with the first pause again.
const STEADY: Duration = Duration::from_mins(1);
/// What a log may have before it is put aside. One older log is kept.
const MAX_LOG_BYTES: u64 = 1024 * 1024;

/// What is to run, of a verified package.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) publisher: PublisherName,
    pub(super) package: PackageName,
    pub(super) version: Version,
    /// The file of the package.
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    /// The digest of the file, as it was compared with the publisher's statement.
    pub(super) digest: Digest,
    pub(super) verified: Arc<Verified>,
    pub(super) log: PathBuf,
}

/// A program, as others see it.
#[derive(Debug)]
pub(super) struct Watched {
    program: Program,
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Debug)]
struct Now {
    phase: Phase,
    is_wanted: bool,
    restarts: u64,
    last: Option<String>,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Running { pid: Pid, handle: OwnedFd },
    Ended,
}

impl Watched {
    /// Starts a program, and keeps it running.
    pub(super) fn start(program: Program) -> Arc<Self> {
        let now = Now { phase: Phase::Waiting, is_wanted: true, restarts: 0, last: None };
        let watched = Arc::new(Self { program, now: Mutex::new(now), changed: Condvar::new() });
        let watching = Arc::clone(&watched);
        std::thread::spawn(move || watching.watch());
        watched
    }

    /// Asks it to end.
    pub(super) fn stop(&self) {
        let mut now = self.now();
        now.is_wanted = false;
        now.signal(Signal::TERM);
        self.changed.notify_all();
    }

    /// Waits until it ended, and kills it when that takes until `deadline`.
    pub(super) fn end(&self, deadline: Instant) {
        let mut now = self.now();
        while !matches!(now.phase, Phase::Ended) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                now.signal(Signal::KILL);
                // A killed process ends; the thread that waits for it says so.
                now = self.changed.wait(now).unwrap_or_else(PoisonError::into_inner);
            } else {
                let waited = self.changed.wait_timeout(now, left);
                now = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Whether it ended for good.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.now().phase, Phase::Ended)
    }

    /// How it is.
    pub(super) fn view(&self) -> UserProgramView {
        let (program, now) = (&self.program, self.now());
        let (state, pid) = match &now.phase {
            Phase::Running { pid, .. } => (UserProgramState::Running, Some(pid.as_raw_nonzero().get())),
            Phase::Waiting | Phase::Ended => (UserProgramState::Waiting, None),
        };
        UserProgramView {
            publisher: program.publisher.clone(),
            package: program.package.clone(),
            version: program.version.clone(),
            name: program.name.clone(),
            digest: program.digest.to_string(),
            state: if now.is_wanted { state } else { UserProgramState::Stopping },
            pid: pid.and_then(|pid| pid.try_into().ok()),
            restarts: now.restarts,
            last: now.last.clone(),
            log: program.log.display().to_string(),
        }
    }

    fn watch(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let begin = Instant::now();
            let last = match self.run() {
                Ok(status) => format!("it ended: {status}"),
                Err(failed) => format!("it could not be started: {failed}"),
            };
            if begin.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            if !self.rest(pause, last) {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Runs it once. The bytes are put into memory, sealed and compared each time.
    fn run(&self) -> Result<ExitStatus, String> {
        let Program { name, arguments, digest, verified, .. } = &self.program;
        let bytes = verified.platform().files.bytes(name);
        let bytes = bytes.expect("a package that was read has its user program");
        let sealed = Sealed::new(self.program.package.as_ref(), bytes, digest);
        let sealed = sealed.map_err(|unsealed| chain(&unsealed))?;
        let told = |error: io::Error| error.to_string();
        let log = open_log(&self.program.log).map_err(told)?;
        let child = birth::command(sealed, name, arguments, &log).and_then(|mut command| command.spawn());
        self.attend(child.map_err(told)?).map_err(told)
    }

    /// Waits until a process has ended, and ends what it leaves behind.
    fn attend(&self, mut child: Child) -> io::Result<ExitStatus> {
        let pid = Pid::from_child(&child);
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(error) => {
                // Nothing runs that cannot be watched.
                child.kill()?;
                child.wait()?;
                return Err(error.into());
            }
        };
        let waits_on = handle.try_clone()?;
        {
            let mut now = self.now();
            now.phase = Phase::Running { pid, handle };
            if !now.is_wanted {
                now.signal(Signal::TERM);
            }
        }
        tracing::info!(package.name = %self.program.package, pid = child.id(), "the user program of `{}` runs", self.program.package);
        let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(waits_on.as_fd()), how))?;
        // Its number, and that of its group, are its own until it is reaped: nobody else is hit.
        let _: Result<(), Errno> = kill_process_group(pid, Signal::KILL);
        self.now().phase = Phase::Waiting;
        child.wait()
    }

    /// Notes how it ended, and waits before it is started again. Returns false when nobody wants that.
    fn rest(&self, pause: Duration, last: String) -> bool {
        let name = &self.program.package;
        let mut now = self.now();
        now.phase = Phase::Waiting;
        if now.is_wanted {
            tracing::warn!(package.name = %name, pause_s = pause.as_secs(), "the user program of `{name}`: {last}; it is started again");
            now.last = Some(last);
            let waited = self.changed.wait_timeout_while(now, pause, |now| now.is_wanted);
            now = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if now.is_wanted {
            now.restarts += 1;
            return true;
        }
        tracing::info!(package.name = %name, "the user program of `{name}` runs no longer");
        now.phase = Phase::Ended;
        self.changed.notify_all();
        false
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Now {
    /// One that has just ended needs no signal.
    fn signal(&self, signal: Signal) {
        if let Phase::Running { handle, .. } = &self.phase {
            let _: Result<(), Errno> = pidfd_send_signal(handle, signal);
        }
    }
}

fn open_log(path: &PathBuf) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(path).is_ok_and(|log| log.len() > MAX_LOG_BYTES) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    File::options().create(true).append(true).open(path)
}

fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}
