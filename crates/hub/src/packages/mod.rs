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

/// What is being removed from a repository of packages.
pub(crate) struct Departure {
    /// The id of the repository.
    pub(crate) repository: String,
    pub(crate) what: Departing,
}

/// What may be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Departing {
    /// A tag; the manifest stays.
    Tag(String),
    /// A manifest, with its tags and with what is about it.
    Manifest(ContentDigest),
    /// A blob.
    Blob(ContentDigest),
}

/// Takes notice, in the transaction that removes something, that it goes. What is visible to readers never goes this way.
///
/// # Errors
/// When it must not be removed: then it stays.
pub(crate) async fn depart(connection: &mut AnyConnection, departure: &Departure) -> Result<(), Turned> {
    const TAG: &str = "SELECT 1 FROM tags JOIN manifests ON manifests.repository = tags.repository \
                       AND manifests.digest = tags.digest WHERE tags.repository = $1 AND tags.name = $2 \
                       AND manifests.visible = 1";
    const MANIFEST: &str = "SELECT 1 FROM manifests WHERE repository = $1 AND digest = $2 AND visible = 1";
    const BLOB: &str = "SELECT 1 FROM links WHERE repository = $1 AND digest = $2 AND visible = 1";
    let (find, value) = match &departure.what {
        Departing::Tag(tag) => (TAG, tag.clone()),
        Departing::Manifest(digest) => (MANIFEST, digest.to_string()),
        Departing::Blob(digest) => (BLOB, digest.to_string()),
    };
    let find = sqlx::query(find).bind(departure.repository.as_str()).bind(value);
    match find.fetch_optional(connection).await? {
        Some(_) => {
            Err(Turned::Away { why: "it belongs to a release, which stays: yank the release".to_owned() })
        }
        None => Ok(()),
    }
}
