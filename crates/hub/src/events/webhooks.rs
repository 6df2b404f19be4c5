// SPDX-License-Identifier: Apache-2.0
//! Webhooks as rows: who wants to hear of what, and what became of what they were told.

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use super::careful::{Reach, may_ask};
use super::signature::new_secret;
use crate::access::Refused;
use crate::audit::{self, Note};
use crate::registry::PublisherName;
use crate::time::rfc3339;

/// The longest address that is told.
const MOST_BYTES: usize = 2048;

/// Somebody who wants to hear what happens to packages.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Webhook {
    pub(crate) id: String,
    /// Whose packages it is about; left out for those of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publisher: Option<String>,
    /// Where they are told.
    url: String,
    /// When it was made (RFC 3339).
    created: String,
    /// When the other side said that it is gone for good (410): since then it is told nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<String>,
}

/// Who is to be told.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWebhook {
    /// Whose packages it is about; left out for those of all, which is for administrators.
    #[serde(default)]
    pub(crate) publisher: Option<PublisherName>,
    /// Where to tell them: `https`, and an address of the Internet, unless the hub's configuration allows more.
    url: String,
}

/// What became of an event.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Delivery {
    /// The event, as its deliveries call it (`webhook-id`).
    pub(crate) event: String,
    /// What happened: `released`, `yanked`, …
    kind: String,
    /// The package, `publisher/name`.
    package: String,
    version: String,
    attempts: i64,
    /// What the other side said last: a status of HTTP, or why there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    /// When it is tried next (RFC 3339); left out when it arrived, or was given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
}

impl NewWebhook {
    /// Adds it, and returns it with the secret that deliveries are signed with.
    pub(super) async fn add(
        &self,
        connection: &mut AnyConnection,
        reach: Reach,
        actor: &str,
        now_ms: i64,
    ) -> Result<(Webhook, String), Refused> {
        let fits = self.url.len() <= MOST_BYTES && self.url.parse().is_ok_and(|url| may_ask(reach, &url));
        if !fits {
            let why = "an address begins with `https://` and is one of the Internet; `[webhooks] anywhere` allows more";
            return Err(Refused::Invalid(format!("`{}`: {why}", self.url)));
        }
        let publisher = self.publisher.as_ref().map(ToString::to_string);
        if let Some(name) = &publisher {
            let found = sqlx::query("SELECT 1 FROM publishers WHERE name = $1").bind(name);
            if found.fetch_optional(&mut *connection).await?.is_none() {
                return Err(Refused::Missing { what: "publisher", name: name.clone() });
            }
        }
        let (id, secret) = (Uuid::now_v7().to_string(), new_secret());
        let insert = "INSERT INTO webhooks (id, publisher, url, secret, created_by, created_ms) VALUES ($1, $2, $3, $4, $5, $6)";
        let insert = sqlx::query(insert).bind(&id).bind(&publisher).bind(&self.url).bind(&secret);
        insert.bind(actor).bind(now_ms).execute(&mut *connection).await?;
        note(connection, (actor, "webhook.add"), (&id, &self.url), now_ms).await?;
        let created = rfc3339(now_ms);
        Ok((Webhook { id, publisher, url: self.url.clone(), created, gone: None }, secret))
    }
}

impl Webhook {
    pub(super) async fn find(readers: &AnyPool, id: &str) -> Result<Self, Refused> {
        let find =
            sqlx::query_as("SELECT id, publisher, url, created_ms, gone_ms FROM webhooks WHERE id = $1");
        let missing = || Refused::Missing { what: "webhook", name: id.to_owned() };
        find.bind(id).fetch_optional(readers).await?.ok_or_else(missing)
    }

    /// Those of a publisher, or those of nobody in particular, the oldest first.
    pub(super) async fn after(
        readers: &AnyPool,
        publisher: Option<&str>,
        (after, most): (&str, i64),
    ) -> sqlx::Result<Vec<Self>> {
        let select = "SELECT id, publisher, url, created_ms, gone_ms FROM webhooks \
                      WHERE id > $1 AND COALESCE(publisher, '') = $2 ORDER BY id LIMIT $3";
        let select = sqlx::query_as(select).bind(after).bind(publisher.unwrap_or_default()).bind(most);
        select.fetch_all(readers).await
    }

    /// Removes it, with what it was to be told.
    pub(super) async fn remove(
        &self,
        connection: &mut AnyConnection,
        actor: &str,
        now_ms: i64,
    ) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM webhooks WHERE id = $1").bind(&self.id).execute(&mut *connection).await?;
        note(connection, (actor, "webhook.remove"), (&self.id, &self.url), now_ms).await
    }

    /// What it was told, or is to be, the oldest first.
    pub(super) async fn deliveries(
        &self,
        readers: &AnyPool,
        (after, most): (&str, i64),
    ) -> sqlx::Result<Vec<Delivery>> {
        let select = "SELECT d.event, e.kind, e.publisher, e.package, e.version, d.attempts, d.answer, d.due_ms \
                      FROM deliveries d JOIN events e ON e.id = d.event \
                      WHERE d.webhook = $1 AND d.event > $2 ORDER BY d.event LIMIT $3";
        sqlx::query_as(select).bind(&self.id).bind(after).bind(most).fetch_all(readers).await
    }
}

async fn note(
    connection: &mut AnyConnection,
    (actor, action): (&str, &'static str),
    (id, url): (&str, &str),
    now_ms: i64,
) -> sqlx::Result<()> {
    let detail = serde_json::json!({ "url": url });
    audit::note(connection, &Note { actor, action, subject: id, detail, now_ms }).await
}

impl<'r> FromRow<'r, AnyRow> for Webhook {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let gone_ms: Option<i64> = row.try_get(4)?;
        let (created, gone) = (rfc3339(row.try_get(3)?), gone_ms.map(rfc3339));
        Ok(Self { id: row.try_get(0)?, publisher: row.try_get(1)?, url: row.try_get(2)?, created, gone })
    }
}

impl<'r> FromRow<'r, AnyRow> for Delivery {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let (publisher, name): (String, String) = (row.try_get(2)?, row.try_get(3)?);
        let due_ms: Option<i64> = row.try_get(7)?;
        Ok(Self {
            event: row.try_get(0)?,
            kind: row.try_get(1)?,
            package: format!("{publisher}/{name}"),
            version: row.try_get(4)?,
            attempts: row.try_get(5)?,
            answer: row.try_get(6)?,
            due: due_ms.map(rfc3339),
        })
    }
}
