// SPDX-License-Identifier: Apache-2.0
//! `/oauth/authorize`: somebody who is logged in in a browser lets in a program that runs on the same machine, which gets a code by the
//! browser (RFC 8252).

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use futures_util::FutureExt as _;
use reqwest::Url;
use serde::Deserialize;

use super::super::pages::{LoginPage, page, page_to};
use super::refused::NoGrant;
use super::wish::{Wish, loopback};
use super::{CLIENT, codes};
use crate::Hub;

/// What a program asks for, by way of the browser.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    scope: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
    /// From when on the token does not count, in milliseconds since 1970; empty, never.
    expires_ms: String,
    /// What somebody decided: `allow`, or something else.
    decision: String,
}

#[derive(Template)]
#[template(path = "authorize.html")]
struct AuthorizePage {
    handle: String,
    scopes: Vec<String>,
    asked: Asked,
}

pub(super) async fn ask(
    State(hub): State<Arc<Hub>>,
    uri: Uri,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let Ok(Query(asked)) = asked else { return stray(&hub) };
    let Some(place) = loopback(&asked.redirect_uri) else { return stray(&hub) };
    let wish = match asked.wish(hub.now_ms()) {
        Ok(wish) => wish,
        Err(refused) => return back(&hub, place, &asked.state, &Err(refused)),
    };
    match hub.access.browser(&headers).await {
        Ok(Some((_, handle))) => {
            let scopes = wish.scopes.iter().map(ToString::to_string).collect();
            let places = place.origin().ascii_serialization();
            page_to(StatusCode::OK, &AuthorizePage { handle, scopes, asked }, &places)
        }
        Ok(None) => {
            let next = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
            page(StatusCode::OK, &LoginPage::of(&hub, String::new(), next))
        }
        Err(denied) => back(&hub, place, &asked.state, &Err(NoGrant::Unavailable(Box::new(denied)))),
    }
}

pub(super) async fn decide(
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    asked: Result<Form<Asked>, FormRejection>,
) -> Response {
    let Ok(Form(asked)) = asked else { return stray(&hub) };
    let Some(place) = loopback(&asked.redirect_uri) else { return stray(&hub) };
    let state = asked.state.clone();
    let decided = code(&hub, &headers, asked).await;
    back(&hub, place, &state, &decided)
}

async fn code(hub: &Hub, headers: &HeaderMap, asked: Asked) -> Result<String, NoGrant> {
    let now_ms = hub.now_ms();
    let wish = asked.wish(now_ms)?;
    let browser = hub.access.browser(headers).await;
    let browser = browser.map_err(|denied| NoGrant::Unavailable(Box::new(denied)))?;
    let (account, handle) = browser.ok_or(NoGrant::Denied)?;
    if asked.decision != "allow" {
        return Err(NoGrant::Denied);
    }
    let Asked { code_challenge, redirect_uri, .. } = asked;
    let added = hub.database.write(move |connection| {
        async move {
            let program = (code_challenge.as_str(), redirect_uri.as_str());
            codes::add(connection, &wish, program, (&account, &handle), now_ms).await
        }
        .boxed()
    });
    Ok(added.await?.reveal().to_owned())
}

impl Asked {
    fn wish(&self, now_ms: i64) -> Result<Wish, NoGrant> {
        let refuse = |problem: &str| Err(NoGrant::Request(problem.to_owned()));
        if self.client_id != CLIENT {
            return Err(NoGrant::Client);
        }
        if self.response_type != "code" {
            return refuse("`response_type` is `code`");
        }
        // 32 bytes in base64url.
        let is_challenge = self.code_challenge.len() == 43
            && self.code_challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if self.code_challenge_method != "S256" || !is_challenge {
            return refuse("`code_challenge_method` is `S256`, and `code_challenge` a SHA-256 in base64url");
        }
        Wish::read(&self.scope, &self.expires_ms, now_ms)
    }
}

/// Leads the browser to the program, with a code or with what is wrong.
fn back(hub: &Hub, mut place: Url, state: &str, decided: &Result<String, NoGrant>) -> Response {
    let mut pairs = place.query_pairs_mut();
    match decided {
        Ok(code) => pairs.append_pair("code", code),
        Err(refused) => {
            pairs.append_pair("error", refused.code()).append_pair("error_description", &refused.to_string())
        }
    };
    pairs.append_pair("state", state).append_pair("iss", &hub.access.url);
    drop(pairs);
    Redirect::to(place.as_str()).into_response()
}

/// Nobody knows where it comes from, so it leads nowhere.
fn stray(hub: &Hub) -> Response {
    let problem = "a program asks for a login in a way that this hub does not know; begin again there";
    let blank = LoginPage::of(hub, String::new(), String::new());
    page(StatusCode::BAD_REQUEST, &blank.with(problem.to_owned()))
}
