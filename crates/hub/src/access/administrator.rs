// SPDX-License-Identifier: Apache-2.0
//! How a hub gets its first administrator, and another one when nobody can log in any more: a link that counts once, for
//! whoever can read what the hub prints.

use serde_json::json;
use sqlx::AnyConnection;

use super::accounts::{self, Change, NewAccount};
use super::names::{Handle, Role};
use super::password::Hashed;
use super::refused::Refused;
use super::secret::Secret;
use crate::audit::{self, Note};

/// For how long a link counts, in milliseconds.
const LINK_MS: i64 = 24 * 60 * 60 * 1000;
/// Who acts where somebody has a link.
const ACTOR: &str = "administrator link";

/// Makes a link for the first administrator; none where there is one.
pub(super) async fn first_link(connection: &mut AnyConnection, now_ms: i64) -> sqlx::Result<Option<Secret>> {
    if accounts::administrators(connection).await? > 0 {
        return Ok(None);
    }
    new_link(connection, now_ms).await.map(Some)
}

/// Makes a link, whoever there is.
pub(super) async fn new_link(connection: &mut AnyConnection, now_ms: i64) -> sqlx::Result<Secret> {
    let told =
        Note { now_ms, actor: "l3af-hub", action: "administrator.link", subject: "", detail: json!(null) };
    audit::note(connection, &told).await?;
    let secret = Secret::random();
    let old = "DELETE FROM administrator_links WHERE expires_ms <= $1";
    sqlx::query(old).bind(now_ms).execute(&mut *connection).await?;
    let add = "INSERT INTO administrator_links (digest, expires_ms) VALUES ($1, $2)";
    sqlx::query(add).bind(secret.digest()).bind(now_ms + LINK_MS).execute(connection).await?;
    Ok(secret)
}

/// Whether a link counts.
pub(super) async fn counts(connection: &mut AnyConnection, link: &Secret, now_ms: i64) -> sqlx::Result<bool> {
    let read = "SELECT COUNT(*) FROM administrator_links WHERE digest = $1 AND expires_ms > $2";
    let (count,): (i64,) =
        sqlx::query_as(read).bind(link.digest()).bind(now_ms).fetch_one(connection).await?;
    Ok(count > 0)
}

/// Makes an administrator of whoever has a link: a new account, or one that is there, which gets this password, if there is one. Then no link
/// counts any more.
///
/// # Errors
/// When the link does not count, or a publisher has the name.
pub(super) async fn appoint(
    connection: &mut AnyConnection,
    link: &Secret,
    handle: &Handle,
    password: Option<Hashed>,
    now_ms: i64,
) -> Result<(), Refused> {
    let used = "DELETE FROM administrator_links WHERE digest = $1 AND expires_ms > $2";
    let used = sqlx::query(used).bind(link.digest()).bind(now_ms).execute(&mut *connection).await?;
    if used.rows_affected() == 0 {
        return Err(Refused::Link);
    }
    sqlx::query("DELETE FROM administrator_links").execute(&mut *connection).await?;
    match accounts::find(connection, handle).await {
        Ok(account) => {
            let raised = Change { role: Some(Role::Administrator), closed: Some(false), ..Change::default() };
            accounts::change(connection, handle, &raised, ACTOR, now_ms).await?;
            match password {
                Some(password) => {
                    accounts::set_password(connection, &account, &password, ACTOR, now_ms).await
                }
                None => Ok(()),
            }
        }
        Err(Refused::Missing { .. }) => {
            let handle = handle.clone();
            let new = NewAccount { name: handle.to_string(), handle, role: Role::Administrator, password };
            accounts::add(connection, &new, ACTOR, now_ms).await.map(drop)
        }
        Err(other) => Err(other),
    }
}
