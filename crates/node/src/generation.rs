// SPDX-License-Identifier: Apache-2.0
//! Accepted desired states, numbered, on disk.
//!
//! ```text
//! <state>/generations/<number>.json    one accepted document, the digests it was resolved to, and why they
//!                                      are trusted
//! <state>/current                      the number of the one in force
//! <state>/detached                     put there by `l3af detach --all`: apply nothing until the next document
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use package::Digest;
use serde::{Deserialize, Serialize};
use wire::Document;

use crate::durable;
use crate::standing::Explanations;

/// One accepted desired state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Generation {
    /// Counts up from 1.
    pub(crate) number: u64,
    /// The generation that was in force before; 0 when there was none.
    pub(crate) previous: u64,
    /// When it was accepted.
    pub(crate) accepted: jiff::Timestamp,
    /// What was asked for.
    pub(crate) document: Document,
    /// What each package reference of the document stood for.
    pub(crate) packages: BTreeMap<String, Pinned>,
    /// Why each of them was accepted.
    #[serde(default)]
    pub(crate) explanations: Explanations,
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
}

/// The folder of generations.
#[derive(Debug)]
pub(crate) struct Generations {
    state: PathBuf,
}

impl Generations {
    pub(crate) fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// The generation in force, if there ever was one.
    pub(crate) fn current(&self) -> io::Result<Option<Generation>> {
        match fs::read_to_string(self.state.join("current")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
            Ok(text) => self.read(text.trim().parse().map_err(io::Error::other)?),
        }
    }

    /// Keeps a new generation and puts it into force.
    pub(crate) fn accept(&self, generation: &Generation) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(generation)?;
        durable::write(&self.file(generation.number), &bytes)?;
        self.put_in_force(generation.number)?;
        durable::remove(&self.detached())
    }

    /// Returns to the generation before this one; the refused one is not kept.
    pub(crate) fn withdraw(&self, generation: &Generation) -> io::Result<()> {
        if generation.previous == 0 {
            durable::remove(&self.state.join("current"))?;
        } else {
            self.put_in_force(generation.previous)?;
        }
        durable::remove(&self.file(generation.number))
    }

    /// Reads one generation; none has the number 0.
    pub(crate) fn read(&self, number: u64) -> io::Result<Option<Generation>> {
        if number == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&fs::read(self.file(number))?)?))
    }

    /// Whether somebody took the programs off by hand since the last document was accepted.
    pub(crate) fn is_detached(&self) -> bool {
        self.detached().exists()
    }

    fn put_in_force(&self, number: u64) -> io::Result<()> {
        durable::write(&self.state.join("current"), format!("{number}\n").as_bytes())
    }

    fn file(&self, number: u64) -> PathBuf {
        self.state.join("generations").join(format!("{number}.json"))
    }

    fn detached(&self) -> PathBuf {
        self.state.join("detached")
    }
}
