// SPDX-License-Identifier: Apache-2.0
//! Releases as the database has them.

use package::Version;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AnyPool, Row as _};
use wire::hub::{Facts, State};

/// The columns of a release, in the order of [`Release`].
const COLUMNS: &str = "r.id, r.package, r.version, r.repository, r.digest, r.state, r.reason, r.evidence, \
                       r.pushed_by, r.pushed_ms, r.released_ms, r.facts, r.signed_by, r.pulls, p.publisher, p.name";

/// A release of a package.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) id: String,
    /// The id of the package.
    pub(crate) package: String,
    pub(crate) version: Version,
    pub(crate) repository: String,
    pub(crate) digest: String,
    pub(crate) state: State,
    pub(crate) reason: Option<String>,
    pub(crate) evidence: i64,
    pub(crate) pushed_by: Option<String>,
    pub(crate) pushed_ms: i64,
    pub(crate) released_ms: Option<i64>,
    pub(crate) facts: Option<Facts>,
    pub(crate) signed_by: Option<String>,
    pub(crate) pulls: i64,
    pub(crate) publisher: String,
    pub(crate) name: String,
}

impl Release {
    fn from_row(row: &AnyRow) -> sqlx::Result<Self> {
        let version: String = row.try_get(2)?;
        let state: String = row.try_get(5)?;
        let facts: Option<String> = row.try_get(11)?;
        let facts = facts.map(|facts| serde_json::from_str(&facts)).transpose().map_err(undecodable)?;
        Ok(Self {
            id: row.try_get(0)?,
            package: row.try_get(1)?,
            version: version.parse().map_err(undecodable)?,
            repository: row.try_get(3)?,
            digest: row.try_get(4)?,
            state: state.parse().map_err(undecodable)?,
            reason: row.try_get(6)?,
            evidence: row.try_get(7)?,
            pushed_by: row.try_get(8)?,
            pushed_ms: row.try_get(9)?,
            released_ms: row.try_get(10)?,
            facts,
            signed_by: row.try_get(12)?,
            pulls: row.try_get(13)?,
            publisher: row.try_get(14)?,
            name: row.try_get(15)?,
        })
    }

    /// A release by its id.
    pub(crate) async fn by_id(connection: &mut AnyConnection, id: &str) -> sqlx::Result<Option<Self>> {
        let select = select("r.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(select)).bind(id).fetch_optional(connection).await?;
        row.as_ref().map(Self::from_row).transpose()
    }

    /// A version of a package.
    pub(crate) async fn by_version(
        readers: &AnyPool,
        publisher: &str,
        name: &str,
        version: &Version,
    ) -> sqlx::Result<Option<Self>> {
        let select = select("p.publisher = $1 AND p.name = $2 AND r.version = $3");
        let row = sqlx::query(sqlx::AssertSqlSafe(select)).bind(publisher).bind(name);
        row.bind(version.to_string()).fetch_optional(readers).await?.as_ref().map(Self::from_row).transpose()
    }

    /// All releases of a package, the greatest version first.
    pub(crate) async fn all(readers: &AnyPool, publisher: &str, name: &str) -> sqlx::Result<Vec<Self>> {
        let select = select("p.publisher = $1 AND p.name = $2");
        let rows = sqlx::query(sqlx::AssertSqlSafe(select)).bind(publisher).bind(name);
        let releases = rows.fetch_all(readers).await?;
        let mut releases = releases.iter().map(Self::from_row).collect::<sqlx::Result<Vec<_>>>()?;
        releases.sort_by(|one, other| other.version.cmp(&one.version));
        Ok(releases)
    }

    /// All releases of the package of another one, as they are in a change.
    pub(crate) async fn siblings(connection: &mut AnyConnection, package: &str) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(select("r.package = $1"))).bind(package);
        rows.fetch_all(connection).await?.iter().map(Self::from_row).collect()
    }

    /// Releases that wait for reviewers, those first that wait longest.
    pub(crate) async fn waiting(readers: &AnyPool, most: i64) -> sqlx::Result<Vec<Self>> {
        let select = format!("{} ORDER BY r.changed_ms, r.id LIMIT $1", select("r.state = 'review'"));
        let rows = sqlx::query(sqlx::AssertSqlSafe(select)).bind(most).fetch_all(readers).await?;
        rows.iter().map(Self::from_row).collect()
    }

    /// `l3af/ratelimit 1.2.0`.
    pub(crate) fn title(&self) -> String {
        format!("{}/{} {}", self.publisher, self.name, self.version)
    }
}

fn select(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM releases r JOIN packages p ON p.id = r.package WHERE {condition}")
}

/// What the database holds was written by us; that it cannot be read is a failure of the database.
pub(crate) fn undecodable(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
