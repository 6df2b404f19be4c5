// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Threads that check backends, a bounded number of them.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use crate::check::{Check, Finding, check};

/// How many checks run at once at most. Where all of them wait for backends that say nothing, the others wait, too.
const MOST: usize = 64;
/// Of the stack of a thread.
const STACK_BYTES: usize = 128 * 1024;

/// A backend to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) number: u16,
    pub(crate) address: IpAddr,
    pub(crate) how: Check,
}

/// The threads, and what they find.
pub(crate) struct Workers {
    jobs: Sender<Job>,
    waiting: Arc<Mutex<Receiver<Job>>>,
    found: Sender<(Job, Finding)>,
    findings: Receiver<(Job, Finding)>,
    timeout: Duration,
    threads: usize,
    under_way: usize,
}

impl Workers {
    /// No thread so far; each check takes no longer than the timeout.
    pub(crate) fn new(timeout: Duration) -> Self {
        let ((jobs, waiting), (found, findings)) = (channel(), channel());
        let waiting = Arc::new(Mutex::new(waiting));
        Self { jobs, waiting, found, findings, timeout, threads: 0, under_way: 0 }
    }

    /// Has a backend checked.
    ///
    /// # Errors
    /// When not a single thread can be had.
    pub(crate) fn begin(&mut self, job: Job) -> io::Result<()> {
        if self.under_way >= self.threads && self.threads < MOST {
            match self.hire() {
                // Those that there are do it: memory is bounded.
                Err(_) if self.threads > 0 => {}
                hired => hired?,
            }
        }
        self.under_way += 1;
        self.jobs.send(job).map_err(|_closed| ended())
    }

    fn hire(&mut self) -> io::Result<()> {
        let (waiting, found) = (Arc::clone(&self.waiting), self.found.clone());
        let timeout = self.timeout;
        thread::Builder::new().stack_size(STACK_BYTES).spawn(move || work(&waiting, &found, timeout))?;
        self.threads += 1;
        Ok(())
    }

    /// The next finding, if there is one in this time.
    ///
    /// # Errors
    /// When all threads ended.
    pub(crate) fn wait(&mut self, time: Duration) -> io::Result<Option<(Job, Finding)>> {
        match self.findings.recv_timeout(time) {
            Ok(finding) => {
                self.under_way -= 1;
                Ok(Some(finding))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }
}

fn ended() -> io::Error {
    io::Error::other("the threads that check backends have ended")
}

fn work(waiting: &Mutex<Receiver<Job>>, found: &Sender<(Job, Finding)>, timeout: Duration) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let finding = check(job.address, &job.how, timeout);
        if found.send((job, finding)).is_err() {
            return;
        }
    }
}
