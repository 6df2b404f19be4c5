// SPDX-License-Identifier: Apache-2.0
//! Digests that nobody is given, and why.

use sqlx::AnyConnection;

use super::Class;

/// Why something is withheld.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Withheld {
    pub(crate) takedown: String,
    pub(crate) class: Class,
    pub(crate) reason: String,
}

type Row = (String, String, String);

fn read((takedown, class, reason): Row) -> sqlx::Result<Withheld> {
    Ok(Withheld { takedown, class: class.parse()?, reason })
}

/// Why a digest is withheld; none where it is not.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_digest(
    connection: &mut AnyConnection,
    digest: &str,
) -> sqlx::Result<Option<Withheld>> {
    let select = "SELECT t.id, t.class, t.reason FROM withheld w JOIN takedowns t ON t.id = w.takedown \
                  WHERE w.digest = $1 ORDER BY t.id LIMIT 1";
    let row: Option<Row> = sqlx::query_as(select).bind(digest).fetch_optional(connection).await?;
    row.map(read).transpose()
}

/// Why a version of a package is withheld that people had.
///
/// # Errors
/// When the database fails.
pub(crate) async fn of_version(
    connection: &mut AnyConnection,
    (publisher, name): (&str, &str),
    version: &str,
) -> sqlx::Result<Option<Withheld>> {
    let select = "SELECT t.id, t.class, t.reason FROM packages p JOIN releases r ON r.package = p.id \
                  JOIN withheld_releases w ON w.release = r.id JOIN takedowns t ON t.id = w.takedown \
                  WHERE p.publisher = $1 AND p.name = $2 AND r.version = $3 AND r.released_ms IS NOT NULL \
                  ORDER BY t.id LIMIT 1";
    let row = sqlx::query_as(select).bind(publisher).bind(name).bind(version);
    let row: Option<Row> = row.fetch_optional(connection).await?;
    row.map(read).transpose()
}

/// Why nothing can be pushed by the name of a package; none where it can.
pub(in crate::packages) async fn of_package(
    connection: &mut AnyConnection,
    publisher: &str,
    name: &str,
) -> sqlx::Result<Option<Withheld>> {
    let select = "SELECT id, class, reason FROM takedowns WHERE publisher = $1 AND package = $2 AND version = '' \
                  AND lifted_ms IS NULL ORDER BY id LIMIT 1";
    let row: Option<Row> =
        sqlx::query_as(select).bind(publisher).bind(name).fetch_optional(connection).await?;
    row.map(read).transpose()
}

impl std::fmt::Display for Withheld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "taken down ({}): {}", self.class, self.reason)
    }
}
