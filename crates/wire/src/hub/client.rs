// SPDX-License-Identifier: Apache-2.0
//! A client of a hub's API. It shows the login that the registry of the same host is shown.

use std::time::Duration;

use package::Version;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Checks, Facets, Found, Instance, NewReview, OwnRating, Price, Rating, ReleaseView, Resolved, ReviewKey,
    ReviewKeyView, ReviewView, RootView, Waiting, Wanted, Yank,
};
use crate::registry::retry_after;
use crate::{Credentials, Patience, Problem, Repository};

/// How long a hub may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// A hub.
pub struct HubClient {
    pub(super) client: Client,
    pub(super) base: Url,
    pub(super) host: String,
    credentials: Credentials,
    /// How often what only reads is tried, and how long is waited before the next attempt.
    patience: Patience,
}

/// A token that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewToken {
    /// What its owner calls it.
    pub name: String,
    /// What it is for: `repository:acme/*:pull,push`.
    pub scopes: Vec<String>,
    /// From when on it does not count, in milliseconds since 1970; none, never.
    pub expires_ms: Option<i64>,
}

#[derive(Deserialize)]
struct MadeToken {
    secret: String,
}

#[derive(Deserialize)]
struct Own {
    handle: String,
}

/// A hub did not do what it was asked.
#[derive(Debug, Error)]
pub enum HubError {
    /// The host is none.
    #[error("`{host}` is no host")]
    BadHost {
        /// What was given.
        host: String,
    },
    /// A package of a hub is called otherwise.
    #[error("`{path}` is no package of a hub, which is called `publisher/name`")]
    BadPath {
        /// What was given.
        path: String,
    },
    /// It cannot be asked.
    #[error("the hub `{host}` cannot be asked")]
    Unreachable {
        /// Which.
        host: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// It says no.
    #[error("the hub `{host}` refuses: {}", .problem.title)]
    Refused {
        /// Which.
        host: String,
        /// Why.
        problem: Box<Problem>,
    },
    /// It says more than it may.
    #[error("the hub `{host}` answers with more than {MAX_ANSWER_BYTES} bytes")]
    TooLarge {
        /// Which.
        host: String,
    },
    /// It gives no token (RFC 6749, section 5.2).
    #[error("the hub `{host}` gives no token: {problem}")]
    NoToken {
        /// Which.
        host: String,
        /// Why, in a word: `invalid_grant`.
        error: String,
        /// Why.
        problem: String,
    },
    /// What answers is no hub.
    #[error("what answers at `{host}` is no hub: it says {status}")]
    NoHub {
        /// Where.
        host: String,
        /// What it says.
        status: StatusCode,
    },
}

impl HubError {
    /// Whether there is no such thing at the hub.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Refused { problem, .. } => problem.status == StatusCode::NOT_FOUND.as_u16(),
            Self::BadPath { .. } => true,
            Self::BadHost { .. }
            | Self::Unreachable { .. }
            | Self::TooLarge { .. }
            | Self::NoToken { .. }
            | Self::NoHub { .. } => false,
        }
    }

    fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { problem, .. } => StatusCode::from_u16(problem.status).ok(),
            Self::NoHub { status, .. } => Some(*status),
            Self::BadHost { .. }
            | Self::BadPath { .. }
            | Self::Unreachable { .. }
            | Self::NoToken { .. }
            | Self::TooLarge { .. } => None,
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BadHost { .. } => Some("name a host and its port, as in `hub.example.org:8520`".to_owned()),
            Self::BadPath { .. } => Some("leave out what stands before the publisher".to_owned()),
            Self::Unreachable { .. } => {
                Some("look whether it runs; elsewhere than on this machine it needs TLS".to_owned())
            }
            Self::Refused { problem, .. } => problem.hint.clone(),
            Self::TooLarge { .. } => Some("tell whoever runs the hub".to_owned()),
            Self::NoToken { error, .. } => match error.as_str() {
                "invalid_grant" => {
                    Some("log in again; a token of an issuer counts once, and for one hub".to_owned())
                }
                "access_denied" | "expired_token" => Some("log in again".to_owned()),
                _ => None,
            },
            Self::NoHub { .. } => Some("other registries know packages by name and digest only".to_owned()),
        }
    }
}

/// The name of a package at a hub.
pub(super) fn named(repository: &Repository) -> Result<(&str, &str), HubError> {
    let path = repository.path();
    let parts = path.split_once('/').filter(|(_, name)| !name.contains('/'));
    parts.ok_or_else(|| HubError::BadPath { path: path.to_owned() })
}

impl HubClient {
    /// A client for a host with its port. Nothing is sent yet.
    ///
    /// # Errors
    /// When it is no host.
    pub fn new(host: &str, credentials: Credentials) -> Result<Self, HubError> {
        let bad = || HubError::BadHost { host: host.to_owned() };
        // Any name does: only the host is asked for.
        let at: crate::Reference = format!("{host}/any").parse().ok().ok_or_else(bad)?;
        let is_local = at.repository.is_loopback();
        let scheme = if is_local { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{host}/api/v1/")).ok().ok_or_else(bad)?;
        let agent = concat!("l3af/", env!("CARGO_PKG_VERSION"));
        let builder = Client::builder().user_agent(agent).timeout(PATIENCE);
        // A login goes where it was meant to, and nowhere else.
        let builder = builder.redirect(reqwest::redirect::Policy::none());
        let builder = if is_local { builder.no_proxy() } else { builder };
        let client =
            builder.build().map_err(|source| HubError::Unreachable { host: host.to_owned(), source })?;
        let patience = Patience { attempts: 1, ..Patience::default() };
        Ok(Self { client, base, host: host.to_owned(), credentials, patience })
    }

    /// The same, which tries again what only reads, where the hub cannot be reached or says that it is too busy.
    #[must_use]
    pub fn patient(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// What the hub is; none where what answers is no hub, but some other registry.
    ///
    /// # Errors
    /// When nothing answers, or what does is too busy to say.
    pub async fn instance(&self) -> Result<Option<Instance>, HubError> {
        match self.read(self.request(Method::GET, &["instance"])).await {
            Ok(instance) => Ok(Some(instance)),
            Err(busy) if busy.status().is_some_and(is_busy) => Err(busy),
            Err(HubError::NoHub { .. } | HubError::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a token of the account whose password is the login, and answers with its secret.
    ///
    /// # Errors
    /// When nobody has that password, or the token may not be so.
    pub async fn make_token(&self, token: &NewToken) -> Result<String, HubError> {
        let made: MadeToken = self.read(self.request(Method::POST, &["tokens"]).json(token)).await?;
        Ok(made.secret)
    }

    /// The handle of the account whose login is shown.
    ///
    /// # Errors
    /// When nobody has that login, or it is not for that.
    pub async fn handle(&self) -> Result<String, HubError> {
        let own: Own = self.read(self.request(Method::GET, &["account"])).await?;
        Ok(own.handle)
    }

    /// Accepts what the hub asks everybody to accept.
    ///
    /// # Errors
    /// When it does not take that.
    pub async fn accept(&self) -> Result<(), HubError> {
        self.send(self.request(Method::POST, &["instance", "acceptance"])).await
    }

    /// Finds packages.
    ///
    /// # Errors
    /// When they cannot be looked for.
    pub async fn search(&self, wanted: &Wanted) -> Result<Found, HubError> {
        self.read(self.request(Method::GET, &["packages"]).query(wanted)).await
    }

    /// What there is to choose from in what a search finds.
    ///
    /// # Errors
    /// When it cannot be looked for.
    pub async fn facets(&self, wanted: &Wanted) -> Result<Facets, HubError> {
        self.read(self.request(Method::GET, &["facets"]).query(wanted)).await
    }

    /// Rates a package; answers with what all people think of it then.
    ///
    /// # Errors
    /// When that may not be.
    pub async fn rate(&self, repository: &Repository, own: OwnRating) -> Result<Rating, HubError> {
        let (publisher, name) = named(repository)?;
        let request = self.request(Method::PUT, &["packages", publisher, name, "rating"]);
        self.read(request.json(&own)).await
    }

    /// Takes a rating back.
    ///
    /// # Errors
    /// When that may not be.
    pub async fn unrate(&self, repository: &Repository) -> Result<(), HubError> {
        let (publisher, name) = named(repository)?;
        self.send(self.request(Method::DELETE, &["packages", publisher, name, "rating"])).await
    }

    /// Says what is asked for a package; nothing, where there is no price.
    ///
    /// # Errors
    /// When that may not be.
    pub async fn set_price(&self, repository: &Repository, price: Option<&Price>) -> Result<(), HubError> {
        let (publisher, name) = named(repository)?;
        let path = ["packages", publisher, name, "price"];
        match price {
            Some(price) => self.send(self.request(Method::PUT, &path).json(price)).await,
            None => self.send(self.request(Method::DELETE, &path)).await,
        }
    }

    /// The release that fits what is asked for: pairs of `range`, `channel`, `kernel`, `platform`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn resolve(
        &self,
        repository: &Repository,
        asked: &[(&str, String)],
    ) -> Result<Resolved, HubError> {
        let (publisher, name) = named(repository)?;
        let request = self.request(Method::GET, &["packages", publisher, name, "resolve"]);
        self.read(request.query(asked)).await
    }

    /// A release.
    ///
    /// # Errors
    /// When there is none, or not for whoever asks.
    pub async fn release(&self, repository: &Repository, version: &Version) -> Result<ReleaseView, HubError> {
        self.read(self.of_release(Method::GET, (repository, version), "")?).await
    }

    /// How far a release is.
    ///
    /// # Errors
    /// When there is none, or not for whoever asks.
    pub async fn checks(&self, repository: &Repository, version: &Version) -> Result<Checks, HubError> {
        self.read(self.of_release(Method::GET, (repository, version), "checks")?).await
    }

    /// Leads nobody to a release any more.
    ///
    /// # Errors
    /// When that may not be.
    pub async fn yank(
        &self,
        repository: &Repository,
        version: &Version,
        reason: String,
    ) -> Result<(), HubError> {
        let request = self.of_release(Method::PUT, (repository, version), "yank")?;
        self.send(request.json(&Yank { reason })).await
    }

    /// Leads people to a yanked release again.
    ///
    /// # Errors
    /// When that may not be.
    pub async fn unyank(&self, repository: &Repository, version: &Version) -> Result<(), HubError> {
        self.send(self.of_release(Method::DELETE, (repository, version), "yank")?).await
    }

    /// What was said of a release.
    ///
    /// # Errors
    /// When there is none, or not for whoever asks.
    pub async fn reviews(
        &self,
        repository: &Repository,
        version: &Version,
    ) -> Result<Vec<ReviewView>, HubError> {
        self.read(self.of_release(Method::GET, (repository, version), "reviews")?).await
    }

    /// Hands in a review.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn review(
        &self,
        repository: &Repository,
        version: &Version,
        review: &NewReview,
    ) -> Result<(), HubError> {
        self.send(self.of_release(Method::POST, (repository, version), "reviews")?.json(review)).await
    }

    /// What waits for reviewers.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, HubError> {
        self.read(self.request(Method::GET, &["reviews", "waiting"])).await
    }

    /// Registers a key by which reviews are signed.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn add_review_key(&self, pem: String) -> Result<(), HubError> {
        self.send(self.request(Method::POST, &["reviews", "keys"]).json(&ReviewKey { pem })).await
    }

    /// One's own keys by which reviews are signed.
    ///
    /// # Errors
    /// When they cannot be told.
    pub async fn review_keys(&self) -> Result<Vec<ReviewKeyView>, HubError> {
        self.read(self.request(Method::GET, &["reviews", "keys"])).await
    }

    /// Has the hub take no reviews any more that are signed by a key.
    ///
    /// # Errors
    /// When it is none of one's own.
    pub async fn remove_review_key(&self, key: &str) -> Result<(), HubError> {
        self.send(self.request(Method::DELETE, &["reviews", "keys", key])).await
    }

    /// Registers a version of a publisher's root.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn register_root(&self, publisher: &str, root: String) -> Result<RootView, HubError> {
        let request = self.request(Method::POST, &["publishers", publisher, "roots"]);
        self.read(request.header(reqwest::header::CONTENT_TYPE, "application/json").body(root)).await
    }

    fn of_release(
        &self,
        method: Method,
        (repository, version): (&Repository, &Version),
        what: &str,
    ) -> Result<RequestBuilder, HubError> {
        let (publisher, name) = named(repository)?;
        let version = version.to_string();
        let path = ["packages", publisher, name, "versions", &version, what];
        let path = if what.is_empty() { &path[..5] } else { &path[..] };
        Ok(self.request(method, path))
    }

    pub(super) fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("it is HTTP").pop_if_empty().extend(path);
        let request = self.client.request(method, url);
        match self.credentials.login(&self.host) {
            Some(login) => request.basic_auth(&login.user, Some(login.password.as_str())),
            None => request,
        }
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, HubError> {
        let mut answer = self.answer(request).await?;
        let (host, status) = (self.host.clone(), answer.status());
        let mut bytes = Vec::new();
        let unreachable = |source| HubError::Unreachable { host: self.host.clone(), source };
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            if bytes.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(HubError::TooLarge { host });
            }
            bytes.extend_from_slice(&piece);
        }
        serde_json::from_slice(&bytes).map_err(|_no_answer| HubError::NoHub { host, status })
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<(), HubError> {
        self.answer(request).await.map(drop)
    }

    async fn answer(&self, request: RequestBuilder) -> Result<reqwest::Response, HubError> {
        let unreachable = |source| HubError::Unreachable { host: self.host.clone(), source };
        let answer = persist(request, self.patience).await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let host = self.host.clone();
        match answer.json::<Problem>().await {
            Ok(problem) => Err(HubError::Refused { host, problem: Box::new(problem) }),
            Err(_) => Err(HubError::NoHub { host, status }),
        }
    }
}

/// Sends a request, and again where that may help: a request that changes something is sent once.
async fn persist(request: RequestBuilder, patience: Patience) -> reqwest::Result<reqwest::Response> {
    let mut pause = patience.pause;
    for _ in 1..patience.attempts {
        let Some(again) = request.try_clone().filter(only_reads) else { break };
        let asked = match again.send().await {
            Ok(answer) if !is_busy(answer.status()) => return Ok(answer),
            Ok(answer) => retry_after(answer.headers()),
            Err(_) => None,
        };
        tokio::time::sleep(asked.unwrap_or(pause).min(patience.longest_pause)).await;
        pause = pause.saturating_mul(2);
    }
    request.send().await
}

fn only_reads(request: &RequestBuilder) -> bool {
    let built = request.try_clone().and_then(|request| request.build().ok());
    built.is_some_and(|request| *request.method() == Method::GET)
}

fn is_busy(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}
