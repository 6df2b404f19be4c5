// SPDX-License-Identifier: Apache-2.0
//! Storing what the hub itself was handed about a release as a referrer of it, as if it had been pushed.

use std::io;

use bytes::Bytes;
use futures_util::FutureExt as _;
use package::{BlobError, Descriptor, INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, Referrer};
use sqlx::AnyConnection;

use super::blobs::Unread;
use super::release::{Release, undecodable};
use crate::{Algorithm, ContentDigest, Hub};

/// A referrer whose bytes are stored, to be listed.
pub(super) struct Stored {
    /// That of its manifest.
    pub(super) digest: String,
    artifact_type: Option<String>,
    /// Digest and size of each of its blobs, the manifest last.
    blobs: Vec<(String, i64)>,
}

/// Stores the bytes of a referrer. Nobody sees them before they are listed.
pub(super) async fn store(hub: &Hub, release: &Release, referrer: &Referrer) -> Result<Stored, Unread> {
    let index: ContentDigest = release.digest.parse().map_err(undecodable)?;
    let size = hub.storage.size(&index).await.map_err(failed)?.unwrap_or(0);
    let subject = Descriptor {
        media_type: INDEX_MEDIA_TYPE.to_owned(),
        artifact_type: None,
        digest: release.digest.parse().map_err(undecodable)?,
        size,
        platform: None,
        annotations: std::collections::BTreeMap::new(),
    };
    let manifest = referrer.manifest(&subject);
    let mut blobs = Vec::new();
    for blob in manifest.blobs {
        let digest = ContentDigest::of(Algorithm::Sha256, &blob.bytes);
        let size = i64::try_from(blob.bytes.len()).map_err(undecodable)?;
        blobs.push((digest, size, Bytes::from(blob.bytes)));
    }
    let rows: Vec<(String, i64)> =
        blobs.iter().map(|(digest, size, _)| (digest.to_string(), *size)).collect();
    let (known, now_ms) = (rows.clone(), hub.now_ms());
    // A row is older than the object.
    let touched =
        hub.database.write(move |connection| async move { touch(connection, &known, now_ms).await }.boxed());
    touched.await?;
    for (digest, _, bytes) in blobs {
        hub.storage.put(&digest, bytes).await.map_err(failed)?;
    }
    let digest = manifest.descriptor.digest.to_string();
    Ok(Stored { digest, artifact_type: manifest.descriptor.artifact_type, blobs: rows })
}

/// Lists a stored referrer beside the release, unseen as that is.
pub(super) async fn list(
    connection: &mut AnyConnection,
    release: &Release,
    stored: &Stored,
    now_ms: i64,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO manifests (repository, digest, media_type, subject, artifact_type, visible, pushed_ms) \
                  VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT (repository, digest) DO NOTHING";
    let insert = sqlx::query(insert).bind(&release.repository).bind(&stored.digest).bind(MANIFEST_MEDIA_TYPE);
    let insert = insert.bind(&release.digest).bind(&stored.artifact_type).bind(now_ms);
    insert.execute(&mut *connection).await?;
    touch(connection, &stored.blobs, now_ms).await?;
    for (digest, _) in stored.blobs.iter().filter(|(digest, _)| *digest != stored.digest) {
        let link = "INSERT INTO links (repository, digest, visible, linked_ms) VALUES ($1, $2, 0, $3) \
                    ON CONFLICT (repository, digest) DO NOTHING";
        sqlx::query(link)
            .bind(&release.repository)
            .bind(digest)
            .bind(now_ms)
            .execute(&mut *connection)
            .await?;
        let need = "INSERT INTO needs (repository, manifest, digest) VALUES ($1, $2, $3) \
                    ON CONFLICT (repository, manifest, digest) DO NOTHING";
        let need = sqlx::query(need).bind(&release.repository).bind(&stored.digest).bind(digest);
        need.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn touch(connection: &mut AnyConnection, blobs: &[(String, i64)], now_ms: i64) -> sqlx::Result<()> {
    for (digest, size) in blobs {
        let insert = "INSERT INTO blobs (digest, size, touched_ms) VALUES ($1, $2, $3) \
                      ON CONFLICT (digest) DO UPDATE SET touched_ms = excluded.touched_ms";
        sqlx::query(insert).bind(digest).bind(size).bind(now_ms).execute(&mut *connection).await?;
    }
    Ok(())
}

fn failed(error: io::Error) -> Unread {
    Unread::Storage(BlobError::Other(Box::new(error)))
}
