// SPDX-License-Identifier: Apache-2.0
//! A guest that runs until somebody kills it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::fact::Fact;
use crate::shell::say;

/// What a guest says first, as a line.
pub(super) const UP: &str = "The guest is up";
/// How long it may take to say that. An emulated machine now and then stands still before it comes to its kernel.
const PATIENCE_FOR_BOOTS: Duration = Duration::from_mins(2);
/// How many boots are tried.
const BOOTS: u32 = 3;
/// How long a guest may say nothing.
const PATIENCE: Duration = Duration::from_mins(5);

/// It is killed when it goes out of scope.
pub(super) struct Running {
    qemu: Child,
    lines: Receiver<String>,
    said: String,
}

impl Running {
    /// Starts a guest, and again where it does not boot.
    pub(super) fn start(mut qemu: Command) -> Result<Self> {
        for _ in 1..BOOTS {
            let mut running = Self::spawn(&mut qemu)?;
            if running.is_up() {
                return Ok(running);
            }
            say(&format!(
                "the guest does not come up within {} s, or ends before; it is started again. It says:\n{}",
                PATIENCE_FOR_BOOTS.as_secs(),
                running.said
            ));
        }
        Self::spawn(&mut qemu)
    }

    fn spawn(qemu: &mut Command) -> Result<Self> {
        let mut qemu =
            qemu.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start QEMU")?;
        let console = qemu.stdout.take().context("the output was piped")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = BufReader::new(console).split(b'\n').map_while(Result::ok);
            let mut text = lines.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned());
            // Nobody listens any more, or there is nothing more to hear.
            text.try_for_each(|line| sender.send(line))
        });
        Ok(Self { qemu, lines, said: String::new() })
    }

    /// Whether it says that it is up, soon.
    fn is_up(&mut self) -> bool {
        let end = Instant::now() + PATIENCE_FOR_BOOTS;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line == UP {
                return true;
            }
            self.said.push_str(&(line + "\n"));
        }
        false
    }

    /// What it tells next. Whatever else it says is kept for the case that it tells nothing more.
    pub(super) fn next(&mut self) -> Result<Fact> {
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => bail!("the guest ended by itself:\n{}", self.said),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("the guest says nothing for {} s:\n{}", PATIENCE.as_secs(), self.said)
                }
            };
            if let Some(fact) = Fact::read(&line)? {
                return Ok(fact);
            }
            self.said.push_str(&(line + "\n"));
        }
    }

    /// Kills it without a word (SIGKILL), and returns what it told before.
    pub(super) fn kill(&mut self) -> Result<Vec<Fact>> {
        self.qemu.kill()?;
        self.qemu.wait()?;
        let mut told = Vec::new();
        // The kill may have cut its last line.
        for line in &self.lines {
            told.extend(Fact::read(&line).unwrap_or_default());
        }
        Ok(told)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.qemu.kill());
        drop(self.qemu.wait());
    }
}
