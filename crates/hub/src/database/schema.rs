// SPDX-License-Identifier: Apache-2.0
//! The tables, as a list of changes, each with its way back.
//!
//! The text is the same for SQLite and PostgreSQL where it can be: columns are `BIGINT` (numbers, milliseconds since 1970,
//! 0 and 1) and `TEXT` (names, digests, JSON, UUIDs of version 7) and nothing else, which both understand in the same way. Only
//! the text that is searched is kept in the way of each.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use super::Kind;

/// A change of the tables.
struct Change {
    name: &'static str,
    /// The tables that it makes and that backups keep, each behind those that it refers to.
    tables: &'static [&'static str],
    up: Text,
    down: &'static str,
}

/// What a change says.
enum Text {
    /// The same in both databases.
    Same(&'static str),
    /// What cannot be said alike.
    Each { sqlite: &'static str, postgres: &'static str },
}

/// All changes, in their order; the first has the number 1.
const CHANGES: &[Change] = &[
    Change {
        name: "registry",
        tables: &["publishers", "repositories", "blobs", "links", "manifests", "needs", "tags", "uploads"],
        up: Text::Same(include_str!("migrations/0001_registry.up.sql")),
        down: include_str!("migrations/0001_registry.down.sql"),
    },
    Change {
        name: "access",
        tables: &[
            "accounts",
            "members",
            "tokens",
            "sessions",
            "administrator_links",
            "signing_keys",
            "attempts",
            "audit",
            "audit_head",
        ],
        up: Text::Same(include_str!("migrations/0002_access.up.sql")),
        down: include_str!("migrations/0002_access.down.sql"),
    },
    Change {
        name: "packages",
        tables: &[
            "packages",
            "releases",
            "rejected",
            "check_queue",
            "check_results",
            "publisher_roots",
            "review_keys",
            "reviews",
            "review_policies",
            "advisories",
            "acceptances",
            "pulls",
            "pulled",
        ],
        up: Text::Same(include_str!("migrations/0003_packages.up.sql")),
        down: include_str!("migrations/0003_packages.down.sql"),
    },
    Change {
        name: "search",
        tables: &[],
        up: Text::Each {
            sqlite: concat!(
                include_str!("migrations/0004_search.sqlite.up.sql"),
                include_str!("migrations/0004_search.up.sql")
            ),
            postgres: concat!(
                include_str!("migrations/0004_search.postgres.up.sql"),
                include_str!("migrations/0004_search.up.sql")
            ),
        },
        down: include_str!("migrations/0004_search.down.sql"),
    },
    Change {
        name: "events",
        tables: &["events", "webhooks", "deliveries"],
        up: Text::Same(include_str!("migrations/0005_events.up.sql")),
        down: include_str!("migrations/0005_events.down.sql"),
    },
    Change {
        name: "issuers",
        // Who is on the way in begins again; what was shown once must be known in any case.
        tables: &["identities", "publishing_rules", "shown_tokens"],
        up: Text::Same(include_str!("migrations/0006_issuers.up.sql")),
        down: include_str!("migrations/0006_issuers.down.sql"),
    },
    Change {
        name: "mirrors",
        tables: &["mirrors", "mirrored"],
        up: Text::Same(include_str!("migrations/0007_mirrors.up.sql")),
        down: include_str!("migrations/0007_mirrors.down.sql"),
    },
    Change {
        name: "administration",
        tables: &[
            "transfers",
            "takedowns",
            "withheld",
            "withheld_releases",
            "reports",
            "addresses",
            "mails",
            "records",
        ],
        up: Text::Same(include_str!("migrations/0008_administration.up.sql")),
        down: include_str!("migrations/0008_administration.down.sql"),
    },
    Change {
        name: "opinions",
        tables: &["ratings"],
        up: Text::Same(include_str!("migrations/0009_opinions.up.sql")),
        down: include_str!("migrations/0009_opinions.down.sql"),
    },
];

/// The version of the tables that this program works with.
pub(crate) fn version() -> i64 {
    i64::try_from(CHANGES.len()).expect("there are few changes")
}

/// The tables of a version that backups keep, each behind those that it refers to. The others are made of these, or
/// hold what lasts for minutes.
pub(crate) fn kept(version: i64) -> impl DoubleEndedIterator<Item = &'static str> {
    let changes = usize::try_from(version).map_or(0, |version| version.min(CHANGES.len()));
    CHANGES[..changes].iter().flat_map(|change| change.tables.iter().copied())
}

/// What carries out the changes in a database of this kind.
pub(super) fn migrator(kind: Kind) -> Migrator {
    let mut migrations = Vec::with_capacity(CHANGES.len() * 2);
    for (version, change) in (1..).zip(CHANGES) {
        let mut add = |direction, text: &'static str| {
            let name = Cow::Borrowed(change.name);
            migrations.push(Migration::new(version, name, direction, in_dialect(kind, text), false));
        };
        add(MigrationType::ReversibleUp, change.up.of(kind));
        add(MigrationType::ReversibleDown, change.down);
    }
    Migrator::with_migrations(migrations)
}

/// Names are listed in the order of their bytes, as SQLite has it, wherever a server of PostgreSQL was set up.
fn in_dialect(kind: Kind, text: &'static str) -> SqlStr {
    match kind {
        Kind::Sqlite => text.into_sql_str(),
        Kind::Postgres => AssertSqlSafe(text.replace(" TEXT", " TEXT COLLATE \"C\"")).into_sql_str(),
    }
}

impl Text {
    fn of(&self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Same(text), _)
            | (Self::Each { sqlite: text, .. }, Kind::Sqlite)
            | (Self::Each { postgres: text, .. }, Kind::Postgres) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{kept, version};
    use crate::{Config, Database};

    async fn tables(config: &Config, version: i64) -> BTreeSet<String> {
        let pool = Database::at_version(config, version).await.expect("there is such a version");
        let listed = sqlx::query_scalar(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> '_sqlx_migrations'",
        );
        let tables = listed.fetch_all(&pool).await.expect("SQLite has a list of tables");
        pool.close().await;
        tables.into_iter().collect()
    }

    #[tokio::test]
    async fn every_version_has_a_way_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config { folder: folder.path().to_owned(), ..Config::default() };
        let mut before = Vec::new();
        for version in 0..=version() {
            before.push(tables(&config, version).await);
        }
        for version in (0..=version()).rev() {
            let index = usize::try_from(version).expect("a version is a small number");
            assert_eq!(tables(&config, version).await, before[index], "version {version}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_may_open_a_new_database_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config { folder: folder.path().to_owned(), ..Config::default() };
        let opening = |config: Config| tokio::spawn(async move { Database::open(&config).await.map(drop) });
        for opened in (0..8).map(|_| opening(config.clone())).collect::<Vec<_>>() {
            opened.await.expect("no panic").expect("tables are made by one of them");
        }
    }

    #[tokio::test]
    async fn backups_keep_every_table_that_lasts_and_is_made_of_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config { folder: folder.path().to_owned(), ..Config::default() };
        let kept: BTreeSet<String> = kept(version()).map(str::to_owned).collect();
        let mut all = tables(&config, version()).await;
        // Who is on the way in begins again.
        let passing = ["journeys", "login_codes", "login_devices"];
        all.retain(|table| !table.starts_with("search_") && !passing.contains(&table.as_str()));
        assert_eq!(all.difference(&kept).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(kept.difference(&all).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
