// SPDX-License-Identifier: Apache-2.0
//! Browsers that are logged in, by a cookie that no script can read.

use axum::http::{HeaderMap, HeaderValue, header};
use sqlx::AnyConnection;

use super::caller::Caller;
use super::secret::Secret;

/// The name of the cookie over HTTP; over TLS it has a prefix that keeps other hosts of a domain from setting it (RFC 6265bis,
/// 4.1.3.2).
const NAME: &str = "l3af_session";
const TLS_NAME: &str = "__Host-l3af_session";
/// For how long a browser is logged in.
const SESSION_S: i64 = 12 * 60 * 60;

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

/// The session that a browser shows.
pub(super) fn shown(headers: &HeaderMap) -> Option<Secret> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| [NAME, TLS_NAME].contains(name));
    ours.next().and_then(|(_, value)| Secret::read(value))
}

/// What makes a browser show a session.
pub(super) fn cookie(secret: &Secret, is_tls: bool) -> HeaderValue {
    set(secret.reveal(), SESSION_S, is_tls)
}

/// What makes a browser forget it.
pub(super) fn no_cookie(is_tls: bool) -> HeaderValue {
    set("", 0, is_tls)
}

/// `Lax`: a link from elsewhere finds somebody logged in, a form from elsewhere does not.
fn set(value: &str, max_age_s: i64, is_tls: bool) -> HeaderValue {
    let (name, secure) = if is_tls { (TLS_NAME, "; Secure") } else { (NAME, "") };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::try_from(text).expect("it is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_kept_from_scripts() {
        let secret = Secret::random();
        let mut headers = HeaderMap::new();
        let cookies = format!("theme=dark; __Host-l3af_session={}; l3af_session2=x", secret.reveal());
        headers.insert(header::COOKIE, cookies.parse().unwrap());
        assert_eq!(shown(&headers), Some(secret.clone()));
        headers.insert(header::COOKIE, HeaderValue::from_static("l3af_session=l3af_nonsense"));
        assert_eq!(shown(&headers), None);
        let cookie = cookie(&secret, true);
        let cookie = cookie.to_str().unwrap();
        for part in ["__Host-", "HttpOnly", "SameSite=Lax", "Secure", "Path=/;"] {
            assert!(cookie.contains(part), "{cookie}");
        }
    }
}
