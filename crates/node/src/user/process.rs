// SPDX-License-Identifier: Apache-2.0
//! One user program: started, watched, started again when it ends, and ended when nobody wants it any more.
//!
//! A thread waits for its process. Others see how it is, and tell it to stop, through [`Watched`].

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use package::{Capability, PackageName, PublisherName, ReadySeconds, Version};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use thiserror::Error;
use trust::Verified;
use wire::{UserProgramLimit, UserProgramState, UserProgramView};

mod errand;

use super::cgroup::Cgroups;
use super::confined::confinement;
use super::failures::{Failures, Patience};
use super::handed::Handed;
use super::identity::Identity;
use super::launch::Executable;
use super::limits::Limits;
use super::log;
use super::ready::{Listener, attend};
use crate::durable;

/// How long it has from being asked to end to being killed.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// The wait before it is started again; it doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A program that ran for so long starts with the first pause again.
const STEADY: Duration = Duration::from_mins(1);

/// What is to run, of a verified package.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) publisher: PublisherName,
    pub(super) package: PackageName,
    pub(super) version: Version,
    pub(super) main: Executable,
    /// What ends it.
    pub(super) stop: Option<Executable>,
    /// What says whether it runs, and how often that is asked.
    pub(super) status: Option<(Executable, Duration)>,
    /// The hook of the member that it runs for, where it is not for its package as a whole.
    pub(super) member: Option<String>,
    /// The most time of processors that it takes each time that it is started, in seconds.
    pub(super) cpu_seconds: Option<u64>,
    /// Whether it ends by itself when it has done what it is for.
    pub(super) once: bool,
    /// What is in the files that it reads, which are written before it starts.
    pub(super) files: BTreeMap<PathBuf, String>,
    pub(super) verified: Arc<Verified>,
    pub(super) log: PathBuf,
    /// Where it gets a folder in which it is started, and may write.
    pub(super) folders: PathBuf,
    /// Who it is; none where no number is free for it.
    pub(super) identity: Option<Identity>,
    pub(super) limits: Limits,
    /// When it is given up for a while.
    pub(super) patience: Patience,
    /// Where limits are set.
    pub(super) cgroups: Arc<Cgroups>,
    /// The maps that it is handed.
    pub(super) maps: Handed,
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
    /// Whether it said that it is ready since it was started last.
    is_ready: bool,
    /// Whether what ends it runs beside it.
    is_being_ended: bool,
    /// Why it is ended, where it was found not to do its work.
    unwell: Option<String>,
    /// What became of its limits when it was started last.
    limits: Vec<UserProgramLimit>,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Running {
        pid: Pid,
        handle: OwnedFd,
    },
    /// It is given up until then.
    Failed {
        until: Instant,
    },
    /// It has done what it is for.
    Finished,
    Ended,
}

/// What comes before it is started again.
#[derive(Debug)]
enum Rest {
    Pause(Duration),
    GivenUp(Patience),
}

/// A program did not say in time that it is ready.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it did not say within {} s that it is ready (`READY=1`, sd_notify(3)){}; what it wrote is in `{}`", within.as_secs(), last.as_ref().map(|last| format!(": {last}")).unwrap_or_default(), log.display())]
pub(super) struct NotReady {
    within: Duration,
    /// How it ended, if it did.
    last: Option<String>,
    log: PathBuf,
}

impl Program {
    /// Whether another one takes its place: of the same package, and for the same member where it is for one.
    pub(super) fn is_followed_by(&self, next: &Self) -> bool {
        (&self.publisher, &self.package, &self.member) == (&next.publisher, &next.package, &next.member)
    }

    /// Within which time it says that it is ready, if it is to.
    pub(super) fn ready_seconds(&self) -> Option<ReadySeconds> {
        let user = self.verified.package().manifest.user.as_ref();
        user.and_then(|user| user.ready_seconds)
    }

    /// Publisher and package. Names have no underscores, so that no two have one of these.
    pub(super) fn full_name(&self) -> String {
        full_name(&self.publisher, &self.package)
    }

    /// The capabilities that it has, where it is not root.
    fn capabilities(&self) -> Vec<String> {
        let Some(Identity::Own { capabilities, .. }) = self.identity else { return Vec::new() };
        let has = |capability: &Capability| capabilities >> capability.number() & 1 == 1;
        Capability::all().filter(has).map(String::from).collect()
    }
}

/// The name of what belongs to the user program of a package.
pub(super) fn full_name(publisher: &PublisherName, package: &PackageName) -> String {
    format!("{publisher}_{package}")
}

impl Watched {
    /// Starts a program once those before it have ended, and keeps it running.
    pub(super) fn start(program: Program, after: Vec<Arc<Self>>) -> Arc<Self> {
        let (restarts, last, is_ready, limits) = (0, None, false, Vec::new());
        let (phase, is_wanted, unwell, is_being_ended) = (Phase::Waiting, true, None, false);
        let now = Now { phase, is_wanted, restarts, last, is_ready, is_being_ended, unwell, limits };
        let watched = Arc::new(Self { program, now: Mutex::new(now), changed: Condvar::new() });
        let watching = Arc::clone(&watched);
        std::thread::spawn(move || {
            let deadline = Instant::now() + GRACE;
            for before in after {
                before.end(deadline);
            }
            watching.watch();
        });
        if watched.program.status.is_some() {
            let asking = Arc::clone(&watched);
            std::thread::spawn(move || {
                let status = asking.program.status.as_ref();
                status.inspect(|(status, period)| asking.ask(status, *period));
            });
        }
        watched
    }

    /// Waits until it said that it is ready.
    pub(super) fn wait_until_ready(&self, within: Duration) -> Result<(), NotReady> {
        let is_out = |now: &mut Now| !now.is_ready && now.last.is_none() && now.is_wanted;
        let now = self.changed.wait_timeout_while(self.now(), within, is_out);
        let now = now.unwrap_or_else(PoisonError::into_inner).0;
        if now.is_ready {
            Ok(())
        } else {
            Err(NotReady { within, last: now.last.clone(), log: self.program.log.clone() })
        }
    }

    /// Asks it to end.
    pub(super) fn stop(self: &Arc<Self>) {
        let mut now = self.now();
        if !std::mem::take(&mut now.is_wanted) {
            return;
        }
        match &self.program.stop {
            Some(stop) if matches!(now.phase, Phase::Running { .. }) => {
                now.is_being_ended = true;
                let (stopping, stop) = (Arc::clone(self), stop.clone());
                std::thread::spawn(move || stopping.end_by_errand(&stop));
            }
            Some(_) | None => now.signal(Signal::TERM),
        }
        self.changed.notify_all();
    }

    /// Tries it again now, where it was given up.
    pub(super) fn try_again(&self) {
        let mut now = self.now();
        if let Phase::Failed { .. } = now.phase {
            now.phase = Phase::Waiting;
            self.changed.notify_all();
        }
    }

    /// Keeps what it writes from growing without end.
    pub(super) fn bound_log(&self) {
        if let Err(error) = log::bound(&self.program.log) {
            tracing::warn!(package.name = %self.program.package, "the log of the user program cannot be put aside: {error}");
        }
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

    /// Whether it got to where its work goes on by itself: it runs, or did what it is for, or failed.
    pub(super) fn has_begun(&self) -> bool {
        let now = self.now();
        let is_awaited = self.ready_seconds().is_some() && !now.is_ready;
        let runs = matches!(now.phase, Phase::Running { .. }) && !self.program.once && !is_awaited;
        runs || now.last.is_some() || matches!(now.phase, Phase::Finished | Phase::Ended)
    }

    /// Whether it ended, or could not be started, and is not ready since.
    pub(super) fn has_failed(&self) -> bool {
        let now = self.now();
        now.last.is_some() && !now.is_ready
    }

    /// Within which time it says that it is ready, if it is to.
    pub(super) fn ready_seconds(&self) -> Option<ReadySeconds> {
        self.program.ready_seconds()
    }

    /// What is to run.
    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// How it is.
    pub(super) fn view(&self) -> UserProgramView {
        let (program, now) = (&self.program, self.now());
        let (mut pid, mut retry_seconds) = (None, None);
        let state = match &now.phase {
            Phase::Running { pid: process, .. } => {
                pid = Some(process.as_raw_nonzero().get());
                UserProgramState::Running
            }
            Phase::Failed { until } => {
                retry_seconds = Some(until.saturating_duration_since(Instant::now()).as_secs());
                UserProgramState::Failed
            }
            Phase::Finished => UserProgramState::Finished,
            Phase::Waiting | Phase::Ended => UserProgramState::Waiting,
        };
        UserProgramView {
            publisher: program.publisher.clone(),
            package: program.package.clone(),
            version: program.version.clone(),
            name: program.main.name.clone(),
            member: program.member.clone(),
            profile: program.member.as_ref().map(|_| "l3afd".to_owned()),
            digest: program.main.digest.to_string(),
            state: if now.is_wanted { state } else { UserProgramState::Stopping },
            pid: pid.and_then(|pid| pid.try_into().ok()),
            user: program.identity.map(Identity::user),
            capabilities: program.capabilities(),
            confinement: program.identity.map(confinement),
            limits: now.limits.clone(),
            ready: self.ready_seconds().map(|_| now.is_ready),
            restarts: now.restarts,
            last: now.last.clone(),
            retry_seconds,
            log: program.log.display().to_string(),
        }
    }

    fn watch(&self) {
        if !self.now().is_wanted {
            return self.leave();
        }
        let mut pause = FIRST_PAUSE;
        let mut failures = Failures::new(self.program.patience);
        loop {
            let begin = Instant::now();
            let last = match self.run() {
                Ok(status) if self.program.once && status.success() => match self.finish() {
                    Some(unwell) => unwell,
                    None => return,
                },
                Ok(status) => self.now().unwell.take().unwrap_or_else(|| format!("it ended: {status}")),
                Err(failed) => format!("it could not be started: {failed}"),
            };
            if begin.elapsed() >= STEADY {
                pause = FIRST_PAUSE;
            }
            let now = Instant::now();
            let is_given_up = failures.are_too_many(now);
            let rest = if is_given_up { Rest::GivenUp(self.program.patience) } else { Rest::Pause(pause) };
            if !self.rest(&rest, last) {
                return;
            }
            pause = if is_given_up { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        }
    }

    /// Notes that it has done what it is for, and waits until nobody wants it any more, or its work is found to be undone.
    fn finish(&self) -> Option<String> {
        tracing::info!(package.name = %self.program.package, "the user program of `{}` has done its work", self.program.package);
        let mut now = self.now();
        now.phase = Phase::Finished;
        let is_done = |now: &mut Now| now.is_wanted && now.unwell.is_none();
        let waited = self.changed.wait_while(now, is_done);
        let mut now = waited.unwrap_or_else(PoisonError::into_inner);
        if now.is_wanted {
            return now.unwell.take();
        }
        drop(now);
        self.leave();
        None
    }

    /// Notes that it ended for good. What ends it has ended as well then: it must not end the one that takes its place.
    fn leave(&self) {
        let waited = self.changed.wait_while(self.now(), |now| now.is_being_ended);
        waited.unwrap_or_else(PoisonError::into_inner).phase = Phase::Ended;
        self.changed.notify_all();
    }

    /// Runs it once.
    fn run(&self) -> Result<ExitStatus, String> {
        let told = |error: io::Error| error.to_string();
        for (path, text) in &self.program.files {
            durable::write(path, text.as_bytes()).map_err(told)?;
        }
        let log = log::open(&self.program.log).map_err(told)?;
        let mut launched = self.program.launch(&log)?;
        self.now().limits.clone_from(&launched.limits);
        self.attend(&mut launched.child, launched.listener.as_ref()).map_err(told)
    }

    /// Waits until a process has ended, and ends what it leaves behind.
    fn attend(&self, child: &mut Child, listener: Option<&Listener>) -> io::Result<ExitStatus> {
        let pid = Pid::from_child(child);
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
            now.is_ready = false;
            if !now.is_wanted {
                now.signal(Signal::TERM);
            }
        }
        let confined = self.program.identity.map(|identity| format!(", {}", confinement(identity)));
        let confined = confined.unwrap_or_default();
        tracing::info!(package.name = %self.program.package, pid = child.id(), "the user program of `{}` runs{confined}", self.program.package);
        attend(waits_on.as_fd(), listener, || {
            self.now().is_ready = true;
            self.changed.notify_all();
        })?;
        // Its number, and that of its group, are its own until it is reaped: nobody else is hit.
        let _: Result<(), Errno> = kill_process_group(pid, Signal::KILL);
        let mut now = self.now();
        (now.phase, now.is_ready) = (Phase::Waiting, false);
        drop(now);
        child.wait()
    }

    /// Notes how it ended, and waits before it is started again. Returns false when nobody wants that.
    fn rest(&self, rest: &Rest, last: String) -> bool {
        let name = &self.program.package;
        let mut now = self.now();
        now.phase = Phase::Waiting;
        if now.is_wanted {
            self.changed.notify_all();
            tracing::warn!(package.name = %name, "the user program of `{name}`: {last}; {rest}");
            now.last = Some(last);
            let waited = match rest {
                Rest::Pause(pause) => self.changed.wait_timeout_while(now, *pause, |now| now.is_wanted),
                Rest::GivenUp(Patience { window, .. }) => {
                    now.phase = Phase::Failed { until: Instant::now() + *window };
                    let rests = |now: &mut Now| now.is_wanted && matches!(now.phase, Phase::Failed { .. });
                    self.changed.wait_timeout_while(now, *window, rests)
                }
            };
            now = waited.unwrap_or_else(PoisonError::into_inner).0;
            now.phase = Phase::Waiting;
        }
        if now.is_wanted {
            now.restarts += 1;
            return true;
        }
        tracing::info!(package.name = %name, "the user program of `{name}` runs no longer");
        drop(now);
        self.leave();
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

/// As the end of a sentence.
impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pause(pause) => write!(f, "it is started again in {} s", pause.as_secs()),
            Self::GivenUp(Patience { most, window }) => {
                let window = window.as_secs();
                write!(
                    f,
                    "that were {most} times within {window} s: it is given up for as long, or until a document is applied"
                )
            }
        }
    }
}
