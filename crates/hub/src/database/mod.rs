// SPDX-License-Identifier: Apache-2.0
//! Everything but bytes: SQLite beside the blobs, or PostgreSQL where several hubs share it.
//!
//! Reading takes any connection. Changes go through [`Database::write`], which answers when they are durable: in SQLite many
//! of them by one `fsync` ([`queue`]), in PostgreSQL each in a transaction of its own.

mod places;
mod queue;
mod schema;

use std::fs::File;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::MigrateError;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};
use thiserror::Error;
use tokio::task::spawn_blocking;

use self::queue::Queue;
use crate::Config;

pub(crate) use self::places::{AT_ONCE, places, rows};
pub(crate) use self::schema::{kept, version};

/// How many connections there are for reading at most, and for each change of PostgreSQL.
const MOST_CONNECTIONS: u32 = 8;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SQLite 3, in a file of this machine.
    Sqlite,
    /// PostgreSQL, from version 14.
    Postgres,
}

impl Kind {
    /// Which database a connection leads to.
    pub(crate) fn of(connection: &AnyConnection) -> Self {
        if connection.backend_name() == "SQLite" { Self::Sqlite } else { Self::Postgres }
    }
}

/// The database of a hub.
pub struct Database {
    kind: Kind,
    readers: AnyPool,
    /// Present for SQLite, which has one writer at a time.
    queue: Option<Queue>,
}

/// The database cannot be opened.
#[derive(Debug, Error)]
pub enum NoDatabase {
    /// It cannot be reached.
    #[error("cannot open the database `{url}`")]
    Unreachable {
        /// Where it is, without a password.
        url: String,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// There is no such version of the tables.
    #[error("there is no version {asked} of the tables: this program knows those up to {known}")]
    NoVersion {
        /// What was asked for.
        asked: i64,
        /// The last one.
        known: i64,
    },
    /// Its tables are not those of this version, and cannot be made so.
    #[error("the tables of the database `{url}` cannot be brought to this version's")]
    Schema {
        /// Where it is, without a password.
        url: String,
        /// Why not.
        #[source]
        source: MigrateError,
    },
}

impl Database {
    /// Opens the database and brings its tables to this version's.
    ///
    /// # Errors
    /// When it cannot be reached, or was made by a later version.
    pub(crate) async fn open(config: &Config) -> Result<Self, NoDatabase> {
        let place = Place::of(config)?;
        let alone = place.alone().await?;
        let writer = place.connect(1).await?;
        place.migrated(schema::migrator(place.kind).run(&writer).await)?;
        drop(alone);
        let readers = place.connect(place.readers()).await?;
        let queue = (place.kind == Kind::Sqlite).then(|| Queue::begin(writer));
        Ok(Self { kind: place.kind, readers, queue })
    }

    /// Opens the database with the tables of this version of them, be they made, brought there or brought back. Nobody else may
    /// use it.
    ///
    /// # Errors
    /// When it cannot be reached, or its tables cannot be made so.
    pub(crate) async fn at_version(config: &Config, version: i64) -> Result<AnyPool, NoDatabase> {
        if !(0..=self::version()).contains(&version) {
            return Err(NoDatabase::NoVersion { asked: version, known: self::version() });
        }
        let place = Place::of(config)?;
        let _alone = place.alone().await?;
        let pool = place.connect(1).await?;
        let migrator = schema::migrator(place.kind);
        place.migrated(migrator.run_to(version, &pool).await)?;
        place.migrated(migrator.undo(&pool, version).await)?;
        Ok(pool)
    }

    /// A connection that sees all rows as they are at one moment, for as long as it is kept.
    pub(crate) async fn moment(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.kind {
            Kind::Sqlite => self.readers.begin().await,
            Kind::Postgres => {
                self.readers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
            }
        }
    }

    /// Which database it is, for the few questions that cannot be asked alike.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether one hub has it alone.
    pub(crate) fn is_alone(&self) -> bool {
        self.queue.is_some()
    }

    /// The connections for what changes nothing.
    pub(crate) fn readers(&self) -> &AnyPool {
        &self.readers
    }

    /// Carries out a change whole, or not at all where it fails, and answers when it is durable. It is carried out also when
    /// nobody waits for the answer any more.
    ///
    /// # Errors
    /// That of the change, and when the database cannot make it durable.
    pub(crate) async fn write<T, E>(
        &self,
        change: impl for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<sqlx::Error> + Send + 'static,
    {
        if let Some(queue) = &self.queue {
            return queue.write(change).await;
        }
        let mut connection = self.readers.acquire().await?;
        let mut transaction = connection.begin().await?;
        let done = change(&mut transaction).await?;
        transaction.commit().await?;
        Ok(done)
    }
}

/// Where a database is.
struct Place {
    kind: Kind,
    options: AnyConnectOptions,
    /// Its address without a password.
    shown: String,
    /// The file of SQLite.
    path: Option<PathBuf>,
}

impl Place {
    fn of(config: &Config) -> Result<Self, NoDatabase> {
        sqlx::any::install_default_drivers();
        let url = config.database_url();
        let kind = if url.starts_with("sqlite:") { Kind::Sqlite } else { Kind::Postgres };
        let shown = without_password(&url);
        let path = url.strip_prefix("sqlite://").and_then(|rest| rest.split('?').next()).map(PathBuf::from);
        let unreachable = |source| NoDatabase::Unreachable { url: shown.clone(), source };
        if let Some(folder) = path.as_deref().and_then(Path::parent) {
            std::fs::create_dir_all(folder).map_err(|error| unreachable(sqlx::Error::Io(error)))?;
        }
        Ok(Self { kind, options: url.parse().map_err(unreachable)?, shown, path })
    }

    /// Waits until nobody else makes or changes tables, for as long as the answer is kept. The migrations of PostgreSQL have a
    /// lock of their own; those of SQLite have none.
    async fn alone(&self) -> Result<Option<File>, NoDatabase> {
        let Some(path) = self.path.clone() else { return Ok(None) };
        // Whoever has the lock must be able to go on meanwhile.
        let lock = spawn_blocking(move || {
            let path = path.with_extension("lock");
            let file = File::options().create(true).truncate(false).write(true).open(path)?;
            file.lock()?;
            Ok(file)
        });
        let locked = lock.await.map_err(std::io::Error::other).flatten();
        let unreachable =
            |error| NoDatabase::Unreachable { url: self.shown.clone(), source: sqlx::Error::Io(error) };
        locked.map(Some).map_err(unreachable)
    }

    /// How many connections read at a time. Those of SQLite work in this process: more of them than processors only take memory.
    fn readers(&self) -> u32 {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        match self.kind {
            Kind::Sqlite => u32::try_from(processors).unwrap_or(MOST_CONNECTIONS).clamp(2, MOST_CONNECTIONS),
            Kind::Postgres => MOST_CONNECTIONS,
        }
    }

    /// So many connections at most.
    async fn connect(&self, most: u32) -> Result<AnyPool, NoDatabase> {
        let kind = self.kind;
        let pool = AnyPoolOptions::new()
            .max_connections(most)
            // A file does not hang up.
            .test_before_acquire(kind == Kind::Postgres)
            .after_connect(move |connection, _| prepare(connection, kind).boxed())
            .connect_with(self.options.clone());
        pool.await.map_err(|source| NoDatabase::Unreachable { url: self.shown.clone(), source })
    }

    fn migrated(&self, done: Result<(), MigrateError>) -> Result<(), NoDatabase> {
        done.map_err(|source| NoDatabase::Schema { url: self.shown.clone(), source })
    }
}

/// What every connection is told first.
async fn prepare(connection: &mut AnyConnection, kind: Kind) -> sqlx::Result<()> {
    if kind == Kind::Sqlite {
        // `FULL` flushes the log at each commit; what `NORMAL` acknowledges may be gone after the power was.
        connection
            .execute(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                 PRAGMA busy_timeout = 10000; PRAGMA cache_size = -2048",
            )
            .await?;
    }
    Ok(())
}

/// The address of a database, as it may be shown.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        (Some(_), None) | (None, _) => url.to_owned(),
    }
}
