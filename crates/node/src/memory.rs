// SPDX-License-Identifier: Apache-2.0
//! What the node remembers of what it accepted, so that nothing older takes its place: `<state>/memory.json`.
//!
//! It is read whenever it is asked for and written before anybody is told that it was. A file that cannot be read is an
//! error: to begin anew would let old releases in again, and nobody would notice.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trust::{Memory, Policy, Verified};

use crate::{Rejected, durable};

/// The file.
#[derive(Debug)]
pub(crate) struct MemoryFile {
    path: PathBuf,
}

/// What is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Remembered {
    /// The newest that was accepted.
    pub(crate) accepted: Memory,
    /// When somebody last looked for what is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) looked: Option<Timestamp>,
}

impl MemoryFile {
    pub(crate) fn new(state: &Path) -> Self {
        Self { path: state.join("memory.json") }
    }

    /// What is remembered; nothing when there is no file yet.
    pub(crate) fn read(&self) -> Result<Remembered, Rejected> {
        let read = durable::read_json(&self.path);
        let read = read.map_err(|source| Rejected::Memory { path: self.path.clone(), source })?;
        Ok(read.unwrap_or_default())
    }

    /// Remembers packages that were accepted and run.
    pub(crate) fn remember<'a>(
        &self,
        packages: impl IntoIterator<Item = &'a Verified>,
    ) -> Result<(), Rejected> {
        self.change(|remembered| {
            for package in packages {
                remembered.accepted.remember(package);
            }
        })
    }

    /// Remembers versions of roots that were found.
    pub(crate) fn learn(&self, policy: &Policy, roots: &[Vec<u8>]) -> Result<(), Rejected> {
        self.change(|remembered| remembered.accepted.learn(policy, roots))
    }

    /// Remembers that somebody looked for what is revoked.
    pub(crate) fn looked(&self, at: Timestamp) -> Result<(), Rejected> {
        self.change(|remembered| remembered.looked = remembered.looked.max(Some(at)))
    }

    fn change(&self, change: impl FnOnce(&mut Remembered)) -> Result<(), Rejected> {
        let before = self.read()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        durable::write_json(&self.path, &after)
            .map_err(|source| Rejected::State { action: "remember what was accepted", source })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn memory() -> (tempfile::TempDir, MemoryFile) {
        let folder = tempfile::tempdir().unwrap();
        let memory = MemoryFile::new(folder.path());
        (folder, memory)
    }

    #[test]
    fn the_time_of_the_last_look_never_goes_back() {
        let (_folder, memory) = memory();
        assert_eq!(memory.read().unwrap(), Remembered::default());
        let at = |second| Timestamp::from_second(second).unwrap();
        memory.looked(at(2000)).unwrap();
        memory.looked(at(1000)).unwrap();
        assert_eq!(memory.read().unwrap().looked, Some(at(2000)));
    }

    #[test]
    fn a_damaged_memory_is_an_error_and_stays_as_it_is() {
        let (_folder, memory) = memory();
        fs::write(&memory.path, "{\"accepted\":{\"versions\":{\"a\":").unwrap();
        let before = fs::read(&memory.path).unwrap();
        let refused = memory.looked(Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(refused.to_string().contains("what this node accepted before cannot be read"), "{refused}");
        assert!(refused.hint().unwrap().contains("backup"));
        assert_eq!(fs::read(&memory.path).unwrap(), before);
    }
}
