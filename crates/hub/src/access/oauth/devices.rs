// SPDX-License-Identifier: Apache-2.0
//! Machines without a browser that wait until somebody lets them in, in the database (RFC 8628).

use aws_lc_rs::rand;
use serde_json::json;
use sqlx::AnyConnection;

use super::super::scope::Scope;
use super::super::secret::Secret;
use super::codes;
use super::refused::NoGrant;
use super::token::Given;
use super::wish::Wish;
use crate::audit::{self, Note};

/// For how long a machine waits, in seconds.
pub(super) const WAIT_S: i64 = 10 * 60;
/// How long it is silent between two questions, in seconds; and how much longer when it is not.
pub(super) const INTERVAL_S: i64 = 5;
/// Letters that are not mistaken for others and make no words (RFC 8628, 6.1).
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many of them a code has.
const LETTERS: usize = 8;

/// A machine that waits.
pub(super) struct Waiting {
    pub(super) scopes: Vec<Scope>,
    pub(super) expires_ms: Option<i64>,
    /// From where it asked.
    pub(super) address: String,
}

/// What becomes of a question whether somebody decided.
pub(super) enum Polled {
    Given(Given),
    /// Nothing; why.
    Not(NoGrant),
}

/// What people type, as it is shown to them.
pub(super) fn new_user_code() -> String {
    let mut letters = String::with_capacity(LETTERS + 1);
    while letters.len() < LETTERS {
        let mut bytes = [0; LETTERS];
        rand::fill(&mut bytes).expect("the kernel gives random bytes");
        // Of 256 values 240 are twelve times the alphabet.
        let fit = bytes.iter().filter(|byte| **byte < 240);
        letters.extend(fit.map(|byte| char::from(ALPHABET[usize::from(byte % 20)])));
    }
    letters.truncate(LETTERS);
    letters.insert(LETTERS / 2, '-');
    letters
}

/// What was typed, as it was shown; none where it can be no code.
pub(super) fn typed(text: &str) -> Option<String> {
    let letters: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let letters = letters.to_ascii_uppercase();
    let is_code = letters.len() == LETTERS && letters.bytes().all(|byte| ALPHABET.contains(&byte));
    is_code.then(|| format!("{}-{}", &letters[..LETTERS / 2], &letters[LETTERS / 2..]))
}

/// Lets a machine wait. What it shows is told once.
pub(super) async fn add(
    connection: &mut AnyConnection,
    wish: &Wish,
    address: &str,
    now_ms: i64,
) -> sqlx::Result<(Secret, String)> {
    // For a while one whose time is over is told so.
    let old = "DELETE FROM login_devices WHERE expires_ms <= $1";
    sqlx::query(old).bind(now_ms - WAIT_S * 1000).execute(&mut *connection).await?;
    let (secret, user_code) = (Secret::random(), new_user_code());
    let add = "INSERT INTO login_devices \
               (digest, user_code, scopes, token_expires_ms, address, interval_s, due_ms, expires_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(add)
        .bind(secret.digest())
        .bind(&user_code)
        .bind(json!(wish.scopes).to_string())
        .bind(wish.expires_ms)
        .bind(address)
        .bind(INTERVAL_S)
        .bind(now_ms)
        .bind(now_ms + WAIT_S * 1000)
        .execute(connection)
        .await?;
    Ok((secret, user_code))
}

/// The machine about which nobody decided yet that shows this code.
pub(super) async fn find(
    connection: &mut AnyConnection,
    user_code: &str,
    now_ms: i64,
) -> sqlx::Result<Option<Waiting>> {
    let read = "SELECT scopes, token_expires_ms, address FROM login_devices \
                WHERE user_code = $1 AND account IS NULL AND denied = 0 AND expires_ms > $2";
    let row: Option<(String, Option<i64>, String)> =
        sqlx::query_as(read).bind(user_code).bind(now_ms).fetch_optional(connection).await?;
    Ok(row.map(|(scopes, expires_ms, address)| {
        let scopes = serde_json::from_str(&scopes).unwrap_or_default();
        Waiting { scopes, expires_ms, address }
    }))
}

/// Lets a machine in as an account, given as its id and its handle, or not; whether one waits that shows this code.
pub(super) async fn decide(
    connection: &mut AnyConnection,
    user_code: &str,
    allowed: bool,
    (account, handle): (&str, &str),
    now_ms: i64,
) -> sqlx::Result<bool> {
    let Some(waiting) = find(connection, user_code, now_ms).await? else { return Ok(false) };
    let action = if allowed { "login.allow" } else { "login.deny" };
    let detail = json!({ "scopes": waiting.scopes, "expires_ms": waiting.expires_ms });
    let told = Note { now_ms, actor: handle, action, subject: &waiting.address, detail };
    audit::note(connection, &told).await?;
    let set = "UPDATE login_devices SET account = $2, denied = $3 \
               WHERE user_code = $1 AND account IS NULL AND denied = 0 AND expires_ms > $4";
    let account = allowed.then_some(account);
    let set = sqlx::query(set).bind(user_code).bind(account).bind(i64::from(!allowed)).bind(now_ms);
    Ok(set.execute(connection).await?.rows_affected() > 0)
}

/// Whether somebody decided about a machine; then it is known no more.
pub(super) async fn poll(
    connection: &mut AnyConnection,
    device: &Secret,
    now_ms: i64,
) -> Result<Polled, NoGrant> {
    type Row = (Option<String>, i64, i64, i64, i64, String, Option<i64>);
    let read = "SELECT account, denied, interval_s, due_ms, expires_ms, scopes, token_expires_ms \
                FROM login_devices WHERE digest = $1";
    let row: Option<Row> =
        sqlx::query_as(read).bind(device.digest()).fetch_optional(&mut *connection).await?;
    let unknown = || NoGrant::Grant("no machine waits with this `device_code`".to_owned());
    let (account, denied, interval_s, due_ms, expires_ms, scopes, token_expires_ms) =
        row.ok_or_else(unknown)?;
    let verdict = match (account, denied) {
        _ if expires_ms <= now_ms => Err(NoGrant::Expired),
        (_, 1) => Err(NoGrant::Denied),
        (Some(account), _) => Ok(account),
        (None, _) => {
            let is_early = now_ms < due_ms;
            let interval_s = if is_early { interval_s + INTERVAL_S } else { interval_s };
            let set = "UPDATE login_devices SET interval_s = $2, due_ms = $3 WHERE digest = $1";
            let set = sqlx::query(set).bind(device.digest()).bind(interval_s);
            set.bind(now_ms + interval_s * 1000).execute(connection).await?;
            return Ok(Polled::Not(if is_early { NoGrant::SlowDown } else { NoGrant::Pending }));
        }
    };
    let end = "DELETE FROM login_devices WHERE digest = $1";
    let ended = sqlx::query(end).bind(device.digest()).execute(&mut *connection).await?;
    match verdict {
        // Another question of the same machine came first.
        Ok(_) if ended.rows_affected() == 0 => Err(unknown()),
        Ok(account) => {
            let scopes = serde_json::from_str(&scopes).unwrap_or_default();
            let wish = Wish { scopes, expires_ms: token_expires_ms };
            Ok(Polled::Given(codes::give(connection, &account, wish, now_ms).await?))
        }
        Err(why) => Ok(Polled::Not(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = new_user_code();
        assert_eq!(code.len(), 9);
        for text in [
            code.clone(),
            code.to_lowercase(),
            code.replace('-', ""),
            format!(" {} ", code.replace('-', " ")),
        ] {
            assert_eq!(typed(&text), Some(code.clone()), "{text}");
        }
        for text in ["", "ABCD-EFGH", "BCDF-GHJ", "BCDF-GHJKL", "BCDF-GHJ1"] {
            assert_eq!(typed(text), None, "{text}");
        }
    }
}
