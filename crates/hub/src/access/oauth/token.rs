// SPDX-License-Identifier: Apache-2.0
//! `/oauth/token`: gives a token for what a program shows (RFC 6749, section 3.2).

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::publishing::{Exchanged, LIFETIME_S};
use super::super::scope::Scope;
use super::super::secret::Secret;
use super::devices::{self, Polled};
use super::refused::NoGrant;
use super::wish::written;
use super::{CLIENT, DEVICE_CODE, EXCHANGE, codes};
use crate::Hub;

/// What tokens that are shown and given are called (RFC 8693, section 3).
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// What a program sends; what is of no use for its kind of grant is not looked at.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Sent {
    grant_type: String,
    client_id: String,
    code: String,
    code_verifier: String,
    redirect_uri: String,
    device_code: String,
    subject_token: String,
    subject_token_type: String,
    /// For whom the token is to be: the name of a publisher.
    audience: Option<String>,
}

/// What is given.
pub(super) struct Given {
    pub(super) secret: Secret,
    pub(super) scopes: Vec<Scope>,
    /// For how many seconds it counts; none, until it is revoked.
    pub(super) expires_in: Option<i64>,
}

pub(super) async fn give(State(hub): State<Arc<Hub>>, form: Result<Form<Sent>, FormRejection>) -> Response {
    let given = async {
        let Form(sent) = form.map_err(|_unread| NoGrant::Request("the form cannot be read".to_owned()))?;
        match sent.grant_type.as_str() {
            "authorization_code" => by_code(&hub, sent).await.map(Given::told),
            DEVICE_CODE => by_device(&hub, sent).await.map(Given::told),
            EXCHANGE => by_token(&hub, sent).await,
            _ => Err(NoGrant::Kind),
        }
    };
    match given.await {
        Ok(told) => ([(header::CACHE_CONTROL, "no-store")], Json(told)).into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn by_code(hub: &Hub, sent: Sent) -> Result<Given, NoGrant> {
    let Sent { client_id, code, code_verifier, redirect_uri, .. } = sent;
    is_client(&client_id)?;
    let unknown = || NoGrant::Grant("the code is none of this hub's".to_owned());
    let (code, now_ms) = (Secret::read(&code).ok_or_else(unknown)?, hub.now_ms());
    let redeemed = hub.database.write(move |connection| {
        async move { codes::redeem(connection, &code, (&code_verifier, &redirect_uri), now_ms).await }.boxed()
    });
    redeemed.await
}

async fn by_device(hub: &Hub, sent: Sent) -> Result<Given, NoGrant> {
    is_client(&sent.client_id)?;
    let unknown = || NoGrant::Grant("the `device_code` is none of this hub's".to_owned());
    let (device, now_ms) = (Secret::read(&sent.device_code).ok_or_else(unknown)?, hub.now_ms());
    let polled = hub
        .database
        .write(move |connection| async move { devices::poll(connection, &device, now_ms).await }.boxed());
    match polled.await? {
        Polled::Given(given) => Ok(given),
        Polled::Not(why) => Err(why),
    }
}

/// Whoever shows a token of an issuer needs to be no client: it says who it is.
async fn by_token(hub: &Hub, sent: Sent) -> Result<Value, NoGrant> {
    if ![ID_TOKEN, JWT].contains(&sent.subject_token_type.as_str()) {
        return Err(NoGrant::Request(format!("`subject_token_type` is `{ID_TOKEN}`")));
    }
    let audience = sent.audience.filter(|publisher| !publisher.is_empty());
    let exchanged = hub.access.exchange(&sent.subject_token, audience).await.inspect_err(|refused| {
        tracing::info!("a token of an issuer is not exchanged: {}", crate::answer::whole(refused));
    });
    let Exchanged { secret, scopes } = exchanged?;
    let mut told = Given { secret, scopes, expires_in: Some(LIFETIME_S) }.told();
    told["issued_token_type"] = json!(ACCESS_TOKEN);
    Ok(told)
}

fn is_client(id: &str) -> Result<(), NoGrant> {
    if id == CLIENT { Ok(()) } else { Err(NoGrant::Client) }
}

impl Given {
    fn told(self) -> Value {
        let mut told = json!({
            "access_token": self.secret.reveal(),
            "token_type": "Bearer",
            "scope": written(&self.scopes),
        });
        if let Some(expires_in) = self.expires_in {
            told["expires_in"] = json!(expires_in);
        }
        told
    }
}
