// SPDX-License-Identifier: Apache-2.0
//! How much a publisher may keep. It is summed up over what its repositories hold at the moment, in the transaction that adds
//! to it, so that it cannot drift from what is so.

use sqlx::AnyConnection;
use thiserror::Error;

/// A publisher would have more than it may.
#[derive(Debug, Error)]
pub(crate) enum OverQuota {
    /// How much it would be.
    #[error("the repositories of `{publisher}` may hold {quota} bytes, and would hold {held}")]
    Over { publisher: String, quota: i64, held: i64 },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Whether what a publisher holds now, with what the transaction added, is not too much. `general` is the quota of publishers
/// that have none of their own.
///
/// # Errors
/// When it is too much: then the transaction is to be undone.
pub(crate) async fn check(
    connection: &mut AnyConnection,
    publisher: &str,
    general: Option<i64>,
) -> Result<(), OverQuota> {
    // Whoever holds this row adds; others of the same publisher wait.
    let lock = "UPDATE publishers SET quota_bytes = quota_bytes \
                WHERE name = $1 AND (quota_bytes IS NOT NULL OR $2 = 1) RETURNING quota_bytes";
    let own: Option<(Option<i64>,)> = sqlx::query_as(lock)
        .bind(publisher)
        .bind(i64::from(general.is_some()))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(quota) = own.and_then(|(own,)| own.or(general)) else { return Ok(()) };
    let sum = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM blobs WHERE digest IN \
               (SELECT links.digest FROM links JOIN repositories ON repositories.id = links.repository \
               WHERE repositories.publisher = $1 UNION \
               SELECT manifests.digest FROM manifests JOIN repositories ON repositories.id = manifests.repository \
               WHERE repositories.publisher = $1)";
    let (held,): (i64,) = sqlx::query_as(sum).bind(publisher).fetch_one(connection).await?;
    if held > quota {
        return Err(OverQuota::Over { publisher: publisher.to_owned(), quota, held });
    }
    Ok(())
}
