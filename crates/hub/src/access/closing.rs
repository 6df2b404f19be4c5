// SPDX-License-Identifier: Apache-2.0
//! When somebody leaves: an account is closed, and whatever it could do ends in the same transaction. Its row stays, and with it
//! its handle, which nobody else gets; so do the reviews that it gave and what the record says of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::accounts::{self, Account};
use super::names::{Handle, MemberRole};
use super::publishers;
use super::refused::Refused;
use crate::audit::{self, Note};
use crate::mail;
use crate::packages::ratings;
use crate::registry::PublisherName;

/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 4096;

/// How an account is to be closed.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Closing {
    /// Who owns publishers from now on that would be without an owner: handles by the names of publishers.
    #[schema(value_type = std::collections::HashMap<String, Handle>)]
    pub(crate) successors: BTreeMap<String, Handle>,
    /// Why, for the record.
    #[schema(max_length = 4096)]
    pub(crate) reason: String,
}

/// What ended with an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Ended {
    pub(crate) account: Account,
    /// The publishers that it was a member of. Their roots may name keys that its owner has: `l3af publisher` makes a root without.
    pub(crate) publishers: Vec<String>,
    /// How many browsers were logged in.
    pub(crate) sessions: u64,
    /// How many tokens counted.
    pub(crate) tokens: u64,
    /// How many keys signed its reviews. What was signed stays.
    pub(crate) review_keys: u64,
    /// How many packages it rated.
    pub(crate) ratings: u64,
}

/// Closes an account.
///
/// # Errors
/// When it is closed already or is the only administrator, and when a publisher would have no owner and no successor is named.
pub(crate) async fn close(
    connection: &mut AnyConnection,
    handle: &Handle,
    closing: &Closing,
    actor: &str,
    now_ms: i64,
) -> Result<Ended, Refused> {
    if closing.reason.len() > MAX_REASON_BYTES {
        return Err(Refused::Invalid(format!("a reason has {MAX_REASON_BYTES} bytes at most")));
    }
    let detail = json!({ "reason": closing.reason, "successors": closing.successors });
    let told = Note { now_ms, actor, action: "account.close", subject: handle.as_str(), detail };
    // From here on nobody else changes accounts or members.
    audit::note(connection, &told).await?;
    let before = accounts::find(connection, handle).await?;
    if before.closed_ms.is_some() {
        return Err(Refused::Closed { handle: handle.clone() });
    }
    if accounts::is_last_administrator(connection, &before).await? {
        return Err(Refused::LastAdministrator { handle: handle.clone() });
    }
    let account = Account { closed_ms: Some(now_ms), ..before };
    let set = sqlx::query("UPDATE accounts SET closed_ms = $2 WHERE id = $1").bind(&account.id).bind(now_ms);
    set.execute(&mut *connection).await?;
    end(connection, account, &closing.successors, (actor, now_ms)).await
}

/// Opens a closed account again. Nothing that ended with it comes back: its owner logs in, and others make it a member.
///
/// # Errors
/// When it is not closed.
pub(crate) async fn reopen(
    connection: &mut AnyConnection,
    handle: &Handle,
    actor: &str,
    now_ms: i64,
) -> Result<Account, Refused> {
    let told =
        Note { now_ms, actor, action: "account.reopen", subject: handle.as_str(), detail: json!(null) };
    audit::note(connection, &told).await?;
    let before = accounts::find(connection, handle).await?;
    if before.closed_ms.is_none() {
        return Err(Refused::Missing { what: "closed account", name: handle.to_string() });
    }
    let set = sqlx::query("UPDATE accounts SET closed_ms = NULL WHERE id = $1").bind(&before.id);
    set.execute(connection).await?;
    Ok(Account { closed_ms: None, ..before })
}

/// Ends all that a closed account could do. Whoever calls holds the head of the record.
pub(super) async fn end(
    connection: &mut AnyConnection,
    account: Account,
    successors: &BTreeMap<String, Handle>,
    (actor, now_ms): (&str, i64),
) -> Result<Ended, Refused> {
    hand_over(connection, &account, successors, (actor, now_ms)).await?;
    let publishers = leave(connection, &account, (actor, now_ms)).await?;
    let id = account.id.clone();
    let sessions = "DELETE FROM sessions WHERE account = $1";
    let sessions = sqlx::query(sessions).bind(&id).execute(&mut *connection).await?.rows_affected();
    let tokens = "UPDATE tokens SET revoked_ms = $2 WHERE account = $1 AND revoked_ms IS NULL";
    let tokens = sqlx::query(tokens).bind(&id).bind(now_ms).execute(&mut *connection).await?.rows_affected();
    let keys = "DELETE FROM review_keys WHERE account = $1";
    let review_keys = sqlx::query(keys).bind(&id).execute(&mut *connection).await?.rows_affected();
    let ratings = ratings::forget(connection, &id).await?;
    mail::forget(connection, &id).await?;
    unclaim(connection, &account).await?;
    Ok(Ended { account, publishers, sessions, tokens, review_keys, ratings })
}

/// Puts back into the queue what an administrator looked into who leaves.
async fn unclaim(connection: &mut AnyConnection, account: &Account) -> sqlx::Result<()> {
    let unclaim =
        "UPDATE reports SET state = 'open', handler = NULL WHERE state = 'claimed' AND handler = $1";
    sqlx::query(unclaim).bind(account.handle.as_str()).execute(connection).await.map(drop)
}

/// Makes owners of the successors, and refuses where there is none.
async fn hand_over(
    connection: &mut AnyConnection,
    account: &Account,
    successors: &BTreeMap<String, Handle>,
    (actor, now_ms): (&str, i64),
) -> Result<(), Refused> {
    let alone = "SELECT m.publisher FROM members m WHERE m.account = $1 AND m.role = 'owner' AND NOT EXISTS \
                 (SELECT 1 FROM members o JOIN accounts a ON a.id = o.account WHERE o.publisher = m.publisher \
                 AND o.role = 'owner' AND o.account <> m.account AND a.closed_ms IS NULL) ORDER BY m.publisher";
    let alone: Vec<String> = sqlx::query_scalar(alone).bind(&account.id).fetch_all(&mut *connection).await?;
    if let Some(other) = successors.keys().find(|named| !alone.contains(named)) {
        let why =
            format!("`{}` is not the only owner of `{other}`, which needs no successor", account.handle);
        return Err(Refused::Invalid(why));
    }
    let mut without = Vec::new();
    for publisher in alone {
        match successors.get(&publisher) {
            Some(successor) if *successor != account.handle => {
                let name: PublisherName = publisher.parse()?;
                let owner = (successor, MemberRole::Owner);
                publishers::set_member(connection, &name, owner, actor, now_ms).await?;
            }
            Some(_) | None => without.push(publisher),
        }
    }
    if without.is_empty() {
        return Ok(());
    }
    Err(Refused::NoSuccessor { handle: account.handle.clone(), publishers: without })
}

/// Takes an account out of all publishers, and says which.
async fn leave(
    connection: &mut AnyConnection,
    account: &Account,
    (actor, now_ms): (&str, i64),
) -> Result<Vec<String>, Refused> {
    let left = sqlx::query_scalar("SELECT publisher FROM members WHERE account = $1 ORDER BY publisher");
    let left: Vec<String> = left.bind(&account.id).fetch_all(&mut *connection).await?;
    for publisher in &left {
        let detail = json!({ "account": account.handle });
        let told = Note { now_ms, actor, action: "member.remove", subject: publisher, detail };
        audit::note(connection, &told).await?;
    }
    let remove = sqlx::query("DELETE FROM members WHERE account = $1").bind(&account.id);
    remove.execute(connection).await?;
    Ok(left)
}
