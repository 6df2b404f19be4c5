// SPDX-License-Identifier: Apache-2.0
//! What was taken down goes for good when its time has come: no repository has it any more, and what no repository has is swept.

use std::sync::Arc;

use futures_util::FutureExt as _;
use serde_json::Value;
use sqlx::AnyConnection;

use super::Untaken;
use super::view::find;
use crate::audit::{self, Note};
use crate::{Hub, rebuild};

/// Erases what is due, and says how much.
pub(crate) async fn erase(hub: &Arc<Hub>) -> sqlx::Result<u64> {
    let due = "SELECT id FROM takedowns WHERE erase_ms <= $1 AND erased_ms IS NULL AND lifted_ms IS NULL ORDER BY id";
    let due: Vec<String> =
        sqlx::query_scalar(due).bind(hub.now_ms()).fetch_all(hub.database.readers()).await?;
    let mut count = 0;
    for id in due {
        let now_ms = hub.now_ms();
        let erased = hub
            .database
            .write(move |connection| async move { erase_one(connection, id, now_ms).await }.boxed());
        match erased.await {
            Ok(()) => count += 1,
            Err(Untaken::Database(error)) => return Err(error),
            Err(other) => tracing::debug!("nothing is erased: {other}"),
        }
    }
    Ok(count)
}

async fn erase_one(connection: &mut AnyConnection, id: String, now_ms: i64) -> Result<(), Untaken> {
    let subject = find(connection, &id).await?.subject();
    let note =
        Note { now_ms, actor: "l3af-hub", action: "takedown.erase", subject: &subject, detail: Value::Null };
    audit::note(connection, &note).await?;
    // Somebody may have taken it back, or another hub was first.
    let set = "UPDATE takedowns SET erased_ms = $2 WHERE id = $1 AND erased_ms IS NULL AND lifted_ms IS NULL";
    let set = sqlx::query(set).bind(&id).bind(now_ms).execute(&mut *connection).await?;
    if set.rows_affected() == 0 {
        return Err(Untaken::Lifted);
    }
    let digests =
        sqlx::query_scalar("SELECT digest FROM withheld WHERE takedown = $1 ORDER BY digest").bind(&id);
    let digests: Vec<String> = digests.fetch_all(&mut *connection).await?;
    for digest in &digests {
        rebuild::stale_digest(connection, digest).await?;
    }
    rebuild::stale_hub(connection).await?;
    for delete in [
        "DELETE FROM manifests WHERE digest IN (SELECT digest FROM withheld WHERE takedown = $1)",
        "DELETE FROM links WHERE digest IN (SELECT digest FROM withheld WHERE takedown = $1)",
    ] {
        sqlx::query(delete).bind(&id).execute(&mut *connection).await?;
    }
    Ok(())
}
