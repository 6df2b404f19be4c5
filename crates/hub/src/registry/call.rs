// SPDX-License-Identifier: Apache-2.0
//! A request about a repository, and whether its caller may make it.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, Method};

use super::name::RepositoryName;
use super::query::Query;
use super::refused::Refused;
use crate::Hub;
use crate::access::{Action, Caller, Place};

/// A request about a repository.
pub(super) struct Call {
    pub(super) hub: Arc<Hub>,
    pub(super) name: RepositoryName,
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
        let caller = caller(&self.hub, &self.headers).await?;
        permit(&self.hub, &caller, action, &self.name).await?;
        Ok(caller)
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

/// Who makes a request.
pub(super) async fn caller(hub: &Hub, headers: &HeaderMap) -> Result<Caller, Refused> {
    let found = hub.access.caller(headers).await;
    found.map_err(|denied| match denied.status() {
        401 => Refused::Unauthorized { why: denied.to_string(), challenge: hub.access.general_challenge() },
        _ => Refused::Denied(denied),
    })
}

/// Lets a caller do something in a repository, or says why not.
pub(super) async fn permit(
    hub: &Hub,
    caller: &Caller,
    action: Action,
    name: &RepositoryName,
) -> Result<(), Refused> {
    let place = Place { publisher: name.publisher.to_string(), repository: name.rest.clone() };
    let permitted = hub.access.permit(caller, action, &place).await;
    permitted.map_err(|denied| match denied.status() {
        401 => Refused::Unauthorized { why: denied.to_string(), challenge: hub.access.challenge(action, &place) },
        _ => Refused::Denied(denied),
    })
}

/// The account that calls.
pub(super) fn account(caller: &Caller) -> Option<String> {
    match caller {
        Caller::Anonymous => None,
        Caller::Account { id, .. } => Some(id.clone()),
    }
}
