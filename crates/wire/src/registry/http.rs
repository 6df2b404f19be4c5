// SPDX-License-Identifier: Apache-2.0
//! One call of a registry: bounded in bytes and in time, logged in when it is asked for, tried again when it is worth it.
//!
//! Reading goes past `oci-client`, which reads documents of any size, does not keep `Retry-After`, and takes a refusal of a
//! list of referrers for an empty one. Both stand on the same `reqwest`, so there is one TLS.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RANGE, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};

use super::login::Access;
use super::{Registry, RegistryError, Repository};

/// The most that is kept of what a registry says about a failure.
const MAX_MESSAGE_BYTES: u64 = 4096;

/// How long one waits for a registry.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How often something is tried in all.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each.
    pub pause: Duration,
    /// The longest pause, also where the registry asks for a longer one.
    pub longest_pause: Duration,
    /// How long a registry may be silent.
    pub silence: Duration,
    /// How long a package, a list of statements or a push may take in all.
    pub whole: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 4,
            pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(10),
            silence: Duration::from_secs(15),
            whole: Duration::from_mins(10),
        }
    }
}

/// What is asked of a registry.
pub(super) struct Call<'a> {
    pub(super) repository: &'a Repository,
    pub(super) access: Access,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: &'static str,
    /// What is sent, and its media type.
    pub(super) body: Option<(&'static str, &'a [u8])>,
    /// The most that may come back.
    pub(super) max_bytes: u64,
    /// What it is called in an error.
    pub(super) what: &'a str,
}

/// What came back.
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

/// Why an attempt failed.
pub(super) enum Fault {
    /// Another attempt may succeed, after so long where the registry says it.
    Passing(RegistryError, Option<Duration>),
    /// Another attempt would fail the same way.
    Lasting(RegistryError),
}

/// How often something may be tried yet, and when.
pub(super) struct Attempts {
    left: u32,
    pause: Duration,
    longest: Duration,
}

impl Attempts {
    /// Waits until the next attempt, or says why there is none.
    pub(super) async fn wait(&mut self, fault: Fault) -> Result<(), RegistryError> {
        self.left = self.left.saturating_sub(1);
        match fault {
            Fault::Passing(_, asked) if self.left > 0 => {
                tokio::time::sleep(asked.unwrap_or(self.pause).min(self.longest)).await;
                self.pause = self.pause.saturating_mul(2);
                Ok(())
            }
            Fault::Passing(error, _) | Fault::Lasting(error) => Err(error),
        }
    }
}

impl Registry {
    /// Makes a call; `None` when there is no such thing.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Option<Reply>, RegistryError> {
        let mut attempts = self.attempts();
        loop {
            match self.attempt(call).await {
                Ok(done) => return Ok(done),
                Err(fault) => attempts.wait(fault).await?,
            }
        }
    }

    /// The attempts that there are for something.
    pub(super) fn attempts(&self) -> Attempts {
        let Patience { attempts, pause, longest_pause, .. } = self.patience;
        Attempts { left: attempts, pause, longest: longest_pause }
    }

    /// Tries something until it succeeds, cannot succeed, or was tried often enough.
    pub(super) async fn persist<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, Fault>,
    ) -> Result<T, RegistryError> {
        let mut attempts = self.attempts();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(fault) => attempts.wait(fault).await?,
            }
        }
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Option<Reply>, Fault> {
        let answer = self.send(call, 0).await?;
        let Some(mut response) = self.successful(call, answer).await? else { return Ok(None) };
        let mut bytes = Vec::new();
        self.receive(call, &mut response, &mut bytes, |_| {}).await?;
        Ok(Some(Reply { headers: response.headers().clone(), bytes }))
    }

    /// An answer that is a success; `None` when there is no such thing.
    pub(super) async fn successful(
        &self,
        call: &Call<'_>,
        mut response: Response,
    ) -> Result<Option<Response>, Fault> {
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if status.is_success() {
            return Ok(Some(response));
        }
        let asked = retry_after(response.headers());
        let error = self.failure(call, &mut response).await;
        let is_passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(if is_passing { Fault::Passing(error, asked) } else { Fault::Lasting(error) })
    }

    /// Receives a body behind what was received before. All together is no more than there may be.
    pub(super) async fn receive(
        &self,
        call: &Call<'_>,
        response: &mut Response,
        received: &mut Vec<u8>,
        came: impl Fn(u64),
    ) -> Result<(), Fault> {
        match receive(response, call.max_bytes, received, came).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let (repository, what) = (call.repository.clone(), call.what.to_owned());
                Err(Fault::Lasting(RegistryError::TooLarge { what, repository, max_bytes: call.max_bytes }))
            }
            Err(source) => Err(broken(call.repository, source)),
        }
    }

    /// Sends a request, with what the registry gave for the login before, and once more after logging in. What it asks for
    /// begins behind so many bytes.
    pub(super) async fn send(&self, call: &Call<'_>, begin: u64) -> Result<Response, Fault> {
        let client = self.client(call.repository)?;
        let request = || {
            let request = client.request(call.method.clone(), call.url.clone()).header(ACCEPT, call.accept);
            let request = if begin > 0 { request.header(RANGE, format!("bytes={begin}-")) } else { request };
            match call.body {
                Some((kind, bytes)) => request.header(CONTENT_TYPE, kind).body(bytes.to_vec()),
                None => request,
            }
        };
        let granted = self.granted(call.repository, call.access);
        let is_anonymous = granted.is_none();
        let first = match granted {
            Some(grant) => grant.apply(request()),
            None => request(),
        };
        let response = first.send().await.map_err(|source| broken(call.repository, source))?;
        let challenge = match response.status() {
            StatusCode::UNAUTHORIZED => Some(response.headers().clone()),
            // What is hidden from those who do not log in is not there for them.
            StatusCode::NOT_FOUND if is_anonymous => self.challenge(call.repository).await?,
            _ => None,
        };
        let Some(challenge) = challenge else { return Ok(response) };
        let grant = self.log_in(call.repository, call.access, &challenge).await?;
        self.grant(call.repository, call.access, grant.clone());
        grant.apply(request()).send().await.map_err(|source| broken(call.repository, source))
    }

    /// How a registry asks for a login where nothing is wanted yet; none where it does not, or there is no login for it.
    async fn challenge(&self, repository: &Repository) -> Result<Option<HeaderMap>, Fault> {
        if self.credentials.login(repository.host()).is_none() {
            return Ok(None);
        }
        let mut url = super::url(repository, "");
        url.set_path("/v2/");
        let response = self.client(repository)?.get(url).send().await;
        let response = response.map_err(|source| broken(repository, source))?;
        let is_asked = response.status() == StatusCode::UNAUTHORIZED;
        Ok(is_asked.then(|| response.headers().clone()))
    }

    /// What an answer that is not a success means.
    async fn failure(&self, call: &Call<'_>, response: &mut Response) -> RegistryError {
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return self.unwelcome(call.repository);
        }
        // What it says only explains; where it cannot be read there is the status.
        let mut said = Vec::new();
        let is_read = matches!(receive(response, MAX_MESSAGE_BYTES, &mut said, |_| {}).await, Ok(true));
        let said = if is_read { said } else { Vec::new() };
        // A hub says why it takes no such package; others only say no.
        if status == StatusCode::FORBIDDEN && said.is_empty() {
            return self.unwelcome(call.repository);
        }
        let (repository, status) = (call.repository.clone(), status.as_u16());
        RegistryError::Status { repository, status, message: message(&said) }
    }

    /// The registry wants another login than it was given, or one at all.
    pub(super) fn unwelcome(&self, repository: &Repository) -> RegistryError {
        let is_known = self.credentials.login(repository.host()).is_some();
        let repository = repository.clone();
        if is_known {
            RegistryError::LoginRefused { repository }
        } else {
            RegistryError::LoginNeeded { repository }
        }
    }
}

/// A connection that did not come about, or broke.
pub(super) fn broken(repository: &Repository, source: reqwest::Error) -> Fault {
    let error = RegistryError::Unreachable { repository: repository.clone(), source };
    Fault::Passing(error, None)
}

/// Receives a body behind what was received before; whether all together is no more than it may be.
pub(super) async fn receive(
    response: &mut Response,
    max_bytes: u64,
    received: &mut Vec<u8>,
    came: impl Fn(u64),
) -> Result<bool, reqwest::Error> {
    while let Some(chunk) = response.chunk().await? {
        if (received.len() + chunk.len()) as u64 > max_bytes {
            return Ok(false);
        }
        received.extend_from_slice(&chunk);
        came(chunk.len() as u64);
    }
    Ok(true)
}

/// How long to wait, in seconds (RFC 9110 section 10.2.3). Where it is a date, one's own pause does as well.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a registry says about a failure (distribution 1.1, "Error Codes"), made fit for a terminal.
fn message(said: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Said {
        errors: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        code: String,
        #[serde(default)]
        message: String,
    }
    let text = match serde_json::from_slice::<Said>(said) {
        Ok(Said { errors }) => {
            let errors = errors.iter().map(|error| format!("{} {}", error.code, error.message));
            errors.collect::<Vec<_>>().join(", ")
        }
        Err(_) => String::from_utf8_lossy(said).into_owned(),
    };
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(400).collect();
    if text.trim().is_empty() { "it says no more".to_owned() } else { text.trim().to_owned() }
}
