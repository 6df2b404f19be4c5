// SPDX-License-Identifier: Apache-2.0
//! Removes what nobody needs, a few rows at a time and while others push.
//!
//! One transaction decides and removes: it holds the row of what goes, and its condition says again that nobody needs it and
//! that nobody touched it lately. A push touches what it will need; so it either comes first, and the row stays, or it comes
//! second, and finds out before it answers ([`super::rows::hold`]). A sweep that is ended at any point goes on with the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::{AnyConnection, Row as _};
use tokio::time::sleep;

use super::pushes::has_met_another;
use super::refused::Refused;
use crate::database::Kind;
use crate::packages;
use crate::storage::Staged;
use crate::{ContentDigest, Hub, rebuild};

/// How many rows a transaction removes, so that those behind it do not wait for long.
const AT_ONCE: i64 = 100;

/// A file that is younger may be one that a request writes now, of which no row knows yet.
const BEING_WRITTEN: Duration = Duration::from_hours(24);

/// What nobody needs was not removed; it is tried again the next time.
type Halted = Refused;

/// Sweeps again and again.
pub(crate) async fn work(hub: Arc<Hub>) {
    let config = &hub.config.sweep;
    let every = Duration::from_secs(config.every_seconds.max(1));
    let mut looked_for_strays = Instant::now();
    loop {
        if let Err(halted) = sweep(&hub).await {
            tracing::error!("what nobody needs is not removed: {halted}");
        }
        if looked_for_strays.elapsed().as_secs() >= config.strays_every_seconds {
            looked_for_strays = Instant::now();
            if let Err(halted) = find_strays(&hub).await {
                tracing::error!("objects that no row knows are not looked for: {halted}");
            }
        }
        sleep(every).await;
    }
}

/// Removes what nobody needs now.
async fn sweep(hub: &Arc<Hub>) -> Result<(), Halted> {
    let before = |seconds: u64| {
        let ms = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        hub.now_ms().saturating_sub(ms)
    };
    let (unneeded, idle) = (before(hub.config.sweep.grace_seconds), before(hub.config.sweep.upload_seconds));
    hub.begun.forget_before(idle);
    let erased = packages::erase(hub).await?;
    let uploads = give_up_uploads(hub, idle).await?;
    // Each may leave something to the next.
    let manifests = delete_manifests(hub, unneeded).await?;
    let links = delete(hub, UNNEEDED_LINKS, unneeded).await?;
    let blobs = remove_blobs(hub, unneeded).await?;
    let repositories = remove_repositories(hub, unneeded).await?;
    if erased + uploads + manifests + links + blobs + repositories > 0 {
        tracing::info!(
            erased,
            uploads,
            manifests,
            links,
            blobs,
            repositories,
            "what nobody needs is removed"
        );
    }
    Ok(())
}

/// What is about a manifest that is not there, and has no tag, and is in no index.
const DANGLING: &str = "DELETE FROM manifests WHERE pushed_ms < $1 AND (repository, digest) IN (\
     SELECT about.repository, about.digest FROM manifests AS about WHERE about.subject IS NOT NULL \
     AND about.pushed_ms < $1 AND NOT EXISTS (SELECT 1 FROM manifests AS subject \
     WHERE subject.repository = about.repository AND subject.digest = about.subject) \
     AND NOT EXISTS (SELECT 1 FROM tags WHERE tags.repository = about.repository AND tags.digest = about.digest) \
     AND NOT EXISTS (SELECT 1 FROM needs WHERE needs.repository = about.repository AND needs.digest = about.digest) \
     LIMIT $2) RETURNING repository";

/// Blobs that no manifest of their repository needs.
const UNNEEDED_LINKS: &str = "DELETE FROM links WHERE linked_ms < $1 AND (repository, digest) IN (\
     SELECT links.repository, links.digest FROM links WHERE links.linked_ms < $1 AND NOT EXISTS (SELECT 1 FROM needs \
     WHERE needs.repository = links.repository AND needs.digest = links.digest) LIMIT $2)";

/// Deletes manifests that are about nothing, some at a time, until there are no more.
async fn delete_manifests(hub: &Hub, before_ms: i64) -> Result<u64, Halted> {
    let mut count = 0;
    loop {
        let deleted = hub.database.write(move |connection| delete_dangling(connection, before_ms).boxed());
        match deleted.await? {
            0 => return Ok(count),
            some => count += some,
        }
    }
}

async fn delete_dangling(connection: &mut AnyConnection, before_ms: i64) -> Result<u64, Halted> {
    let delete = sqlx::query_scalar(DANGLING).bind(before_ms).bind(AT_ONCE);
    let repositories: Vec<String> = delete.fetch_all(&mut *connection).await?;
    for repository in repositories.iter().collect::<BTreeSet<_>>() {
        rebuild::stale(connection, repository).await?;
    }
    Ok(repositories.len() as u64)
}

/// Deletes rows, some at a time, until there are no more.
async fn delete(hub: &Hub, statement: &'static str, before_ms: i64) -> Result<u64, Halted> {
    let mut count = 0;
    loop {
        let deleted = hub.database.write(move |connection| {
            async move {
                let delete = sqlx::query(statement).bind(before_ms).bind(AT_ONCE);
                Ok::<_, Halted>(delete.execute(connection).await?.rows_affected())
            }
            .boxed()
        });
        match deleted.await? {
            0 => return Ok(count),
            some => count += some,
        }
    }
}

/// Gives up uploads that nobody goes on with.
async fn give_up_uploads(hub: &Hub, before_ms: i64) -> Result<u64, Halted> {
    const FIND: &str = "SELECT id, staged FROM uploads WHERE touched_ms < $1 LIMIT $2";
    let mut count = 0;
    loop {
        let find = sqlx::query(FIND).bind(before_ms).bind(AT_ONCE);
        let found = find.fetch_all(hub.database.readers()).await?;
        if found.is_empty() {
            return Ok(count);
        }
        for row in found {
            count += give_up(hub, row.try_get(0)?, row.try_get(1)?, before_ms).await?;
        }
    }
}

/// Gives an upload up, unless somebody went on with it by now.
async fn give_up(hub: &Hub, id: String, staged: &str, before_ms: i64) -> Result<u64, Halted> {
    let deleted = hub.database.write(move |connection| {
        async move {
            let delete = sqlx::query("DELETE FROM uploads WHERE id = $1 AND touched_ms < $2");
            Ok::<_, Halted>(delete.bind(id).bind(before_ms).execute(connection).await?.rows_affected())
        }
        .boxed()
    });
    let count = deleted.await?;
    if count > 0 {
        let staged: Staged = serde_json::from_str(staged).map_err(std::io::Error::other)?;
        hub.storage.discard(&staged).await?;
    }
    Ok(count)
}

/// Removes blobs that no repository has, row and object.
async fn remove_blobs(hub: &Arc<Hub>, before_ms: i64) -> Result<u64, Halted> {
    const FIND: &str = "SELECT digest FROM blobs WHERE touched_ms < $1 AND digest > $2 \
                        AND NOT EXISTS (SELECT 1 FROM links WHERE links.digest = blobs.digest) \
                        AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = blobs.digest) \
                        ORDER BY digest LIMIT $3";
    let (mut count, mut last) = (0, String::new());
    loop {
        let find = sqlx::query(FIND).bind(before_ms).bind(last.as_str()).bind(AT_ONCE);
        let found = find.fetch_all(hub.database.readers()).await?;
        let Some(end) = found.last() else { return Ok(count) };
        last = end.try_get(0)?;
        for row in found {
            let digest = row.try_get::<String, _>(0)?.parse()?;
            count += remove_blob(hub, digest, before_ms).await?;
        }
    }
}

/// Removes a blob, unless somebody needs it by now.
async fn remove_blob(hub: &Arc<Hub>, digest: ContentDigest, before_ms: i64) -> Result<u64, Halted> {
    let owned = Arc::clone(hub);
    let removed = hub.database.write(move |connection| {
        async move { remove_row_and_object(connection, &owned, &digest, before_ms).await }.boxed()
    });
    match removed.await {
        // Somebody needs it after all.
        Err(refused) if has_met_another(&refused) => Ok(0),
        removed => removed,
    }
}

/// Its row is held until the object is gone.
async fn remove_row_and_object(
    connection: &mut AnyConnection,
    hub: &Hub,
    digest: &ContentDigest,
    before_ms: i64,
) -> Result<u64, Halted> {
    const DELETE: &str = "DELETE FROM blobs WHERE digest = $1 AND touched_ms < $2 \
                          AND NOT EXISTS (SELECT 1 FROM links WHERE links.digest = blobs.digest) \
                          AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.digest = blobs.digest)";
    let delete = sqlx::query(DELETE).bind(digest.to_string()).bind(before_ms);
    let deleted = delete.execute(connection).await?.rows_affected();
    if deleted > 0 {
        hub.storage.remove(digest).await?;
    }
    Ok(deleted)
}

/// Removes repositories of ordinary registries in which there is nothing.
async fn remove_repositories(hub: &Hub, before_ms: i64) -> Result<u64, Halted> {
    const FIND: &str = "SELECT repositories.id FROM repositories \
                        JOIN publishers ON publishers.name = repositories.publisher AND publishers.registry_only = 1 \
                        WHERE repositories.created_ms < $1 \
                        AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.repository = repositories.id) \
                        AND NOT EXISTS (SELECT 1 FROM links WHERE links.repository = repositories.id) \
                        AND NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.repository = repositories.id)";
    let found = sqlx::query(FIND).bind(before_ms).fetch_all(hub.database.readers()).await?;
    let (kind, mut count) = (hub.database.kind(), 0);
    for row in found {
        let id: String = row.try_get(0)?;
        let removed = hub.database.write(move |connection| {
            async move { Ok::<_, Halted>(remove_repository(connection, kind, &id).await?) }.boxed()
        });
        count += removed.await?;
    }
    Ok(count)
}

async fn remove_repository(connection: &mut AnyConnection, kind: Kind, id: &str) -> sqlx::Result<u64> {
    const DELETE: &str = "DELETE FROM repositories WHERE id = $1 \
                          AND NOT EXISTS (SELECT 1 FROM manifests WHERE manifests.repository = repositories.id) \
                          AND NOT EXISTS (SELECT 1 FROM links WHERE links.repository = repositories.id) \
                          AND NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.repository = repositories.id)";
    if kind == Kind::Postgres {
        // A statement there sees what was there when it began. So first those are waited for who put something in, and the
        // next statement sees it.
        let lock = sqlx::query("SELECT id FROM repositories WHERE id = $1 FOR UPDATE").bind(id);
        lock.fetch_optional(&mut *connection).await?;
    }
    let deleted = sqlx::query(DELETE).bind(id).execute(&mut *connection).await?.rows_affected();
    if deleted > 0 {
        rebuild::stale(connection, id).await?;
    }
    Ok(deleted)
}

/// Gives rows to objects that have none, and so has them removed when nobody pushes them within the grace; and removes what is
/// left of uploads that no row knows.
async fn find_strays(hub: &Hub) -> Result<(), Halted> {
    let mut objects = hub.storage.list().try_chunks(usize::try_from(AT_ONCE).unwrap_or(1));
    while let Some(some) = objects.try_next().await.map_err(|error| error.1)? {
        let now_ms = hub.now_ms();
        let adopted = hub
            .database
            .write(move |connection| async move { adopt(connection, &some, now_ms).await }.boxed());
        adopted.await?;
    }
    let rows = sqlx::query("SELECT staged FROM uploads").fetch_all(hub.database.readers()).await?;
    let mut known = BTreeSet::new();
    for row in rows {
        let staged: Staged = serde_json::from_str(row.try_get(0)?).map_err(std::io::Error::other)?;
        known.extend(staged.parts);
    }
    let age = Duration::from_secs(hub.config.sweep.upload_seconds).max(BEING_WRITTEN);
    hub.storage.remove_parts(&known, age, hub.now_ms()).await?;
    Ok(())
}

async fn adopt(
    connection: &mut AnyConnection,
    objects: &[(ContentDigest, u64)],
    now_ms: i64,
) -> Result<(), Halted> {
    const ADOPT: &str =
        "INSERT INTO blobs (digest, size, touched_ms) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";
    for (digest, size) in objects {
        let adopt =
            sqlx::query(ADOPT).bind(digest.to_string()).bind(i64::try_from(*size).unwrap_or(i64::MAX));
        adopt.bind(now_ms).execute(&mut *connection).await?;
    }
    Ok(())
}
