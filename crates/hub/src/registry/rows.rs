// SPDX-License-Identifier: Apache-2.0
//! What several endpoints do with rows.

use sqlx::{AnyConnection, Row as _};
use uuid::Uuid;

use super::name::RepositoryName;
use super::refused::Refused;
use crate::packages::withheld;
use crate::{ContentDigest, Hub, access};

/// A repository that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository {
    pub(super) id: String,
    /// Whether its publisher is an ordinary registry.
    pub(super) is_registry: bool,
    /// Whether its publisher has a quota of its own.
    has_quota: bool,
}

/// What there is under a name.
struct Found {
    repository: Option<Repository>,
    /// Whether the namespace is filled from elsewhere.
    is_mirrored: bool,
}

impl Repository {
    /// Whether readers see at once what is pushed: 1 or 0.
    pub(super) fn shows(&self) -> i64 {
        i64::from(self.is_registry)
    }
}

async fn look(connection: &mut AnyConnection, name: &RepositoryName) -> Result<Found, Refused> {
    const FIND: &str = "SELECT repositories.id, publishers.registry_only, publishers.quota_bytes, publishers.mirror FROM publishers \
                        LEFT JOIN repositories ON repositories.publisher = publishers.name AND repositories.name = $2 \
                        WHERE publishers.name = $1";
    let found = sqlx::query(FIND).bind(name.publisher.as_str()).bind(name.rest.as_str());
    let Some(row) = found.fetch_optional(connection).await? else {
        return Err(Refused::NoPublisher { publisher: name.publisher.to_string() });
    };
    let (id, registry_only): (Option<String>, i64) = (row.try_get(0)?, row.try_get(1)?);
    let has_quota = row.try_get::<Option<i64>, _>(2)?.is_some();
    let is_mirrored = row.try_get::<Option<String>, _>(3)?.is_some();
    let repository = id.map(|id| Repository { id, is_registry: registry_only == 1, has_quota });
    Ok(Found { repository, is_mirrored })
}

/// Looks for a repository.
pub(super) async fn find(
    connection: &mut AnyConnection,
    name: &RepositoryName,
) -> Result<Option<Repository>, Refused> {
    Ok(look(connection, name).await?.repository)
}

/// Looks for a repository from which a client removes something.
pub(super) async fn find_to_change(
    connection: &mut AnyConnection,
    name: &RepositoryName,
) -> Result<Option<Repository>, Refused> {
    let Found { repository, is_mirrored } = look(connection, name).await?;
    if is_mirrored {
        return Err(Refused::Mirrored { publisher: name.publisher.to_string() });
    }
    Ok(repository)
}

/// Looks for a repository into which a client pushes, and makes it where it is not there yet.
pub(super) async fn find_or_make(
    connection: &mut AnyConnection,
    name: &RepositoryName,
    now_ms: i64,
) -> Result<Repository, Refused> {
    match find_to_change(connection, name).await? {
        Some(found) => Ok(found),
        None => make(connection, name, now_ms).await,
    }
}

/// Looks for a repository, whoever fills it, and makes it where it is not there yet.
pub(super) async fn make(
    connection: &mut AnyConnection,
    name: &RepositoryName,
    now_ms: i64,
) -> Result<Repository, Refused> {
    // Another hub may make it at the same time.
    const MAKE: &str = "INSERT INTO repositories (id, publisher, name, public, created_ms) VALUES ($1, $2, $3, 1, $4) \
                        ON CONFLICT (publisher, name) DO NOTHING";
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

/// Whether what a publisher holds now, with what the transaction added, is not too much.
///
/// # Errors
/// When it is too much: then the transaction is to be undone.
pub(super) async fn check_quota(
    connection: &mut AnyConnection,
    hub: &Hub,
    (name, repository): (&RepositoryName, &Repository),
) -> Result<(), Refused> {
    let general = hub.config.limits.quota_bytes;
    if repository.has_quota || general.is_some() {
        access::check_quota(connection, name.publisher.as_str(), general).await?;
    }
    Ok(())
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
