// SPDX-License-Identifier: Apache-2.0
//! Makes the database of what lies in the storage: rows of records, and what manifests say themselves.
//!
//! Whether readers see something is not taken from a record but follows from what was released, and nothing that was taken down
//! is shown. What was on its way to a release is checked again.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _};
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::record::Record;
use super::{HUB, NotRebuilt};
use crate::audit::{self, Note};
use crate::backup::{Line, MADE_BY_PEOPLE, is_empty};
use crate::database::{Database, version};
use crate::registry::Manifest;
use crate::{Config, ContentDigest, Hub, Storage, registry, search};

/// What a database was made of.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many repositories.
    pub repositories: u64,
    /// How many manifests.
    pub manifests: u64,
    /// What cannot be had any more, in words.
    pub problems: Vec<String>,
}

/// A manifest of a repository, as it was read from the storage.
struct Found {
    line: Line,
    digest: ContentDigest,
    size: u64,
    manifest: Manifest,
}

/// What is put into the database at once.
struct Repository {
    id: String,
    lines: Vec<Line>,
    manifests: Vec<Found>,
    /// Blobs that manifests need, with their sizes.
    blobs: Vec<(ContentDigest, u64)>,
}

impl Hub {
    /// Makes the database of a configuration, which must be new, of what lies in its storage.
    ///
    /// # Errors
    /// When the database is not empty, there are no records, or something cannot be read or written.
    pub async fn rebuild(config: &Config, now_ms: i64) -> Result<Rebuilt, NotRebuilt> {
        let storage = Storage::open(config)?;
        let database = Database::open(config).await?;
        let mut connection = database.readers().acquire().await?;
        for table in MADE_BY_PEOPLE {
            if !is_empty(&mut connection, table).await? {
                return Err(NotRebuilt::NotEmpty { table });
            }
        }
        drop(connection);
        let mut rebuilt = Rebuilt::default();
        let names: BTreeSet<String> = storage.records().await?.into_iter().collect();
        if names.is_empty() {
            return Err(NotRebuilt::Nothing);
        }
        // What is withheld is known before anything is shown.
        for name in names.iter().filter(|name| *name == HUB).chain(names.iter().filter(|name| *name != HUB)) {
            let record = read(&storage, name).await?;
            let repository = gather(&storage, name, record, &mut rebuilt).await?;
            let put = database
                .write(move |connection| async move { put(connection, &repository, now_ms).await }.boxed());
            put.await?;
        }
        let told = rebuilt.clone();
        let noted =
            database.write(move |connection| async move { note(connection, &told, now_ms).await }.boxed());
        noted.await?;
        search::rebuild(&database).await?;
        Ok(rebuilt)
    }
}

async fn note(connection: &mut AnyConnection, rebuilt: &Rebuilt, now_ms: i64) -> sqlx::Result<()> {
    let detail = json!({ "repositories": rebuilt.repositories, "manifests": rebuilt.manifests });
    audit::note(connection, &Note { now_ms, actor: "l3af-hub", action: "rebuild", subject: "", detail }).await
}

async fn read(storage: &Storage, name: &str) -> Result<Record, NotRebuilt> {
    let bytes = storage.read_record(name).await?;
    let wrong =
        |error: serde_json::Error| NotRebuilt::Wrong { name: name.to_owned(), why: error.to_string() };
    let record: Record = serde_json::from_slice(&bytes).map_err(wrong)?;
    if record.schema > version() {
        return Err(NotRebuilt::Later { name: name.to_owned(), found: record.schema, known: version() });
    }
    Ok(record)
}

/// Reads the manifests that a record names, and looks for what they need.
async fn gather(
    storage: &Storage,
    name: &str,
    record: Record,
    rebuilt: &mut Rebuilt,
) -> Result<Repository, NotRebuilt> {
    let mut gathered =
        Repository { id: name.to_owned(), lines: Vec::new(), manifests: Vec::new(), blobs: Vec::new() };
    for line in record.rows {
        if line.table != "manifests" {
            gathered.lines.push(line);
            continue;
        }
        match find(storage, line).await? {
            Ok(found) => gathered.manifests.push(found),
            Err(problem) => rebuilt.problems.push(problem),
        }
    }
    rebuilt.repositories += u64::from(name != HUB);
    rebuilt.manifests += gathered.manifests.len() as u64;
    let here: BTreeSet<&ContentDigest> = gathered.manifests.iter().map(|found| &found.digest).collect();
    let needs: BTreeSet<&ContentDigest> =
        gathered.manifests.iter().flat_map(|found| &found.manifest.needs).collect();
    for digest in needs.difference(&here) {
        match storage.size(digest).await? {
            Some(size) => gathered.blobs.push(((*digest).clone(), size)),
            None => rebuilt.problems.push(format!("the blob `{digest}` is not in the storage")),
        }
    }
    Ok(gathered)
}

/// The manifest of a row, or what is wrong with it.
async fn find(storage: &Storage, line: Line) -> Result<Result<Found, String>, NotRebuilt> {
    let text = |key: &str| line.row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Ok(digest) = text("digest").parse::<ContentDigest>() else {
        return Ok(Err(format!("`{}` is no digest", text("digest"))));
    };
    let Some(size) = storage.size(&digest).await? else {
        return Ok(Err(format!("the manifest `{digest}` is not in the storage")));
    };
    let pieces: Vec<Bytes> = storage.read(&digest, 0..size).await?.try_collect().await?;
    let bytes = pieces.concat();
    if ContentDigest::of(digest.algorithm(), &bytes) != digest {
        return Ok(Err(format!("the manifest `{digest}` was changed in the storage")));
    }
    match Manifest::read(&bytes, Some(&text("media_type"))) {
        Ok(manifest) => Ok(Ok(Found { line, digest, size, manifest })),
        Err(refused) => Ok(Err(format!("`{digest}`: {refused}"))),
    }
}

async fn put(connection: &mut AnyConnection, repository: &Repository, now_ms: i64) -> sqlx::Result<()> {
    let manifests: BTreeSet<String> =
        repository.manifests.iter().map(|found| found.digest.to_string()).collect();
    let before = ["publishers", "publisher_roots", "repositories"];
    for line in repository.lines.iter().filter(|line| before.contains(&line.table.as_str())) {
        line.insert_new(connection).await?;
    }
    // The rule that filled a namespace is lost; another one may.
    let left = "UPDATE publishers SET mirror = '' WHERE mirror <> ''";
    sqlx::query(left).execute(&mut *connection).await?;
    for (digest, size) in &repository.blobs {
        blob(connection, (digest, *size), now_ms).await?;
        let link = "INSERT INTO links (repository, digest, visible, linked_ms) VALUES ($1, $2, 0, $3)";
        let link = sqlx::query(link).bind(&repository.id).bind(digest.to_string()).bind(now_ms);
        link.execute(&mut *connection).await?;
    }
    for found in &repository.manifests {
        blob(connection, (&found.digest, found.size), now_ms).await?;
        found.line.insert_new(connection).await?;
        for need in &found.manifest.needs {
            let insert = "INSERT INTO needs (repository, manifest, digest) VALUES ($1, $2, $3)";
            let insert = sqlx::query(insert).bind(&repository.id).bind(found.digest.to_string());
            insert.bind(need.to_string()).execute(&mut *connection).await?;
        }
    }
    for line in repository.lines.iter().filter(|line| !before.contains(&line.table.as_str())) {
        let digest = line.row.get("digest").and_then(Value::as_str).unwrap_or_default();
        if line.table != "tags" || manifests.contains(digest) {
            line.insert_new(connection).await?;
        }
    }
    if repository.id == HUB {
        return Ok(());
    }
    show(connection, &repository.id).await?;
    resume(connection, &repository.id, now_ms).await?;
    super::stale(connection, &repository.id).await
}

async fn blob(
    connection: &mut AnyConnection,
    (digest, size): (&ContentDigest, u64),
    now_ms: i64,
) -> sqlx::Result<()> {
    let insert =
        "INSERT INTO blobs (digest, size, touched_ms) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING";
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    sqlx::query(insert).bind(digest.to_string()).bind(size).bind(now_ms).execute(connection).await.map(drop)
}

/// Shows readers what they may have: all of an ordinary registry, and of packages what was released; nothing that is withheld.
async fn show(connection: &mut AnyConnection, repository: &str) -> sqlx::Result<()> {
    for update in [
        "UPDATE manifests SET visible = 0 WHERE repository = $1",
        "UPDATE manifests SET visible = 1 WHERE repository = $1 AND repository IN (SELECT r.id FROM repositories r \
         JOIN publishers p ON p.name = r.publisher WHERE p.registry_only = 1) \
         AND NOT EXISTS (SELECT 1 FROM withheld WHERE withheld.digest = manifests.digest)",
        "UPDATE links SET visible = 1 WHERE repository = $1 AND repository IN (SELECT r.id FROM repositories r \
         JOIN publishers p ON p.name = r.publisher WHERE p.registry_only = 1) \
         AND NOT EXISTS (SELECT 1 FROM withheld WHERE withheld.digest = links.digest)",
    ] {
        sqlx::query(update).bind(repository).execute(&mut *connection).await?;
    }
    let public = "SELECT digest FROM releases WHERE repository = $1 AND state IN ('released', 'yanked') ORDER BY digest";
    let public: Vec<String> = sqlx::query_scalar(public).bind(repository).fetch_all(&mut *connection).await?;
    for digest in public {
        let digest =
            digest.parse().map_err(|error| sqlx::Error::Decode(Box::<crate::BadDigest>::new(error)))?;
        registry::reveal(connection, repository, &digest).await?;
    }
    Ok(())
}

/// Has what was on its way to a release checked again.
async fn resume(connection: &mut AnyConnection, repository: &str, now_ms: i64) -> sqlx::Result<()> {
    let pending = "UPDATE releases SET state = 'pending', changed_ms = $2 WHERE repository = $1 \
                   AND state IN ('pending', 'checking', 'review')";
    sqlx::query(pending).bind(repository).bind(now_ms).execute(&mut *connection).await?;
    let queue = "INSERT INTO check_queue (release, due_ms) SELECT id, $2 FROM releases WHERE repository = $1 \
                 AND state = 'pending'";
    sqlx::query(queue).bind(repository).bind(now_ms).execute(connection).await.map(drop)
}
