// SPDX-License-Identifier: Apache-2.0
//! Programs that are given tokens of this hub (OAuth 2.0, RFC 6749): one that leads to a browser of its machine ([`authorize`],
//! RFC 8252), one on a machine without a browser ([`device`], RFC 8628), and one that shows a token of an issuer of machines (RFC 8693).
//!
//! What is given is an ordinary token of an account, which is in its list and can be revoked there. The hub knows one client, which has
//! no secret: people decide what they let in, not programs.

mod authorize;
mod codes;
mod device;
mod devices;
mod refused;
mod token;
mod wish;

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::Hub;

/// What the one client is called.
const CLIENT: &str = "l3af";
/// How grants are called that are longer than a word.
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

pub(super) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/oauth/authorize", get(authorize::ask).post(authorize::decide))
        .route("/oauth/device", post(device::begin))
        .route("/oauth/token", post(token::give))
        .route("/device", get(device::ask).post(device::decide))
}

/// What there is, and where (RFC 8414).
async fn metadata(State(hub): State<Arc<Hub>>) -> Json<Value> {
    let url = &hub.access.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/oauth/authorize"),
        "device_authorization_endpoint": format!("{url}/oauth/device"),
        "token_endpoint": format!("{url}/oauth/token"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", DEVICE_CODE, EXCHANGE],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
        "service_documentation": format!("{url}/api/v1/"),
    }))
}
