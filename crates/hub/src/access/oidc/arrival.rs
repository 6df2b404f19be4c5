// SPDX-License-Identifier: Apache-2.0
//! A browser that comes back from an issuer.

use axum::http::HeaderMap;
use futures_util::FutureExt as _;
use serde::Deserialize;
use sqlx::AnyConnection;
use wire::{Code, IssuerError};

use super::super::cookie::SESSION;
use super::super::issuers::{Client, Issuer};
use super::super::names::Role;
use super::super::secret::Secret;
use super::super::{Access, Caller, sessions};
use super::NotLoggedIn;
use super::identities::{self, NewIdentity};
use super::journeys::{self, Journey, Stranger};
use super::newcomer;
use super::proof::Person;
use crate::audit::{self, Note};

/// What a browser brings (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207).
#[derive(Debug, Deserialize)]
pub(super) struct Brought {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// What became of it.
pub(super) enum Arrived {
    /// It is logged in, and goes on there.
    In { session: Secret, next: String },
    /// It is logged in as somebody already, who may want this login to be theirs too.
    Asked { handle: String, name: String, kept: Journey },
}

impl Access {
    /// Lets a browser in that is back from an issuer, by its name.
    pub(super) async fn arrive(
        &self,
        name: &str,
        headers: &HeaderMap,
        brought: Brought,
    ) -> Result<Arrived, NotLoggedIn> {
        let no_issuer = || NotLoggedIn::NoIssuer { name: name.to_owned() };
        let (issuer, client) = self.issuers.named(name).ok_or_else(no_issuer)?;
        let journey = Journey::shown(headers, &brought.state).ok_or(NotLoggedIn::Stray)?;
        let (next, journey) = self.end_journey(journey, &issuer.url).await?;
        let person = self.prove(name, (issuer, client), &journey, brought).await?;
        let session = SESSION.shown(headers);
        let (now_ms, url, title) = (self.now_ms(), issuer.url.clone(), issuer.title.clone());
        let newcomers = client.newcomers;
        let arrived = self.database.write(move |connection| {
            let coming = Coming { issuer: url, title, person, next, newcomers, now_ms };
            async move { coming.meet(connection, session).await }.boxed()
        });
        arrived.await
    }

    /// A journey ends once, whatever is brought.
    async fn end_journey(&self, journey: Journey, issuer: &str) -> Result<(String, Journey), NotLoggedIn> {
        let (now_ms, issuer) = (self.now_ms(), issuer.to_owned());
        let ended = self.database.write(move |connection| {
            async move {
                let next = journeys::end(connection, &journey, &issuer, now_ms).await?;
                Ok::<_, sqlx::Error>(next.map(|next| (next, journey)))
            }
            .boxed()
        });
        ended.await?.ok_or(NotLoggedIn::Stray)
    }

    /// Who came, by the token that the issuer gives for what the browser brought.
    async fn prove(
        &self,
        name: &str,
        (issuer, client): (&Issuer, &Client),
        journey: &Journey,
        brought: Brought,
    ) -> Result<Person, NotLoggedIn> {
        let title = || issuer.title.clone();
        let unproven = |problem: String| NotLoggedIn::Unproven { issuer: title(), problem };
        let silent = |source| NotLoggedIn::Silent { issuer: title(), source };
        let discovered = issuer.verifier.discovered().await.map_err(silent)?;
        // An answer of another issuer is mixed up with this one (RFC 9207, 2.4).
        let is_other = match &brought.iss {
            Some(iss) => *iss != issuer.url,
            None => discovered.authorization_response_iss_parameter_supported,
        };
        if is_other {
            return Err(unproven("another issuer answered".to_owned()));
        }
        let code = match (brought.error, brought.code) {
            (Some(error), _) => return Err(NotLoggedIn::Told { issuer: title(), error: plain(&error) }),
            (None, Some(code)) => code,
            (None, None) => return Err(NotLoggedIn::Stray),
        };
        let (verifier, redirect_uri) = (journey.verifier(), self.return_address(name));
        let code = Code { code: &code, verifier: &verifier, redirect_uri: &redirect_uri };
        let given = issuer.verifier.redeem(&client.known, code).await.map_err(|error| {
            if let IssuerError::Refused { error } = error {
                return NotLoggedIn::Told { issuer: title(), error };
            }
            silent(error)
        })?;
        let claims = issuer.verifier.verify(&given.id_token, &client.known.id, (self.clock)()).await;
        let claims = claims.map_err(|bad| unproven(crate::answer::whole(&bad)))?;
        let nonce = journey.nonce();
        let person =
            Person::read(&claims, &client.known.id, &nonce).map_err(|bad| unproven(bad.to_owned()))?;
        // Many tell what somebody is called only to who asks further. Nobody is kept out where that is not told.
        let more = match &given.access_token {
            Some(token) if !person.is_called => issuer.verifier.person(token).await,
            Some(_) | None => return Ok(person),
        };
        match more {
            Ok(more) => person.with(&more).map_err(|bad| unproven(bad.to_owned())),
            Err(error) => {
                tracing::warn!(issuer = issuer.url, "what somebody is called is not told: {error}");
                Ok(person)
            }
        }
    }

    /// Links the login that a browser came with to the account that it is logged in as, and answers where to go next.
    pub(super) async fn link_login(&self, headers: &HeaderMap, kept: &str) -> Result<String, NotLoggedIn> {
        let (id, handle) = self.browser(headers).await?.ok_or(NotLoggedIn::Stray)?;
        let kept = Journey::shown(headers, kept).ok_or(NotLoggedIn::Stray)?;
        let now_ms = self.now_ms();
        let linked = self.database.write(move |connection| {
            async move {
                let stranger = journeys::take(connection, &kept, now_ms).await?;
                let Stranger { issuer, subject, name, next } = stranger.ok_or(NotLoggedIn::Stray)?;
                let new = NewIdentity { issuer, subject };
                identities::link(connection, &new, &name, (&id, &handle), (&handle, now_ms)).await?;
                Ok::<_, NotLoggedIn>(next)
            }
            .boxed()
        });
        linked.await
    }
}

/// Somebody who is known by what an issuer says.
struct Coming {
    issuer: String,
    title: String,
    person: Person,
    next: String,
    newcomers: Option<Role>,
    now_ms: i64,
}

impl Coming {
    async fn meet(
        self,
        connection: &mut AnyConnection,
        session: Option<Secret>,
    ) -> Result<Arrived, NotLoggedIn> {
        let Self { issuer, title, person, next, newcomers, now_ms } = self;
        let found = identities::find(connection, &issuer, &person.subject).await?;
        let (account, handle) = match found {
            Some(found) if found.is_closed => return Err(NotLoggedIn::Closed),
            Some(found) => (found.account, found.handle),
            None => {
                let already = match session {
                    Some(session) => sessions::find(connection, &session, now_ms).await?,
                    None => None,
                };
                if let Some(Caller::Account { handle, .. }) = already {
                    let Person { subject, name, .. } = person;
                    let (kept, stranger) =
                        (Journey::new(), Stranger { issuer, subject, name: name.clone(), next });
                    journeys::keep(connection, &kept, &stranger, now_ms).await?;
                    return Ok(Arrived::Asked { handle, name, kept });
                }
                let role = newcomers.ok_or(NotLoggedIn::Unlinked { issuer: title })?;
                newcomer::welcome(connection, &issuer, &person, role, now_ms).await?
            }
        };
        let detail = serde_json::json!({ "issuer": issuer });
        let told = Note { now_ms, actor: &handle, action: "session.begin", subject: &account, detail };
        audit::note(connection, &told).await?;
        let session = sessions::begin(connection, &account, now_ms).await?;
        Ok(Arrived::In { session, next })
    }
}

/// What others say, fit for a page and a log.
fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(100).collect()
}
