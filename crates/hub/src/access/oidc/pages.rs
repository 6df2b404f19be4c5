// SPDX-License-Identifier: Apache-2.0
//! The pages of people who log in at an issuer.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::super::cookie::{JOURNEY, SESSION};
use super::super::pages::{LoginPage, Next, inside, page};
use super::super::refused::Refused;
use super::NotLoggedIn;
use super::arrival::{Arrived, Brought};
use crate::Hub;
use crate::answer::whole;

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    /// As whom the browser is logged in.
    handle: String,
    /// What the issuer calls who came.
    name: String,
    issuer: String,
    kept: String,
}

#[derive(Deserialize)]
struct Kept {
    kept: String,
}

pub(in super::super) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/login/{issuer}", get(depart))
        .route("/login/{issuer}/callback", get(arrive))
        .route("/identities/link", post(link))
}

async fn depart(
    State(hub): State<Arc<Hub>>,
    Path(name): Path<String>,
    Query(Next { next }): Query<Next>,
) -> Response {
    match hub.access.depart(&name, inside(&next)).await {
        Ok(departure) => {
            let headers = [(header::SET_COOKIE, departure.cookie)];
            let no_store = [(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "no-referrer")];
            (headers, no_store, Redirect::to(&departure.url)).into_response()
        }
        Err(refused) => refuse(&hub, &refused),
    }
}

async fn arrive(
    State(hub): State<Arc<Hub>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    brought: Result<Query<Brought>, QueryRejection>,
) -> Response {
    let Ok(Query(brought)) = brought else { return refuse(&hub, &NotLoggedIn::Stray) };
    let is_tls = hub.access.is_tls();
    match hub.access.arrive(&name, &headers, brought).await {
        Ok(Arrived::In { session, next }) => {
            let mut response = Redirect::to(inside(&next)).into_response();
            let headers = response.headers_mut();
            headers.append(header::SET_COOKIE, SESSION.with(&session, is_tls));
            headers.append(header::SET_COOKIE, JOURNEY.without(is_tls));
            headers.append(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
            response
        }
        Ok(Arrived::Asked { handle, name: called, kept }) => {
            let issuer = hub.access.issuers.named(&name).map_or(name, |(issuer, _)| issuer.title.clone());
            let kept_secret = kept.state.reveal().to_owned();
            let mut response =
                page(StatusCode::OK, &LinkPage { handle, name: called, issuer, kept: kept_secret });
            response.headers_mut().append(header::SET_COOKIE, kept.cookie(is_tls));
            response
        }
        Err(refused) => refuse(&hub, &refused),
    }
}

async fn link(
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    form: Result<Form<Kept>, FormRejection>,
) -> Response {
    let Ok(Form(Kept { kept })) = form else { return refuse(&hub, &NotLoggedIn::Stray) };
    match hub.access.link_login(&headers, &kept).await {
        Ok(next) => {
            let cookie = JOURNEY.without(hub.access.is_tls());
            ([(header::SET_COOKIE, cookie)], Redirect::to(inside(&next))).into_response()
        }
        Err(refused) => refuse(&hub, &refused),
    }
}

/// The login page again, with what went wrong.
fn refuse(hub: &Hub, refused: &NotLoggedIn) -> Response {
    let status = match refused {
        NotLoggedIn::NoIssuer { .. } => StatusCode::NOT_FOUND,
        NotLoggedIn::Stray => StatusCode::BAD_REQUEST,
        NotLoggedIn::Told { .. } | NotLoggedIn::Unproven { .. } => StatusCode::UNAUTHORIZED,
        NotLoggedIn::Unlinked { .. } | NotLoggedIn::Closed => StatusCode::FORBIDDEN,
        NotLoggedIn::Silent { .. } => StatusCode::BAD_GATEWAY,
        NotLoggedIn::Refused(refused) => refused.status(),
    };
    if let NotLoggedIn::Silent { .. } | NotLoggedIn::Refused(Refused::Database(_)) = refused {
        tracing::error!("nobody is logged in by an issuer: {}", whole(refused));
    }
    let problem = format!("{refused}; {}", refused.hint());
    page(status, &LoginPage::of(hub, String::new(), String::new()).with(problem))
}
