// SPDX-License-Identifier: Apache-2.0
//! What several endpoints do with rows.

use sqlx::{AnyConnection, Row as _};
use uuid::Uuid;

use super::name::RepositoryName;
use super::refused::Refused;
use crate::packages::withheld;
use crate::{ContentDigest, Hub};

/// A repository that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) id: String,
    /// Whether its publisher is an ordinary registry.
    pub(super) is_registry: bool,
}

impl Repository {
    /// Whether readers see at once what is pushed: 1 or 0.
    pub(super) fn shows(&self) -> i64 {
        i64::from(self.is_registry)
    }
}

/// Looks for a repository.
pub(super) async fn find(
    connection: &mut AnyConnection,
    name: &RepositoryName,
) -> Result<Option<Repository>, Refused> {
    const FIND: &str = "SELECT repositories.id, publishers.registry_only FROM publishers \
                        LEFT JOIN repositories ON repositories.publisher = publishers.name AND repositories.name = $2 \
                        WHERE publishers.name = $1";
    let found = sqlx::query(FIND).bind(name.publisher.as_str()).bind(name.rest.as_str());
    let Some(row) = found.fetch_optional(connection).await? else {
        return Err(Refused::NoPublisher { publisher: name.publisher.to_string() });
    };
    let (id, registry_only): (Option<String>, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(id.map(|id| Repository { id, is_registry: registry_only == 1 }))
}

/// Looks for a repository, and makes it where it is not there yet.
pub(super) async fn find_or_make(
    connection: &mut AnyConnection,
    name: &RepositoryName,
    now_ms: i64,
) -> Result<Repository, Refused> {
    // Another hub may make it at the same time.
    const MAKE: &str = "INSERT INTO repositories (id, publisher, name, public, created_ms) VALUES ($1, $2, $3, 1, $4) \
                        ON CONFLICT (publisher, name) DO NOTHING";
    if let Some(found) = find(connection, name).await? {
        return Ok(found);
    }
    let make = sqlx::query(MAKE).bind(Uuid::now_v7().to_string());
    let make = make.bind(name.publisher.as_str()).bind(name.rest.as_str()).bind(now_ms);
    make.execute(&mut *connection).await?;
    find(connection, name).await?.ok_or(Refused::Gone)
}

/// Makes sure that a blob that the caller has put into the storage stays there.
///
/// Whoever removes a blob holds its row until the object is gone ([`super::sweep()`]). So the row is taken first, and then
/// the object is looked for: it was put before, and may have been removed in between.
///
/// # Errors
/// [`Refused::Gone`] when it must be put again.
pub(super) async fn hold(
    connection: &mut AnyConnection,
    hub: &Hub,
    digest: &ContentDigest,
    size: u64,
) -> Result<(), Refused> {
    touch(connection, digest, size, hub.now_ms()).await?;
    // The row is held now: what is withheld from here on finds what refers to it.
    if let Some(withheld) = withheld::of_digest(connection, &digest.to_string()).await? {
        return Err(Refused::TakenDown { withheld });
    }
    if hub.storage.size(digest).await? == Some(size) { Ok(()) } else { Err(Refused::Gone) }
}

/// Notes that a blob is being pushed, so that it is not removed for being old.
pub(super) async fn touch(
    connection: &mut AnyConnection,
    digest: &ContentDigest,
    size: u64,
    now_ms: i64,
) -> sqlx::Result<()> {
    const TOUCH: &str = "INSERT INTO blobs (digest, size, touched_ms) VALUES ($1, $2, $3) \
                         ON CONFLICT (digest) DO UPDATE SET touched_ms = excluded.touched_ms";
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let touch = sqlx::query(TOUCH).bind(digest.to_string()).bind(size).bind(now_ms);
    touch.execute(connection).await.map(drop)
}

/// Lets a blob be read through a repository.
pub(super) async fn link(
    connection: &mut AnyConnection,
    repository: &Repository,
    digest: &ContentDigest,
    now_ms: i64,
) -> sqlx::Result<()> {
    const LINK: &str = "INSERT INTO links (repository, digest, visible, linked_ms) VALUES ($1, $2, $3, $4) \
                        ON CONFLICT (repository, digest) DO UPDATE SET linked_ms = excluded.linked_ms";
    let link = sqlx::query(LINK).bind(repository.id.as_str()).bind(digest.to_string());
    link.bind(repository.shows()).bind(now_ms).execute(connection).await.map(drop)
}
