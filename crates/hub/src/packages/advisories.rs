// SPDX-License-Identifier: Apache-2.0
//! Advisories: what is wrong with some versions of a package.

use jiff::Timestamp;
use semver::VersionReq;
use sqlx::{AnyConnection, AnyPool};
use uuid::Uuid;
use wire::hub::{Advisory, NewAdvisory, Severity};

use super::release::undecodable;
use crate::events::{self, Event};
use crate::rebuild;
use crate::time::rfc3339;

/// The advisories of a package, the latest first, each with the versions it is about.
pub(super) async fn of(readers: &AnyPool, package: &str) -> sqlx::Result<Vec<(VersionReq, Advisory)>> {
    let select = "SELECT id, versions, severity, title, text, published_ms FROM advisories WHERE package = $1 ORDER BY id DESC";
    let rows = sqlx::query_as::<_, (String, String, String, String, String, i64)>(select).bind(package);
    let read = rows.fetch_all(readers).await?.into_iter().map(|(id, range, severity, title, text, at_ms)| {
        let severity = Severity::ALL.into_iter().find(|known| known.as_str() == severity);
        let severity = severity.ok_or_else(|| sqlx::Error::Decode("no severity".into()))?;
        let versions = range.parse().map_err(undecodable)?;
        Ok((versions, Advisory { id, range, severity, title, text, published: rfc3339(at_ms) }))
    });
    read.collect()
}

/// Publishes an advisory.
pub(super) async fn publish(
    connection: &mut AnyConnection,
    package: &str,
    new: NewAdvisory,
    (account, now_ms): (Option<&str>, i64),
) -> sqlx::Result<Advisory> {
    let id = Uuid::now_v7().to_string();
    let insert = "INSERT INTO advisories (id, package, versions, severity, title, text, published_by, published_ms) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = sqlx::query(insert).bind(&id).bind(package).bind(&new.range).bind(new.severity.as_str());
    let insert = insert.bind(&new.title).bind(&new.text).bind(account).bind(now_ms);
    insert.execute(&mut *connection).await?;
    tell(connection, package, (&new.range, &new.title), now_ms).await?;
    let NewAdvisory { range, severity, title, text } = new;
    Ok(Advisory { id, range, severity, title, text, published: rfc3339(now_ms) })
}

/// Keeps an advisory that was published elsewhere, under its own id. Returns whether it is new here.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    package: &str,
    advisory: &Advisory,
    now_ms: i64,
) -> sqlx::Result<bool> {
    let insert = "INSERT INTO advisories (id, package, versions, severity, title, text, published_ms) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";
    let published = advisory.published.parse().map_or(now_ms, |at: Timestamp| at.as_millisecond());
    let insert = sqlx::query(insert).bind(&advisory.id).bind(package).bind(&advisory.range);
    let insert = insert.bind(advisory.severity.as_str()).bind(&advisory.title).bind(&advisory.text);
    let is_new = insert.bind(published).execute(&mut *connection).await?.rows_affected() == 1;
    if is_new {
        tell(connection, package, (&advisory.range, &advisory.title), now_ms).await?;
    }
    Ok(is_new)
}

/// Tells those who want to hear of it that something is wrong with versions of a package.
async fn tell(
    connection: &mut AnyConnection,
    package: &str,
    (range, title): (&str, &str),
    now_ms: i64,
) -> sqlx::Result<()> {
    let named = sqlx::query_as("SELECT publisher, name FROM packages WHERE id = $1").bind(package);
    let (publisher, name): (String, String) = named.fetch_one(&mut *connection).await?;
    let kind = events::Kind::Advised;
    let event =
        Event { kind, publisher: &publisher, package: &name, version: range, digest: None, text: title };
    events::tell(connection, &event, now_ms).await?;
    rebuild::stale_publisher(connection, &publisher).await
}
