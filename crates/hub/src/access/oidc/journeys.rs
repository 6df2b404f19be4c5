// SPDX-License-Identifier: Apache-2.0
//! Browsers on their way to an issuer and back, in the database. What a browser brings back counts once, for ten minutes, and for
//! the browser that was sent: it has a cookie besides. Neither can be read from the database.

use aws_lc_rs::digest::{SHA256, digest};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::AnyConnection;

use super::super::cookie::{AWAY_S, JOURNEY};
use super::super::secret::Secret;

/// What is known of a journey by whoever has both its state and the cookie.
pub(super) struct Journey {
    pub(super) state: Secret,
    pub(super) browser: Secret,
}

/// Somebody who came back, and is nobody here yet.
pub(super) struct Stranger {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) name: String,
    pub(super) next: String,
}

impl Journey {
    pub(super) fn new() -> Self {
        Self { state: Secret::random(), browser: Secret::random() }
    }

    /// The journey that a browser is back from, by its cookie and by what it brings.
    pub(super) fn shown(headers: &HeaderMap, state: &str) -> Option<Self> {
        let browser = JOURNEY.shown(headers)?;
        Some(Self { state: Secret::read(state)?, browser })
    }

    /// What the token must repeat.
    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    /// What proves to the issuer that who brings the code began the journey (RFC 7636).
    pub(super) fn verifier(&self) -> String {
        self.derived("verifier")
    }

    /// Who knows the state, as the issuer does, does not know what is made of it and the cookie.
    fn derived(&self, what: &str) -> String {
        let text = format!("{} {} {what}", self.state.reveal(), self.browser.reveal());
        URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
    }

    /// What makes the browser show that it is the one.
    pub(super) fn cookie(&self, is_tls: bool) -> HeaderValue {
        JOURNEY.with(&self.browser, is_tls)
    }
}

/// What a code is bound to, of what only its asker knows (RFC 7636, 4.2).
pub(in super::super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// Writes down that a browser is sent to an issuer.
pub(super) async fn begin(
    connection: &mut AnyConnection,
    journey: &Journey,
    issuer: &str,
    next: &str,
    now_ms: i64,
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM journeys WHERE expires_ms <= $1").bind(now_ms).execute(&mut *connection).await?;
    let add = "INSERT INTO journeys (digest, browser, issuer, next, expires_ms) VALUES ($1, $2, $3, $4, $5)";
    let add = sqlx::query(add).bind(journey.state.digest()).bind(journey.browser.digest()).bind(issuer);
    add.bind(next).bind(now_ms + AWAY_S * 1000).execute(connection).await?;
    Ok(())
}

/// Ends a journey to an issuer, and answers where to go next; none where it was not begun so, is over, or was ended before.
pub(super) async fn end(
    connection: &mut AnyConnection,
    journey: &Journey,
    issuer: &str,
    now_ms: i64,
) -> sqlx::Result<Option<String>> {
    let end = "DELETE FROM journeys WHERE digest = $1 AND browser = $2 AND issuer = $3 AND subject IS NULL \
               AND expires_ms > $4 RETURNING next";
    let ended: Option<(String,)> = sqlx::query_as(end)
        .bind(journey.state.digest())
        .bind(journey.browser.digest())
        .bind(issuer)
        .bind(now_ms)
        .fetch_optional(connection)
        .await?;
    Ok(ended.map(|(next,)| next))
}

/// Keeps who came until the same browser says what is to become of it.
pub(super) async fn keep(
    connection: &mut AnyConnection,
    journey: &Journey,
    stranger: &Stranger,
    now_ms: i64,
) -> sqlx::Result<()> {
    let add = "INSERT INTO journeys (digest, browser, issuer, next, subject, name, expires_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    sqlx::query(add)
        .bind(journey.state.digest())
        .bind(journey.browser.digest())
        .bind(&stranger.issuer)
        .bind(&stranger.next)
        .bind(&stranger.subject)
        .bind(&stranger.name)
        .bind(now_ms + AWAY_S * 1000)
        .execute(connection)
        .await?;
    Ok(())
}

/// Who was kept; nobody twice.
pub(super) async fn take(
    connection: &mut AnyConnection,
    journey: &Journey,
    now_ms: i64,
) -> sqlx::Result<Option<Stranger>> {
    let take = "DELETE FROM journeys WHERE digest = $1 AND browser = $2 AND subject IS NOT NULL AND expires_ms > $3 \
                RETURNING issuer, subject, name, next";
    let taken: Option<(String, String, String, String)> = sqlx::query_as(take)
        .bind(journey.state.digest())
        .bind(journey.browser.digest())
        .bind(now_ms)
        .fetch_optional(connection)
        .await?;
    Ok(taken.map(|(issuer, subject, name, next)| Stranger { issuer, subject, name, next }))
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    #[test]
    fn a_journey_is_known_by_its_cookie_and_its_state() {
        let journey = Journey::new();
        let cookie = journey.cookie(false);
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookie.to_str().unwrap().split(';').next().unwrap().parse().unwrap());
        let shown = Journey::shown(&headers, journey.state.reveal()).unwrap();
        assert_eq!((shown.nonce(), shown.verifier()), (journey.nonce(), journey.verifier()));
        assert_ne!(journey.nonce(), journey.verifier());
        assert!(Journey::shown(&headers, "guessed").is_none());
        assert!(Journey::shown(&HeaderMap::new(), journey.state.reveal()).is_none());
        let other = Journey { state: Secret::random(), ..shown };
        assert_ne!(other.nonce(), journey.nonce(), "of each journey there is another");
    }

    #[test]
    fn a_challenge_is_the_one_of_the_specification() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
