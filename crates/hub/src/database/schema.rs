// SPDX-License-Identifier: Apache-2.0
//! The tables, as a list of changes, each with its way back.
//!
//! The text is the same for SQLite and PostgreSQL where it can be: columns are `BIGINT` (numbers, milliseconds since 1970,
//! 0 and 1) and `TEXT` (names, digests, JSON, UUIDs of version 7) and nothing else, which both understand in the same way. Only
//! the text that is searched is kept in the way of each.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::Kind;

/// A change of the tables.
struct Change {
    name: &'static str,
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
        up: Text::Same(include_str!("migrations/0001_registry.up.sql")),
        down: include_str!("migrations/0001_registry.down.sql"),
    },
    Change {
        name: "access",
        up: Text::Same(include_str!("migrations/0002_access.up.sql")),
        down: include_str!("migrations/0002_access.down.sql"),
    },
    Change {
        name: "packages",
        up: Text::Same(include_str!("migrations/0003_packages.up.sql")),
        down: include_str!("migrations/0003_packages.down.sql"),
    },
    Change {
        name: "search",
        up: Text::Each {
            sqlite: include_str!("migrations/0004_search.sqlite.up.sql"),
            postgres: include_str!("migrations/0004_search.postgres.up.sql"),
        },
        down: include_str!("migrations/0004_search.down.sql"),
    },
];

/// What carries out the changes in a database of this kind.
pub(super) fn migrator(kind: Kind) -> Migrator {
    let mut migrations = Vec::with_capacity(CHANGES.len() * 2);
    for (version, change) in (1..).zip(CHANGES) {
        let mut add = |direction, text: &'static str| {
            let name = Cow::Borrowed(change.name);
            migrations.push(Migration::new(version, name, direction, text.into_sql_str(), false));
        };
        add(MigrationType::ReversibleUp, change.up.of(kind));
        add(MigrationType::ReversibleDown, change.down);
    }
    Migrator::with_migrations(migrations)
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
