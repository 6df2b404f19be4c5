// SPDX-License-Identifier: Apache-2.0
//! Ways to a token of a hub besides a password (OAuth 2.0): by a browser on this machine (RFC 8252), by one elsewhere (RFC 8628), and
//! by a token of an issuer of machines (RFC 8693).

use reqwest::{Client, Method, Url};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::HubError;
use super::client::HubClient;
use crate::is_safe_issuer;

/// What the program is called there.
const CLIENT: &str = "l3af";

/// What a program asks a person for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What the token is to be for: `repository:acme/*:pull,push`.
    pub scopes: Vec<String>,
    /// From when on it does not count, in milliseconds since 1970; none, never.
    pub expires_ms: Option<i64>,
}

/// A machine that waits until somebody lets it in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DeviceLogin {
    /// What the machine shows the hub.
    pub device_code: String,
    /// What a person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Where it need not be typed.
    pub verification_uri_complete: Option<String>,
    /// For how many seconds it waits.
    pub expires_in: u64,
    /// How many seconds are between two questions.
    #[serde(default = "five")]
    pub interval: u64,
}

/// What became of a question whether somebody decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceAnswer {
    /// A token.
    Token(Zeroizing<String>),
    /// Nobody decided yet.
    Pending,
    /// The question came too early.
    SlowDown,
}

/// A CI service that gives a job tokens when it is asked, as GitHub Actions does.
#[derive(Debug, Clone)]
pub struct TokenService {
    /// Whom to ask (`ACTIONS_ID_TOKEN_REQUEST_URL`).
    pub url: String,
    /// What to show there (`ACTIONS_ID_TOKEN_REQUEST_TOKEN`).
    pub token: Zeroizing<String>,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

#[derive(Deserialize)]
struct Served {
    value: String,
}

fn five() -> u64 {
    5
}

impl HubClient {
    /// How the hub is called, which is for whom tokens of issuers must be.
    pub fn url(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Where somebody lets this program in, who is led back to an address of this machine afterwards.
    pub fn authorization(&self, wish: &Wish, redirect_uri: &str, state: &str, challenge: &str) -> Url {
        let mut url = self.place("/oauth/authorize");
        url.query_pairs_mut()
            .extend_pairs([("response_type", "code"), ("client_id", CLIENT), ("redirect_uri", redirect_uri)])
            .extend_pairs([("scope", wish.scopes.join(" ").as_str()), ("state", state)])
            .extend_pairs([("code_challenge", challenge), ("code_challenge_method", "S256")])
            .extend_pairs(wish.expires_ms.map(|end| ("expires_ms", end.to_string())));
        url
    }

    /// A token for the code that came back.
    ///
    /// # Errors
    /// When the hub gives none.
    pub async fn redeem(
        &self,
        code: &str,
        verifier: &str,
        redirect_uri: &str,
    ) -> Result<Zeroizing<String>, HubError> {
        self.granted(&[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("code", code),
            ("code_verifier", verifier),
            ("redirect_uri", redirect_uri),
        ])
        .await
    }

    /// Has this machine wait until somebody lets it in.
    ///
    /// # Errors
    /// When the hub does not know that, or the token may not be so.
    pub async fn begin_device(&self, wish: &Wish) -> Result<DeviceLogin, HubError> {
        let (scope, expires_ms) = (wish.scopes.join(" "), wish.expires_ms.map(|end| end.to_string()));
        let mut form = vec![("client_id", CLIENT), ("scope", scope.as_str())];
        form.extend(expires_ms.as_deref().map(|end| ("expires_ms", end)));
        self.oauth("/oauth/device", &form).await
    }

    /// Whether somebody let this machine in.
    ///
    /// # Errors
    /// When somebody said no, or nobody said anything in time.
    pub async fn poll_device(&self, login: &DeviceLogin) -> Result<DeviceAnswer, HubError> {
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", CLIENT),
            ("device_code", &login.device_code),
        ];
        match self.granted(&form).await {
            Ok(token) => Ok(DeviceAnswer::Token(token)),
            Err(HubError::NoToken { error, .. }) if error == "authorization_pending" => {
                Ok(DeviceAnswer::Pending)
            }
            Err(HubError::NoToken { error, .. }) if error == "slow_down" => Ok(DeviceAnswer::SlowDown),
            Err(error) => Err(error),
        }
    }

    /// A token for some minutes, for one of an issuer of machines; by a rule of any publisher, or of this one.
    ///
    /// # Errors
    /// When the hub gives none.
    pub async fn exchange(
        &self,
        token: &str,
        publisher: Option<&str>,
    ) -> Result<Zeroizing<String>, HubError> {
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token"),
            ("subject_token", token),
        ];
        form.extend(publisher.map(|publisher| ("audience", publisher)));
        self.granted(&form).await
    }

    async fn granted(&self, form: &[(&str, &str)]) -> Result<Zeroizing<String>, HubError> {
        let granted: Granted = self.oauth("/oauth/token", form).await?;
        Ok(Zeroizing::new(granted.access_token))
    }

    async fn oauth<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<T, HubError> {
        let unreachable = |source| HubError::Unreachable { host: self.host.clone(), source };
        let request = self.client.request(Method::POST, self.place(path)).form(form);
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(unreachable)?;
        let host = self.host.clone();
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|_other| HubError::NoHub { host, status });
        }
        match serde_json::from_slice::<Refused>(&bytes) {
            Ok(Refused { error, error_description: problem }) => {
                Err(HubError::NoToken { host, error, problem })
            }
            Err(_) => Err(HubError::NoHub { host, status }),
        }
    }

    fn place(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
}

impl TokenService {
    /// A token that is for this audience.
    ///
    /// # Errors
    /// When the service gives none.
    pub async fn token(&self, audience: &str) -> Result<Zeroizing<String>, HubError> {
        let bad = || HubError::BadHost { host: self.url.clone() };
        let mut url = Url::parse(&self.url).ok().filter(|_| is_safe_issuer(&self.url)).ok_or_else(bad)?;
        let host = url.authority().to_owned();
        url.query_pairs_mut().append_pair("audience", audience);
        let unreachable = |source| HubError::Unreachable { host: host.clone(), source };
        let client =
            Client::builder().redirect(reqwest::redirect::Policy::none()).build().map_err(unreachable)?;
        let asked = client.get(url).bearer_auth(self.token.as_str()).send().await;
        let answer = asked.and_then(reqwest::Response::error_for_status).map_err(unreachable)?;
        let served: Served = answer.json().await.map_err(unreachable)?;
        Ok(Zeroizing::new(served.value))
    }
}
