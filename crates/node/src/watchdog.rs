// SPDX-License-Identifier: Apache-2.0
//! The watchdog of a trial: a process of its own, which returns to the generation before when the daemon does not. It is there
//! before the first step of the change, and needs neither the daemon nor its file: what runs is mapped already.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::generation::Generations;
use crate::lock::Lock;
use crate::{Config, Engine};

/// How often it tries to return.
const ATTEMPTS: u32 = 10;
/// How long the daemon has to return by itself when the time is over.
const GRACE: Duration = Duration::from_secs(2);
/// How often the watchdog looks whether its trial goes on.
const PAUSE: Duration = Duration::from_millis(200);

/// Starts it, and waits until it watches.
pub(crate) fn start(config: &Config) -> io::Result<()> {
    // The program that runs now, also where its file was replaced or removed since.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("l3afd").arg("--watchdog");
    let folders = [
        ("--socket", &config.socket),
        ("--state", &config.state),
        ("--pins", &config.pins),
        ("--policy", &config.policy),
    ];
    for (flag, path) in folders {
        command.arg(flag).arg(path);
    }
    // What ends the daemon's group of processes, such as a terminal, does not end it.
    let mut watchdog = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let ready = watchdog.stdout.take().map_or(Ok(()), |mut stdout| stdout.read_exact(&mut [0]));
    thread::spawn(move || watchdog.wait());
    ready.map_err(|error| io::Error::new(error.kind(), "it ended at once; its log is the daemon's"))
}

/// Watches over the trial that goes on, and stands in for the daemon when that does not end it.
///
/// # Errors
/// When the generation before cannot be reached, again and again.
pub fn watch(config: &Config, engine: impl Fn() -> anyhow::Result<Engine>) -> anyhow::Result<()> {
    let generations = Generations::new(&config.state);
    let Some(trial) = generations.trial()? else { return Ok(()) };
    io::stdout().write_all(b"\n")?;
    io::stdout().flush()?;
    let mut over: Option<Instant> = None;
    while over.is_none_or(|over| over.elapsed() < GRACE) {
        thread::sleep(PAUSE);
        match generations.trial() {
            Ok(Some(now)) if now.is_same(&trial) => {
                if now.left().is_zero() {
                    over.get_or_insert_with(Instant::now);
                }
            }
            // It was confirmed, or returned from.
            Ok(_) => return Ok(()),
            // What cannot be read now goes on; the time that was known counts.
            Err(_) if trial.left().is_zero() => {
                over.get_or_insert_with(Instant::now);
            }
            Err(_) => {}
        }
    }
    tracing::error!(generation = trial.number, "the daemon does not return from it; the watchdog does");
    let _lock = Lock::seize(&config.state)?;
    let stand_in = || engine()?.stand_in().map_err(|rejected| anyhow::anyhow!("{}", rejected.problem()));
    let mut attempts = 1;
    loop {
        match stand_in() {
            Ok(()) => return Ok(()),
            Err(error) if attempts == ATTEMPTS => return Err(error),
            Err(error) => tracing::error!("cannot return yet: {error:#}"),
        }
        attempts += 1;
        thread::sleep(GRACE);
    }
}
