// SPDX-License-Identifier: Apache-2.0
//! Restores a backup into a hub that nobody has used: blobs first, each compared with its digest, then all rows in one transaction.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::Path;

use futures_util::FutureExt as _;
use serde_json::Value;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe};

use super::{Backup, Line, NotRestored, SUMMARY, TABLES};
use crate::database::{Database, kept, rows, version};
use crate::storage::copy;
use crate::{Algorithm, Config, ContentDigest, Storage, rebuild, search};

/// Tables in which there is nothing unless somebody uses the hub; in others its program puts rows by itself.
pub(crate) const MADE_BY_PEOPLE: [&str; 3] = ["publishers", "accounts", "blobs"];

impl Backup {
    /// Reads what a backup says of itself.
    ///
    /// # Errors
    /// When the folder has no backup, or one of a later version.
    pub fn read(folder: &Path) -> Result<Self, NotRestored> {
        let path = folder.join(SUMMARY);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(NotRestored::Unreadable { path, source }),
        };
        let wrong =
            |error: serde_json::Error| NotRestored::Wrong { path: path.clone(), why: error.to_string() };
        let backup: Self = serde_json::from_slice(&bytes).map_err(wrong)?;
        if backup.schema > version() {
            return Err(NotRestored::Later { found: backup.schema, known: version() });
        }
        Ok(backup)
    }

    /// Restores the backup of a folder into the database and storage of a configuration, which must be new. Its rows are those of
    /// its own version first, and are then brought to this one's.
    ///
    /// # Errors
    /// When something cannot be read or written, is damaged, or the database is not empty. Then the database is as it was.
    pub async fn restore(folder: &Path, config: &Config) -> Result<Self, NotRestored> {
        let backup = Self::read(folder)?;
        let rows = folder.join(TABLES);
        backup.compare_rows(&rows)?;
        let (from, to) = (Storage::in_folder(folder)?, Storage::open(config)?);
        for line in Lines::open(&rows)? {
            if let Some(digest) = line?.blob()? {
                restore_blob(&from, &to, &digest).await?;
            }
        }
        let pool = Database::at_version(config, backup.schema).await?;
        restore_rows(&pool, backup.schema, &rows).await?;
        let database = Database::open(config).await?;
        // The storage is another one, in which there are no records yet.
        database.write(|connection| rebuild::stale_all(connection).boxed()).await?;
        search::rebuild(&database).await?;
        Ok(backup)
    }

    /// Whether the file with the rows is the one that the summary was written for.
    fn compare_rows(&self, path: &Path) -> Result<(), NotRestored> {
        let unreadable = |source| NotRestored::Unreadable { path: path.to_owned(), source };
        let (mut hasher, mut file) =
            (crate::digest::Hasher::new(Algorithm::Sha256), File::open(path).map_err(unreadable)?);
        io::copy(&mut file, &mut hasher).map_err(unreadable)?;
        let found = hasher.finish().to_string();
        if found == self.tables {
            return Ok(());
        }
        let why = format!("its digest is `{found}`, and `{}` in `{SUMMARY}`", self.tables);
        Err(NotRestored::Wrong { path: path.to_owned(), why })
    }
}

async fn restore_blob(from: &Storage, to: &Storage, digest: &ContentDigest) -> Result<(), NotRestored> {
    let failed = |source| NotRestored::Blob { digest: digest.clone(), source };
    if copy(from, to, digest).await.map_err(failed)?.as_ref() == Some(digest) {
        Ok(())
    } else {
        Err(NotRestored::Damaged { digest: digest.clone() })
    }
}

/// Puts the rows in place of those of a database that nobody used.
async fn restore_rows(pool: &AnyPool, version: i64, rows: &Path) -> Result<(), NotRestored> {
    let mut transaction = pool.begin().await?;
    for table in MADE_BY_PEOPLE {
        if !is_empty(&mut transaction, table).await? {
            return Err(NotRestored::NotEmpty { table });
        }
    }
    for table in kept(version).rev() {
        sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *transaction).await?;
    }
    for line in Lines::open(rows)? {
        line?.insert(&mut transaction, version).await?;
    }
    transaction.commit().await?;
    pool.close().await;
    Ok(())
}

pub(crate) async fn is_empty(connection: &mut AnyConnection, table: &str) -> sqlx::Result<bool> {
    let found = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM {table} LIMIT 1")))
        .fetch_optional(connection)
        .await?;
    Ok(found.is_none())
}

/// The lines of the file with the rows.
struct Lines<'a> {
    path: &'a Path,
    lines: io::Lines<BufReader<File>>,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self, NotRestored> {
        let unreadable = |source| NotRestored::Unreadable { path: path.to_owned(), source };
        Ok(Self { path, lines: BufReader::new(File::open(path).map_err(unreadable)?).lines() })
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Line, NotRestored>;

    fn next(&mut self) -> Option<Self::Item> {
        let wrong = |why| NotRestored::Wrong { path: self.path.to_owned(), why };
        let line = self.lines.next()?.map_err(|error| wrong(error.to_string()));
        Some(line.and_then(|line| serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))))
    }
}

impl Line {
    /// Inserts the row; columns that it does not have are null.
    async fn insert(&self, connection: &mut AnyConnection, version: i64) -> sqlx::Result<()> {
        self.put(connection, version, "").await
    }

    /// Inserts the row of a record, unless another record had it too.
    pub(crate) async fn insert_new(&self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        self.put(connection, version(), " ON CONFLICT DO NOTHING").await
    }

    async fn put(&self, connection: &mut AnyConnection, version: i64, otherwise: &str) -> sqlx::Result<()> {
        let table = kept(version).find(|table| *table == self.table);
        let unknown = || sqlx::Error::Protocol(format!("there is no table `{}`", self.table));
        let table = table.ok_or_else(unknown)?;
        // A name of a column is part of the statement.
        if let Some(name) =
            self.row.keys().find(|name| !name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()))
        {
            return Err(sqlx::Error::ColumnNotFound(name.clone()));
        }
        let names: Vec<&str> = self.row.keys().map(String::as_str).collect();
        let places = rows(1, names.len());
        let statement = format!("INSERT INTO {table} ({}) VALUES {places}{otherwise}", names.join(", "));
        let mut insert = sqlx::query(AssertSqlSafe(statement));
        for value in self.row.values() {
            insert = match value {
                Value::Number(number) => insert.bind(number.as_i64()),
                Value::String(text) => insert.bind(text.as_str()),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    return Err(sqlx::Error::Protocol(format!("`{value}` is in no table")));
                }
            };
        }
        insert.execute(connection).await?;
        Ok(())
    }
}
