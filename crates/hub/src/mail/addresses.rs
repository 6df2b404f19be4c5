// SPDX-License-Identifier: Apache-2.0
//! Where accounts are mailed: an address counts when whoever reads its mail has confirmed it.

use lettre::Address;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::Kind;
use super::outbox::{self, Letter};
use crate::access::{Denied, Refused, Secret};
use crate::audit::{self, Note};

/// The longest address (RFC 5321, 4.5.3.1.3).
const MOST_BYTES: usize = 254;
/// For how long a link counts, in milliseconds.
const LINK_MS: i64 = 24 * 60 * 60 * 1000;
/// So many links are sent within a day: whoever asks may not own the address.
const LINKS: i64 = 5;

/// Where one is mailed, and what about.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct OwnMail {
    /// The address; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Whether it was confirmed: nothing else is sent before.
    confirmed: bool,
    /// What is not wanted there.
    unwanted: Vec<Kind>,
}

/// An account, as its id and its handle.
pub(super) type Account<'a> = (&'a str, &'a str);

/// Where an account is mailed.
pub(super) async fn of(connection: &mut AnyConnection, account: &str) -> sqlx::Result<OwnMail> {
    let select = "SELECT address, confirmed_ms, unwanted FROM addresses WHERE account = $1";
    let row: Option<(String, Option<i64>, String)> =
        sqlx::query_as(select).bind(account).fetch_optional(connection).await?;
    let Some((address, confirmed_ms, unwanted)) = row else {
        return Ok(OwnMail { address: None, confirmed: false, unwanted: Vec::new() });
    };
    let unwanted = serde_json::from_str(&unwanted).unwrap_or_default();
    Ok(OwnMail { address: Some(address), confirmed: confirmed_ms.is_some(), unwanted })
}

/// Has an address confirmed, which then takes the place of the one before. The link goes there, and nowhere else.
pub(super) async fn ask(
    connection: &mut AnyConnection,
    account: Account<'_>,
    address: &str,
    now_ms: i64,
) -> Result<(), Refused> {
    check(address)?;
    let (id, actor) = account;
    note(connection, (actor, "mail.address"), json!(null), now_ms).await?;
    let day = now_ms.div_euclid(LINK_MS);
    let link = Secret::random();
    let set = "INSERT INTO addresses (account, address, link, link_expires_ms, asked_day, asked, unwanted) \
               VALUES ($1, $2, $3, $4, $5, 1, '[]') ON CONFLICT (account) DO UPDATE SET address = excluded.address, \
               confirmed_ms = NULL, link = excluded.link, link_expires_ms = excluded.link_expires_ms, \
               asked = CASE WHEN addresses.asked_day = excluded.asked_day THEN addresses.asked + 1 ELSE 1 END, \
               asked_day = excluded.asked_day RETURNING asked";
    let set = sqlx::query_scalar::<_, i64>(set).bind(id).bind(address).bind(link.digest());
    let asked = set.bind(now_ms + LINK_MS).bind(day).fetch_one(&mut *connection).await?;
    if asked > LINKS {
        return Err(Denied::too_often((day + 1) * LINK_MS - now_ms).into());
    }
    let text = format!(
        "`{actor}` asks to be mailed here. If that is you, open this within a day:\n\n{{hub}}/mail/confirm?link={}\n\n\
         If it is not, do nothing: nothing else is sent here then.\n",
        link.reveal()
    );
    let letter = Letter {
        account: id,
        recipient: address,
        kind: "confirmation",
        subject: "Confirm your address",
        text: &text,
    };
    Ok(outbox::put(connection, &letter, now_ms).await?)
}

/// Whether mail can be sent to an address. What would begin another line, or another header, is in none.
pub(super) fn check(address: &str) -> Result<(), Refused> {
    let is_plain = address.len() <= MOST_BYTES && address.is_ascii() && !address.contains(char::is_control);
    if is_plain && address.parse::<Address>().is_ok() {
        return Ok(());
    }
    Err(Refused::Invalid("that is no address of mail, such as `alice@example.org`".to_owned()))
}

/// Confirms the address that a link was sent to.
pub(super) async fn confirm(
    connection: &mut AnyConnection,
    link: &Secret,
    now_ms: i64,
) -> Result<(), Refused> {
    let set = "UPDATE addresses SET confirmed_ms = $2, link = NULL WHERE link = $1 AND link_expires_ms > $2 RETURNING account";
    let set = sqlx::query_scalar::<_, String>(set).bind(link.digest()).bind(now_ms);
    let account = set.fetch_optional(&mut *connection).await?.ok_or(Refused::Link)?;
    let handle = sqlx::query_scalar("SELECT handle FROM accounts WHERE id = $1").bind(account);
    let handle: String = handle.fetch_one(&mut *connection).await?;
    Ok(note(connection, (&handle, "mail.confirm"), Value::Null, now_ms).await?)
}

/// Says what an account does not want to be mailed.
pub(super) async fn set_unwanted(
    connection: &mut AnyConnection,
    (id, actor): Account<'_>,
    kinds: &[Kind],
    now_ms: i64,
) -> Result<(), Refused> {
    note(connection, (actor, "mail.unwanted"), json!(kinds), now_ms).await?;
    let set = sqlx::query("UPDATE addresses SET unwanted = $2 WHERE account = $1").bind(id);
    let set = set.bind(json!(kinds).to_string()).execute(connection).await?;
    if set.rows_affected() == 0 {
        return Err(Refused::Missing { what: "address of mail of", name: actor.to_owned() });
    }
    Ok(())
}

/// Forgets the address of an account, and what was to be sent there.
///
/// # Errors
/// When the database fails.
pub(crate) async fn forget(connection: &mut AnyConnection, account: &str) -> sqlx::Result<()> {
    for delete in ["DELETE FROM addresses WHERE account = $1", "DELETE FROM mails WHERE account = $1"] {
        sqlx::query(delete).bind(account).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets one's own address.
pub(super) async fn remove(
    connection: &mut AnyConnection,
    (id, actor): Account<'_>,
    now_ms: i64,
) -> sqlx::Result<()> {
    note(connection, (actor, "mail.remove"), Value::Null, now_ms).await?;
    forget(connection, id).await
}

/// Nothing in the record says the address: it is no business of whoever reads that.
async fn note(
    connection: &mut AnyConnection,
    (actor, action): (&str, &'static str),
    detail: Value,
    now_ms: i64,
) -> sqlx::Result<()> {
    audit::note(connection, &Note { now_ms, actor, action, subject: actor, detail }).await
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn an_address_is_one_and_nothing_besides() {
        assert!(check("alice@example.org").is_ok());
        for address in [
            "",
            "alice",
            "alice@",
            "a@example.org\r\nBcc: eve@example.org",
            "a@example.org, eve@example.org",
            "Alice <a@example.org>",
            "a b@example.org",
            &format!("{}@example.org", "a".repeat(250)),
        ] {
            assert!(check(address).is_err(), "`{address}`");
        }
    }
}
