// SPDX-License-Identifier: Apache-2.0
//! The line of a package that went from publisher to publisher: what it was before, and what it became.

use package::Version;
use sqlx::AnyConnection;

use super::release::Release;

/// The packages that became the one with the id `$1`, by any number of steps.
const BEFORE: &str = "WITH RECURSIVE line (id) AS (SELECT id FROM packages WHERE moved_to = $1 UNION \
                      SELECT packages.id FROM line JOIN packages ON packages.moved_to = line.id) ";

/// What a package became in the end, as `publisher/name`; none where it goes on under its name.
///
/// # Errors
/// When the database fails.
pub(crate) async fn moved_to(
    connection: &mut AnyConnection,
    publisher: &str,
    name: &str,
) -> sqlx::Result<Option<String>> {
    let select = "WITH RECURSIVE line (id) AS (SELECT moved_to FROM packages WHERE publisher = $1 AND name = $2 \
                  AND moved_to IS NOT NULL UNION SELECT packages.moved_to FROM line JOIN packages ON packages.id = line.id \
                  WHERE packages.moved_to IS NOT NULL) SELECT p.publisher || '/' || p.name FROM line \
                  JOIN packages p ON p.id = line.id WHERE p.moved_to IS NULL";
    sqlx::query_scalar(select).bind(publisher).bind(name).fetch_optional(connection).await
}

/// What a package was before, as `publisher/name`.
pub(super) async fn moved_from(
    connection: &mut AnyConnection,
    publisher: &str,
    name: &str,
) -> sqlx::Result<Option<String>> {
    let select = "SELECT before.publisher || '/' || before.name FROM packages \
                  JOIN packages before ON before.moved_to = packages.id \
                  WHERE packages.publisher = $1 AND packages.name = $2";
    sqlx::query_scalar(select).bind(publisher).bind(name).fetch_optional(connection).await
}

/// Which package before this one used a version, as `publisher/name`.
pub(super) async fn used_before(
    connection: &mut AnyConnection,
    package: &str,
    version: &Version,
) -> sqlx::Result<Option<String>> {
    let select = format!(
        "{BEFORE}SELECT p.publisher || '/' || p.name FROM line JOIN packages p ON p.id = line.id \
         JOIN releases r ON r.package = p.id WHERE r.version = $2"
    );
    let select = sqlx::query_scalar(sqlx::AssertSqlSafe(select)).bind(package).bind(version.to_string());
    select.fetch_optional(connection).await
}

/// The releases of all packages before this one.
pub(super) async fn earlier(connection: &mut AnyConnection, package: &str) -> sqlx::Result<Vec<Release>> {
    let select = format!("{BEFORE}SELECT id FROM line");
    let before = sqlx::query_scalar(sqlx::AssertSqlSafe(select)).bind(package);
    let before: Vec<String> = before.fetch_all(&mut *connection).await?;
    let mut releases = Vec::new();
    for package in before {
        releases.extend(Release::siblings(connection, &package).await?);
    }
    Ok(releases)
}
