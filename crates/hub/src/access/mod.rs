// SPDX-License-Identifier: Apache-2.0
//! Who is calling, and what they may do.
//!
//! A request shows something ([`credentials`]), which makes a [`Caller`] of whoever sent it; [`Access::permit`] is the one door
//! to everything: it asks the database what the caller is ([`standing`]) and the policies what that permits ([`rules`]).

mod accounts;
mod action;
mod administrator;
mod api;
mod attempts;
mod by_machine;
mod caller;
mod closing;
mod cookie;
mod credentials;
mod denied;
mod issuers;
mod login;
mod names;
mod oauth;
mod oidc;
mod origin;
mod pages;
mod password;
mod publishers;
mod publishing;
mod quota;
mod refused;
mod rules;
mod scope;
mod secret;
mod sessions;
mod signing;
mod standing;
mod token_server;
mod tokens;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::http::HeaderMap;
use futures_util::FutureExt as _;
use jiff::Timestamp;

use self::credentials::Shown;
use self::password::Passwords;
use self::rules::Rules;
use self::scope::Verb;
use self::signing::Keys;
use crate::{Config, Database, Hub, answer};

pub use self::by_machine::NotDone;
pub use self::issuers::BadIssuer;
pub use self::rules::BadRules;

pub(crate) use self::action::{Action, Place, Resource};
pub(crate) use self::api::routes as api;
pub(crate) use self::caller::Caller;
pub(crate) use self::denied::Denied;
pub(crate) use self::issuers::Issuers;
pub(crate) use self::origin::same_origin;
pub(crate) use self::pages::page;
pub(crate) use self::quota::{OverQuota, check as check_quota};
pub(crate) use self::refused::Refused;
pub(crate) use self::scope::Scope;
pub(crate) use self::secret::Secret;

/// Decides who may do what.
pub struct Access {
    database: Arc<Database>,
    clock: fn() -> Timestamp,
    /// How clients reach the hub.
    url: String,
    /// The files of policies.
    policies: Vec<PathBuf>,
    /// Who else says who somebody is.
    issuers: Issuers,
    /// Whether passwords count.
    takes_passwords: bool,
    rules: RwLock<Arc<Rules>>,
    passwords: Passwords,
    keys: Keys,
}

/// The routes about who somebody is.
pub(crate) fn routes() -> Router<Arc<Hub>> {
    token_server::routes().merge(pages::routes()).merge(oidc::routes()).merge(oauth::routes())
}

impl Access {
    /// Reads the policies that the configuration names.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(crate) fn open(
        config: &Config,
        issuers: Issuers,
        database: Arc<Database>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, BadRules> {
        let policies = config.access.policies.clone();
        let rules = RwLock::new(Arc::new(Rules::read(&policies)?));
        let (url, passwords) = (config.url(), Passwords::new());
        let keys = Keys::new(url.clone());
        let takes_passwords = config.access.passwords;
        Ok(Self { database, clock, url, policies, issuers, takes_passwords, rules, passwords, keys })
    }

    /// Who makes a request, by its credentials; whoever shows none is anonymous.
    ///
    /// # Errors
    /// When credentials are shown that are not, or no longer, good.
    pub(crate) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Denied> {
        match Shown::read(headers) {
            Shown::Nothing => Ok(Caller::Anonymous),
            // A browser whose session is over is one that did not log in.
            Shown::Session(secret) => {
                let mut connection = self.database.readers().acquire().await?;
                let found = sessions::find(&mut connection, &secret, self.now_ms()).await?;
                Ok(found.unwrap_or(Caller::Anonymous))
            }
            Shown::Token(secret) => self.by_token(&secret).await,
            Shown::Signed(token) => self.by_signed(&token).await,
            Shown::Password { .. } => Err(Denied::Credentials {
                problem: "a password counts at the login page and at `/v2/token` only, and a token everywhere",
            }),
            Shown::Unreadable(problem) => Err(Denied::Credentials { problem }),
        }
    }

    /// Whether somebody may do that there.
    ///
    /// # Errors
    /// The rule by which not.
    pub(crate) async fn permit(
        &self,
        caller: &Caller,
        action: Action,
        on: impl Into<Resource>,
    ) -> Result<(), Denied> {
        let resource = on.into();
        let refuse = |resource, why| Denied::Rule {
            caller: caller.to_string(),
            action,
            resource,
            why,
            is_anonymous: *caller == Caller::Anonymous,
        };
        if !caller.is_for(action, &resource) {
            return Err(refuse(resource, denied::Why::Scope));
        }
        let mut connection = self.database.readers().acquire().await?;
        let question = standing::question(&mut connection, caller, action, resource.clone()).await?;
        self.rules().permit(question).map_err(|why| refuse(resource, why))
    }

    /// What a client is told that did not log in: where it gets a token for this (`WWW-Authenticate`).
    pub(crate) fn challenge(&self, action: Action, place: &Place) -> String {
        let verbs = match action {
            Action::Push | Action::Publish => "pull,push",
            Action::Delete => "delete",
            Action::Pull
            | Action::Inspect
            | Action::Review
            | Action::Yank
            | Action::Rate
            | Action::Manage
            | Action::Browse
            | Action::Found
            | Action::Administer => "pull",
        };
        format!("{},scope=\"repository:{place}:{verbs}\"", self.general_challenge())
    }

    /// The same where it is about nothing yet, as at `/v2/`.
    pub(crate) fn general_challenge(&self) -> String {
        format!("Bearer realm=\"{}/v2/token\",service=\"{}\"", self.url, self.service())
    }

    /// Whether somebody who did not log in may do all that registries are for.
    ///
    /// # Errors
    /// The rule by which not.
    pub(crate) async fn welcome(&self) -> Result<(), Denied> {
        let anywhere = Place { publisher: String::new(), repository: String::new() };
        for verb in Verb::ALL {
            self.permit(&Caller::Anonymous, verb.action(), &anywhere).await?;
        }
        Ok(())
    }

    /// What tokens are called to be for: the host of the hub.
    fn service(&self) -> &str {
        self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest)
    }

    async fn by_token(&self, secret: &Secret) -> Result<Caller, Denied> {
        let now_ms = self.now_ms();
        let mut connection = self.database.readers().acquire().await?;
        match tokens::show(&mut connection, secret, now_ms).await? {
            tokens::Shown::Bad(problem) => Err(Denied::Credentials { problem }),
            tokens::Shown::Good { caller, used } => {
                if let Some(id) = used {
                    self.note_use(id, now_ms);
                }
                Ok(caller)
            }
        }
    }

    /// Writes down that a token is used; who uses it does not wait.
    fn note_use(&self, id: String, now_ms: i64) {
        drop(tokio::spawn(note_use(Arc::clone(&self.database), id, now_ms)));
    }

    async fn by_signed(&self, token: &str) -> Result<Caller, Denied> {
        let proven = self.keys.prove(&self.database, token, self.now_ms()).await?;
        let claims = proven.map_err(|problem| Denied::Credentials { problem })?;
        if claims.sub.is_empty() {
            return Ok(Caller::Anonymous);
        }
        let scopes = claims.access.iter().map(signing::Granted::scope).collect();
        Ok(Caller::Account { id: claims.sub, handle: claims.name, scopes: Some(scopes) })
    }

    /// Reads the policies again if they changed. What cannot be used is told, and what was in force stays.
    pub(crate) fn look(&self) {
        let in_force = self.rules();
        match in_force.read_again(&self.policies) {
            Ok(None) => {}
            Ok(Some(rules)) => {
                *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
                tracing::info!("the policies of access changed");
            }
            Err(bad) => tracing::error!("{}; those of before count", answer::whole(&bad)),
        }
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn now_ms(&self) -> i64 {
        (self.clock)().as_millisecond()
    }

    fn is_tls(&self) -> bool {
        self.url.starts_with("https://")
    }
}

async fn note_use(database: Arc<Database>, id: String, now_ms: i64) {
    let noted = database
        .write(move |connection| async move { tokens::note_use(connection, &id, now_ms).await }.boxed());
    if let Err(error) = noted.await {
        tracing::warn!("the use of a token is not written down: {error}");
    }
}
