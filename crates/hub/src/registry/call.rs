// SPDX-License-Identifier: Apache-2.0
//! A request about a repository, and whether its caller may make it.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, Method, header};

use super::name::RepositoryName;
use super::query::Query;
use super::refused::Refused;
use crate::access::{Action, Caller, Denied, Place};
use crate::packages::{self, Turned};
use crate::server::Client;
use crate::{ContentDigest, Hub};

/// A request about a repository.
pub(super) struct Call {
    pub(super) hub: Arc<Hub>,
    pub(super) name: RepositoryName,
    /// Where it comes from, where that is known.
    pub(super) client: Option<Client>,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) query: Query,
}

impl Call {
    /// Whether only what stands before a body is wanted.
    pub(super) fn is_head(&self) -> bool {
        self.method == Method::HEAD
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Who calls, if they may do that here.
    pub(super) async fn admit(&self, action: Action) -> Result<Caller, Refused> {
        let caller = self.hub.access.caller(&self.headers).await;
        let caller = caller.map_err(|denied| refuse(&self.hub, denied, action, &self.name))?;
        permit(&self.hub, &caller, action, &self.name).await?;
        Ok(caller)
    }

    /// Lets somebody publish or pull with a login who accepted what this instance asks everybody to accept.
    pub(super) async fn check_notice(&self, caller: &Caller) -> Result<(), Refused> {
        let Some(account) = caller.account() else { return Ok(()) };
        if packages::accepted(&self.hub, account).await? {
            return Ok(());
        }
        let why = "this hub has a notice that you have not accepted: read it (`GET /api/v1/instance`) and accept it \
                   (`l3af accept-notice`)";
        Err(Turned::Away { why: why.to_owned() }.into())
    }

    /// Counts that a caller was given a manifest.
    pub(super) fn count(&self, caller: &Caller, repository: &str, digest: &ContentDigest) {
        let who = match (caller.account(), self.client) {
            (Some(account), _) => account.to_owned(),
            (None, Some(client)) => client.address.to_string(),
            (None, None) => return,
        };
        self.hub.pulls.notice(repository, digest, &who, self.hub.now_ms());
    }

    /// Whether a caller sees also what is not released yet.
    pub(super) async fn sees_all(&self, caller: &Caller) -> bool {
        permit(&self.hub, caller, Action::Inspect, &self.name).await.is_ok()
    }

    /// The path of something in this repository.
    pub(super) fn path(&self, rest: &str) -> String {
        format!("/v2/{}/{rest}", self.name)
    }

    pub(super) fn no_repository(&self) -> Refused {
        Refused::NoRepository { name: self.name.to_string() }
    }
}

/// Who makes a request that is about no repository.
pub(super) async fn caller(hub: &Hub, headers: &HeaderMap) -> Result<Caller, Refused> {
    let refuse = |denied| Refused::Denied { denied, challenge: hub.access.general_challenge() };
    hub.access.caller(headers).await.map_err(refuse)
}

/// Lets a caller do something in a repository, or says why not.
pub(super) async fn permit(
    hub: &Hub,
    caller: &Caller,
    action: Action,
    name: &RepositoryName,
) -> Result<(), Refused> {
    let permitted = hub.access.permit(caller, action, &place(name)).await;
    permitted.map_err(|denied| refuse(hub, denied, action, name))
}

/// Whether a client has to log in before it does anything else: one that is not told so at `/v2/` never does.
pub(super) async fn welcome(hub: &Hub, headers: &HeaderMap) -> Result<(), Refused> {
    let caller = caller(hub, headers).await?;
    if caller != Caller::Anonymous || headers.contains_key(header::AUTHORIZATION) {
        return Ok(());
    }
    let welcome = hub.access.welcome().await;
    welcome.map_err(|denied| Refused::Denied { denied, challenge: hub.access.general_challenge() })
}

fn refuse(hub: &Hub, denied: Denied, action: Action, name: &RepositoryName) -> Refused {
    Refused::Denied { denied, challenge: hub.access.challenge(action, &place(name)) }
}

fn place(name: &RepositoryName) -> Place {
    Place { publisher: name.publisher.to_string(), repository: name.rest.clone() }
}

/// The account that calls.
pub(super) fn account(caller: &Caller) -> Option<String> {
    caller.account().map(str::to_owned)
}
