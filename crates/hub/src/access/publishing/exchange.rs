// SPDX-License-Identifier: Apache-2.0
//! A token of an issuer becomes one of this hub, once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use door::Claims;
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::AnyConnection;

use super::super::Access;
use super::super::scope::Scope;
use super::super::secret::Secret;
use super::super::tokens::{self, NewToken};
use super::rules::PublishingRule;
use super::{NotExchanged, matching, rules};
use crate::audit::{self, Note};
use crate::{Algorithm, ContentDigest};

/// For how long a token counts that is given so, in seconds.
pub(in super::super) const LIFETIME_S: i64 = 15 * 60;
/// How much longer than it counts a token is remembered, in seconds: more than clocks are apart.
const REMEMBER_S: i64 = 5 * 60;
/// For how long one that was given so stays in the list of its account when it is over, in milliseconds.
const KEEP_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Who acts in the record.
const ACTOR: &str = "publishing rule";

/// What is given.
pub(in super::super) struct Exchanged {
    pub(in super::super) secret: Secret,
    pub(in super::super) scopes: Vec<Scope>,
}

/// A token that was verified, and is shown here.
struct Shown {
    issuer: String,
    claims: Claims,
    /// By what it is known again.
    digest: String,
}

impl Access {
    /// Gives a token of this hub for one of an issuer, by a rule of any publisher, or of this one.
    pub(in super::super) async fn exchange(
        &self,
        token: &str,
        publisher: Option<String>,
    ) -> Result<Exchanged, NotExchanged> {
        let said = issuer(token).ok_or(NotExchanged::NoIssuer)?;
        let issuer = self.issuers.publishing(&said).ok_or(NotExchanged::NoIssuer)?;
        let claims = issuer.verifier.verify(token, &self.url, (self.clock)()).await?;
        let shown = Shown { issuer: said, digest: digest(token, &claims), claims };
        let now_ms = self.now_ms();
        let exchanged = self.database.write(move |connection| {
            async move { shown.exchange(connection, publisher.as_deref(), now_ms).await }.boxed()
        });
        exchanged.await
    }
}

impl Shown {
    async fn exchange(
        &self,
        connection: &mut AnyConnection,
        publisher: Option<&str>,
        now_ms: i64,
    ) -> Result<Exchanged, NotExchanged> {
        self.remember(connection, now_ms).await?;
        let found = rules::about(connection, &self.issuer, publisher).await?;
        let mut fitting = found.into_iter().filter(|(rule, ..)| matching::fits(&rule.claims, &self.claims));
        let no_rule = || NotExchanged::NoRule { subject: self.text("sub").chars().take(200).collect() };
        let (rule, publisher, account) = fitting.next().ok_or_else(no_rule)?;
        if fitting.any(|(_, other, _)| other != publisher) {
            return Err(NotExchanged::Several);
        }
        self.give(connection, rule, (&publisher, &account), now_ms).await
    }

    /// Keeps that the token was shown, for as long as it would count.
    async fn remember(&self, connection: &mut AnyConnection, now_ms: i64) -> Result<(), NotExchanged> {
        let old = "DELETE FROM shown_tokens WHERE expires_ms <= $1";
        sqlx::query(old).bind(now_ms).execute(&mut *connection).await?;
        let add =
            "INSERT INTO shown_tokens (digest, expires_ms) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
        let add = sqlx::query(add).bind(&self.digest).bind(self.end_ms()).execute(connection).await?;
        if add.rows_affected() == 0 { Err(NotExchanged::Replayed) } else { Ok(()) }
    }

    async fn give(
        &self,
        connection: &mut AnyConnection,
        rule: PublishingRule,
        (publisher, account): (&str, &str),
        now_ms: i64,
    ) -> Result<Exchanged, NotExchanged> {
        let old = "DELETE FROM tokens WHERE rule IS NOT NULL AND expires_ms <= $1";
        sqlx::query(old).bind(now_ms - KEEP_MS).execute(&mut *connection).await?;
        let PublishingRule { id, name, claims, scopes, .. } = rule;
        let expires_ms = Some(now_ms + LIFETIME_S * 1000);
        let new = NewToken { name: format!("{publisher}: {name}"), scopes: scopes.clone(), expires_ms };
        let (token, secret) = tokens::add(connection, (account, ACTOR), new, now_ms).await?;
        // What was wanted was said; the rest of what a token says may be much, and is nobody's business.
        let said: Claims = claims
            .keys()
            .filter_map(|claim| Some((claim.clone(), self.claims.get(claim)?.clone())))
            .collect();
        let detail = json!({ "rule": id, "issuer": self.issuer, "subject": self.text("sub"), "claims": said, "token": token.id });
        let told = Note { now_ms, actor: ACTOR, action: "token.exchange", subject: publisher, detail };
        audit::note(connection, &told).await?;
        let mark = "UPDATE tokens SET rule = $2 WHERE id = $1";
        sqlx::query(mark).bind(&token.id).bind(&id).execute(connection).await?;
        Ok(Exchanged { secret, scopes })
    }

    /// Until when it could be shown again.
    #[expect(clippy::cast_possible_truncation, reason = "a time that does not fit is far away")]
    fn end_ms(&self) -> i64 {
        let end_s = self.claims.get("exp").and_then(Value::as_f64).unwrap_or_default() as i64;
        end_s.saturating_add(REMEMBER_S).saturating_mul(1000)
    }

    fn text(&self, claim: &str) -> &str {
        self.claims.get(claim).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Whose token it says that it is. Nothing is proven by that yet.
fn issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        iss: String,
    }
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    serde_json::from_slice::<Said>(&claims).ok().map(|said| said.iss)
}

/// By what a token is known again: its `jti`, which an issuer gives to no other (RFC 7519, 4.1.7), or else what was signed. The
/// signature itself can have several forms.
fn digest(token: &str, claims: &Claims) -> String {
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let known = match claims.get("jti").and_then(Value::as_str) {
        Some(jti) => json!([issuer, "jti", jti]),
        None => json!([issuer, "signed", token.rsplit_once('.').map_or(token, |(signed, _)| signed)]),
    };
    ContentDigest::of(Algorithm::Sha256, known.to_string().as_bytes()).hex().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_again_by_its_id_or_by_what_was_signed() {
        let claims = |value: Value| value.as_object().cloned().unwrap();
        let with = claims(json!({ "iss": "a", "jti": "1" }));
        assert_eq!(digest("a.b.c", &with), digest("x.y.z", &with));
        assert_ne!(digest("a.b.c", &with), digest("a.b.c", &claims(json!({ "iss": "b", "jti": "1" }))));
        let without = claims(json!({ "iss": "a" }));
        assert_eq!(digest("a.b.c", &without), digest("a.b.d", &without));
        assert_ne!(digest("a.b.c", &without), digest("a.c.c", &without));
    }

    #[test]
    fn whose_a_token_is_it_says_itself() {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        assert_eq!(issuer(&format!("x.{}.y", part(&json!({ "iss": "a" })))).as_deref(), Some("a"));
        for bad in ["", "a", "a.b.c", &format!("x.{}.y", part(&json!({ "iss": 1 })))] {
            assert_eq!(issuer(bad), None, "{bad}");
        }
    }
}
