// SPDX-License-Identifier: Apache-2.0
//! A machine without a browser shows a code, and somebody who is logged in elsewhere types it and lets it in (RFC 8628).

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use serde::Deserialize;
use serde_json::json;

use super::super::attempts::{self, Subject};
use super::super::denied::Denied;
use super::super::pages::{LoginPage, page};
use super::CLIENT;
use super::devices::{self, INTERVAL_S, WAIT_S, Waiting};
use super::refused::NoGrant;
use super::wish::Wish;
use crate::Hub;
use crate::server::Client;

/// What a machine asks for.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Asked {
    client_id: String,
    scope: String,
    expires_ms: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Typed {
    user_code: String,
    /// What somebody decided: `allow`, or something else.
    decision: String,
}

#[derive(Template)]
#[template(path = "device.html")]
struct DevicePage {
    problem: String,
    /// What became of it.
    done: String,
    handle: String,
    user_code: String,
    address: String,
    /// None where it is not known yet which machine it is about.
    scopes: Vec<String>,
}

pub(super) async fn begin(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    form: Result<Form<Asked>, FormRejection>,
) -> Response {
    let begun = async {
        let Form(asked) = form.map_err(|_unread| NoGrant::Request("the form cannot be read".to_owned()))?;
        if asked.client_id != CLIENT {
            return Err(NoGrant::Client);
        }
        let now_ms = hub.now_ms();
        let wish = Wish::read(&asked.scope, &asked.expires_ms, now_ms)?;
        let address = client.address.to_string();
        let added = hub.database.write(move |connection| {
            async move { devices::add(connection, &wish, &address, now_ms).await }.boxed()
        });
        Ok(added.await?)
    };
    match begun.await {
        Ok((secret, user_code)) => {
            let page = format!("{}/device", hub.access.url);
            let told = json!({
                "device_code": secret.reveal(),
                "user_code": user_code,
                "verification_uri": page,
                "verification_uri_complete": format!("{page}?user_code={user_code}"),
                "expires_in": WAIT_S,
                "interval": INTERVAL_S,
            });
            ([(header::CACHE_CONTROL, "no-store")], Json(told)).into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

pub(super) async fn ask(
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    Query(typed): Query<Typed>,
) -> Response {
    let (account, handle) = match hub.access.browser(&headers).await {
        Ok(Some(found)) => found,
        Ok(None) => {
            let next = match devices::typed(&typed.user_code) {
                Some(code) => format!("/device?user_code={code}"),
                None => "/device".to_owned(),
            };
            return page(StatusCode::OK, &LoginPage::of(&hub, String::new(), next));
        }
        Err(denied) => return DevicePage::of(String::new()).refuse(&denied),
    };
    let blank = DevicePage::of(handle);
    if typed.user_code.is_empty() {
        return page(StatusCode::OK, &blank);
    }
    match find(&hub, &account, &typed.user_code).await {
        Ok(Some((user_code, waiting))) => {
            let scopes = waiting.scopes.iter().map(ToString::to_string).collect();
            page(StatusCode::OK, &DevicePage { user_code, scopes, address: waiting.address, ..blank })
        }
        Ok(None) => blank.unknown(),
        Err(denied) => blank.refuse(&denied),
    }
}

pub(super) async fn decide(
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    form: Result<Form<Typed>, FormRejection>,
) -> Response {
    let (account, handle) = match hub.access.browser(&headers).await {
        Ok(Some(found)) => found,
        Ok(None) => return page(StatusCode::OK, &LoginPage::of(&hub, String::new(), "/device".to_owned())),
        Err(denied) => return DevicePage::of(String::new()).refuse(&denied),
    };
    let blank = DevicePage::of(handle.clone());
    let Ok(Form(Typed { user_code, decision })) = form else { return blank.unknown() };
    let found = match find(&hub, &account, &user_code).await {
        Ok(Some((user_code, _))) => user_code,
        Ok(None) => return blank.unknown(),
        Err(denied) => return blank.refuse(&denied),
    };
    let (allowed, now_ms) = (decision == "allow", hub.now_ms());
    let decided = hub.database.write(move |connection| {
        async move { devices::decide(connection, &found, allowed, (&account, &handle), now_ms).await }.boxed()
    });
    match decided.await {
        Ok(true) => {
            let done = if allowed { "The machine is let in." } else { "The machine is not let in." };
            page(StatusCode::OK, &DevicePage { done: done.to_owned(), ..blank })
        }
        Ok(false) => blank.unknown(),
        Err(error) => blank.refuse(&error.into()),
    }
}

/// The machine that shows a code, with the code as it shows it. Who guesses codes has to wait longer and longer.
async fn find(hub: &Hub, account: &str, text: &str) -> Result<Option<(String, Waiting)>, Denied> {
    let Some(user_code) = devices::typed(text) else { return Ok(None) };
    let (subject, now_ms) = (Subject::codes(account), hub.now_ms());
    let found = hub.database.write(move |connection| {
        async move {
            attempts::begin(connection, &subject, now_ms).await?;
            let waiting = devices::find(connection, &user_code, now_ms).await?;
            if waiting.is_some() {
                attempts::succeed(connection, &subject, now_ms).await?;
            }
            Ok::<_, Denied>(waiting.map(|waiting| (user_code, waiting)))
        }
        .boxed()
    });
    found.await
}

impl DevicePage {
    fn of(handle: String) -> Self {
        let (problem, done, user_code, address) = Default::default();
        Self { problem, done, handle, user_code, address, scopes: Vec::new() }
    }

    fn unknown(self) -> Response {
        let problem = "no machine waits with this code; look whether it is typed as it is shown".to_owned();
        page(StatusCode::NOT_FOUND, &Self { problem, ..self })
    }

    fn refuse(self, denied: &Denied) -> Response {
        let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let problem = format!("{denied}; {}", denied.hint());
        page(status, &Self { problem, ..self })
    }
}
