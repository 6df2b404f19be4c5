// SPDX-License-Identifier: Apache-2.0
//! The gate before the API: finds out who calls, refuses what is not permitted before anything is done for it, and writes changes
//! down.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;
use wire::Problem;

use super::asker::Asker;
use super::audit::{Outcome, Record};
use super::caller::{Caller, Certificate, Peer};
use super::refusal::Refusal;
use super::thing::Action;
use super::{Access, Remote};
use crate::api::{self, Told};

/// Which generation was in force before a call and after it, as the answer tells this gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InForce {
    pub(crate) before: Option<u64>,
    pub(crate) after: Option<u64>,
}

/// Lets a call pass, or answers it.
pub(crate) async fn gate(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let action = action(request.method(), request.uri().path());
    let call = format!("{} {}", request.method(), request.uri());
    let peer = request.extensions().get::<Peer>().cloned();
    let token = bearer(request.headers()).map(str::to_owned);
    let caller = access.caller(peer, token.as_deref()).await.map(Arc::new);
    let admitted = caller.as_ref().map_err(api::refused);
    let admitted = admitted.and_then(|caller| {
        let asker = action.map(|action| access.admit(caller, action)).transpose();
        asker.map_err(|refusal| api::refused(&refusal))
    });
    let response = match admitted {
        Ok(asker) => {
            if let Some(asker) = asker {
                request.extensions_mut().insert(asker);
            }
            next.run(request).await
        }
        Err(response) => response,
    };
    if let Some(action) = action.filter(|action| action.changes()) {
        access.audit.write(&access.record(caller.ok().as_deref(), action, call, &response));
    }
    response
}

/// What a call is about; none where it tells nothing of the node.
fn action(method: &Method, path: &str) -> Option<Action> {
    let is_read = [Method::GET, Method::HEAD, Method::OPTIONS].contains(method);
    match path {
        "/healthz" | "/readyz" | "/openapi.json" if is_read => None,
        _ if is_read => Some(Action::Read),
        "/v1/plan" => Some(Action::Plan),
        "/v1/rollback" => Some(Action::Rollback),
        "/v1/desired/confirmation" => Some(Action::Confirm),
        "/v1/profile" => Some(Action::Profile),
        // Whoever has programs loaded and run may do anything.
        "/v1/tests" => Some(Action::Other),
        "/v1/desired" if *method == Method::PUT => Some(Action::Apply),
        "/v1/desired" if *method == Method::DELETE => Some(Action::Stop),
        _ if *method == Method::DELETE && path.starts_with("/v1/desired/members/") => Some(Action::Stop),
        _ if *method == Method::PATCH && path.starts_with("/v1/maps/") => Some(Action::Set),
        _ => Some(Action::Other),
    }
}

impl Access {
    /// Who calls.
    async fn caller(&self, peer: Option<Peer>, token: Option<&str>) -> Result<Caller, Refusal> {
        match (peer, &self.remote) {
            (Some(Peer::Local { .. }), _) if token.is_some() => Err(Refusal::TokenInTheOpen),
            (Some(Peer::Local { uid, gid }), _) => Ok(Caller::local(uid, gid)),
            (Some(Peer::Remote { address, certificate }), Some(remote)) => {
                let names = remote.names(certificate.as_deref(), (self.clock)())?;
                match (token, &remote.oidc, names) {
                    (Some(token), Some(oidc), names) => {
                        let token = oidc.verify(token, (self.clock)()).await?;
                        Ok(Caller::Bearer { token, names: names.unwrap_or_default(), address })
                    }
                    (Some(_), None, _) => Err(Refusal::NoTokens),
                    (None, _, Some(names)) => Ok(Caller::Certified { names, address }),
                    (None, oidc, None) => Err(Refusal::Anonymous { takes_tokens: oidc.is_some() }),
                }
            }
            (Some(Peer::Remote { .. } | Peer::Open { .. }) | None, _) => {
                Err(Refusal::Anonymous { takes_tokens: false })
            }
        }
    }

    /// Who calls the API of l3afd v1.
    pub(crate) async fn caller_of_l3afd(&self, peer: Option<Peer>) -> Result<String, Refusal> {
        match peer {
            Some(Peer::Open { address }) => Ok(format!("l3afd-v1:{}", address.ip())),
            peer => self.caller(peer, None).await.map(|caller| caller.to_string()),
        }
    }

    /// Writes down what a caller of the API of l3afd v1 changed, or why it could not.
    pub(crate) fn record_l3afd(
        &self,
        by: String,
        call: String,
        problem: Option<&Problem>,
        (generation_before, generation_after): (Option<u64>, Option<u64>),
    ) {
        self.audit.write(&Record {
            time: (self.clock)(),
            caller: Some(by),
            handles: Vec::new(),
            via: Some("l3afd-v1"),
            address: None,
            action: Action::Apply.to_string(),
            call,
            outcome: if problem.is_none() { Outcome::Done } else { Outcome::Refused },
            status: problem.map_or(200, |problem| problem.status),
            problem: problem.map(ToString::to_string),
            generation_before,
            generation_after,
        });
    }

    /// Lets a caller ask for something, unless that is too much, or nothing of the kind is permitted.
    fn admit(&self, caller: &Arc<Caller>, action: Action) -> Result<Asker, Refusal> {
        let rules = self.rules();
        if action.changes() && !caller.is_root() {
            let taken = self.pace.take(&caller.to_string(), Instant::now());
            taken.map_err(|wait| Refusal::TooMany { caller: caller.to_string(), wait })?;
        }
        if action.touches() {
            Asker::may_at_all(&rules, caller, action)?;
        } else {
            Asker::may_with_node(&rules, caller, action)?;
        }
        Ok(Asker::caller(&rules, caller, action))
    }

    /// Writes down that the file which says what is desired was applied, or could not be. A file that says what is in force is no
    /// change.
    pub(crate) fn record_file(
        &self,
        path: &Path,
        problem: Option<Problem>,
        (generation_before, generation_after): (Option<u64>, Option<u64>),
    ) {
        if problem.is_none() && generation_before == generation_after {
            return;
        }
        let status = problem.as_ref().map_or(200, |problem| problem.status);
        self.audit.write(&Record {
            time: (self.clock)(),
            caller: Some(format!("file:{}", path.display())),
            handles: Vec::new(),
            via: Some("file"),
            address: None,
            action: Action::Apply.to_string(),
            call: String::new(),
            outcome: if problem.is_none() { Outcome::Done } else { Outcome::Refused },
            status,
            problem: problem.map(|problem| problem.to_string()),
            generation_before,
            generation_after,
        });
    }

    fn record(&self, caller: Option<&Caller>, action: Action, call: String, response: &Response) -> Record {
        let in_force = response.extensions().get::<InForce>();
        let status = response.status().as_u16();
        let handles = caller.map(Caller::handles).unwrap_or_default();
        Record {
            time: (self.clock)(),
            caller: caller.map(ToString::to_string),
            handles: handles.iter().map(ToString::to_string).collect(),
            via: caller.map(Caller::via),
            address: caller.and_then(Caller::address).map(|address| address.to_string()),
            action: action.to_string(),
            call,
            outcome: Outcome::of(status),
            status,
            problem: response.extensions().get::<Told>().map(|Told(problem)| problem.clone()),
            generation_before: in_force.and_then(|in_force| in_force.before),
            generation_after: in_force.and_then(|in_force| in_force.after),
        }
    }
}

impl Remote {
    /// The names of a certificate that the configuration lets in, as long as it counts.
    fn names(
        &self,
        certificate: Option<&Certificate>,
        now: Timestamp,
    ) -> Result<Option<BTreeSet<String>>, Refusal> {
        let Some(Certificate { names, expires }) = certificate else { return Ok(None) };
        // The connection may have begun long ago.
        if *expires <= now {
            return Err(Refusal::Expired);
        }
        let (rules, names) = (&self.config.client_names, names.clone());
        if rules.is_empty() || names.iter().any(|name| rules.iter().any(|rule| rule.admits(name))) {
            return Ok(Some(names));
        }
        Err(Refusal::Name { names })
    }
}

/// The token of a call (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    const NAME: HeaderName = header::AUTHORIZATION;
    let (scheme, token) = headers.get(NAME)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_no_reading() {
        let told = |method: Method, path: &str| {
            action(&method, path).map_or_else(|| "nothing".to_owned(), |action| action.to_string())
        };
        assert_eq!(told(Method::GET, "/healthz"), "nothing");
        assert_eq!(told(Method::PUT, "/healthz"), "other");
        assert_eq!(told(Method::GET, "/v1/desired"), "read");
        assert_eq!(told(Method::PUT, "/v1/desired"), "apply");
        assert_eq!(told(Method::DELETE, "/v1/desired"), "stop");
        assert_eq!(told(Method::DELETE, "/v1/desired/members/a"), "stop");
        assert_eq!(told(Method::PUT, "/v1/desired/confirmation"), "confirm");
        assert_eq!(told(Method::POST, "/v1/rollback"), "rollback");
        assert_eq!(told(Method::POST, "/v1/plan"), "plan");
        assert_eq!(told(Method::DELETE, "/v1/profile"), "profile");
        assert_eq!(told(Method::PATCH, "/v1/maps/a/ports"), "set");
        assert_eq!(told(Method::GET, "/v1/maps/a/ports"), "read");
        assert_eq!(told(Method::POST, "/v1/tests"), "other");
        assert_eq!(told(Method::POST, "/whatever/comes/later"), "other");
    }
}
