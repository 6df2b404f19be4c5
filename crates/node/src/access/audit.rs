// SPDX-License-Identifier: Apache-2.0
//! The record of who changed what, or tried to: a line of JSON for each, in a file that only grows, and in the daemon's log.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;

/// Where records go.
#[derive(Debug, Default)]
pub(crate) struct Audit(Option<Trail>);

#[derive(Debug)]
struct Trail {
    path: PathBuf,
    file: Mutex<File>,
}

/// The file cannot be written.
#[derive(Debug, Error)]
#[error("cannot write the record of changes to `{}`", path.display())]
pub struct NoAudit {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// A change, or what was to be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Record {
    /// When it was over.
    pub(crate) time: Timestamp,
    /// Who wanted it; nobody where that is not known.
    pub(crate) caller: Option<String>,
    /// All the ways to say who that is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) handles: Vec<String>,
    pub(crate) via: Option<&'static str>,
    /// Over TCP, from where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    pub(crate) action: String,
    /// The call, as method and path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) call: String,
    pub(crate) outcome: Outcome,
    /// The status of the answer.
    pub(crate) status: u16,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// The generation in force before, and after it; none where the engine was not asked.
    pub(crate) generation_before: Option<u64>,
    pub(crate) generation_after: Option<u64>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Done,
    /// The caller may not, or says not who it is.
    Denied,
    /// It could not be done.
    Refused,
}

impl Outcome {
    /// What the status of an answer says.
    pub(crate) fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Done,
            401 | 403 | 429 => Self::Denied,
            _ => Self::Refused,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Refused => "refused",
        })
    }
}

impl Audit {
    /// Opens the file, which is made where there is none.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, NoAudit> {
        let open = |path: &Path| {
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
            let file = Mutex::new(file.map_err(|source| NoAudit { path: path.to_owned(), source })?);
            Ok(Trail { path: path.to_owned(), file })
        };
        path.map(open).transpose().map(Self)
    }

    /// Begins the file again that somebody put aside.
    pub(crate) fn reopen(&self) -> Result<(), NoAudit> {
        let Some(trail) = &self.0 else { return Ok(()) };
        if let Some(opened) = Self::open(Some(&trail.path))?.0 {
            let mut file = trail.file.lock().unwrap_or_else(PoisonError::into_inner);
            *file = opened.file.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Writes a record. A disk that takes none is told, and holds nothing up.
    pub(crate) fn write(&self, record: &Record) {
        tracing::info!(
            caller = record.caller,
            via = record.via,
            address = record.address,
            action = record.action,
            call = record.call,
            status = record.status,
            generation.before = record.generation_before,
            generation.after = record.generation_after,
            problem = record.problem,
            "{} asked for `{}`: {}",
            record.caller.as_deref().unwrap_or("somebody"),
            record.action,
            record.outcome
        );
        let Some(Trail { path, file }) = &self.0 else { return };
        let mut line = serde_json::to_vec(record).unwrap_or_default();
        line.push(b'\n');
        // One write, so that lines of several processes do not mix.
        let written = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        if let Err(error) = written {
            tracing::error!("cannot write the record of a change to `{}`: {error}", path.display());
        }
    }
}
