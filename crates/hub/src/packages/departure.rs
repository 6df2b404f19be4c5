// SPDX-License-Identifier: Apache-2.0
//! What may be removed from a repository of packages through the registry: nothing that a release is made of.

use sqlx::AnyConnection;

use super::arrival::{Turned, away, version_in};
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
/// When a release needs it: then it stays.
pub(crate) async fn depart(connection: &mut AnyConnection, departure: &Departure) -> Result<(), Turned> {
    const RELEASE: &str = "SELECT p.name, r.version FROM releases r JOIN packages p ON p.id = r.package \
                           WHERE r.repository = $1 AND r.state <> 'deleted' AND ";
    // What its index needs, and what the images of its index need.
    const NEEDED: &str = "EXISTS (SELECT 1 FROM needs n WHERE n.repository = $1 AND n.manifest = r.digest AND n.digest = $2) \
                          OR EXISTS (SELECT 1 FROM needs i JOIN needs n ON n.repository = $1 AND n.manifest = i.digest \
                          WHERE i.repository = $1 AND i.manifest = r.digest AND n.digest = $2)";
    const ABOUT: &str = "EXISTS (SELECT 1 FROM manifests m WHERE m.repository = $1 AND m.digest = $2 \
                         AND m.subject = r.digest)";
    let (condition, what) = match &departure.what {
        Departing::Tag(tag) => ("r.version = $2".to_owned(), version_in(tag)?.to_string()),
        Departing::Manifest(digest) => {
            (format!("(r.digest = $2 OR {NEEDED} OR {ABOUT})"), digest.to_string())
        }
        Departing::Blob(digest) => (format!("({NEEDED})"), digest.to_string()),
    };
    let select = format!("{RELEASE}{condition}");
    let found = sqlx::query_as::<_, (String, String)>(sqlx::AssertSqlSafe(select));
    match found.bind(&departure.repository).bind(&what).fetch_optional(connection).await? {
        None => Ok(()),
        Some((name, version)) => Err(away(format!(
            "{what} belongs to {name} {version}, and what was pushed as a version stays; yank it (`l3af yank`), or ask the \
             hub's API to delete it within 72 hours"
        ))),
    }
}
