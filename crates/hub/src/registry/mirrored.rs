// SPDX-License-Identifier: Apache-2.0
//! Listing in a repository what was taken from elsewhere: manifests as they came, and blobs that lie in the storage. Nobody but a
//! rule of a mirror does so, and readers see nothing of it before it is revealed.

use bytes::Bytes;
use sqlx::AnyConnection;
use thiserror::Error;

use super::manifest::Manifest;
use super::name::RepositoryName;
use super::refused::Refused;
use super::rows;
use crate::{ContentDigest, Hub, rebuild};

/// A manifest or an index, whose bytes lie in the storage.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) digest: ContentDigest,
    pub(crate) bytes: Bytes,
}

/// What was taken from elsewhere is not listed.
#[derive(Debug, Error)]
pub(crate) enum NotListed {
    /// Something of it was removed meanwhile: it must be stored again.
    #[error("something of it was removed meanwhile")]
    Gone,
    /// It may not be here, or is none.
    #[error("{0}")]
    Unfit(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl From<Refused> for NotListed {
    fn from(refused: Refused) -> Self {
        if let Refused::Database(error) = refused {
            return Self::Database(error);
        }
        if matches!(refused, Refused::Gone | Refused::Storage(_)) {
            Self::Gone
        } else {
            Self::Unfit(refused.to_string())
        }
    }
}

/// The manifest that a document is about.
///
/// # Errors
/// When it is none.
pub(crate) fn subject(bytes: &[u8]) -> Result<Option<ContentDigest>, NotListed> {
    Ok(Manifest::read(bytes, None)?.subject)
}

/// Notes that blobs are being stored, so that they are not removed for being old.
///
/// # Errors
/// When the database fails.
pub(crate) async fn touch(
    connection: &mut AnyConnection,
    blobs: &[(ContentDigest, u64)],
    now_ms: i64,
) -> sqlx::Result<()> {
    for (digest, size) in blobs {
        rows::touch(connection, digest, *size, now_ms).await?;
    }
    Ok(())
}

/// Lists manifests and blobs in a repository, which is made where it is not there yet, and returns its id.
///
/// # Errors
/// When something is not in the storage, or the publisher would have more than it may.
pub(crate) async fn list(
    connection: &mut AnyConnection,
    hub: &Hub,
    name: &RepositoryName,
    (documents, blobs): (&[Document], &[(ContentDigest, u64)]),
) -> Result<String, NotListed> {
    let now_ms = hub.now_ms();
    let repository = rows::make(connection, name, now_ms).await?;
    for (digest, size) in blobs {
        rows::hold(connection, hub, digest, *size).await?;
        rows::link(connection, &repository, digest, now_ms).await?;
    }
    for document in documents {
        rows::hold(connection, hub, &document.digest, document.bytes.len() as u64).await?;
        insert(connection, &repository.id, document, now_ms).await?;
    }
    rows::check_quota(connection, hub, (name, &repository)).await?;
    rebuild::stale(connection, &repository.id).await?;
    Ok(repository.id)
}

async fn insert(
    connection: &mut AnyConnection,
    repository: &str,
    document: &Document,
    now_ms: i64,
) -> Result<(), NotListed> {
    const INSERT: &str = "INSERT INTO manifests (repository, digest, media_type, subject, artifact_type, annotations, visible, \
                          pushed_ms) VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT (repository, digest) DO NOTHING";
    const NEED: &str =
        "INSERT INTO needs (repository, manifest, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let Manifest { media_type, needs, subject, artifact_type, annotations } =
        Manifest::read(&document.bytes, None)?;
    let insert = sqlx::query(INSERT).bind(repository).bind(document.digest.to_string()).bind(media_type);
    let insert = insert.bind(subject.as_ref().map(ContentDigest::to_string)).bind(artifact_type);
    insert.bind(annotations).bind(now_ms).execute(&mut *connection).await?;
    for need in needs {
        let insert = sqlx::query(NEED).bind(repository).bind(document.digest.to_string());
        insert.bind(need.to_string()).execute(&mut *connection).await?;
    }
    Ok(())
}
