// SPDX-License-Identifier: Apache-2.0
//! Accepted desired states, numbered, on disk.
//!
//! ```text
//! <state>/generations/<number>.json    one accepted document, the digests it was resolved to, and why they
//!                                      are trusted
//! <state>/current                      the number of the one in force; of the one that returns, while another is on trial
//! <state>/trial.json                   a generation that somebody must confirm
//! <state>/detached                     put there by `l3af detach --all`: apply nothing until the next document
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use package::{Blobs, Digest, Named, Package, ReadError};
use serde::{Deserialize, Serialize};
use wire::Document;

use crate::durable;
use crate::standing::Explanations;
use crate::trial::{Trial, TrialFile};

/// One accepted desired state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Generation {
    /// Counts up from 1.
    pub(crate) number: u64,
    /// The generation that was in force before; 0 when there was none.
    pub(crate) previous: u64,
    /// When it was accepted.
    pub(crate) accepted: jiff::Timestamp,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// What was asked for.
    pub(crate) document: Document,
    /// What each package reference of the document stood for.
    pub(crate) packages: BTreeMap<String, Pinned>,
    /// Why each of them was accepted.
    #[serde(default)]
    pub(crate) explanations: Explanations,
    /// The generation that this one brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) again: Option<u64>,
    /// Why the one before returned, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) given_up: Option<String>,
}

impl Generation {
    /// What is in force before there was any: nothing, with the number 0.
    pub(crate) fn none() -> Self {
        Self {
            number: 0,
            previous: 0,
            accepted: jiff::Timestamp::UNIX_EPOCH,
            by: None,
            document: Document::default(),
            packages: BTreeMap::new(),
            explanations: Explanations::new(),
            again: None,
            given_up: None,
        }
    }

    /// What the API tells of it.
    pub(crate) fn into_view(self) -> wire::Generation {
        let digests =
            self.packages.into_iter().map(|(reference, pinned)| (reference, pinned.index.to_string()));
        wire::Generation { number: self.number, document: self.document, packages: digests.collect() }
    }
}

/// A package reference, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pinned {
    /// The digest of the package's index.
    pub(crate) index: Digest,
    /// The digests of the signed statements that came with it.
    pub(crate) statements: Vec<Digest>,
    /// The digests of the versions of its publisher's root that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) roots: Vec<Digest>,
    /// What an image is called that is no package, and says nothing of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) named: Option<Named>,
}

impl Pinned {
    /// Reads what it stands for.
    pub(crate) fn read(&self, blobs: &dyn Blobs) -> Result<Package, ReadError> {
        match &self.named {
            None => Package::read(blobs, &self.index),
            Some(named) => Package::of_image(blobs, &self.index, named),
        }
    }
}

/// How many accepted documents are kept.
const KEPT: usize = 50;

/// The folder of generations.
#[derive(Debug)]
pub(crate) struct Generations {
    state: PathBuf,
    trial: TrialFile,
}

impl Generations {
    pub(crate) fn new(state: &Path) -> Self {
        Self { state: state.to_owned(), trial: TrialFile::new(state) }
    }

    /// The generation in force, if there ever was one. One that is on trial is.
    pub(crate) fn current(&self) -> io::Result<Option<Generation>> {
        let number = match self.trial()? {
            Some(trial) => trial.number,
            None => self.settled()?,
        };
        if number == 0 { Ok(None) } else { self.read(number).map(Some) }
    }

    /// The trial that the generation in force is on.
    pub(crate) fn trial(&self) -> io::Result<Option<Trial>> {
        let settled = self.settled()?;
        // A crash between the two writes of a confirmation leaves the trial of what is settled.
        Ok(self.trial.read()?.filter(|trial| trial.number != settled && trial.is_of_this_boot()))
    }

    /// The number of the generation that returns at a reboot; 0 when there was none.
    fn settled(&self) -> io::Result<u64> {
        match fs::read_to_string(self.state.join("current")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
            Ok(text) => text.trim().parse().map_err(io::Error::other),
        }
    }

    /// Keeps a new generation and puts it into force, on trial where that is asked for.
    pub(crate) fn accept(&self, generation: &Generation, trial: Option<&Trial>) -> io::Result<()> {
        self.write(generation)?;
        match trial {
            Some(trial) => self.trial.write(trial)?,
            None => self.put_in_force(generation.number)?,
        }
        durable::remove(&self.detached())
    }

    /// Ends the trial of a generation well: it stays.
    pub(crate) fn confirm(&self, trial: &Trial) -> io::Result<()> {
        self.put_in_force(trial.number)?;
        self.trial.remove()
    }

    /// Counts the time of a trial from now on.
    pub(crate) fn begin_trial(&self, trial: &Trial) -> io::Result<()> {
        self.trial.write(&trial.begun())
    }

    /// Ends the trial of a generation otherwise: the one before is in force again. What was given up stays to be read.
    pub(crate) fn return_from(&self, trial: &Trial, why: &str) -> io::Result<()> {
        // A full disk lets files go, and takes no words.
        self.trial.remove()?;
        let told = self.read(trial.number);
        let told =
            told.and_then(|given_up| self.write(&Generation { given_up: Some(why.to_owned()), ..given_up }));
        if let Err(error) = told {
            tracing::warn!("why generation {} was given up cannot be written to it: {error}", trial.number);
        }
        Ok(())
    }

    /// Ends what the last end of the machine left of trials.
    pub(crate) fn settle_trial(&self) -> io::Result<()> {
        match self.trial.read()? {
            Some(trial) if trial.number == self.settled()? => self.trial.remove(),
            Some(trial) if !trial.is_of_this_boot() => {
                self.return_from(&trial, "the machine was started again before anybody confirmed it")
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns to the generation before this one; the refused one is not kept.
    pub(crate) fn withdraw(&self, generation: &Generation) -> io::Result<()> {
        self.trial.remove()?;
        if generation.previous == 0 {
            durable::remove(&self.state.join("current"))?;
        } else {
            self.put_in_force(generation.previous)?;
        }
        durable::remove(&self.file(generation.number))
    }

    /// Reads one generation.
    pub(crate) fn read(&self, number: u64) -> io::Result<Generation> {
        Ok(serde_json::from_slice(&fs::read(self.file(number))?)?)
    }

    /// The numbers of those that are kept, the oldest first.
    pub(crate) fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match fs::read_dir(self.state.join("generations")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            // What a crash left of a file that was being written has another name.
            let number = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            numbers.extend::<Option<u64>>(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Removes all but the newest, and never what is in force or returns when a trial ends. Returns how many went.
    pub(crate) fn prune(&self) -> io::Result<usize> {
        let (numbers, settled) = (self.numbers()?, self.settled()?);
        let (old, _) = numbers.split_at(numbers.len().saturating_sub(KEPT));
        let old: Vec<&u64> = old.iter().filter(|number| **number != settled).collect();
        old.iter().try_for_each(|number| durable::remove(&self.file(**number)))?;
        Ok(old.len())
    }

    /// Whether somebody took the programs off by hand since the last document was accepted.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached().exists()
    }

    fn write(&self, generation: &Generation) -> io::Result<()> {
        durable::write_json(&self.file(generation.number), generation)
    }

    fn put_in_force(&self, number: u64) -> io::Result<()> {
        durable::write(&self.state.join("current"), format!("{number}\n").as_bytes())
    }

    fn file(&self, number: u64) -> PathBuf {
        self.state.join("generations").join(format!("{number}.json"))
    }

    /// The mark that somebody took the programs off by hand.
    pub(crate) fn detached(&self) -> PathBuf {
        self.state.join("detached")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Generations) {
        let folder = tempfile::tempdir().unwrap();
        let generations = Generations::new(folder.path());
        (folder, generations)
    }

    fn generation(number: u64) -> Generation {
        Generation { number, previous: number - 1, ..Generation::none() }
    }

    #[test]
    fn the_newest_are_kept_and_what_returns_from_a_trial() {
        let (_folder, generations) = place();
        generations.accept(&generation(1), None).unwrap();
        for number in 2..=60 {
            let trial = Trial::of(number, 60, true).unwrap();
            generations.accept(&generation(number), Some(&trial)).unwrap();
        }
        assert_eq!(generations.prune().unwrap(), 9);
        let kept: Vec<u64> = [1].into_iter().chain(11..=60).collect();
        assert_eq!(generations.numbers().unwrap(), kept);
        assert_eq!(generations.prune().unwrap(), 0);
    }

    #[test]
    fn a_trial_ends_well_or_otherwise_and_a_cut_in_between_is_one_of_them() {
        let (_folder, generations) = place();
        let current = || generations.current().unwrap().map(|generation| generation.number);
        assert_eq!((current(), generations.numbers().unwrap()), (None, Vec::new()));
        let trial = Trial::of(1, 60, true).unwrap();
        generations.accept(&generation(1), Some(&trial)).unwrap();
        assert_eq!((current(), generations.trial().unwrap()), (Some(1), Some(trial.clone())));
        generations.begin_trial(&trial).unwrap();
        let begun = generations.trial().unwrap().unwrap();
        assert!(begun.is_same(&trial) && begun.left() < trial.left());
        generations.return_from(&trial, "nobody liked it").unwrap();
        assert_eq!((current(), generations.trial().unwrap()), (None, None));
        assert_eq!(generations.read(1).unwrap().given_up.unwrap(), "nobody liked it");

        let trial = Trial::of(2, 60, true).unwrap();
        generations.accept(&generation(2), Some(&trial)).unwrap();
        generations.confirm(&trial).unwrap();
        assert_eq!((current(), generations.trial().unwrap()), (Some(2), None));
        // The power goes off between the two writes of the confirmation.
        generations.trial.write(&trial).unwrap();
        assert_eq!((current(), generations.trial().unwrap()), (Some(2), None));
        generations.settle_trial().unwrap();
        assert_eq!(generations.trial.read().unwrap(), None);
        // What the kernel refuses on trial leaves what was settled.
        let trial = Trial::of(3, 60, true).unwrap();
        generations.accept(&generation(3), Some(&trial)).unwrap();
        generations.withdraw(&generation(3)).unwrap();
        assert_eq!((current(), generations.numbers().unwrap()), (Some(2), vec![1, 2]));
    }
}
