// SPDX-License-Identifier: Apache-2.0
//! Counts pulls: of a release, once a day for each token or address, so that nobody is popular by pulling often.
//!
//! Pulls are gathered for some seconds and written together, since nobody who pulls should wait for that; those of the last seconds
//! are lost with the hub.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::AnyConnection;

use crate::{Algorithm, ContentDigest, Hub, search};

/// How long pulls are gathered.
const PERIOD: Duration = Duration::from_secs(5);
/// With so many pulls in that time, further ones are not counted.
const MOST: usize = 20_000;
const DAY_MS: i64 = 86_400_000;

/// The pulls of the last seconds.
#[derive(Default)]
pub(crate) struct Pulls {
    gathered: Mutex<BTreeSet<Pull>>,
}

/// Somebody pulled something on a day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Pull {
    repository: String,
    digest: String,
    day: i64,
    puller: String,
}

impl Pulls {
    /// Notices that somebody, by token or address, was given a manifest.
    pub(crate) fn notice(&self, repository: &str, digest: &ContentDigest, who: &str, now_ms: i64) {
        let day = now_ms.div_euclid(DAY_MS);
        // Whoever reads the database learns from it neither who pulled nor that somebody came again on another day.
        let puller = ContentDigest::of(Algorithm::Sha256, format!("{day} {digest} {who}").as_bytes());
        let pull = Pull {
            repository: repository.to_owned(),
            digest: digest.to_string(),
            day,
            puller: puller.hex().to_owned(),
        };
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.len() < MOST {
            gathered.insert(pull);
        }
    }

    fn take(&self) -> BTreeSet<Pull> {
        mem::take(&mut *self.gathered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes what is gathered, for ever.
pub(super) async fn work(hub: Arc<Hub>) {
    let mut period = tokio::time::interval(PERIOD);
    loop {
        period.tick().await;
        if let Err(error) = write(&hub).await {
            tracing::error!("pulls are not counted: {error}");
        }
    }
}

/// Writes what is gathered.
pub(super) async fn write(hub: &Hub) -> sqlx::Result<()> {
    let (gathered, now_ms) = (hub.pulls.take(), hub.now_ms());
    if gathered.is_empty() {
        return Ok(());
    }
    hub.database.write(move |connection| count(connection, gathered, now_ms).boxed()).await
}

async fn count(connection: &mut AnyConnection, gathered: BTreeSet<Pull>, now_ms: i64) -> sqlx::Result<()> {
    let mut counts: BTreeMap<(String, String, i64), i64> = BTreeMap::new();
    for Pull { repository, digest, day, puller } in gathered {
        // What is no release is not counted.
        let select = "SELECT id, package FROM releases WHERE repository = $1 AND digest = $2";
        let found = sqlx::query_as::<_, (String, String)>(select).bind(&repository).bind(&digest);
        let Some((release, package)) = found.fetch_optional(&mut *connection).await? else { continue };
        let insert = "INSERT INTO pulled (day, release, puller) VALUES ($1, $2, $3) \
                      ON CONFLICT (day, release, puller) DO NOTHING";
        let insert = sqlx::query(insert).bind(day).bind(&release).bind(puller);
        if insert.execute(&mut *connection).await?.rows_affected() == 1 {
            *counts.entry((package, release, day)).or_default() += 1;
        }
    }
    for ((package, release, day), pulls) in counts {
        let insert = "INSERT INTO pulls (release, day, pulls) VALUES ($1, $2, $3) \
                      ON CONFLICT (release, day) DO UPDATE SET pulls = pulls.pulls + excluded.pulls";
        sqlx::query(insert).bind(&release).bind(day).bind(pulls).execute(&mut *connection).await?;
        let update = "UPDATE releases SET pulls = pulls + $2 WHERE id = $1";
        sqlx::query(update).bind(&release).bind(pulls).execute(&mut *connection).await?;
        let update = "UPDATE packages SET pulls = pulls + $2, counted_ms = $3 WHERE id = $1";
        sqlx::query(update).bind(&package).bind(pulls).bind(now_ms).execute(&mut *connection).await?;
        search::index(connection, &package).await?;
    }
    let old = sqlx::query("DELETE FROM pulled WHERE day < $1").bind(now_ms.div_euclid(DAY_MS) - 1);
    old.execute(connection).await.map(drop)
}
