// SPDX-License-Identifier: Apache-2.0
//! All of a hub as a folder: `blobs/` as a hub without a bucket keeps them, `tables.jsonl` with a row of the database on each
//! line, and `backup.json`, which is written last and says what the other two hold.
//!
//! It is the same from any database and storage, and restored into any: a hub moves from one machine to PostgreSQL and a bucket
//! by a backup and a restore. A folder that has a backup already is brought up to date, and blobs that are there are left alone.

mod read;
mod write;

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ContentDigest, NoDatabase, NoStorage};

pub(crate) use self::read::{MADE_BY_PEOPLE, is_empty};
pub(crate) use self::write::written;

/// The file that makes a folder a backup.
const SUMMARY: &str = "backup.json";
/// The file with the rows.
const TABLES: &str = "tables.jsonl";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The version of the tables.
    pub schema: i64,
    /// When it was made, RFC 3339.
    pub made: jiff::Timestamp,
    /// How many rows.
    pub rows: u64,
    /// How many blobs.
    pub blobs: u64,
    /// The digest of the rows' file.
    pub tables: String,
}

/// A row, as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Line {
    pub(crate) table: String,
    /// Columns that are not null: texts and numbers.
    pub(crate) row: serde_json::Map<String, serde_json::Value>,
}

impl Line {
    /// The blob that this row is about.
    fn blob(&self) -> sqlx::Result<Option<ContentDigest>> {
        match (self.table.as_str(), self.row.get("digest")) {
            ("blobs", Some(serde_json::Value::String(digest))) => {
                digest.parse().map(Some).map_err(|error| sqlx::Error::Decode(Box::new(error)))
            }
            _ => Ok(None),
        }
    }
}

/// A backup was not made.
#[derive(Debug, Error)]
pub enum NotBackedUp {
    /// Something cannot be written there.
    #[error("cannot write `{}`", .path.display())]
    Unwritable {
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The folder for the blobs cannot be used.
    #[error(transparent)]
    Folder(#[from] NoStorage),
    /// The database cannot be read.
    #[error("cannot read the database")]
    Database(#[from] sqlx::Error),
    /// A blob cannot be read.
    #[error("cannot copy the blob `{digest}`")]
    Blob {
        /// Which.
        digest: ContentDigest,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A blob is not what it is called.
    #[error("the blob `{digest}` has other bytes than it should")]
    Damaged {
        /// Which.
        digest: ContentDigest,
    },
    /// Blobs are missing that rows name, and not since they were removed in the meantime.
    #[error("the storage has no blob `{digest}`, which the database names")]
    Missing {
        /// One of them.
        digest: ContentDigest,
    },
}

/// A backup was not restored.
#[derive(Debug, Error)]
pub enum NotRestored {
    /// It cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not what a hub writes.
    #[error("`{}` is no part of a backup: {why}", .path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// It was made by a later version.
    #[error("the backup has tables of version {found}, and this hub knows those up to {known}")]
    Later {
        /// The version of the backup.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// Somebody uses the hub already.
    #[error("the database is not empty: it has rows in `{table}`")]
    NotEmpty {
        /// A table with rows.
        table: &'static str,
    },
    /// The folder with the blobs cannot be used.
    #[error(transparent)]
    Folder(#[from] NoStorage),
    /// The database cannot be opened.
    #[error(transparent)]
    Unopened(#[from] NoDatabase),
    /// The database does not take it.
    #[error("cannot write the database")]
    Database(#[from] sqlx::Error),
    /// A blob cannot be copied.
    #[error("cannot copy the blob `{digest}`")]
    Blob {
        /// Which.
        digest: ContentDigest,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A blob is not what it is called, or is not there.
    #[error("the backup has no blob `{digest}` with the bytes that it should have")]
    Damaged {
        /// Which.
        digest: ContentDigest,
    },
}
