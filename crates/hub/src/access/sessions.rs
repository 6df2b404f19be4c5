// SPDX-License-Identifier: Apache-2.0
//! Browsers that are logged in, by a [`Cookie`](super::cookie::Cookie).

use sqlx::AnyConnection;

use super::caller::Caller;
use super::cookie::SESSION_S;
use super::secret::Secret;

/// Logs a browser in.
pub(super) async fn begin(
    connection: &mut AnyConnection,
    account: &str,
    now_ms: i64,
) -> sqlx::Result<Secret> {
    let secret = Secret::random();
    sqlx::query("DELETE FROM sessions WHERE expires_ms <= $1").bind(now_ms).execute(&mut *connection).await?;
    let add = "INSERT INTO sessions (digest, account, expires_ms) VALUES ($1, $2, $3)";
    let add = sqlx::query(add).bind(secret.digest()).bind(account).bind(now_ms + SESSION_S * 1000);
    add.execute(connection).await?;
    Ok(secret)
}

/// Who is logged in by this cookie.
pub(super) async fn find(
    connection: &mut AnyConnection,
    secret: &Secret,
    now_ms: i64,
) -> sqlx::Result<Option<Caller>> {
    let read = "SELECT accounts.id, accounts.handle FROM sessions \
                JOIN accounts ON accounts.id = sessions.account \
                WHERE sessions.digest = $1 AND sessions.expires_ms > $2 AND accounts.closed_ms IS NULL";
    let row: Option<(String, String)> =
        sqlx::query_as(read).bind(secret.digest()).bind(now_ms).fetch_optional(connection).await?;
    Ok(row.map(|(id, handle)| Caller::Account { id, handle, scopes: None }))
}

/// Logs a browser out.
pub(super) async fn end(connection: &mut AnyConnection, secret: &Secret) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM sessions WHERE digest = $1").bind(secret.digest()).execute(connection).await?;
    Ok(())
}
