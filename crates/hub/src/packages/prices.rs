// SPDX-License-Identifier: Apache-2.0
//! What publishers ask for packages. It is told, and nothing depends on it: whoever may pull a package has it.

use serde_json::json;
use sqlx::AnyConnection;
use wire::hub::Price;

use super::release::undecodable;
use crate::audit::{self, Note};
use crate::{rebuild, search};

/// A price as the database has it.
pub(crate) fn read(written: Option<&str>) -> sqlx::Result<Option<Price>> {
    written.map(serde_json::from_str).transpose().map_err(undecodable)
}

/// Says what is asked for a package; nothing, where there is no price.
pub(super) async fn set(
    connection: &mut AnyConnection,
    (package, title): (&str, &str),
    price: Option<&Price>,
    (actor, now_ms): (&str, i64),
) -> sqlx::Result<()> {
    let note = Note { now_ms, actor, action: "package.price", subject: title, detail: json!(price) };
    audit::note(connection, &note).await?;
    let written = price.map(|price| serde_json::to_string(price).expect("a price has texts only"));
    let set = sqlx::query("UPDATE packages SET price = $2 WHERE id = $1").bind(package).bind(written);
    set.execute(&mut *connection).await?;
    let publisher = sqlx::query_scalar("SELECT publisher FROM packages WHERE id = $1").bind(package);
    let publisher: String = publisher.fetch_one(&mut *connection).await?;
    rebuild::stale_publisher(connection, &publisher).await?;
    search::index(connection, package).await
}
