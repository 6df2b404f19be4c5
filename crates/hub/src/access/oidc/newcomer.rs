// SPDX-License-Identifier: Apache-2.0
//! Somebody who comes from an issuer for the first time becomes a new account, under a name that nobody has.

use sqlx::AnyConnection;

use super::super::accounts::{self, NewAccount};
use super::super::names::{Handle, Role};
use super::super::refused::Refused;
use super::identities::{self, NewIdentity};
use super::proof::Person;

/// How many numbers are tried behind a name.
const MOST: u32 = 99;

/// Makes an account of somebody, and answers with its id and its handle.
///
/// # Errors
/// When too many have the name.
pub(super) async fn welcome(
    connection: &mut AnyConnection,
    issuer: &str,
    person: &Person,
    role: Role,
    now_ms: i64,
) -> Result<(String, String), Refused> {
    let handle = free(connection, &person.handle).await?;
    let actor = handle.to_string();
    let new = NewAccount { handle, name: person.name.clone(), role, password: None };
    let id = accounts::add(connection, &new, &actor, now_ms).await?;
    let linked = NewIdentity { issuer: issuer.to_owned(), subject: person.subject.clone() };
    identities::link(connection, &linked, &person.name, (&id, &actor), (&actor, now_ms)).await?;
    Ok((id, actor))
}

/// A handle that neither an account nor a publisher has: the one that is wanted, or with a number behind it.
async fn free(connection: &mut AnyConnection, wanted: &str) -> Result<Handle, Refused> {
    let taken = "SELECT (SELECT COUNT(*) FROM accounts WHERE handle = $1) \
                 + (SELECT COUNT(*) FROM publishers WHERE name = $1)";
    for number in 1..=MOST {
        let handle = if number == 1 { wanted.to_owned() } else { format!("{wanted}-{number}") };
        let (count,): (i64,) = sqlx::query_as(taken).bind(&handle).fetch_one(&mut *connection).await?;
        if count == 0 {
            return Ok(handle.parse()?);
        }
    }
    Err(Refused::Taken { name: wanted.to_owned() })
}
