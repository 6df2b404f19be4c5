// SPDX-License-Identifier: Apache-2.0
//! Makes a backup, also of a hub that answers requests: rows as they were at one moment, and then the blobs that they name.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use futures_util::TryStreamExt as _;
use serde_json::{Map, Value};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{AnyConnection, Column as _, Row as _, SqlSafeStr as _, ValueRef as _};

use super::{Backup, Line, NotBackedUp, SUMMARY, TABLES};
use crate::database::{kept, version};
use crate::digest::Hasher;
use crate::storage::copy;
use crate::{Algorithm, ContentDigest, Hub, Storage};

/// How often rows are read again since blobs went that they named.
const ATTEMPTS: usize = 5;

/// The rows as they were at one moment.
struct Rows {
    count: u64,
    digest: ContentDigest,
    blobs: Vec<ContentDigest>,
}

impl Hub {
    /// Makes a backup in a folder, or brings the one that is there up to date.
    ///
    /// # Errors
    /// When something cannot be read or written, or a blob is missing or damaged. The folder then is no backup.
    pub async fn back_up(&self, folder: &Path) -> Result<Backup, NotBackedUp> {
        let summary = folder.join(SUMMARY);
        let unwritable = |source| NotBackedUp::Unwritable { path: folder.to_owned(), source };
        // What is half up to date is none.
        match fs::remove_file(&summary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
            Err(_) | Ok(()) => {}
        }
        let kept = Storage::in_folder(folder)?;
        let mut missing = None;
        for _ in 0..ATTEMPTS {
            let rows = self.write_rows(&folder.join(TABLES)).await?;
            missing = self.copy_blobs(&rows.blobs, &kept).await?;
            if missing.is_none() {
                let backup = Backup {
                    schema: version(),
                    made: (self.clock)(),
                    rows: rows.count,
                    blobs: rows.blobs.len() as u64,
                    tables: rows.digest.to_string(),
                };
                let written = serde_json::to_vec_pretty(&backup).expect("a summary has no keys but texts");
                durably(&summary, &written).map_err(unwritable)?;
                return Ok(backup);
            }
        }
        Err(NotBackedUp::Missing { digest: missing.expect("each attempt lacked one") })
    }

    /// Writes all rows, and says which blobs they name.
    async fn write_rows(&self, path: &Path) -> Result<Rows, NotBackedUp> {
        let unwritable = |source| NotBackedUp::Unwritable { path: path.to_owned(), source };
        let mut file = BufWriter::new(File::create(path).map_err(unwritable)?);
        let (mut hasher, mut blobs) = (Hasher::new(Algorithm::Sha256), Vec::new());
        let mut moment = self.database.moment().await?;
        let mut count = 0;
        for table in kept(version()) {
            let mut selected = all_of(&mut moment, table);
            while let Some(row) = selected.try_next().await? {
                let line = Line { table: table.to_owned(), row: written(&row)? };
                blobs.extend(line.blob()?);
                let mut line = serde_json::to_vec(&line).expect("a row has no keys but texts");
                line.push(b'\n');
                hasher.update(&line);
                file.write_all(&line).map_err(unwritable)?;
                count += 1;
            }
        }
        let file = file.into_inner().map_err(|error| unwritable(error.into_error()))?;
        file.sync_all().map_err(unwritable)?;
        Ok(Rows { count, digest: hasher.finish(), blobs })
    }

    /// Copies the blobs that are not there yet, and says one that the storage does not have.
    async fn copy_blobs(
        &self,
        blobs: &[ContentDigest],
        kept: &Storage,
    ) -> Result<Option<ContentDigest>, NotBackedUp> {
        for digest in blobs {
            let failed = |source| NotBackedUp::Blob { digest: digest.clone(), source };
            if kept.size(digest).await.map_err(failed)?.is_some() {
                continue;
            }
            match copy(&self.storage, kept, digest).await.map_err(failed)? {
                None => return Ok(Some(digest.clone())),
                Some(found) if found == *digest => {}
                Some(_other) => return Err(NotBackedUp::Damaged { digest: digest.clone() }),
            }
        }
        Ok(None)
    }
}

/// All rows of a table, in an order that is the same each time.
fn all_of<'c>(
    moment: &'c mut AnyConnection,
    table: &'static str,
) -> futures_util::stream::BoxStream<'c, sqlx::Result<AnyRow>> {
    let statement = sqlx::AssertSqlSafe(format!("SELECT * FROM {table} ORDER BY 1, 2")).into_sql_str();
    sqlx::query(statement).fetch(moment)
}

/// The columns of a row that are not null.
pub(crate) fn written(row: &AnyRow) -> sqlx::Result<Map<String, Value>> {
    let mut columns = Map::new();
    for column in row.columns() {
        let at = column.ordinal();
        let value = row.try_get_raw(at)?;
        if value.is_null() {
            continue;
        }
        let kind = value.type_info().kind();
        let value = match kind {
            AnyTypeInfoKind::Text => Value::from(row.try_get::<String, _>(at)?),
            AnyTypeInfoKind::Null
            | AnyTypeInfoKind::Bool
            | AnyTypeInfoKind::SmallInt
            | AnyTypeInfoKind::Integer
            | AnyTypeInfoKind::BigInt
            | AnyTypeInfoKind::Real
            | AnyTypeInfoKind::Double
            | AnyTypeInfoKind::Blob => Value::from(row.try_get::<i64, _>(at)?),
        };
        columns.insert(column.name().to_owned(), value);
    }
    Ok(columns)
}

/// Writes a file that is there whole or not at all.
fn durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
