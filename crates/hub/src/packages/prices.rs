// SPDX-License-Identifier: Apache-2.0
//! What publishers ask for packages. It is told, and nothing depends on it: whoever may pull a package has it.

use serde_json::{Value, json};
use sqlx::AnyConnection;
use wire::hub::Price;

use super::release::{Release, undecodable};
use crate::audit::{self, Note};
use crate::{rebuild, search};

/// A price as the database has it.
pub(crate) fn read(written: Option<&str>) -> sqlx::Result<Option<Price>> {
    written.map(serde_json::from_str).transpose().map_err(undecodable)
}

/// Says what is asked for the package of a release.
pub(super) async fn set(
    connection: &mut AnyConnection,
    release: &Release,
    price: &Price,
    by: (&str, i64),
) -> sqlx::Result<()> {
    let written = serde_json::to_string(price).expect("a price has texts only");
    put(connection, release, (Some(written), json!(price)), by).await
}

/// Says that nothing is asked for the package of a release.
pub(super) async fn unset(
    connection: &mut AnyConnection,
    release: &Release,
    by: (&str, i64),
) -> sqlx::Result<()> {
    put(connection, release, (None, Value::Null), by).await
}

async fn put(
    connection: &mut AnyConnection,
    release: &Release,
    (written, detail): (Option<String>, Value),
    (actor, now_ms): (&str, i64),
) -> sqlx::Result<()> {
    let subject = format!("{}/{}", release.publisher, release.name);
    let note = Note { now_ms, actor, action: "package.price", subject: &subject, detail };
    audit::note(connection, &note).await?;
    let set = sqlx::query("UPDATE packages SET price = $2 WHERE id = $1").bind(&release.package);
    set.bind(written).execute(&mut *connection).await?;
    rebuild::stale(connection, &release.repository).await?;
    search::index(connection, &release.package).await
}
