// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Who writes the maps. While a document changes, the process for the one before runs beside the one for the next: the last that
//! begins has the word, and the other one stands by. It goes on where the last one ends without having been put into force.
//!
//! A claim is an entry of a map. The kernel makes an entry for one process only, so no two have the same claim, and the greatest
//! has the word. Nothing here waits for the other process: it may be killed at any time. So one that has lost the word may be late
//! with one write, which began before; it makes none after.

use std::io::ErrorKind;
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::maps::{self, NEW};

/// How often one that stands by looks.
const LOOK: Duration = Duration::from_secs(1);
/// Who says nothing for so long has ended. It says something each second.
const SILENCE: Duration = Duration::from_secs(5);

/// Why a process writes no more.
#[derive(Debug)]
pub(crate) enum Halted {
    /// Another one began after it.
    Superseded,
    /// A map cannot be read or written.
    Maps(io::Error),
}

impl From<io::Error> for Halted {
    fn from(error: io::Error) -> Self {
        Self::Maps(error)
    }
}

/// The word that this process has, or had.
pub(crate) struct Claim {
    claims: maps::Claims,
    /// The key of its entry; none is zero.
    number: u64,
    beats: u64,
}

impl Claim {
    /// None so far.
    pub(crate) fn none(claims: maps::Claims) -> Self {
        Self { claims, number: 0, beats: 0 }
    }

    /// Takes the word from whoever has it.
    ///
    /// # Errors
    /// When the map cannot be read or written.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        self.beats = 0;
        self.number = loop {
            let number = self.greatest()? + 1;
            match self.claims.update_with(&number, &self.beats, NEW) {
                Ok(()) => break number,
                // Another process that begins just now was first.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        };
        for before in self.claims.keys()?.into_iter().filter(|claim| *claim < self.number) {
            self.claims.delete(&before)?;
        }
        Ok(())
    }

    /// Whether this process still has the word. To be asked before each write.
    ///
    /// # Errors
    /// When it has not, or the map cannot be read.
    pub(crate) fn check(&self) -> Result<(), Halted> {
        if self.greatest()? > self.number { Err(Halted::Superseded) } else { Ok(()) }
    }

    /// Says that this process runs.
    ///
    /// # Errors
    /// When it has not the word, or the map cannot be read or written.
    pub(crate) fn beat(&mut self) -> Result<(), Halted> {
        self.check()?;
        self.beats += 1;
        Ok(self.claims.update(&self.number, &self.beats)?)
    }

    /// Waits until whoever has the word has ended.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub(crate) fn stand_by(&self) -> io::Result<()> {
        let said = || Ok::<_, io::Error>(self.claims.entries()?.into_iter().max());
        let (mut seen, mut since) = (said()?, Instant::now());
        while since.elapsed() < SILENCE {
            thread::sleep(LOOK);
            let now = said()?;
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    fn greatest(&self) -> io::Result<u64> {
        Ok(self.claims.keys()?.into_iter().max().unwrap_or(0))
    }
}
