// SPDX-License-Identifier: Apache-2.0
//! What people report to administrators: a package, a release, a review, an account. Administrators take what is reported from a
//! queue, and whoever reported it sees what became of it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::access::{self, Denied};
use crate::audit::{self, Note};
use crate::mail;
use crate::time::rfc3339;
use crate::{Algorithm, ContentDigest};

/// The longest text, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 4096;
const HOUR_MS: i64 = 3_600_000;

/// What is wrong with something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Class {
    /// It does harm.
    Malware,
    /// Somebody has the rights, or the law is against it.
    Legal,
    /// Something is in it that nobody should know.
    Secret,
    /// It breaks the rules of the hub.
    Abuse,
    /// It says that it is somebody else's.
    Impersonation,
    /// Something else.
    Other,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// Nothing is wrong.
    Dismissed,
    /// It was taken down.
    TakenDown,
    /// An account was closed.
    AccountClosed,
    /// Something else was done.
    Other,
}

/// A report that is to be.
#[derive(Debug, Clone)]
pub(super) struct Reported {
    /// `package`, `release`, `review` or `account`.
    pub(super) kind: &'static str,
    /// What it is about.
    pub(super) subject: String,
    pub(super) class: Class,
    pub(super) text: String,
}

/// Who reports: an account, or an address, of which only a digest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reporter {
    pub(super) account: Option<String>,
    pub(super) handle: Option<String>,
    /// What reports are counted by.
    pub(super) counted: String,
}

/// What administrators decided.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    pub(super) outcome: Outcome,
    /// What whoever reported it is told.
    #[serde(default)]
    #[schema(max_length = 4096)]
    pub(super) text: String,
    /// The takedown that it led to, where that is the outcome.
    #[serde(default)]
    pub(super) takedown: Option<String>,
}

/// A report, as whoever made it and administrators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Report {
    pub(super) id: String,
    /// What it is about: `package`, `release`, `review` or `account`.
    kind: String,
    subject: String,
    class: String,
    /// What was said; left out for whoever only has the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// Who reported it; left out where they did not log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reporter: Option<String>,
    /// When (RFC 3339).
    reported: String,
    /// `open`, `claimed` or `resolved`.
    pub(super) state: String,
    /// The administrator who looks into it, or decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handler: Option<String>,
    /// `dismissed`, `taken-down`, `account-closed` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// What administrators say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    takedown: Option<String>,
    #[serde(skip)]
    pub(super) account: Option<String>,
}

const SELECT: &str = "SELECT id, kind, subject, class, text, handle, reported_ms, state, handler, outcome, answer, takedown, \
                      account FROM reports";

impl Report {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get(0)?,
            kind: row.try_get(1)?,
            subject: row.try_get(2)?,
            class: row.try_get(3)?,
            text: Some(row.try_get(4)?),
            reporter: row.try_get(5)?,
            reported: rfc3339(row.try_get(6)?),
            state: row.try_get(7)?,
            handler: row.try_get(8)?,
            outcome: row.try_get(9)?,
            answer: row.try_get(10)?,
            takedown: row.try_get(11)?,
            account: row.try_get(12)?,
        })
    }
}

impl Report {
    /// What whoever only has the id is told.
    pub(super) fn without_words(self) -> Self {
        Self { text: None, handler: None, ..self }
    }
}

impl Reporter {
    /// Somebody who did not log in, as their network. Nobody is known by it on another day.
    pub(super) fn at(address: IpAddr, now_ms: i64) -> Self {
        let network = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("{:x?}", &address.segments()[..4]),
        };
        let day = now_ms.div_euclid(24 * HOUR_MS);
        let digest = ContentDigest::of(Algorithm::Sha256, format!("report {day} {network}").as_bytes());
        Self { account: None, handle: None, counted: digest.hex().to_owned() }
    }

    /// An account.
    pub(super) fn account(id: &str, handle: &str) -> Self {
        Self { account: Some(id.to_owned()), handle: Some(handle.to_owned()), counted: id.to_owned() }
    }

    fn name(&self) -> &str {
        self.handle.as_deref().unwrap_or("somebody who did not log in")
    }
}

/// Files a report, unless the same reporter filed too many within an hour.
pub(super) async fn file(
    connection: &mut AnyConnection,
    reporter: &Reporter,
    about: &Reported,
    (per_hour, now_ms): (u32, i64),
) -> Result<Report, access::Refused> {
    let id = Uuid::now_v7().to_string();
    let detail = json!({ "report": id, "class": about.class });
    let subject = format!("{} {}", about.kind, about.subject);
    let note = Note { now_ms, actor: reporter.name(), action: "report.file", subject: &subject, detail };
    // From here on nobody else files one, so that none is counted twice.
    audit::note(connection, &note).await?;
    let recent = "SELECT COUNT(*), MIN(reported_ms) FROM reports WHERE counted = $1 AND reported_ms > $2";
    let recent = sqlx::query_as(recent).bind(&reporter.counted).bind(now_ms - HOUR_MS);
    let (count, first_ms): (i64, Option<i64>) = recent.fetch_one(&mut *connection).await?;
    if count >= i64::from(per_hour) {
        let until_ms = first_ms.unwrap_or(now_ms) + HOUR_MS;
        return Err(Denied::too_often(until_ms - now_ms).into());
    }
    let insert = "INSERT INTO reports (id, kind, subject, class, text, account, handle, counted, reported_ms, state) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open')";
    let insert = sqlx::query(insert).bind(&id).bind(about.kind).bind(&about.subject);
    let insert = insert.bind(about.class.to_string()).bind(&about.text).bind(&reporter.account);
    let insert = insert.bind(&reporter.handle).bind(&reporter.counted).bind(now_ms);
    insert.execute(&mut *connection).await?;
    let told =
        mail::Reported { id: &id, class: &about.class.to_string(), subject: &subject, text: &about.text };
    mail::reported(connection, &told, now_ms).await?;
    find(connection, &id).await
}

/// A report by its id.
pub(super) async fn find(connection: &mut AnyConnection, id: &str) -> Result<Report, access::Refused> {
    let select = sqlx::AssertSqlSafe(format!("{SELECT} WHERE id = $1"));
    let row = sqlx::query(select).bind(id).fetch_optional(connection).await?;
    let missing = || access::Refused::Missing { what: "report", name: id.to_owned() };
    Ok(Report::from_row(&row.ok_or_else(missing)?)?)
}

/// The reports after one, the oldest first: those of an account, or of everybody; in a state, or in any.
pub(super) async fn after(
    connection: &mut AnyConnection,
    (account, state): (Option<&str>, &str),
    (after, most): (&str, i64),
) -> sqlx::Result<Vec<Report>> {
    let select = sqlx::AssertSqlSafe(format!(
        "{SELECT} WHERE id > $1 AND ($2 = '' OR account = $2) AND ($3 = '' OR state = $3) ORDER BY id LIMIT $4"
    ));
    let rows = sqlx::query(select).bind(after).bind(account.unwrap_or_default()).bind(state).bind(most);
    rows.fetch_all(connection).await?.iter().map(Report::from_row).collect()
}

/// Takes a report out of the queue, to look into it, or puts it back there.
pub(super) async fn claim(
    connection: &mut AnyConnection,
    (id, is_claimed): (&str, bool),
    (actor, now_ms): (&str, i64),
) -> Result<Option<Report>, access::Refused> {
    let action = if is_claimed { "report.claim" } else { "report.release" };
    let note = Note { now_ms, actor, action, subject: id, detail: Value::Null };
    audit::note(connection, &note).await?;
    find(connection, id).await?;
    let set = if is_claimed {
        "UPDATE reports SET state = 'claimed', handler = $2 WHERE id = $1 AND (state = 'open' OR (state = 'claimed' AND handler = $2))"
    } else {
        "UPDATE reports SET state = 'open', handler = NULL WHERE id = $1 AND state = 'claimed' AND $2 <> ''"
    };
    let set = sqlx::query(set).bind(id).bind(actor).execute(&mut *connection).await?;
    if set.rows_affected() == 0 { Ok(None) } else { find(connection, id).await.map(Some) }
}

/// Says what became of a report; none where somebody did before.
pub(super) async fn resolve(
    connection: &mut AnyConnection,
    id: &str,
    resolution: &Resolution,
    (actor, now_ms): (&str, i64),
) -> Result<Option<Report>, access::Refused> {
    resolution.check()?;
    let detail = json!({ "outcome": resolution.outcome, "takedown": resolution.takedown });
    audit::note(connection, &Note { now_ms, actor, action: "report.resolve", subject: id, detail }).await?;
    find(connection, id).await?;
    if let Some(takedown) = &resolution.takedown {
        let found = sqlx::query("SELECT 1 FROM takedowns WHERE id = $1").bind(takedown);
        if found.fetch_optional(&mut *connection).await?.is_none() {
            return Err(access::Refused::Missing { what: "takedown", name: takedown.clone() });
        }
    }
    let set = "UPDATE reports SET state = 'resolved', handler = $2, outcome = $3, answer = $4, takedown = $5, resolved_ms = $6 \
               WHERE id = $1 AND state <> 'resolved'";
    let set = sqlx::query(set).bind(id).bind(actor).bind(resolution.outcome.to_string());
    let set = set.bind(&resolution.text).bind(&resolution.takedown).bind(now_ms);
    if set.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let report = find(connection, id).await?;
    if let Some(account) = &report.account {
        let outcome = (resolution.outcome.to_string(), resolution.text.as_str());
        mail::resolved(connection, (account, &report.subject), (&outcome.0, outcome.1), now_ms).await?;
    }
    Ok(Some(report))
}

impl Resolution {
    fn check(&self) -> Result<(), access::Refused> {
        if self.text.len() > MAX_TEXT_BYTES {
            return Err(access::Refused::Invalid(format!("a text has {MAX_TEXT_BYTES} bytes at most")));
        }
        if (self.outcome == Outcome::TakenDown) != self.takedown.is_some() {
            let why = "`takedown` goes with the outcome `taken-down`, and with no other";
            return Err(access::Refused::Invalid(why.to_owned()));
        }
        Ok(())
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malware => "malware",
            Self::Legal => "legal",
            Self::Secret => "secret",
            Self::Abuse => "abuse",
            Self::Impersonation => "impersonation",
            Self::Other => "other",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dismissed => "dismissed",
            Self::TakenDown => "taken-down",
            Self::AccountClosed => "account-closed",
            Self::Other => "other",
        })
    }
}
