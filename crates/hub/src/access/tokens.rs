// SPDX-License-Identifier: Apache-2.0
//! Tokens of our own, in the database: what accounts show instead of a password.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::caller::Caller;
use super::refused::Refused;
use super::scope::Scope;
use super::secret::Secret;
use crate::audit::{self, Note};

/// How old the last use may be that is written down, in milliseconds: a token that is used all the time is not written all
/// the time.
pub(super) const USE_MS: i64 = 10 * 60 * 1000;

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Token {
    pub(crate) id: String,
    /// What its owner calls it.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) created_ms: i64,
    /// From when on it does not count.
    pub(crate) expires_ms: Option<i64>,
    /// When it was used last, some ten minutes more or less.
    pub(crate) used_ms: Option<i64>,
    /// When it was revoked.
    pub(crate) revoked_ms: Option<i64>,
}

/// A token that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What its owner calls it.
    #[schema(min_length = 1, max_length = 100)]
    pub(crate) name: String,
    /// What it is for.
    #[schema(min_items = 1, max_items = 50)]
    pub(crate) scopes: Vec<Scope>,
    /// From when on it does not count, in milliseconds since 1970; without it, never.
    pub(crate) expires_ms: Option<i64>,
}

/// What a token that somebody shows is worth.
pub(super) enum Shown {
    Good {
        caller: Caller,
        /// Its id, where its use is to be written down.
        used: Option<String>,
    },
    Bad(&'static str),
}

type Row = (String, String, String, i64, Option<i64>, Option<i64>, Option<i64>);

fn token((id, name, scopes, created_ms, expires_ms, used_ms, revoked_ms): Row) -> Token {
    Token { id, name, scopes: scopes_of(&scopes), created_ms, expires_ms, used_ms, revoked_ms }
}

/// What was written can be read; a token of a later version that cannot is for nothing.
fn scopes_of(text: &str) -> Vec<Scope> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Adds a token of an account, and answers with it and its secret.
///
/// # Errors
/// When its name or its scopes are of no use.
pub(crate) async fn add(
    connection: &mut AnyConnection,
    account: (&str, &str),
    new: NewToken,
    now_ms: i64,
) -> Result<(Token, Secret), Refused> {
    let NewToken { name, scopes, expires_ms } = new;
    if name.is_empty() || name.chars().count() > 100 || name.contains(char::is_control) {
        return Err(Refused::Invalid("a token has a name of 1 to 100 characters".to_owned()));
    }
    if scopes.is_empty() || scopes.len() > 50 {
        return Err(Refused::Invalid("a token has 1 to 50 scopes".to_owned()));
    }
    if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
        return Err(Refused::Invalid("`expires_ms` is over already".to_owned()));
    }
    let (id, secret) = (Uuid::now_v7().to_string(), Secret::random());
    let (account, actor) = account;
    let detail = json!({ "name": name, "scopes": scopes, "expires_ms": expires_ms });
    audit::note(connection, &Note { now_ms, actor, action: "token.create", subject: &id, detail }).await?;
    let add = "INSERT INTO tokens (id, account, name, digest, scopes, created_ms, expires_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(add)
        .bind(&id)
        .bind(account)
        .bind(&name)
        .bind(secret.digest())
        .bind(json!(scopes).to_string())
        .bind(now_ms)
        .bind(expires_ms)
        .execute(connection)
        .await?;
    let token = Token { id, name, scopes, created_ms: now_ms, expires_ms, used_ms: None, revoked_ms: None };
    Ok((token, secret))
}

/// The tokens of an account that were made after one; at most so many.
pub(crate) async fn after(
    connection: &mut AnyConnection,
    account: &str,
    id: &str,
    most: i64,
) -> sqlx::Result<Vec<Token>> {
    let read = "SELECT id, name, scopes, created_ms, expires_ms, used_ms, revoked_ms FROM tokens \
                WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows: Vec<Row> = sqlx::query_as(read).bind(account).bind(id).bind(most).fetch_all(connection).await?;
    Ok(rows.into_iter().map(token).collect())
}

/// Revokes a token of an account, for ever.
///
/// # Errors
/// When there is none such that counts.
pub(crate) async fn revoke(
    connection: &mut AnyConnection,
    account: (&str, &str),
    id: &str,
    now_ms: i64,
) -> Result<(), Refused> {
    let (account, actor) = account;
    let told = Note { now_ms, actor, action: "token.revoke", subject: id, detail: json!(null) };
    audit::note(connection, &told).await?;
    let revoke = "UPDATE tokens SET revoked_ms = $3 WHERE id = $1 AND account = $2 AND revoked_ms IS NULL";
    let revoked = sqlx::query(revoke).bind(id).bind(account).bind(now_ms).execute(connection).await?;
    if revoked.rows_affected() == 0 {
        return Err(Refused::Missing { what: "token that counts", name: id.to_owned() });
    }
    Ok(())
}

/// What a secret is worth that somebody shows.
pub(super) async fn show(
    connection: &mut AnyConnection,
    secret: &Secret,
    now_ms: i64,
) -> sqlx::Result<Shown> {
    type Row = (String, String, Option<i64>, Option<i64>, Option<i64>, String, String, Option<i64>);
    let read = "SELECT tokens.id, tokens.scopes, tokens.expires_ms, tokens.used_ms, tokens.revoked_ms, \
                accounts.id, accounts.handle, accounts.closed_ms \
                FROM tokens JOIN accounts ON accounts.id = tokens.account WHERE tokens.digest = $1";
    let row: Option<Row> = sqlx::query_as(read).bind(secret.digest()).fetch_optional(connection).await?;
    let Some((token, scopes, expires_ms, used_ms, revoked_ms, id, handle, closed_ms)) = row else {
        return Ok(Shown::Bad("nobody has this token"));
    };
    if revoked_ms.is_some() || closed_ms.is_some() {
        return Ok(Shown::Bad("the token was revoked"));
    }
    if expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms) {
        return Ok(Shown::Bad("the token has expired"));
    }
    let caller = Caller::Account { id, handle, scopes: Some(Arc::from(scopes_of(&scopes))) };
    let used = used_ms.is_none_or(|used_ms| used_ms + USE_MS <= now_ms).then_some(token);
    Ok(Shown::Good { caller, used })
}

/// Writes down that a token is used, unless another replica did just now.
pub(super) async fn note_use(connection: &mut AnyConnection, id: &str, now_ms: i64) -> sqlx::Result<()> {
    let set = "UPDATE tokens SET used_ms = $2 WHERE id = $1 AND (used_ms IS NULL OR used_ms <= $3)";
    sqlx::query(set).bind(id).bind(now_ms).bind(now_ms - USE_MS).execute(connection).await?;
    Ok(())
}
