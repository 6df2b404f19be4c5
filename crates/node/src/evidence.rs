// SPDX-License-Identifier: Apache-2.0
//! What was found about packages after they were fetched: `<state>/evidence.json`.
//!
//! A generation says what came with a package, and stays as it was accepted. What repositories tell later (statements, and
//! versions of roots, which revoke keys) is added here, so that what was withdrawn stays withdrawn when no repository answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use package::Digest;
use serde::{Deserialize, Serialize};

use crate::{Rejected, durable};

/// What was found, by the digest of the package's index. The documents are in the store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Found(BTreeMap<Digest, Documents>);

/// The digests of what refers to one package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Documents {
    /// Signed statements.
    #[serde(default)]
    pub(crate) statements: BTreeSet<Digest>,
    /// Versions of roots.
    #[serde(default)]
    pub(crate) roots: BTreeSet<Digest>,
}

impl Documents {
    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = Digest> {
        self.statements.iter().chain(&self.roots).copied()
    }
}

impl Found {
    /// What was found about a package.
    pub(crate) fn about(&self, package: &Digest) -> Option<&Documents> {
        self.0.get(package)
    }

    /// All versions of roots that were found.
    pub(crate) fn roots(&self) -> impl Iterator<Item = Digest> {
        self.0.values().flat_map(|documents| documents.roots.iter().copied())
    }

    /// Adds to what was found about a package.
    pub(crate) fn add(&mut self, package: Digest, documents: Documents) {
        let known = self.0.entry(package).or_default();
        known.statements.extend(documents.statements);
        known.roots.extend(documents.roots);
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct EvidenceFile {
    path: PathBuf,
}

impl EvidenceFile {
    pub(crate) fn new(state: &Path) -> Self {
        Self { path: state.join("evidence.json") }
    }

    /// What was found so far; nothing when there is no file yet. One that cannot be read is an error: to begin anew could
    /// trust a key again that was revoked.
    pub(crate) fn read(&self) -> Result<Found, Rejected> {
        let read = durable::read_json(&self.path);
        let read = read.map_err(|source| Rejected::Evidence { path: self.path.clone(), source })?;
        Ok(read.unwrap_or_default())
    }

    /// Adds what was found just now. Returns whether any of it is news.
    pub(crate) fn add(&self, found: Found) -> Result<bool, Rejected> {
        let before = self.read()?;
        let mut after = before.clone();
        for (package, documents) in found.0 {
            after.add(package, documents);
        }
        self.replace(&before, &after)?;
        Ok(after != before)
    }

    /// Forgets what was found about other packages than these. Returns what is left.
    pub(crate) fn retain(&self, is_kept: impl Fn(&Digest) -> bool) -> Result<Found, Rejected> {
        let before = self.read()?;
        let mut after = before.clone();
        after.0.retain(|package, _| is_kept(package));
        self.replace(&before, &after)?;
        Ok(after)
    }

    fn replace(&self, before: &Found, after: &Found) -> Result<(), Rejected> {
        if after == before {
            return Ok(());
        }
        durable::write_json(&self.path, after)
            .map_err(|source| Rejected::State { action: "keep what was found about packages", source })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_found_is_added_to_and_nothing_of_it_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = EvidenceFile::new(folder.path());
        let (package, one, two) = (Digest::of(b"package"), Digest::of(b"one"), Digest::of(b"two"));
        let with = |root| {
            let mut found = Found::default();
            found.add(package, Documents { roots: [root].into(), ..Documents::default() });
            found
        };
        assert_eq!(file.read().unwrap(), Found::default());
        assert!(file.add(with(one)).unwrap());
        assert!(!file.add(with(one)).unwrap(), "that is known");
        assert!(file.add(with(two)).unwrap());
        let read = file.read().unwrap();
        assert_eq!(read.about(&package).unwrap().roots, [one, two].into());
        assert_eq!(read.about(&one), None);
        assert_eq!(file.retain(|_| true).unwrap(), read);
        assert_eq!(file.retain(|kept| *kept != package).unwrap(), file.read().unwrap());
        assert_eq!(file.read().unwrap(), Found::default());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = EvidenceFile::new(folder.path());
        fs::write(&file.path, "{\"sha256:").unwrap();
        assert!(file.add(Found::default()).is_err());
        assert_eq!(fs::read_to_string(&file.path).unwrap(), "{\"sha256:");
    }
}
