// SPDX-License-Identifier: Apache-2.0
//! Tells those who asked what happened: a POST of JSON, signed, and tried again until it arrives or two days are over.
//!
//! Any number of hubs may do so over one database. Whoever moves the next attempt of a delivery makes this one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use jiff::Timestamp;
use reqwest::{Client, StatusCode, Url};
use serde::Serialize;
use sqlx::{AnyConnection, FromRow, Row as _};

use super::careful::{client, may_ask};
use super::signature::signature;
use crate::Hub;

/// How long to wait after each attempt, in seconds; behind the last it is given up.
const WAITS_S: [i64; 9] = [10, 60, 300, 1800, 7200, 14_400, 28_800, 43_200, 86_400];
/// How often is looked for what is due.
const ROUND: Duration = Duration::from_secs(1);
/// How many are told at a time.
const AT_A_TIME: i64 = 16;

/// A delivery that is due.
struct Due {
    webhook: String,
    url: String,
    secret: String,
    attempts: i64,
    told: Told,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Told {
    id: String,
    kind: String,
    publisher: String,
    package: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    /// RFC 3339.
    at: String,
}

/// Tells what is due, for ever.
pub(crate) async fn deliver(hub: Arc<Hub>) {
    let client = match client(hub.config.webhooks.reach()) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!("webhooks are not told anything: {error}");
            return;
        }
    };
    loop {
        match hub.deliver_once(&client).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!("cannot look for what webhooks are to be told: {error}"),
        }
        tokio::time::sleep(ROUND).await;
    }
}

impl Hub {
    /// Tells what is due, and says whether there may be more.
    async fn deliver_once(&self, client: &Client) -> sqlx::Result<bool> {
        let due: Vec<Due> = sqlx::query_as(
            "SELECT d.webhook, d.attempts, w.url, w.secret, e.id, e.kind, e.publisher, e.package, e.version, e.digest, \
             e.text, e.at_ms FROM deliveries d JOIN webhooks w ON w.id = d.webhook JOIN events e ON e.id = d.event \
             WHERE d.due_ms <= $1 AND w.gone_ms IS NULL ORDER BY d.due_ms LIMIT $2",
        )
        .bind(self.now_ms())
        .bind(AT_A_TIME)
        .fetch_all(self.database.readers())
        .await?;
        let count = due.len();
        for told in join_all(due.into_iter().map(|due| self.tell_one(client, due))).await {
            told?;
        }
        Ok(i64::try_from(count).is_ok_and(|count| count == AT_A_TIME))
    }

    async fn tell_one(&self, client: &Client, due: Due) -> sqlx::Result<()> {
        let due = Arc::new(due);
        let (claimed, now_ms) = (Arc::clone(&due), self.now_ms());
        if !self
            .database
            .write(move |connection| async move { claimed.claim(connection, now_ms).await }.boxed())
            .await?
        {
            return Ok(());
        }
        let answer = due.send(client, self.now_ms(), self.config.webhooks.reach()).await;
        let now_ms = self.now_ms();
        self.database
            .write(move |connection| async move { due.note(connection, answer, now_ms).await }.boxed())
            .await
    }
}

impl Due {
    /// Moves the next attempt; false where somebody else did.
    async fn claim(&self, connection: &mut AnyConnection, now_ms: i64) -> sqlx::Result<bool> {
        let wait = usize::try_from(self.attempts).ok().and_then(|attempt| WAITS_S.get(attempt));
        let claimed = sqlx::query(
            "UPDATE deliveries SET attempts = attempts + 1, due_ms = $1, tried_ms = $2 \
             WHERE webhook = $3 AND event = $4 AND attempts = $5 AND due_ms IS NOT NULL",
        )
        .bind(wait.map(|seconds| now_ms + seconds * 1000))
        .bind(now_ms)
        .bind(&self.webhook)
        .bind(&self.told.id)
        .bind(self.attempts)
        .execute(connection)
        .await?;
        Ok(claimed.rows_affected() == 1)
    }

    /// Asks the other side to take it; the status of its answer, or why there is none.
    async fn send(
        &self,
        client: &Client,
        now_ms: i64,
        reach: super::careful::Reach,
    ) -> Result<StatusCode, String> {
        let url: Url = self.url.parse().map_err(|error| format!("no address: {error}"))?;
        if !may_ask(reach, &url) {
            return Err("the address is not one of the Internet with `https`".to_owned());
        }
        let body = serde_json::to_string(&self.told).expect("an event has no keys but texts");
        let seconds = now_ms / 1000;
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &self.told.id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature(&self.secret, &self.told.id, seconds, &body))
            .body(body);
        // What the other side says is of no interest, and of no bounded length.
        match request.send().await {
            Ok(answer) => Ok(answer.status()),
            Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
        }
    }

    /// Notes what became of it.
    async fn note(
        &self,
        connection: &mut AnyConnection,
        answer: Result<StatusCode, String>,
        now_ms: i64,
    ) -> sqlx::Result<()> {
        let arrived = answer.as_ref().is_ok_and(StatusCode::is_success);
        let gone = answer == Ok(StatusCode::GONE);
        let answer = answer.map_or_else(|error| error, |status| status.to_string());
        let statement = if arrived {
            "UPDATE deliveries SET answer = $1, due_ms = NULL WHERE webhook = $2 AND event = $3"
        } else {
            "UPDATE deliveries SET answer = $1 WHERE webhook = $2 AND event = $3"
        };
        let told = sqlx::query(statement).bind(answer).bind(&self.webhook).bind(&self.told.id);
        told.execute(&mut *connection).await?;
        if gone {
            let gone = sqlx::query("UPDATE webhooks SET gone_ms = $1 WHERE id = $2");
            gone.bind(now_ms).bind(&self.webhook).execute(connection).await?;
        }
        Ok(())
    }
}

impl<'r> FromRow<'r, sqlx::any::AnyRow> for Due {
    fn from_row(row: &'r sqlx::any::AnyRow) -> sqlx::Result<Self> {
        let at_ms: i64 = row.try_get("at_ms")?;
        let at = Timestamp::from_millisecond(at_ms).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Self {
            webhook: row.try_get("webhook")?,
            url: row.try_get("url")?,
            secret: row.try_get("secret")?,
            attempts: row.try_get("attempts")?,
            told: Told {
                id: row.try_get("id")?,
                kind: row.try_get("kind")?,
                publisher: row.try_get("publisher")?,
                package: row.try_get("package")?,
                version: row.try_get("version")?,
                digest: row.try_get("digest")?,
                text: row.try_get("text")?,
                at: at.to_string(),
            },
        })
    }
}
