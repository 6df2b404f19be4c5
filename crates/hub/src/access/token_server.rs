// SPDX-License-Identifier: Apache-2.0
//! `/v2/token`: gives OCI clients a short-lived token for what they ask for, as far as they may do that. GET is the token
//! protocol of the distribution project, POST its form after OAuth 2 (RFC 6749, 4.3 and 6).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::Access;
use super::action::Place;
use super::caller::Caller;
use super::credentials::Shown;
use super::denied::Denied;
use super::scope::Verb;
use super::signing::{Granted, LIFETIME_S};
use crate::Hub;
use crate::server::Client;

/// The most repositories that one token is for.
const MOST: usize = 32;

/// Parameters, of which `scope` may come several times.
type Parameters = Vec<(String, String)>;

/// A token, as clients of both forms read it.
#[derive(Debug, Serialize)]
struct Answer {
    token: String,
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    issued_at: String,
    /// What it is for, which may be less than what was asked for.
    scope: String,
}

/// Why there is no token.
enum NoToken {
    Denied(Denied),
    /// A request of neither form.
    Malformed(&'static str),
}

pub(super) fn routes() -> Router<Arc<Hub>> {
    Router::new().route("/v2/token", get(by_get).post(by_post))
}

async fn by_get(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let answered = async {
        let Query(parameters) =
            parameters.map_err(|_unreadable| NoToken::Malformed("the parameters cannot be read"))?;
        let caller = hub.access.by_shown(Shown::read(&headers), client.address).await?;
        hub.access.grant(&caller, &parameters).await
    };
    answered.await.map_or_else(|refused| refuse(&hub, &refused), |answer| no_store(Json(answer)))
}

async fn by_post(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    parameters: Result<Form<Parameters>, FormRejection>,
) -> Response {
    let answered = async {
        let Form(parameters) =
            parameters.map_err(|_unreadable| NoToken::Malformed("the form cannot be read"))?;
        let value =
            |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let shown = match value("grant_type") {
            Some("password") => {
                Shown::pair(value("username").unwrap_or_default(), value("password").unwrap_or_default())
            }
            // What `docker login` keeps as an identity token.
            Some("refresh_token") => Shown::bearer(value("refresh_token").unwrap_or_default()),
            Some(_) | None => {
                return Err(NoToken::Malformed("`grant_type` is neither `password` nor `refresh_token`"));
            }
        };
        let caller = hub.access.by_shown(shown, client.address).await?;
        hub.access.grant(&caller, &parameters).await
    };
    answered.await.map_or_else(|refused| refuse_form(&refused), |answer| no_store(Json(answer)))
}

impl From<Denied> for NoToken {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

impl Access {
    /// Who shows something here, where passwords count too. A token that the hub signed is good for no other.
    async fn by_shown(&self, shown: Shown, from: IpAddr) -> Result<Caller, Denied> {
        match shown {
            Shown::Password { user, password } => self.log_in(&user, &password, from).await,
            Shown::Token(secret) => self.by_token(&secret).await,
            // Browsers show what they have wherever they are sent.
            Shown::Nothing | Shown::Session(_) => Ok(Caller::Anonymous),
            Shown::Signed(_) => Err(Denied::Credentials { problem: "a short-lived token gives no other" }),
            Shown::Unreadable(problem) => Err(Denied::Credentials { problem }),
        }
    }

    /// A token for what was asked for, as far as the caller may do that.
    async fn grant(&self, caller: &Caller, parameters: &Parameters) -> Result<Answer, NoToken> {
        let scopes = parameters.iter().filter(|(key, _)| key == "scope").map(|(_, value)| value.as_str());
        let wanted = wanted(scopes.flat_map(str::split_whitespace));
        if wanted.len() > MOST {
            return Err(NoToken::Malformed("one token is for 32 repositories at most"));
        }
        let mut access = Vec::with_capacity(wanted.len());
        for (place, verbs) in &wanted {
            let verbs = self.permitted(caller, place, verbs).await?;
            access.extend((!verbs.is_empty()).then(|| Granted::new(place.to_string(), &verbs)));
        }
        let now_ms = self.now_ms();
        let scope: Vec<String> = access.iter().map(|granted| granted.scope().to_string()).collect();
        let account = match caller {
            Caller::Anonymous => ("", ""),
            Caller::Account { id, handle, .. } => (id.as_str(), handle.as_str()),
        };
        let token = self.keys.sign(&self.database, account, access, now_ms).await.map_err(Denied::Unknown)?;
        let issued = Timestamp::from_millisecond(now_ms).unwrap_or_default();
        Ok(Answer {
            access_token: token.clone(),
            token,
            token_type: "Bearer",
            expires_in: LIFETIME_S,
            issued_at: issued.to_string(),
            scope: scope.join(" "),
        })
    }

    /// Which of these a caller may do.
    async fn permitted(&self, caller: &Caller, place: &Place, verbs: &[Verb]) -> Result<Vec<Verb>, Denied> {
        let mut permitted = Vec::new();
        for verb in verbs {
            match self.permit(caller, verb.action(), place).await {
                Ok(()) => permitted.push(*verb),
                Err(Denied::Rule { .. }) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(permitted)
    }
}

/// Reads scopes, `repository:acme/top:pull,push`. What is of another type, or asks for something else, is for nobody here.
fn wanted<'a>(scopes: impl Iterator<Item = &'a str>) -> BTreeMap<Place, Vec<Verb>> {
    let mut wanted: BTreeMap<Place, Vec<Verb>> = BTreeMap::new();
    for scope in scopes {
        let parts = scope.strip_prefix("repository:").and_then(|rest| rest.rsplit_once(':'));
        let Some((place, actions)) = parts.and_then(|(name, actions)| Some((Place::of(name)?, actions)))
        else {
            continue;
        };
        let verbs = wanted.entry(place).or_default();
        for action in actions.split(',') {
            verbs.extend(Verb::ALL.iter().filter(|verb| action == "*" || verb.name() == action));
        }
        verbs.sort_unstable();
        verbs.dedup();
    }
    wanted
}

fn no_store(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}

/// An error of the OCI distribution specification.
fn refuse(hub: &Hub, refused: &NoToken) -> Response {
    let (status, code, message) = told(refused);
    let body = Json(json!({ "errors": [{ "code": code, "message": message }] }));
    let mut response = no_store((status, body));
    if status == StatusCode::UNAUTHORIZED {
        let challenge = format!("Basic realm=\"{}\"", hub.access.service());
        if let Ok(value) = challenge.try_into() {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
    }
    with_wait(response, refused)
}

/// An error of OAuth 2 (RFC 6749, 5.2).
fn refuse_form(refused: &NoToken) -> Response {
    let (status, _, message) = told(refused);
    let (status, code) = match refused {
        NoToken::Malformed(_) => (status, "invalid_request"),
        NoToken::Denied(Denied::Credentials { .. }) => (StatusCode::UNAUTHORIZED, "invalid_grant"),
        NoToken::Denied(_) => (status, "temporarily_unavailable"),
    };
    let body = Json(json!({ "error": code, "error_description": message }));
    with_wait(no_store((status, body)), refused)
}

fn told(refused: &NoToken) -> (StatusCode, &'static str, String) {
    match refused {
        NoToken::Malformed(problem) => (StatusCode::BAD_REQUEST, "UNSUPPORTED", (*problem).to_owned()),
        NoToken::Denied(denied) => {
            if let Denied::Unknown(error) = denied {
                tracing::error!("no token can be given: {error}");
            }
            let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::UNAUTHORIZED);
            (status, denied.code(), denied.to_string())
        }
    }
}

fn with_wait(mut response: Response, refused: &NoToken) -> Response {
    if let NoToken::Denied(denied) = refused
        && let Some(wait_s) = denied.wait_s()
    {
        response.headers_mut().insert(header::RETRY_AFTER, wait_s.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_together_by_repository() {
        let scopes = [
            "repository:acme/top:pull",
            "repository:acme/top:push,pull",
            "repository:a/b/c:*",
            "registry:catalog:*",
            "repository:single:pull",
            "repository:acme/top",
            "repository:x/y:fly",
        ];
        let wanted: Vec<String> = wanted(scopes.into_iter())
            .into_iter()
            .map(|(place, verbs)| Granted::new(place.to_string(), &verbs).scope().to_string())
            .collect();
        assert_eq!(
            wanted,
            ["repository:a/b/c:pull,push,delete", "repository:acme/top:pull,push", "repository:x/y:"]
        );
    }
}
