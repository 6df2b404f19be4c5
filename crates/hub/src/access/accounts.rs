// SPDX-License-Identifier: Apache-2.0
//! Accounts, in the database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::closing;
use super::names::{Handle, Role};
use super::password::Hashed;
use super::refused::Refused;
use crate::audit::{self, Note};

/// Somebody who can log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Account {
    #[serde(skip)]
    pub(crate) id: String,
    pub(crate) handle: Handle,
    /// What people call it.
    pub(crate) name: String,
    /// What it may do at the hub.
    pub(crate) role: Role,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// When it was closed, if it was.
    pub(crate) closed_ms: Option<i64>,
}

/// An account that is to be.
#[derive(Debug, Clone)]
pub(crate) struct NewAccount {
    pub(crate) handle: Handle,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// None where it cannot log in by a password.
    pub(crate) password: Option<Hashed>,
}

/// What is to be different about an account; what is none stays.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) role: Option<Role>,
    pub(crate) closed: Option<bool>,
}

type Row = (String, String, String, String, i64, Option<i64>);

const COLUMNS: &str = "id, handle, name, role, created_ms, closed_ms";

fn account((id, handle, name, role, created_ms, closed_ms): Row) -> Result<Account, Refused> {
    Ok(Account { id, handle: handle.parse()?, name, role: Role::named(&role), created_ms, closed_ms })
}

/// Adds an account, and answers with its id.
///
/// # Errors
/// When somebody has the name, be it an account or a publisher.
pub(crate) async fn add(
    connection: &mut AnyConnection,
    new: &NewAccount,
    actor: &str,
    now_ms: i64,
) -> Result<String, Refused> {
    let detail = json!({ "role": new.role });
    let told = Note { now_ms, actor, action: "account.create", subject: new.handle.as_str(), detail };
    audit::note(connection, &told).await?;
    let publisher = "SELECT COUNT(*) FROM publishers WHERE name = $1";
    let (publishers,): (i64,) =
        sqlx::query_as(publisher).bind(new.handle.as_str()).fetch_one(&mut *connection).await?;
    let id = Uuid::now_v7().to_string();
    let add = "INSERT INTO accounts (id, handle, name, role, password, created_ms) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (handle) DO NOTHING";
    let added = sqlx::query(add)
        .bind(&id)
        .bind(new.handle.as_str())
        .bind(&new.name)
        .bind(new.role.name())
        .bind(new.password.as_ref().map(Hashed::as_str))
        .bind(now_ms)
        .execute(connection)
        .await?;
    if added.rows_affected() == 0 || publishers > 0 {
        return Err(Refused::Taken { name: new.handle.to_string() });
    }
    Ok(id)
}

/// The account with a handle.
pub(crate) async fn find(connection: &mut AnyConnection, handle: &Handle) -> Result<Account, Refused> {
    let read = format!("SELECT {COLUMNS} FROM accounts WHERE handle = $1");
    let read = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(read)).bind(handle.as_str());
    let missing = || Refused::Missing { what: "account", name: handle.to_string() };
    account(read.fetch_optional(connection).await?.ok_or_else(missing)?)
}

/// The accounts whose handles come after this one; at most so many.
pub(crate) async fn after(
    connection: &mut AnyConnection,
    handle: &str,
    most: i64,
) -> Result<Vec<Account>, Refused> {
    let read = format!("SELECT {COLUMNS} FROM accounts WHERE handle > $1 ORDER BY handle LIMIT $2");
    let read = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(read)).bind(handle).bind(most);
    read.fetch_all(connection).await?.into_iter().map(account).collect()
}

/// The id and the password of an account that is not closed.
pub(super) async fn password(
    connection: &mut AnyConnection,
    handle: &Handle,
) -> sqlx::Result<Option<(String, Option<Hashed>)>> {
    let read = "SELECT id, password FROM accounts WHERE handle = $1 AND closed_ms IS NULL";
    let row: Option<(String, Option<String>)> =
        sqlx::query_as(read).bind(handle.as_str()).fetch_optional(connection).await?;
    Ok(row.map(|(id, password)| (id, password.map(Hashed::kept))))
}

/// Puts a password in place of the one before. Browsers that were logged in are so no more.
pub(crate) async fn set_password(
    connection: &mut AnyConnection,
    account: &Account,
    password: &Hashed,
    actor: &str,
    now_ms: i64,
) -> Result<(), Refused> {
    let subject = account.handle.as_str();
    let told = Note { now_ms, actor, action: "account.password", subject, detail: json!(null) };
    audit::note(connection, &told).await?;
    let set = "UPDATE accounts SET password = $2 WHERE id = $1";
    sqlx::query(set).bind(&account.id).bind(password.as_str()).execute(&mut *connection).await?;
    let end = "DELETE FROM sessions WHERE account = $1";
    sqlx::query(end).bind(&account.id).execute(connection).await?;
    Ok(())
}

/// Changes an account. What ends with one that is closed, [`closing`] says.
///
/// # Errors
/// When it is the only administrator and would not be one any more, or the only owner of a publisher and would be closed.
pub(crate) async fn change(
    connection: &mut AnyConnection,
    handle: &Handle,
    change: &Change,
    actor: &str,
    now_ms: i64,
) -> Result<Account, Refused> {
    let detail = json!({ "name": change.name, "role": change.role, "closed": change.closed });
    let told = Note { now_ms, actor, action: "account.change", subject: handle.as_str(), detail };
    // From here on nobody else changes an account.
    audit::note(connection, &told).await?;
    let before = find(connection, handle).await?;
    let closed_ms = match change.closed {
        Some(true) => before.closed_ms.or(Some(now_ms)),
        Some(false) => None,
        None => before.closed_ms,
    };
    let name = change.name.clone().unwrap_or_else(|| before.name.clone());
    let after = Account { name, role: change.role.unwrap_or(before.role), closed_ms, ..before.clone() };
    if !is_administrator(&after) && is_last_administrator(connection, &before).await? {
        return Err(Refused::LastAdministrator { handle: handle.clone() });
    }
    let set = "UPDATE accounts SET name = $2, role = $3, closed_ms = $4 WHERE id = $1";
    sqlx::query(set)
        .bind(&after.id)
        .bind(&after.name)
        .bind(after.role.name())
        .bind(after.closed_ms)
        .execute(&mut *connection)
        .await?;
    if before.closed_ms.is_none() && after.closed_ms.is_some() {
        let ended = closing::end(connection, after, &BTreeMap::new(), (actor, now_ms)).await?;
        return Ok(ended.account);
    }
    Ok(after)
}

/// Whether nobody else could look after the hub.
pub(super) async fn is_last_administrator(
    connection: &mut AnyConnection,
    account: &Account,
) -> sqlx::Result<bool> {
    Ok(is_administrator(account) && administrators(connection).await? == 1)
}

/// How many administrators there are who can log in.
pub(super) async fn administrators(connection: &mut AnyConnection) -> sqlx::Result<i64> {
    let count = "SELECT COUNT(*) FROM accounts WHERE role = 'administrator' AND closed_ms IS NULL";
    let (count,): (i64,) = sqlx::query_as(count).fetch_one(connection).await?;
    Ok(count)
}

fn is_administrator(account: &Account) -> bool {
    account.role == Role::Administrator && account.closed_ms.is_none()
}
