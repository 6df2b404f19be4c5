// SPDX-License-Identifier: Apache-2.0
//! Takes notice of manifests in the transaction that stores, tags or removes them.
//!
//! A manifest that is pushed by a version becomes a release. One without a tag belongs to whatever names it, or is about it:
//! what is pushed beside a release that waits for something has it checked again.

use package::{Digest, PackageName, Version};
use serde::Deserialize;
use sqlx::AnyConnection;
use thiserror::Error;
use uuid::Uuid;
use wire::hub::State;

use super::release::undecodable;
use super::takedown::withheld;
use super::{line, state};
use crate::ContentDigest;

/// A manifest that is being stored in a repository of packages, whose publisher is no ordinary registry.
pub(crate) struct Arrival {
    /// The id of the repository.
    pub(crate) repository: String,
    pub(crate) publisher: String,
    /// What follows the publisher in the OCI name.
    pub(crate) name: String,
    pub(crate) digest: ContentDigest,
    pub(crate) bytes: bytes::Bytes,
    /// The tag that it was pushed by, where there was one.
    pub(crate) tag: Option<String>,
    /// The account that pushes.
    pub(crate) account: Option<String>,
    pub(crate) now_ms: i64,
}

/// A manifest may not be stored, or something not removed.
#[derive(Debug, Error)]
pub(crate) enum Turned {
    /// A rule of packages says no; in OCI, `DENIED`.
    #[error("{why}")]
    Away { why: String },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What matters here of an index or a manifest.
#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    manifests: Vec<Named>,
    #[serde(default)]
    layers: Vec<Named>,
    subject: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    digest: String,
}

/// Takes notice of a manifest in the transaction that stores it, so that it is pending from the moment it is there.
///
/// # Errors
/// When it must not be stored: then nothing is.
pub(crate) async fn arrive(connection: &mut AnyConnection, arrival: &Arrival) -> Result<(), Turned> {
    let names: Option<Names> = serde_json::from_slice(&arrival.bytes).ok();
    refuse_rejected(connection, arrival, names.as_ref()).await?;
    match (&arrival.tag, names.and_then(|names| names.subject)) {
        (Some(tag), _) => publish(connection, arrival, &version_in(tag)?).await,
        (None, Some(subject)) => accompany(connection, arrival, &subject.digest).await,
        (None, None) => Ok(()),
    }
}

/// The version in a tag, which has no `+`.
pub(super) fn version_in(tag: &str) -> Result<Version, Turned> {
    tag.replace('_', "+").parse().map_err(|bad| {
        away(format!(
            "`{tag}` is not a version ({bad}); a package is pushed by its version, such as `1.2.0`, and other tags are for \
             namespaces that are ordinary registries"
        ))
    })
}

async fn refuse_rejected(
    connection: &mut AnyConnection,
    arrival: &Arrival,
    names: Option<&Names>,
) -> Result<(), Turned> {
    let mut digests = vec![arrival.digest.to_string()];
    if let Some(names) = names {
        digests.extend(names.manifests.iter().chain(&names.layers).map(|named| named.digest.clone()));
    }
    for digest in digests {
        if let Some(reason) = rejection(connection, &digest).await? {
            return Err(away(format!("{digest} was rejected, and is refused under any name: {reason}")));
        }
    }
    Ok(())
}

/// Why these bytes were rejected, where they were.
pub(super) async fn rejection(connection: &mut AnyConnection, digest: &str) -> sqlx::Result<Option<String>> {
    let select = sqlx::query_scalar("SELECT reason FROM rejected WHERE digest = $1").bind(digest);
    if let Some(reason) = select.fetch_optional(&mut *connection).await? {
        return Ok(Some(reason));
    }
    Ok(withheld::of_digest(connection, digest).await?.map(|withheld| withheld.to_string()))
}

/// Makes a release of what is pushed by a version.
async fn publish(connection: &mut AnyConnection, arrival: &Arrival, version: &Version) -> Result<(), Turned> {
    let digest = arrival.digest.to_string();
    if digest.parse::<Digest>().is_err() {
        return Err(away(format!("{digest} cannot be a release: packages are named by SHA-256")));
    }
    let package = package(connection, (&arrival.publisher, &arrival.name), arrival.now_ms).await?;
    if let Some(earlier) = line::used_before(connection, &package, version).await? {
        return Err(away(format!(
            "version {version} is one of {earlier}, which became {}/{}; a version is never used again, so push the next one",
            arrival.publisher, arrival.name
        )));
    }
    let insert = "INSERT INTO releases (id, package, version, repository, digest, state, pushed_by, pushed_ms, changed_ms) \
                  VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $7) ON CONFLICT (package, version) DO NOTHING";
    let id = Uuid::now_v7().to_string();
    let insert = sqlx::query(insert).bind(&id).bind(&package).bind(version.to_string());
    let insert = insert.bind(&arrival.repository).bind(&digest).bind(&arrival.account).bind(arrival.now_ms);
    if insert.execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(enqueue(connection, &id, arrival.now_ms).await?);
    }
    let (there, state): (String, String) =
        sqlx::query_as("SELECT digest, state FROM releases WHERE package = $1 AND version = $2")
            .bind(&package)
            .bind(version.to_string())
            .fetch_one(connection)
            .await?;
    // Who pushes the same once more did not hear the answer.
    if there == digest && state != State::Deleted.as_str() {
        return Ok(());
    }
    Err(away(format!(
        "version {version} of {}/{} was pushed as {there} and is {state}; a version is never used again, so push the next one",
        arrival.publisher, arrival.name
    )))
}

/// The id of the package, which is made where this is its first release.
pub(super) async fn package(
    connection: &mut AnyConnection,
    (publisher, name): (&str, &str),
    now_ms: i64,
) -> Result<String, Turned> {
    if let Err(bad) = name.parse::<PackageName>() {
        return Err(away(format!("packages are pushed to `publisher/package`: {bad}")));
    }
    if let Some(withheld) = withheld::of_package(connection, publisher, name).await? {
        return Err(away(format!("nothing is pushed to {publisher}/{name}, which was {withheld}")));
    }
    let insert = "INSERT INTO packages (id, publisher, name, created_ms) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (publisher, name) DO NOTHING";
    let insert = sqlx::query(insert).bind(Uuid::now_v7().to_string()).bind(publisher).bind(name);
    insert.bind(now_ms).execute(&mut *connection).await?;
    let select = sqlx::query_as("SELECT id, moved_to FROM packages WHERE publisher = $1 AND name = $2");
    let (id, moved): (String, Option<String>) =
        select.bind(publisher).bind(name).fetch_one(&mut *connection).await?;
    if moved.is_some() {
        let to = line::moved_to(connection, publisher, name).await?.unwrap_or_default();
        return Err(away(format!("{publisher}/{name} became {to}: push new versions there")));
    }
    Ok(id)
}

/// Notices what is about a release. Where the release is public, so is this: whoever may push there may speak of it.
async fn accompany(connection: &mut AnyConnection, arrival: &Arrival, subject: &str) -> Result<(), Turned> {
    // Whoever checks the release meanwhile sees this, or is seen here to have ended.
    let update = "UPDATE releases SET evidence = evidence + 1 WHERE repository = $1 AND digest = $2 RETURNING id, state";
    let update = sqlx::query_as::<_, (String, String)>(update).bind(&arrival.repository).bind(subject);
    let Some((id, state)) = update.fetch_optional(&mut *connection).await? else { return Ok(()) };
    let state: State = state.parse().map_err(undecodable)?;
    if state.is_public() {
        return Ok(crate::registry::reveal(connection, &arrival.repository, &arrival.digest).await?);
    }
    if state == State::ChangesAsked {
        check_again(connection, &id, arrival.now_ms).await?;
    }
    Ok(())
}

/// Has a release checked that waits for changes. Returns whether it did.
pub(super) async fn check_again(
    connection: &mut AnyConnection,
    release: &str,
    now_ms: i64,
) -> sqlx::Result<bool> {
    let gone = state::go(connection, release, State::Pending, None, now_ms).await?;
    if gone {
        enqueue(connection, release, now_ms).await?;
    }
    Ok(gone)
}

pub(super) async fn enqueue(connection: &mut AnyConnection, release: &str, now_ms: i64) -> sqlx::Result<()> {
    let insert = "INSERT INTO check_queue (release, due_ms) VALUES ($1, $2) ON CONFLICT (release) \
                  DO UPDATE SET due_ms = excluded.due_ms, lease = NULL, leased_until_ms = 0, attempts = 0";
    sqlx::query(insert).bind(release).bind(now_ms).execute(connection).await.map(drop)
}

pub(super) fn away(why: String) -> Turned {
    Turned::Away { why }
}
