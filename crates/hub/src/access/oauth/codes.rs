// SPDX-License-Identifier: Apache-2.0
//! Codes that a browser brings to a program, in the database. Each counts once, for a minute, and for the program that asked for it:
//! only that one knows what the challenge was made of (RFC 7636).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::json;
use sqlx::AnyConnection;

use super::super::oidc::challenge;
use super::super::refused::Refused;
use super::super::scope::Scope;
use super::super::secret::Secret;
use super::super::tokens::{self, NewToken};
use super::refused::NoGrant;
use super::token::Given;
use super::wish::Wish;
use crate::audit::{self, Note};

/// For how long a code counts, in milliseconds.
const CODE_MS: i64 = 60 * 1000;
/// What tokens are called that are given so.
pub(super) const NAME: &str = "l3af login";

/// Gives a code for an account, given as its id and its handle.
pub(super) async fn add(
    connection: &mut AnyConnection,
    wish: &Wish,
    (challenge, redirect_uri): (&str, &str),
    (account, handle): (&str, &str),
    now_ms: i64,
) -> sqlx::Result<Secret> {
    let detail = json!({ "scopes": wish.scopes, "expires_ms": wish.expires_ms });
    let told = Note { now_ms, actor: handle, action: "login.allow", subject: redirect_uri, detail };
    audit::note(connection, &told).await?;
    let old = "DELETE FROM login_codes WHERE expires_ms <= $1";
    sqlx::query(old).bind(now_ms).execute(&mut *connection).await?;
    let secret = Secret::random();
    let add = "INSERT INTO login_codes \
               (digest, account, challenge, redirect_uri, scopes, token_expires_ms, expires_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(add)
        .bind(secret.digest())
        .bind(account)
        .bind(challenge)
        .bind(redirect_uri)
        .bind(json!(wish.scopes).to_string())
        .bind(wish.expires_ms)
        .bind(now_ms + CODE_MS)
        .execute(connection)
        .await?;
    Ok(secret)
}

/// Gives a token for a code.
///
/// # Errors
/// When the code does not count, or was given to another program.
pub(super) async fn redeem(
    connection: &mut AnyConnection,
    code: &Secret,
    (verifier, redirect_uri): (&str, &str),
    now_ms: i64,
) -> Result<Given, NoGrant> {
    type Row = (String, String, String, String, Option<i64>);
    let refuse = |problem: &str| NoGrant::Grant(problem.to_owned());
    let take = "DELETE FROM login_codes WHERE digest = $1 AND expires_ms > $2 \
                RETURNING account, challenge, redirect_uri, scopes, token_expires_ms";
    let taken: Option<Row> =
        sqlx::query_as(take).bind(code.digest()).bind(now_ms).fetch_optional(&mut *connection).await?;
    let (account, wanted, asked_from, scopes, expires_ms) =
        taken.ok_or_else(|| refuse("the code does not count, or not any more"))?;
    let is_right = (43..=128).contains(&verifier.len())
        && verify_slices_are_equal(challenge(verifier).as_bytes(), wanted.as_bytes()).is_ok();
    if !is_right || asked_from != redirect_uri {
        return Err(refuse("another program asked for the code"));
    }
    let scopes: Vec<Scope> = serde_json::from_str(&scopes).unwrap_or_default();
    Ok(give(connection, &account, Wish { scopes, expires_ms }, now_ms).await?)
}

/// Gives a token to an account that is not closed.
///
/// # Errors
/// When it was closed meanwhile.
pub(super) async fn give(
    connection: &mut AnyConnection,
    account: &str,
    wish: Wish,
    now_ms: i64,
) -> Result<Given, Refused> {
    let open = "SELECT handle FROM accounts WHERE id = $1 AND closed_ms IS NULL";
    let open: Option<(String,)> = sqlx::query_as(open).bind(account).fetch_optional(&mut *connection).await?;
    let (handle,) = open.ok_or_else(|| Refused::Invalid("the account was closed".to_owned()))?;
    let Wish { scopes, expires_ms } = wish;
    let new = NewToken { name: NAME.to_owned(), scopes: scopes.clone(), expires_ms };
    let (_, secret) = tokens::add(connection, (account, &handle), new, now_ms).await?;
    let expires_in = expires_ms.map(|end| (end - now_ms) / 1000);
    Ok(Given { secret, scopes, expires_in })
}
