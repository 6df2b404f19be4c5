// SPDX-License-Identifier: Apache-2.0
//! What runs for a moment beside a user program: what ends it, and what says whether it runs. So programs of l3afd v1 are made.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::super::launch::{Executable, Launched};
use super::super::log;
use super::{GRACE, Phase, Program, Watched};

/// How long what ends a program has for that. Then the program is asked by a signal, and has as long again.
const LONGEST: Duration = GRACE.checked_div(2).expect("it is not divided by zero");
/// What a program that runs is said to be.
const RUNNING: &str = "RUNNING";
/// More than is looked at of an answer.
const ANSWER_BYTES: u64 = 256;

impl Watched {
    /// Runs what ends it, if anything does, and asks it by a signal then.
    pub(super) fn end_by_errand(&self, stop: &Executable) {
        let name = &self.program.package;
        let told = log::open(&self.program.log)
            .map_err(|error| error.to_string())
            .and_then(|log| run(&self.program, stop, &log));
        match told {
            Ok(status) if status.success() => {}
            Ok(status) => {
                tracing::warn!(package.name = %name, "`{}` of `{name}` was to end it: {status}", stop.name);
            }
            Err(failed) => {
                tracing::warn!(package.name = %name, "`{}` of `{name}` was to end it: {failed}", stop.name);
            }
        }
        let mut now = self.now();
        now.is_being_ended = false;
        now.signal(Signal::TERM);
        self.changed.notify_all();
    }

    /// Asks now and then whether it runs, and has it started again where it does not, until nobody wants it any more.
    pub(super) fn ask(&self, status: &Executable, period: Duration) {
        loop {
            let now = self.now();
            let waited = self.changed.wait_timeout_while(now, period, |now| now.is_wanted);
            let now = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            if !now.is_wanted {
                return;
            }
            let asked = match now.phase {
                Phase::Running { pid, .. } => Some(pid),
                // It did its work, and may be undone.
                Phase::Finished => None,
                Phase::Waiting | Phase::Failed { .. } | Phase::Ended => continue,
            };
            drop(now);
            match answer(&self.program, status) {
                Ok(answer) if answer.eq_ignore_ascii_case(RUNNING) => {}
                Ok(answer) => self.renew(asked, format!("`{}` says `{answer}` of it", status.name)),
                // That says nothing of the program.
                Err(failed) => {
                    let name = &self.program.package;
                    tracing::warn!(package.name = %name, "`{}` of `{name}` cannot be asked: {failed}", status.name);
                }
            }
        }
    }

    /// Has a process end, or what has ended go on, so that it is started again.
    fn renew(&self, asked: Option<Pid>, unwell: String) {
        let is_same = |phase: &Phase| match phase {
            Phase::Running { pid, .. } => asked == Some(*pid),
            Phase::Finished => asked.is_none(),
            Phase::Waiting | Phase::Failed { .. } | Phase::Ended => false,
        };
        let mut now = self.now();
        if !now.is_wanted || !is_same(&now.phase) {
            return;
        }
        now.unwell = Some(unwell);
        if asked.is_none() {
            now.phase = Phase::Waiting;
            self.changed.notify_all();
            return;
        }
        now.signal(Signal::TERM);
        let waited = self.changed.wait_timeout_while(now, GRACE, |now| is_same(&now.phase));
        let now = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        if is_same(&now.phase) {
            now.signal(Signal::KILL);
        }
    }
}

/// What is said of a program by its own package.
fn answer(program: &Program, status: &Executable) -> Result<String, String> {
    let told = |error: io::Error| error.to_string();
    let answer = memfd_create(status.name.as_str(), MemfdFlags::CLOEXEC);
    let mut answer = answer.map(File::from).map_err(|errno| told(errno.into()))?;
    run(program, status, &answer)?;
    let mut text = Vec::new();
    answer.rewind().and_then(|()| answer.take(ANSWER_BYTES).read_to_end(&mut text)).map_err(told)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// Runs an errand to its end; one that takes too long is killed.
fn run(program: &Program, errand: &Executable, output: &File) -> Result<ExitStatus, String> {
    let mut launched = program.launch_errand(errand, output)?;
    end(&mut launched).map_err(|error| error.to_string())
}

fn end(Launched { child, .. }: &mut Launched) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    let waited = pidfd_open(pid, PidfdFlags::empty())
        .map_err(io::Error::from)
        .and_then(|handle| wait(&handle, Instant::now() + LONGEST));
    // What it leaves behind, and itself where it still runs. Its number is its own until it is reaped.
    let _: Result<(), Errno> = kill_process_group(pid, Signal::KILL);
    child.kill()?;
    let status = child.wait()?;
    if waited? {
        return Ok(status);
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("it took more than {} s", LONGEST.as_secs())))
}

/// Waits until a process has ended; false where that takes too long.
fn wait(process: &OwnedFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&process.as_fd(), PollFlags::IN)], Some(&left)) {
            Err(Errno::INTR) => {}
            ended => return Ok(ended? > 0),
        }
    }
}
