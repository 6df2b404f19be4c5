// SPDX-License-Identifier: Apache-2.0
//! A client of the node's API, over its unix socket or over TCP with TLS.

mod following;
mod maps;
mod remote;
mod user_log;

use std::error::Error;
use std::path::{Path, PathBuf};

use package::MemberName;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::{
    Applied, Chains, Document, Event, Explained, Generation, GenerationSummary, Planned, Probes, Problem,
    Profile, Rollback, SampleWish, Sampled, Status, TestWish, Tested,
};

pub use following::Following;
pub use maps::Entries;
pub use remote::RemoteNode;

/// A connection to one node.
#[derive(Debug, Clone)]
pub struct NodeClient {
    http: Client,
    /// None where the node is another machine.
    socket: Option<PathBuf>,
    /// What paths of calls are put behind.
    base: String,
    /// What the node is called in errors.
    place: String,
}

/// A call that did not succeed.
#[derive(Debug, Error)]
pub enum CallError {
    /// Nobody answers.
    #[error("no daemon answers at `{place}`")]
    Unreachable {
        /// The socket, or the URL.
        place: String,
        /// Why not.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A node on another machine cannot be asked like that.
    #[error("the node `{url}` cannot be asked: {problem}")]
    BadRemote {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The connection broke, or the answer is not one of the node's API.
    #[error("the daemon at `{place}` gave no answer that can be understood")]
    Broken {
        /// The socket, or the URL.
        place: String,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// What it tells as it happens is not what a node tells.
    #[error("the daemon at `{place}` tells something that cannot be understood")]
    Garbled {
        /// The socket, or the URL.
        place: String,
        /// What is wrong with it.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// It did not tell all that there is.
    #[error("the daemon at `{place}` did not tell all: {problem}")]
    CutOff {
        /// The socket, or the URL.
        place: String,
        /// What happened.
        problem: String,
    },
    /// The node refused.
    #[error("{0}")]
    Refused(Box<Problem>),
}

impl CallError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { place, .. } | Self::Broken { place, .. } if place.starts_with("https:") => Some(
                "`--tls-ca` names the authority of its certificate; `--tls-cert` and `--tls-key`, or `--token-file`, say who you are"
                    .to_owned(),
            ),
            Self::BadRemote { .. } => Some("for example `--node https://node7.example.org:7443`".to_owned()),
            Self::Unreachable { .. } => {
                Some("is `l3afd` running, and are you root? `--socket` names another socket".to_owned())
            }
            Self::Broken { .. } | Self::Garbled { .. } => {
                Some("are `l3af` and `l3afd` of the same version?".to_owned())
            }
            Self::CutOff { .. } => None,
            Self::Refused(problem) => problem.hint.clone(),
        }
    }
}

impl NodeClient {
    /// A client for the node behind a socket. Nothing is sent yet.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn new(socket: &Path) -> Result<Self, CallError> {
        let place = socket.display().to_string();
        let broken = |source| CallError::Broken { place: place.clone(), source };
        // No TLS on the socket: reading the certificates of this machine would take longer than all the rest.
        let builder = Client::builder().unix_socket(socket).no_proxy().tls_certs_only([]);
        let http = builder.build().map_err(broken)?;
        Ok(Self { http, socket: Some(socket.to_owned()), base: "http://l3afd".to_owned(), place })
    }

    /// How the node is.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn status(&self) -> Result<Status, CallError> {
        self.answer(self.request(Method::GET, "/v1/status")).await
    }

    /// The desired state in force.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn desired(&self) -> Result<Generation, CallError> {
        self.answer(self.request(Method::GET, "/v1/desired")).await
    }

    /// Why each package of the desired state was accepted.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn explanations(&self) -> Result<Vec<Explained>, CallError> {
        self.answer(self.request(Method::GET, "/v1/desired/explanations")).await
    }

    /// Replaces the desired state; `expected` is the generation that the caller saw. With `confirm_within` the generation before
    /// returns after so many seconds, unless somebody confirms this one.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn apply(
        &self,
        document: &Document,
        expected: Option<u64>,
        confirm_within: Option<u32>,
    ) -> Result<Applied, CallError> {
        let query = confirm_within.map(|seconds| format!("?confirm_within={seconds}")).unwrap_or_default();
        let request = self.request(Method::PUT, &format!("/v1/desired{query}")).json(document);
        self.answer(if_match(request, expected)).await
    }

    /// Keeps the generation that is on trial.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn confirm(&self, expected: Option<u64>) -> Result<Generation, CallError> {
        self.answer(if_match(self.request(Method::PUT, "/v1/desired/confirmation"), expected)).await
    }

    /// Brings back a generation that is kept.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn roll_back(&self, rollback: Rollback, expected: Option<u64>) -> Result<Applied, CallError> {
        self.answer(if_match(self.request(Method::POST, "/v1/rollback").json(&rollback), expected)).await
    }

    /// The generations that are kept, the newest first.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn generations(&self) -> Result<Vec<GenerationSummary>, CallError> {
        self.answer(self.request(Method::GET, "/v1/generations")).await
    }

    /// A generation that is kept.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn generation(&self, number: u64) -> Result<Generation, CallError> {
        self.answer(self.request(Method::GET, &format!("/v1/generations/{number}"))).await
    }

    /// What applying a document would do.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn plan(&self, document: &Document) -> Result<Planned, CallError> {
        self.answer(self.request(Method::POST, "/v1/plan").json(document)).await
    }

    /// Takes a member out of its chain, or a probe off; `hook` is `<interface>/<point>` where several chains have it.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn stop(&self, member: &MemberName, hook: Option<&str>) -> Result<Applied, CallError> {
        let query = hook.map(|hook| format!("?hook={hook}")).unwrap_or_default();
        self.answer(self.request(Method::DELETE, &format!("/v1/desired/members/{member}{query}"))).await
    }

    /// Takes all members out of all chains.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn stop_all(&self) -> Result<Applied, CallError> {
        self.answer(self.request(Method::DELETE, "/v1/desired")).await
    }

    /// The chains as they are in the kernel.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn chains(&self) -> Result<Chains, CallError> {
        self.answer(self.request(Method::GET, "/v1/chains")).await
    }

    /// The probes as they are in the kernel.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn probes(&self) -> Result<Probes, CallError> {
        self.answer(self.request(Method::GET, "/v1/probes")).await
    }

    /// What happened, the latest last, behind an event that is known already.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn events(&self, after: u64) -> Result<Vec<Event>, CallError> {
        self.answer(self.request(Method::GET, &format!("/v1/events?after={after}"))).await
    }

    /// What happens from now on, behind an event that is known already.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn follow_events(&self, after: u64) -> Result<Following<Event>, CallError> {
        let request = self.request(Method::GET, &format!("/v1/events?after={after}"));
        self.follow(request.header("accept", "text/event-stream")).await
    }

    /// Measures the run time of all members for a while.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn profile(&self, profile: Profile) -> Result<Planned, CallError> {
        self.answer(self.request(Method::PUT, "/v1/profile").json(&profile)).await
    }

    /// Ends measuring before its time.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn end_profile(&self) -> Result<Planned, CallError> {
        self.answer(self.request(Method::DELETE, "/v1/profile")).await
    }

    /// Packets where they leave chains, as they do.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn sample(&self, wish: &SampleWish) -> Result<Following<Sampled>, CallError> {
        self.follow(self.request(Method::POST, "/v1/samples").json(wish)).await
    }

    /// Runs a program of a package on made-up packets.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub async fn test(&self, wish: &TestWish) -> Result<Tested, CallError> {
        self.answer(self.request(Method::POST, "/v1/tests").json(wish)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CallError> {
        self.response(request).await?.json().await.map_err(|source| self.broken(source))
    }

    /// The answer to a call, if it is a good one.
    async fn response(&self, request: RequestBuilder) -> Result<Response, CallError> {
        // A socket that nobody listens to is told apart from a call that broke off.
        if let Some(socket) = &self.socket
            && let Err(source) = std::os::unix::net::UnixStream::connect(socket)
        {
            return Err(CallError::Unreachable { place: self.place.clone(), source: source.into() });
        }
        let response = request.send().await.map_err(|source| {
            if source.is_connect() {
                CallError::Unreachable { place: self.place.clone(), source: deepest(&source).into() }
            } else {
                self.broken(source)
            }
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(CallError::Refused(Box::new(response.json().await.map_err(|source| self.broken(source))?)))
    }

    fn broken(&self, source: reqwest::Error) -> CallError {
        CallError::Broken { place: self.place.clone(), source }
    }
}

/// What is behind an error, without the words of those who passed it on.
pub(crate) fn deepest(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}

/// Has a call refused when another generation is in force than the caller saw.
fn if_match(request: RequestBuilder, expected: Option<u64>) -> RequestBuilder {
    match expected {
        Some(expected) => request.header("if-match", format!("\"{expected}\"")),
        None => request,
    }
}
