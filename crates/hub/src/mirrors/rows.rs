// SPDX-License-Identifier: Apache-2.0
//! Rules as rows: what they say, when they were carried out, and what became of the releases that they are about.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, FromRow, Row as _};
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

use super::lease::NEVER_MS;
use super::rule::{MirrorRule, RuleName, Unruly};
use crate::audit::{self, Note};
use crate::packages::undecodable;
use crate::time::rfc3339;

/// A rule, and how it goes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Mirror {
    #[serde(skip)]
    pub(super) id: String,
    /// What it is called.
    pub name: String,
    /// What it says.
    pub rule: MirrorRule,
    /// When it was made (RFC 3339).
    pub created: String,
    /// When it was carried out last (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ran: Option<String>,
    /// Why not whole, the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// When it is carried out next (RFC 3339); none where it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Whether some hub carries it out now.
    pub running: bool,
    /// How many releases it is about, by what became of them.
    pub releases: BTreeMap<String, i64>,
}

/// What became of a release that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was verified, and this hub has it.
    Mirrored,
    /// It does not hold against the policy, or may not be here. Nobody gets it.
    Refused,
    /// It could not be fetched. It is tried again.
    Failed,
    /// This hub has it, and the source does not any more.
    Gone,
    /// This hub had it.
    Removed,
}

/// A release that a rule is about.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MirrorResult {
    /// Who publishes it.
    pub publisher: String,
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The digest of its index, where it could be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, or what else there is to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Since when it is so (RFC 3339).
    pub since: String,
    #[serde(skip)]
    pub(super) yanked: bool,
}

/// A rule is not set.
#[derive(Debug, Error)]
pub enum Unset {
    /// It cannot be carried out.
    #[error(transparent)]
    Unruly(#[from] Unruly),
    /// There is no such rule.
    #[error("there is no mirror `{name}`")]
    Missing {
        /// What was asked for.
        name: String,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// The columns of a rule, in the order in which they are read.
const COLUMNS: &str = "id, name, rule, created_ms, ran_ms, problem, due_ms, leased_until_ms";

/// A rule as it is read.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) rule: MirrorRule,
    created_ms: i64,
    ran_ms: Option<i64>,
    problem: Option<String>,
    due_ms: i64,
    leased_until_ms: i64,
}

impl<'r> FromRow<'r, AnyRow> for Row {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let rule: String = row.try_get(2)?;
        Ok(Self {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            rule: serde_json::from_str(&rule).map_err(undecodable)?,
            created_ms: row.try_get(3)?,
            ran_ms: row.try_get(4)?,
            problem: row.try_get(5)?,
            due_ms: row.try_get(6)?,
            leased_until_ms: row.try_get(7)?,
        })
    }
}

impl Row {
    /// A rule by its id.
    pub(super) async fn by_id(connection: &mut AnyConnection, id: &str) -> sqlx::Result<Option<Self>> {
        let select = format!("SELECT {COLUMNS} FROM mirrors WHERE id = $1");
        sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(id).fetch_optional(connection).await
    }

    fn told(self, counts: &[(String, String, i64)], now_ms: i64) -> Mirror {
        let mine = counts.iter().filter(|(mirror, ..)| *mirror == self.id);
        let releases = mine.map(|(_, outcome, count)| (outcome.clone(), *count)).collect();
        Mirror {
            releases,
            id: self.id,
            name: self.name,
            rule: self.rule,
            created: rfc3339(self.created_ms),
            ran: self.ran_ms.map(rfc3339),
            problem: self.problem,
            due: (self.due_ms != NEVER_MS).then(|| rfc3339(self.due_ms)),
            running: self.leased_until_ms > now_ms,
        }
    }
}

/// The rules, by their names.
pub(super) async fn after(
    readers: &AnyPool,
    (after, most): (&str, i64),
    now_ms: i64,
) -> sqlx::Result<Vec<Mirror>> {
    let select = format!("SELECT {COLUMNS} FROM mirrors WHERE name > $1 ORDER BY name LIMIT $2");
    let select = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(select)).bind(after).bind(most);
    let rows = select.fetch_all(readers).await?;
    let count = "SELECT mirror, outcome, COUNT(*) FROM mirrored GROUP BY mirror, outcome";
    let counts: Vec<(String, String, i64)> = sqlx::query_as(count).fetch_all(readers).await?;
    Ok(rows.into_iter().map(|row| row.told(&counts, now_ms)).collect())
}

/// A rule by its name.
pub(super) async fn find(readers: &AnyPool, name: &str, now_ms: i64) -> Result<Mirror, Unset> {
    let select = format!("SELECT {COLUMNS} FROM mirrors WHERE name = $1");
    let row: Option<Row> =
        sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(name).fetch_optional(readers).await?;
    let row = row.ok_or_else(|| Unset::Missing { name: name.to_owned() })?;
    let count = "SELECT mirror, outcome, COUNT(*) FROM mirrored WHERE mirror = $1 GROUP BY mirror, outcome";
    let counts: Vec<(String, String, i64)> = sqlx::query_as(count).bind(&row.id).fetch_all(readers).await?;
    Ok(row.told(&counts, now_ms))
}

/// Sets a rule, which is due at once, in place of one of the same name. Returns whether there was none.
pub(super) async fn set(
    connection: &mut AnyConnection,
    (name, rule): (&RuleName, &MirrorRule),
    actor: &str,
    now_ms: i64,
) -> Result<bool, Unset> {
    let text = serde_json::to_string(rule).map_err(undecodable)?;
    let due_ms = if rule.paused { NEVER_MS } else { now_ms };
    let update = "UPDATE mirrors SET rule = $2, changed_ms = $3, due_ms = $4, failures = 0 WHERE name = $1";
    let update = sqlx::query(update).bind(name.as_str()).bind(&text).bind(now_ms).bind(due_ms);
    let is_new = update.execute(&mut *connection).await?.rows_affected() == 0;
    if is_new {
        let insert = "INSERT INTO mirrors (id, name, rule, created_by, created_ms, changed_ms, due_ms) \
                      VALUES ($1, $2, $3, $4, $5, $5, $6)";
        let insert = sqlx::query(insert).bind(Uuid::now_v7().to_string()).bind(name.as_str()).bind(&text);
        insert.bind(actor).bind(now_ms).bind(due_ms).execute(&mut *connection).await?;
    }
    let action = if is_new { "mirror.add" } else { "mirror.change" };
    let detail = serde_json::json!(rule);
    audit::note(connection, &Note { now_ms, actor, action, subject: name.as_str(), detail }).await?;
    Ok(is_new)
}

/// Removes a rule. What it brought stays, and stays read-only, until another rule takes it over.
pub(super) async fn remove(
    connection: &mut AnyConnection,
    name: &str,
    actor: &str,
    now_ms: i64,
) -> Result<(), Unset> {
    let delete = sqlx::query_scalar("DELETE FROM mirrors WHERE name = $1 RETURNING id").bind(name);
    let id: Option<String> = delete.fetch_optional(&mut *connection).await?;
    let id = id.ok_or_else(|| Unset::Missing { name: name.to_owned() })?;
    let leave = sqlx::query("UPDATE publishers SET mirror = '' WHERE mirror = $1").bind(id);
    leave.execute(&mut *connection).await?;
    let detail = serde_json::Value::Null;
    Ok(audit::note(connection, &Note { now_ms, actor, action: "mirror.remove", subject: name, detail })
        .await?)
}

/// Has a rule carried out now.
pub(super) async fn hurry(
    connection: &mut AnyConnection,
    name: &str,
    actor: &str,
    now_ms: i64,
) -> Result<(), Unset> {
    let update = sqlx::query("UPDATE mirrors SET due_ms = $2 WHERE name = $1").bind(name).bind(now_ms);
    if update.execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(Unset::Missing { name: name.to_owned() });
    }
    let detail = serde_json::Value::Null;
    Ok(audit::note(connection, &Note { now_ms, actor, action: "mirror.run", subject: name, detail }).await?)
}

impl Outcome {
    pub(super) const ALL: [Self; 5] =
        [Self::Mirrored, Self::Refused, Self::Failed, Self::Gone, Self::Removed];

    /// As it is written down and told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mirrored => "mirrored",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Gone => "gone",
            Self::Removed => "removed",
        }
    }
}

impl Outcome {
    /// Whether this hub has it by the rule.
    pub(super) fn is_here(self) -> bool {
        matches!(self, Self::Mirrored | Self::Gone)
    }
}

impl FromStr for Outcome {
    type Err = sqlx::Error;

    fn from_str(name: &str) -> Result<Self, sqlx::Error> {
        let unknown = || sqlx::Error::Decode(format!("`{name}` is nothing that becomes of a release").into());
        Self::ALL.into_iter().find(|outcome| outcome.name() == name).ok_or_else(unknown)
    }
}

impl<'r> FromRow<'r, AnyRow> for MirrorResult {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let outcome: String = row.try_get(4)?;
        Ok(Self {
            publisher: row.try_get(0)?,
            package: row.try_get(1)?,
            version: row.try_get(2)?,
            digest: row.try_get(3)?,
            outcome: outcome.parse()?,
            problem: row.try_get(5)?,
            since: rfc3339(row.try_get(6)?),
            yanked: row.try_get::<i64, _>(7)? == 1,
        })
    }
}

impl MirrorResult {
    /// What tells it from others of its rule, in their order.
    pub(super) fn key(&self) -> String {
        format!("{} {} {}", self.publisher, self.package, self.version)
    }
}

/// What became of the releases of a rule, by publisher, package and version as text; of those behind a key.
pub(super) async fn results(
    readers: &AnyPool,
    mirror: &str,
    (after, most): (&str, i64),
) -> sqlx::Result<Vec<MirrorResult>> {
    let select = "SELECT publisher, package, version, digest, outcome, problem, since_ms, yanked FROM mirrored \
         WHERE mirror = $1 AND publisher || ' ' || package || ' ' || version > $2 \
         ORDER BY publisher || ' ' || package || ' ' || version LIMIT $3";
    sqlx::query_as(select).bind(mirror).bind(after).bind(most).fetch_all(readers).await
}

/// What became of the releases of one package.
pub(super) async fn results_of(
    readers: &AnyPool,
    mirror: &str,
    (publisher, package): (&str, &str),
) -> sqlx::Result<Vec<MirrorResult>> {
    let select = "SELECT publisher, package, version, digest, outcome, problem, since_ms, yanked FROM mirrored \
                  WHERE mirror = $1 AND publisher = $2 AND package = $3";
    sqlx::query_as(select).bind(mirror).bind(publisher).bind(package).fetch_all(readers).await
}

/// The packages of which a rule is about a release.
pub(super) async fn packages(readers: &AnyPool, mirror: &str) -> sqlx::Result<Vec<(String, String)>> {
    let select =
        "SELECT DISTINCT publisher, package FROM mirrored WHERE mirror = $1 ORDER BY publisher, package";
    sqlx::query_as(select).bind(mirror).fetch_all(readers).await
}
