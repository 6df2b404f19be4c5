// SPDX-License-Identifier: Apache-2.0
//! The notice of an instance, which whoever publishes, or pulls with a login, must have accepted. Another text is another notice.

use sqlx::AnyConnection;

use crate::{Algorithm, ContentDigest, Hub};

/// Whether an account accepted what this instance asks everybody to accept.
///
/// # Errors
/// When the database fails.
pub(crate) async fn accepted(hub: &Hub, account: &str) -> sqlx::Result<bool> {
    let Some(notice) = &hub.config.instance.notice else { return Ok(true) };
    let select = "SELECT 1 FROM acceptances WHERE account = $1 AND notice = $2";
    let select = sqlx::query(select).bind(account).bind(id(notice));
    Ok(select.fetch_optional(hub.database.readers()).await?.is_some())
}

/// Remembers that an account accepted a notice.
pub(super) async fn accept(
    connection: &mut AnyConnection,
    account: &str,
    notice: &str,
    now_ms: i64,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO acceptances (account, notice, accepted_ms) VALUES ($1, $2, $3) \
                  ON CONFLICT (account, notice) DO NOTHING";
    sqlx::query(insert).bind(account).bind(id(notice)).bind(now_ms).execute(connection).await.map(drop)
}

fn id(notice: &str) -> String {
    ContentDigest::of(Algorithm::Sha256, notice.as_bytes()).to_string()
}
