// SPDX-License-Identifier: Apache-2.0
//! What may be removed from a repository of packages through the registry: nothing that a release is made of.

use sqlx::AnyConnection;

use super::arrival::{Turned, away, may_leave};
use crate::ContentDigest;

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

/// Takes notice, in the transaction that removes something, that it goes.
///
/// # Errors
/// When it must not be removed: then it stays.
pub(crate) async fn depart(connection: &mut AnyConnection, departure: &Departure) -> Result<(), Turned> {
    let repository = departure.repository.as_str();
    match &departure.what {
        Departing::Manifest(digest) => may_leave(connection, repository, digest).await,
        Departing::Tag(tag) => {
            let select = sqlx::query_scalar("SELECT digest FROM tags WHERE repository = $1 AND name = $2");
            let digest: Option<String> =
                select.bind(repository).bind(tag).fetch_optional(&mut *connection).await?;
            match digest.map(|digest| digest.parse::<ContentDigest>()) {
                Some(Ok(digest)) => may_leave(connection, repository, &digest).await,
                Some(Err(_)) | None => Ok(()),
            }
        }
        Departing::Blob(digest) => {
            let visible = "SELECT 1 FROM links WHERE repository = $1 AND digest = $2 AND visible = 1";
            let found = sqlx::query(visible).bind(repository).bind(digest.to_string());
            match found.fetch_optional(connection).await? {
                Some(_) => {
                    Err(away(format!("{digest} belongs to a release, which stays: yank it (`l3af yank`)")))
                }
                None => Ok(()),
            }
        }
    }
}
