// SPDX-License-Identifier: Apache-2.0
//! Which login at an issuer is which account, in the database.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::accounts::Account;
use super::super::refused::Refused;
use crate::audit::{self, Note};

/// A login at an issuer that is an account here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Identity {
    pub(crate) id: String,
    /// The URL of the issuer.
    pub(crate) issuer: String,
    /// What the issuer never calls somebody else (`sub`).
    pub(crate) subject: String,
    /// What the issuer called it when it came first.
    pub(crate) name: String,
    pub(crate) since_ms: i64,
}

/// A login that is to be an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIdentity {
    /// The URL of the issuer, which is one of the hub's.
    #[schema(min_length = 1, max_length = 1000)]
    pub(crate) issuer: String,
    /// What the issuer calls it (`sub`).
    #[schema(min_length = 1, max_length = 255)]
    pub(crate) subject: String,
}

/// Whose a login is.
pub(super) struct Found {
    pub(super) account: String,
    pub(super) handle: String,
    pub(super) is_closed: bool,
}

/// The account that a login is, if it is one.
pub(super) async fn find(
    connection: &mut AnyConnection,
    issuer: &str,
    subject: &str,
) -> sqlx::Result<Option<Found>> {
    let read = "SELECT accounts.id, accounts.handle, accounts.closed_ms FROM identities \
                JOIN accounts ON accounts.id = identities.account \
                WHERE identities.issuer = $1 AND identities.subject = $2";
    let row: Option<(String, String, Option<i64>)> =
        sqlx::query_as(read).bind(issuer).bind(subject).fetch_optional(connection).await?;
    Ok(row.map(|(account, handle, closed_ms)| Found { account, handle, is_closed: closed_ms.is_some() }))
}

/// Links a login to an account, given as its id and its handle.
///
/// # Errors
/// When it is an account already.
pub(crate) async fn link(
    connection: &mut AnyConnection,
    new: &NewIdentity,
    name: &str,
    (account, handle): (&str, &str),
    (actor, now_ms): (&str, i64),
) -> Result<Identity, Refused> {
    let NewIdentity { issuer, subject } = new;
    let detail = json!({ "issuer": issuer, "subject": subject });
    audit::note(connection, &Note { now_ms, actor, action: "identity.link", subject: handle, detail })
        .await?;
    let id = Uuid::now_v7().to_string();
    let add = "INSERT INTO identities (id, issuer, subject, account, name, since_ms) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (issuer, subject) DO NOTHING";
    let added = sqlx::query(add).bind(&id).bind(issuer).bind(subject).bind(account).bind(name).bind(now_ms);
    if added.execute(connection).await?.rows_affected() == 0 {
        return Err(Refused::Taken { name: subject.clone() });
    }
    let (issuer, subject, name) = (issuer.clone(), subject.clone(), name.to_owned());
    Ok(Identity { id, issuer, subject, name, since_ms: now_ms })
}

/// The logins of an account that were linked after one; at most so many.
pub(crate) async fn after(
    connection: &mut AnyConnection,
    account: &str,
    id: &str,
    most: i64,
) -> sqlx::Result<Vec<Identity>> {
    type Row = (String, String, String, String, i64);
    let read = "SELECT id, issuer, subject, name, since_ms FROM identities \
                WHERE account = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows: Vec<Row> = sqlx::query_as(read).bind(account).bind(id).bind(most).fetch_all(connection).await?;
    let identity = |(id, issuer, subject, name, since_ms)| Identity { id, issuer, subject, name, since_ms };
    Ok(rows.into_iter().map(identity).collect())
}

/// Unlinks a login from an account. Browsers that were logged in are so no more.
///
/// # Errors
/// When there is none such.
pub(crate) async fn unlink(
    connection: &mut AnyConnection,
    account: &Account,
    id: &str,
    actor: &str,
    now_ms: i64,
) -> Result<(), Refused> {
    let subject = account.handle.as_str();
    let detail = json!({ "identity": id });
    audit::note(connection, &Note { now_ms, actor, action: "identity.unlink", subject, detail }).await?;
    let remove = "DELETE FROM identities WHERE id = $1 AND account = $2";
    let removed = sqlx::query(remove).bind(id).bind(&account.id).execute(&mut *connection).await?;
    if removed.rows_affected() == 0 {
        return Err(Refused::Missing { what: "identity", name: id.to_owned() });
    }
    let end = "DELETE FROM sessions WHERE account = $1";
    sqlx::query(end).bind(&account.id).execute(connection).await?;
    Ok(())
}
