// SPDX-License-Identifier: Apache-2.0
//! Writes the records that are stale. Any number of hubs may: each writes what it reads from the database, and a record that
//! changed meanwhile stays marked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use sqlx::AnyConnection;

use super::record::record;
use crate::Hub;
use crate::answer::whole;
use crate::database::version;

/// How often is looked for what is stale.
const ROUND: Duration = Duration::from_secs(1);
/// A record that takes long is written again after so many times of that, so that others are not held up while many push.
const SHARE: u32 = 50;
/// But after no longer than this.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How many records are read at a time.
const AT_A_TIME: i64 = 64;

/// Writes what is stale, for ever.
pub(crate) async fn keep(hub: Arc<Hub>) {
    let marked = hub.database.write(|connection| of_this_version(connection).boxed());
    if let Err(error) = marked.await {
        tracing::error!("records of an older version are not written again: {error}");
    }
    let mut pace = Pace::default();
    loop {
        if let Err(error) = hub.write_records(&mut pace).await {
            tracing::error!("what lies beside the blobs is not up to date: {error}");
        }
        tokio::time::sleep(ROUND).await;
    }
}

/// When records that took long are written again.
#[derive(Debug, Default)]
struct Pace {
    due: BTreeMap<String, Instant>,
}

impl Pace {
    /// Whether a record is to be written now.
    fn is_due(&self, name: &str) -> bool {
        self.due.get(name).is_none_or(|due| *due <= Instant::now())
    }

    /// Notes how long a record took.
    fn note(&mut self, name: &str, took: Duration) {
        let pause = took.saturating_mul(SHARE).min(LONGEST_PAUSE);
        if pause > ROUND {
            self.due.insert(name.to_owned(), Instant::now() + pause);
        } else {
            self.due.remove(name);
        }
    }
}

/// Marks what was written with the tables of another version.
async fn of_this_version(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let mark = "UPDATE records SET changes = changes + 1 WHERE tables <> $1 AND changes = recorded";
    sqlx::query(mark).bind(version()).execute(connection).await.map(drop)
}

impl Hub {
    /// Writes what is stale now, before somebody is told that it was done. What cannot be written now is written later.
    pub(crate) async fn record(&self) {
        if let Err(error) = self.write_records(&mut Pace::default()).await {
            tracing::error!("what lies beside the blobs is not up to date: {}", whole(&error));
        }
    }

    /// Writes all records that are stale.
    async fn write_records(&self, pace: &mut Pace) -> std::io::Result<()> {
        let mut after = String::new();
        loop {
            let stale = "SELECT name, changes FROM records WHERE changes <> recorded AND name > $1 ORDER BY name LIMIT $2";
            let stale = sqlx::query_as(stale).bind(&after).bind(AT_A_TIME);
            let stale: Vec<(String, i64)> =
                stale.fetch_all(self.database.readers()).await.map_err(std::io::Error::other)?;
            let Some((last, _)) = stale.last() else { return Ok(()) };
            after.clone_from(last);
            for (name, changes) in stale.into_iter().filter(|(name, _)| pace.is_due(name)).collect::<Vec<_>>()
            {
                let begin = Instant::now();
                self.write_record(name.clone(), changes).await?;
                pace.note(&name, begin.elapsed());
            }
        }
    }

    /// Writes one, as the database has it at one moment.
    async fn write_record(&self, name: String, changes: i64) -> std::io::Result<()> {
        let mut moment = self.database.moment().await.map_err(std::io::Error::other)?;
        let bytes = record(&mut moment, &name).await.map_err(std::io::Error::other)?;
        drop(moment);
        let is_there = bytes.is_some();
        match bytes {
            Some(bytes) => self.storage.put_record(&name, Bytes::from(bytes)).await?,
            None => self.storage.remove_record(&name).await?,
        }
        let noted = self.database.write(move |connection| {
            async move { note(connection, (&name, changes), is_there).await }.boxed()
        });
        noted.await.map_err(std::io::Error::other)
    }
}

/// Notes what was written. Where something changed since it was read, another hub may have written that before this one wrote
/// what was older: so it is stale again, whatever the other notes.
async fn note(
    connection: &mut AnyConnection,
    (name, changes): (&str, i64),
    is_there: bool,
) -> sqlx::Result<()> {
    let noted = if is_there {
        let set = "UPDATE records SET recorded = $2, tables = $3 WHERE name = $1 AND changes = $2";
        sqlx::query(set).bind(name).bind(changes).bind(version()).execute(&mut *connection).await?
    } else {
        let delete = sqlx::query("DELETE FROM records WHERE name = $1 AND changes = $2").bind(name);
        delete.bind(changes).execute(&mut *connection).await?
    };
    if noted.rows_affected() == 0 {
        let mark = sqlx::query("UPDATE records SET changes = changes + 1 WHERE name = $1").bind(name);
        mark.execute(connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::note;
    use crate::Hub;
    use crate::packages::tests::hub;
    use crate::rebuild::stale;

    async fn counts(hub: &Hub) -> (i64, i64) {
        let counts = sqlx::query_as("SELECT changes, recorded FROM records WHERE name = 'r'");
        counts.fetch_one(hub.database.readers()).await.expect("a row")
    }

    async fn change(hub: &Hub) {
        let marked = hub.database.write(|connection| async move { stale(connection, "r").await }.boxed());
        marked.await.expect("a database");
    }

    async fn wrote(hub: &Hub, changes: i64) {
        let noted = hub
            .database
            .write(move |connection| async move { note(connection, ("r", changes), true).await }.boxed());
        noted.await.expect("a database");
    }

    #[tokio::test]
    async fn what_was_written_by_two_at_once_is_written_again() {
        let hub = hub().await;
        change(&hub).await;
        wrote(&hub, 1).await;
        assert_eq!(counts(&hub).await, (1, 1));
        change(&hub).await;
        // One read before the change, the other behind it, in either order.
        for order in [[1, 2], [2, 1]] {
            wrote(&hub, order[0]).await;
            wrote(&hub, order[1]).await;
            let (changes, recorded) = counts(&hub).await;
            assert_ne!(changes, recorded, "{order:?}");
        }
        let (changes, _) = counts(&hub).await;
        wrote(&hub, changes).await;
        assert_eq!(counts(&hub).await, (changes, changes));
    }
}
