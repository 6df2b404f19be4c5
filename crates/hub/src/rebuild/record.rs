// SPDX-License-Identifier: Apache-2.0
//! A record: rows, as backups write them.

use futures_util::TryStreamExt as _;
use serde::Deserialize;
use sqlx::AnyConnection;

use super::HUB;
use crate::backup::{Line, written};
use crate::database::version;

/// The rows of a repository, each behind those that it refers to. `$1` is its id.
const OF_REPOSITORY: [(&str, &str); 12] = [
    (
        "publishers",
        "SELECT x.* FROM publishers x JOIN repositories r ON r.publisher = x.name WHERE r.id = $1",
    ),
    (
        "publisher_roots",
        "SELECT x.* FROM publisher_roots x JOIN repositories r ON r.publisher = x.publisher WHERE r.id = $1 ORDER BY x.version",
    ),
    ("repositories", "SELECT x.* FROM repositories x WHERE x.id = $1"),
    ("manifests", "SELECT x.* FROM manifests x WHERE x.repository = $1 ORDER BY x.digest"),
    ("tags", "SELECT x.* FROM tags x WHERE x.repository = $1 ORDER BY x.name"),
    (
        "packages",
        "SELECT x.* FROM packages x JOIN repositories r ON r.publisher = x.publisher AND r.name = x.name WHERE r.id = $1",
    ),
    ("releases", "SELECT x.* FROM releases x WHERE x.repository = $1 ORDER BY x.id"),
    (
        "rejected",
        "SELECT x.* FROM rejected x JOIN releases r ON r.id = x.release WHERE r.repository = $1 ORDER BY x.digest",
    ),
    (
        "check_results",
        "SELECT x.* FROM check_results x JOIN releases r ON r.id = x.release WHERE r.repository = $1 ORDER BY x.release, x.place",
    ),
    (
        "reviews",
        "SELECT x.* FROM reviews x JOIN releases r ON r.id = x.release WHERE r.repository = $1 ORDER BY x.id",
    ),
    (
        "advisories",
        "SELECT x.* FROM advisories x JOIN packages p ON p.id = x.package JOIN repositories r ON r.publisher = p.publisher \
         AND r.name = p.name WHERE r.id = $1 ORDER BY x.id",
    ),
    (
        "withheld_releases",
        "SELECT x.* FROM withheld_releases x JOIN releases r ON r.id = x.release WHERE r.repository = $1 \
         ORDER BY x.release, x.takedown",
    ),
];

/// The rows that belong to no repository.
const OF_HUB: [(&str, &str); 3] = [
    ("takedowns", "SELECT x.* FROM takedowns x ORDER BY x.id"),
    ("withheld", "SELECT x.* FROM withheld x ORDER BY x.digest, x.takedown"),
    ("review_policies", "SELECT x.* FROM review_policies x ORDER BY x.scope, x.name"),
];

/// What lies beside the blobs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The version of the tables that its rows are of.
    pub(super) schema: i64,
    pub(super) rows: Vec<Line>,
}

/// What a record says now, as it is written; none where its repository is gone, or it has nothing to say. A row at a time, since
/// there may be many.
pub(super) async fn record(connection: &mut AnyConnection, name: &str) -> sqlx::Result<Option<Vec<u8>>> {
    let queries = if name == HUB { &OF_HUB[..] } else { &OF_REPOSITORY[..] };
    let mut text = format!("{{\"schema\":{},\"rows\":[", version()).into_bytes();
    let (mut is_first, mut is_there) = (true, false);
    for (table, query) in queries {
        let select = sqlx::query(*query);
        let select = if name == HUB { select } else { select.bind(name) };
        let mut rows = select.fetch(&mut *connection);
        while let Some(row) = rows.try_next().await? {
            is_there |= name == HUB || *table == "repositories";
            if !std::mem::take(&mut is_first) {
                text.push(b',');
            }
            let line = Line { table: (*table).to_owned(), row: written(&row)? };
            serde_json::to_writer(&mut text, &line).expect("a row has no keys but texts");
        }
    }
    text.extend_from_slice(b"]}");
    Ok(is_there.then_some(text))
}
