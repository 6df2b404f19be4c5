// SPDX-License-Identifier: Apache-2.0
//! Takedowns as lists show them.

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use utoipa::ToSchema;

use super::{Class, Untaken};
use crate::time::rfc3339;

/// Something that was taken down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(in crate::packages) struct Takedown {
    pub(in crate::packages) id: String,
    /// The publisher and the name of the package; left out where it is about bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The release; left out where it is about all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    class: Class,
    reason: String,
    /// The report that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
    taken_by: String,
    /// When (RFC 3339).
    taken: String,
    /// Until when it can be taken back (RFC 3339): then the bytes are erased.
    pub(super) reversible_until: String,
    /// When they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::packages) erased: Option<String>,
    /// Who took it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    lifted: Option<String>,
}

const SELECT: &str = "SELECT id, publisher, package, version, digest, class, reason, report, taken_by, taken_ms, erase_ms, \
                      erased_ms, lifted_by, lifted_ms FROM takedowns";

impl Takedown {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let named = |at: usize| -> sqlx::Result<Option<String>> {
            Ok(Some(row.try_get::<String, _>(at)?).filter(|text| !text.is_empty()))
        };
        let time = |at: usize| -> sqlx::Result<Option<String>> {
            Ok(row.try_get::<Option<i64>, _>(at)?.map(rfc3339))
        };
        Ok(Self {
            id: row.try_get(0)?,
            publisher: named(1)?,
            name: named(2)?,
            version: named(3)?,
            digest: named(4)?,
            class: row.try_get::<String, _>(5)?.parse()?,
            reason: row.try_get(6)?,
            report: row.try_get(7)?,
            taken_by: row.try_get(8)?,
            taken: rfc3339(row.try_get(9)?),
            reversible_until: rfc3339(row.try_get(10)?),
            erased: time(11)?,
            lifted_by: row.try_get(12)?,
            lifted: time(13)?,
        })
    }

    /// What it is about, for the record.
    pub(in crate::packages) fn subject(&self) -> String {
        match (&self.publisher, &self.name, &self.version) {
            (Some(publisher), Some(name), Some(version)) => format!("{publisher}/{name} {version}"),
            (Some(publisher), Some(name), None) => format!("{publisher}/{name}"),
            _ => self.digest.clone().unwrap_or_default(),
        }
    }
}

/// A takedown by its id.
pub(in crate::packages) async fn find(connection: &mut AnyConnection, id: &str) -> Result<Takedown, Untaken> {
    let select = sqlx::AssertSqlSafe(format!("{SELECT} WHERE id = $1"));
    let row = sqlx::query(select).bind(id).fetch_optional(connection).await?;
    let missing = || Untaken::Missing { what: "takedown", name: id.to_owned() };
    Ok(Takedown::from_row(&row.ok_or_else(missing)?)?)
}

/// The takedowns after one, the oldest first.
pub(in crate::packages) async fn after(
    connection: &mut AnyConnection,
    (after, most): (&str, i64),
) -> sqlx::Result<Vec<Takedown>> {
    let select = sqlx::AssertSqlSafe(format!("{SELECT} WHERE id > $1 ORDER BY id LIMIT $2"));
    let rows = sqlx::query(select).bind(after).bind(most).fetch_all(connection).await?;
    rows.iter().map(Takedown::from_row).collect()
}
