// SPDX-License-Identifier: Apache-2.0
//! What lies beside the blobs, so that the database can be made anew when it is lost: a record for each repository, with the rows
//! that no blob tells of, and one for the hub.
//!
//! A change marks the records that it makes stale, in its transaction, and [`keep()`] writes them within seconds; what was taken
//! from readers is recorded before that is answered ([`Hub::record`](crate::Hub::record)), so that nothing comes back that nobody
//! may have. Accounts, tokens and memberships, the record of changes, and counts by day are in no such record: backups have them.

mod keep;
mod record;
mod restore;

use std::io;

use sqlx::AnyConnection;
use thiserror::Error;

use crate::{NoDatabase, NoStorage};

pub(crate) use self::keep::keep;
pub use self::restore::Rebuilt;

/// The record of what belongs to no repository.
const HUB: &str = "hub";

/// The database is not made anew.
#[derive(Debug, Error)]
pub enum NotRebuilt {
    /// Somebody uses the hub already.
    #[error("the database is not empty: it has rows in `{table}`")]
    NotEmpty {
        /// A table with rows.
        table: &'static str,
    },
    /// There is nothing to make it of.
    #[error("the storage has no records: it was never used by a hub that writes them")]
    Nothing,
    /// A record is none.
    #[error("the record `{name}` cannot be read: {why}")]
    Wrong {
        /// Which.
        name: String,
        /// Why not.
        why: String,
    },
    /// A record was written by a later version.
    #[error("the record `{name}` has rows of version {found}, and this hub knows those up to {known}")]
    Later {
        /// Which.
        name: String,
        /// The version of the record.
        found: i64,
        /// The version of this program.
        known: i64,
    },
    /// The storage cannot be used.
    #[error(transparent)]
    Unusable(#[from] NoStorage),
    /// The storage fails.
    #[error("the storage cannot be read")]
    Storage(#[from] io::Error),
    /// The database cannot be opened.
    #[error(transparent)]
    Unopened(#[from] NoDatabase),
    /// The database does not take it.
    #[error("cannot write the database")]
    Database(#[from] sqlx::Error),
}

/// Marks the record of a repository as stale, in the transaction of a change.
///
/// # Errors
/// When the database fails.
pub(crate) async fn stale(connection: &mut AnyConnection, repository: &str) -> sqlx::Result<()> {
    let mark = "INSERT INTO records (name, changes, recorded, tables) VALUES ($1, 1, 0, 0) \
                ON CONFLICT (name) DO UPDATE SET changes = records.changes + 1";
    sqlx::query(mark).bind(repository).execute(connection).await.map(drop)
}

/// Marks the record of what belongs to no repository.
///
/// # Errors
/// When the database fails.
pub(crate) async fn stale_hub(connection: &mut AnyConnection) -> sqlx::Result<()> {
    stale(connection, HUB).await
}

/// Marks all records: the storage has none of them.
///
/// # Errors
/// When the database fails.
pub(crate) async fn stale_all(connection: &mut AnyConnection) -> sqlx::Result<()> {
    sqlx::query("UPDATE records SET changes = changes + 1").execute(connection).await.map(drop)
}

/// Marks the records of all repositories of a publisher.
///
/// # Errors
/// When the database fails.
pub(crate) async fn stale_publisher(connection: &mut AnyConnection, publisher: &str) -> sqlx::Result<()> {
    let mark = "INSERT INTO records (name, changes, recorded, tables) \
                SELECT id, 1, 0, 0 FROM repositories WHERE publisher = $1 \
                ON CONFLICT (name) DO UPDATE SET changes = records.changes + 1";
    sqlx::query(mark).bind(publisher).execute(connection).await.map(drop)
}

/// Marks the records of all repositories that have a manifest.
///
/// # Errors
/// When the database fails.
pub(crate) async fn stale_digest(connection: &mut AnyConnection, digest: &str) -> sqlx::Result<()> {
    let mark = "INSERT INTO records (name, changes, recorded, tables) \
                SELECT repository, 1, 0, 0 FROM manifests WHERE digest = $1 \
                ON CONFLICT (name) DO UPDATE SET changes = records.changes + 1";
    sqlx::query(mark).bind(digest).execute(connection).await.map(drop)
}
