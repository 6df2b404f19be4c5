// SPDX-License-Identifier: Apache-2.0
//! Reads everything that a hub keeps, and tells what is not as it should be: `l3af-hub check`.
//!
//! It changes nothing, and may run beside a hub that answers requests: what is removed meanwhile is looked for again.

use std::collections::BTreeSet;
use std::io;

use futures_util::TryStreamExt as _;
use serde::Serialize;
use sqlx::Row as _;
use thiserror::Error;

use super::manifest::Manifest;
use crate::digest::{BadDigest, Hasher};
use crate::{ContentDigest, Hub};

/// How many rows are read at a time.
const AT_ONCE: i64 = 500;

/// What a check found.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How many blobs were read, those of manifests among them.
    pub blobs: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many manifests were read.
    pub manifests: u64,
    /// How many objects no row knows: they are removed in time.
    pub strays: u64,
    /// What is not as it should be.
    pub problems: Vec<Problem>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Problem {
    /// An object is not there.
    #[error("the object of blob `{digest}` is missing")]
    Missing {
        /// Of which blob.
        digest: String,
    },
    /// An object has other bytes.
    #[error("the object of blob `{digest}` has the digest `{found}`")]
    Changed {
        /// Of which blob.
        digest: String,
        /// What its bytes have.
        found: String,
    },
    /// A row says another size than the object has.
    #[error("blob `{digest}` has {found} bytes, and its row says {recorded}")]
    Size {
        /// Of which blob.
        digest: String,
        /// As the row has it.
        recorded: u64,
        /// As it is.
        found: u64,
    },
    /// Rows about a manifest are not what it says.
    #[error("the rows about manifest `{digest}` in `{repository}` are not what it says: {what}")]
    Row {
        /// In which repository.
        repository: String,
        /// Of which manifest.
        digest: String,
        /// What differs.
        what: String,
    },
    /// A digest in a row is none.
    #[error("a row of `{table}` has `{digest}`, which is no digest")]
    Digest {
        /// In which table.
        table: &'static str,
        /// What is there.
        digest: String,
    },
}

/// Nothing can be checked.
#[derive(Debug, Error)]
pub enum Unchecked {
    /// The database cannot be read.
    #[error("the database cannot be read")]
    Database(#[from] sqlx::Error),
    /// The storage cannot be read.
    #[error("the storage cannot be read")]
    Storage(#[from] io::Error),
}

impl Hub {
    /// Reads everything that is kept.
    ///
    /// # Errors
    /// When the database or the storage cannot be read at all.
    pub async fn check(&self) -> Result<Report, Unchecked> {
        let mut report = Report::default();
        self.check_blobs(&mut report).await?;
        self.check_manifests(&mut report).await?;
        let mut objects = self.storage.list();
        while let Some((digest, _size)) = objects.try_next().await? {
            report.strays += u64::from(!self.has_row(&digest).await?);
        }
        Ok(report)
    }

    async fn check_blobs(&self, report: &mut Report) -> Result<(), Unchecked> {
        const LIST: &str = "SELECT digest, size FROM blobs WHERE digest > $1 ORDER BY digest LIMIT $2";
        let mut last = String::new();
        loop {
            let list = sqlx::query(LIST).bind(last.as_str()).bind(AT_ONCE);
            let rows = list.fetch_all(self.database.readers()).await?;
            let Some(end) = rows.last() else { return Ok(()) };
            last = end.try_get(0)?;
            for row in rows {
                let problem = self.check_blob(row.try_get(0)?, row.try_get(1)?, report).await?;
                report.problems.extend(problem);
            }
        }
    }

    /// What is wrong with a blob that somebody needs.
    async fn check_blob(
        &self,
        digest: String,
        size: i64,
        report: &mut Report,
    ) -> Result<Option<Problem>, Unchecked> {
        let Ok(parsed) = digest.parse() else { return Ok(Some(Problem::Digest { table: "blobs", digest })) };
        let recorded = u64::try_from(size).unwrap_or_default();
        match self.check_object(&parsed, recorded, report).await? {
            Some(problem) if self.is_needed(&parsed).await? => Ok(Some(problem)),
            Some(_) | None => Ok(None),
        }
    }

    async fn check_object(
        &self,
        digest: &ContentDigest,
        recorded: u64,
        report: &mut Report,
    ) -> Result<Option<Problem>, Unchecked> {
        let Some(found) = self.storage.size(digest).await? else {
            return Ok(Some(Problem::Missing { digest: digest.to_string() }));
        };
        let mut hasher = Hasher::new(digest.algorithm());
        let mut pieces = self.storage.read(digest, 0..found).await?;
        while let Some(piece) = pieces.try_next().await? {
            hasher.update(&piece);
        }
        (report.blobs, report.bytes) = (report.blobs + 1, report.bytes + found);
        let read = hasher.finish();
        if read != *digest {
            return Ok(Some(Problem::Changed { digest: digest.to_string(), found: read.to_string() }));
        }
        Ok((found != recorded).then(|| Problem::Size { digest: digest.to_string(), recorded, found }))
    }

    /// Whether anybody can read a blob: one that is being pushed may not be there yet, and one that is being removed no more.
    async fn is_needed(&self, digest: &ContentDigest) -> Result<bool, Unchecked> {
        const FIND: &str = "SELECT 1 FROM blobs WHERE digest = $1 AND (EXISTS (SELECT 1 FROM links \
                            WHERE links.digest = blobs.digest) OR EXISTS (SELECT 1 FROM manifests \
                            WHERE manifests.digest = blobs.digest))";
        let find = sqlx::query(FIND).bind(digest.to_string());
        Ok(find.fetch_optional(self.database.readers()).await?.is_some())
    }

    async fn has_row(&self, digest: &ContentDigest) -> Result<bool, Unchecked> {
        let find = sqlx::query("SELECT 1 FROM blobs WHERE digest = $1").bind(digest.to_string());
        Ok(find.fetch_optional(self.database.readers()).await?.is_some())
    }

    async fn check_manifests(&self, report: &mut Report) -> Result<(), Unchecked> {
        const LIST: &str = "SELECT manifests.repository, manifests.digest, repositories.publisher, repositories.name, \
                            manifests.media_type, manifests.subject, manifests.artifact_type FROM manifests \
                            JOIN repositories ON repositories.id = manifests.repository \
                            WHERE manifests.repository > $1 OR (manifests.repository = $1 AND manifests.digest > $2) \
                            ORDER BY manifests.repository, manifests.digest LIMIT $3";
        let mut last = (String::new(), String::new());
        loop {
            let list = sqlx::query(LIST).bind(last.0.as_str()).bind(last.1.as_str()).bind(AT_ONCE);
            let rows = list.fetch_all(self.database.readers()).await?;
            let Some(end) = rows.last() else { return Ok(()) };
            last = (end.try_get(0)?, end.try_get(1)?);
            for row in rows {
                let recorded = Recorded {
                    repository: row.try_get(0)?,
                    digest: row.try_get(1)?,
                    name: format!("{}/{}", row.try_get::<String, _>(2)?, row.try_get::<String, _>(3)?),
                    media_type: row.try_get(4)?,
                    subject: row.try_get(5)?,
                    artifact_type: row.try_get(6)?,
                };
                report.manifests += 1;
                if let Some(what) = self.difference(&recorded).await? {
                    let Recorded { name: repository, digest, .. } = recorded;
                    report.problems.push(Problem::Row { repository, digest, what });
                }
            }
        }
    }

    /// What the rows about a manifest say that it does not, or the other way round.
    async fn difference(&self, recorded: &Recorded) -> Result<Option<String>, Unchecked> {
        let Ok(digest) = recorded.digest.parse::<ContentDigest>() else { return Ok(None) };
        // One that is missing was told of already.
        let Some(size) = self.storage.size(&digest).await? else { return Ok(None) };
        let read: Vec<_> = self.storage.read(&digest, 0..size).await?.try_collect().await?;
        let manifest = match Manifest::read(&read.concat(), Some(&recorded.media_type)) {
            Ok(manifest) => manifest,
            Err(refused) => return Ok(Some(refused.to_string())),
        };
        if manifest.subject.map(|subject| subject.to_string()) != recorded.subject {
            return Ok(Some("what it is about".to_owned()));
        }
        if manifest.artifact_type != recorded.artifact_type {
            return Ok(Some("its artifact type".to_owned()));
        }
        let list = sqlx::query("SELECT digest FROM needs WHERE repository = $1 AND manifest = $2");
        let list = list.bind(recorded.repository.as_str()).bind(recorded.digest.as_str());
        let rows = list.fetch_all(self.database.readers()).await?;
        let needs = rows.iter().map(|row| row.try_get::<String, _>(0)?.parse().map_err(undecoded));
        let needs: BTreeSet<ContentDigest> = needs.collect::<Result<_, sqlx::Error>>()?;
        Ok((needs != manifest.needs).then(|| "what it needs".to_owned()))
    }
}

fn undecoded(error: BadDigest) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

/// A manifest, as its row has it.
struct Recorded {
    /// The id of the repository, and its name.
    repository: String,
    name: String,
    digest: String,
    media_type: String,
    subject: Option<String>,
    artifact_type: Option<String>,
}
