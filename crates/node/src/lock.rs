// SPDX-License-Identifier: Apache-2.0
//! One process at a time owns a folder of state: `<state>/lock` (flock(2)), which goes with whoever holds it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use thiserror::Error;

use crate::durable;

/// How long to wait for somebody who is about to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for somebody who hands over: connections have ten seconds to end, and so do user programs.
const PATIENCE_OF_A_SUCCESSOR: Duration = Duration::from_secs(45);

/// The folder of state is this process's own.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Somebody else has it.
#[derive(Debug, Error)]
pub enum Locked {
    /// For longer than it takes to end.
    #[error("process {holder} uses the folder of state `{}`; end it first, or choose another by `--state`", state.display())]
    Held {
        /// The folder.
        state: PathBuf,
        /// The number of the process, as it wrote it.
        holder: String,
    },
    /// The file cannot be used.
    #[error("cannot lock the folder of state `{}`", state.display())]
    Unusable {
        /// The folder.
        state: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl Lock {
    /// Takes it, after whoever holds it has ended.
    ///
    /// # Errors
    /// When that takes too long, or the folder cannot be written.
    pub fn take(state: &Path) -> Result<Self, Locked> {
        Self::wait(state, PATIENCE, |_| ())
    }

    /// Takes it after whoever hands it over has ended.
    ///
    /// # Errors
    /// When that takes too long, or the folder cannot be written.
    pub(crate) fn take_over(state: &Path) -> Result<Self, Locked> {
        Self::wait(state, PATIENCE_OF_A_SUCCESSOR, |_| ())
    }

    /// Takes it, and ends whoever holds it.
    ///
    /// # Errors
    /// When that does not help, or the folder cannot be written.
    pub(crate) fn seize(state: &Path) -> Result<Self, Locked> {
        Self::wait(state, PATIENCE, |holder| {
            let pid = holder.parse().ok().and_then(Pid::from_raw);
            // Whoever ended in between is out of the way as well.
            let _ended = pid.map(|pid| kill_process(pid, Signal::KILL));
        })
    }

    fn wait(state: &Path, patience: Duration, held_by: impl Fn(&str)) -> Result<Self, Locked> {
        let unusable = |source| Locked::Unusable { state: state.to_owned(), source };
        durable::make_folder(state).map_err(unusable)?;
        let path = state.join("lock");
        let mut file =
            File::options().create(true).truncate(false).write(true).open(&path).map_err(unusable)?;
        let begin = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(unusable(error.into())),
            }
            let holder = fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
            if begin.elapsed() > patience {
                return Err(Locked::Held { state: state.to_owned(), holder });
            }
            held_by(&holder);
            thread::sleep(Duration::from_millis(50));
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(unusable)?;
        Ok(Self { _file: file })
    }
}
