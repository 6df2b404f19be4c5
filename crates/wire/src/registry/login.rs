// SPDX-License-Identifier: Apache-2.0
//! Logging in: from the challenge of a registry to what goes into `Authorization`.
//!
//! Registries ask for HTTP Basic (RFC 7617), or send one to a token server (the token authentication of the distribution
//! project). A login goes only over TLS, or to this machine.

use http_auth::{ChallengeParser, ChallengeRef};
use oci_client::secrets::RegistryAuth;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::http::{Fault, broken, receive};
use super::{Registry, RegistryError, Repository, is_private};

/// The longest answer of a token server.
const MAX_TOKEN_BYTES: u64 = 256 * 1024;

/// What one wants to do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Pull,
    Push,
}

/// What a registry gave for a login.
#[derive(Clone)]
pub(super) enum Grant {
    Basic { user: String, password: String },
    Bearer(String),
}

/// What a token server answers. Many give the token under both names.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Grant {
    pub(super) fn apply(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Basic { user, password } => request.basic_auth(user, Some(password)),
            Self::Bearer(token) => request.bearer_auth(token),
        }
    }

    /// The same as `oci-client` takes it.
    pub(super) fn for_uploads(grant: Option<Self>) -> RegistryAuth {
        match grant {
            Some(Self::Basic { user, password }) => RegistryAuth::Basic(user, password),
            Some(Self::Bearer(token)) => RegistryAuth::Bearer(token),
            None => RegistryAuth::Anonymous,
        }
    }
}

impl Registry {
    /// Answers the challenge of a registry (`WWW-Authenticate`).
    pub(super) async fn log_in(
        &self,
        repository: &Repository,
        access: Access,
        headers: &HeaderMap,
    ) -> Result<Grant, Fault> {
        let written = headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let written = written.ok_or_else(|| unusable(repository, "it does not say how".to_owned()))?;
        for challenge in ChallengeParser::new(written).filter_map(Result::ok) {
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                return self.token(repository, access, &challenge).await;
            }
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                let login = self.credentials.login(repository.host());
                let login = login.ok_or_else(|| Fault::Lasting(self.unwelcome(repository)))?;
                let (user, password) = (login.user.clone(), login.password.to_string());
                return Ok(Grant::Basic { user, password });
            }
        }
        Err(unusable(repository, format!("`{written}` is neither `Basic` nor `Bearer`")))
    }

    async fn token(
        &self,
        repository: &Repository,
        access: Access,
        challenge: &ChallengeRef<'_>,
    ) -> Result<Grant, Fault> {
        let parameter = |name: &str| {
            let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.to_unescaped())
        };
        let realm = parameter("realm").and_then(|realm| Url::parse(&realm).ok());
        let mut realm = realm.ok_or_else(|| unusable(repository, "it names no token server".to_owned()))?;
        if !is_private(&realm) {
            return Err(unusable(repository, format!("`{realm}` would have the login without TLS")));
        }
        let actions = if access == Access::Push { "pull,push" } else { "pull" };
        realm
            .query_pairs_mut()
            .extend_pairs(parameter("service").map(|service| ("service", service)))
            .append_pair("scope", &format!("repository:{}:{actions}", repository.path()));
        let mut request = self.client(repository)?.get(realm);
        if let Some(login) = self.credentials.login(repository.host()) {
            request = request.basic_auth(&login.user, Some(login.password.as_str()));
        }
        let mut response = request.send().await.map_err(|source| broken(repository, source))?;
        match response.status() {
            status if status.is_success() => {}
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                let (status, message) = (status.as_u16(), "so its token server says".to_owned());
                let error = RegistryError::Status { repository: repository.clone(), status, message };
                return Err(Fault::Passing(error, None));
            }
            _ => return Err(Fault::Lasting(self.unwelcome(repository))),
        }
        let mut answer = Vec::new();
        let is_whole = receive(&mut response, MAX_TOKEN_BYTES, &mut answer, |_| {}).await;
        let is_whole = is_whole.map_err(|source| broken(repository, source))?;
        let token = is_whole.then(|| serde_json::from_slice::<Token>(&answer).ok()).flatten();
        let token = token.and_then(|answer| answer.token.or(answer.access_token));
        let token =
            token.ok_or_else(|| unusable(repository, "its token server gives no token".to_owned()))?;
        Ok(Grant::Bearer(token))
    }
}

fn unusable(repository: &Repository, problem: String) -> Fault {
    Fault::Lasting(RegistryError::Challenge { repository: repository.clone(), problem })
}
