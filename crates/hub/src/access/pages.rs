// SPDX-License-Identifier: Apache-2.0
//! The pages by which people log in, and by which the first of them becomes the administrator.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, Query, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::cookie::SESSION;
use super::denied::Denied;
use super::names::Handle;
use super::refused::Refused;
use super::secret::Secret;
use crate::Hub;
use crate::server::Client;

/// What is said where a form has not what it should have.
const UNREADABLE: &str = "the form cannot be read";

#[derive(Template)]
#[template(path = "login.html")]
pub(super) struct LoginPage {
    problem: String,
    handle: String,
    /// Where to go afterwards.
    next: String,
    /// Ways in besides a password.
    ways: Vec<Way>,
    /// Whether there is a form for a password.
    passwords: bool,
}

/// A way in.
struct Way {
    link: String,
    title: String,
}

#[derive(Template)]
#[template(path = "administrator.html")]
struct AdministratorPage {
    problem: String,
    handle: String,
    link: String,
    /// Whether a handle and a password are asked for; else it is about who is logged in.
    passwords: bool,
}

#[derive(Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    pub(super) next: String,
}

#[derive(Deserialize)]
struct Login {
    handle: String,
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    link: String,
}

#[derive(Deserialize)]
struct Appointment {
    link: String,
    #[serde(default)]
    handle: String,
    #[serde(default)]
    password: String,
}

impl LoginPage {
    /// The page, for somebody who may have said a handle, and where to go afterwards.
    pub(super) fn of(hub: &Hub, handle: String, next: String) -> Self {
        let way = |name: &str, title: &str| {
            let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
            Way { link: format!("/login/{name}?next={next}"), title: title.to_owned() }
        };
        let ways = hub.access.issuers.of_people().map(|(issuer, _)| way(&issuer.name, &issuer.title));
        let (problem, passwords) = (String::new(), hub.access.takes_passwords);
        Self { problem, handle, ways: ways.collect(), passwords, next }
    }

    /// The same, with what went wrong.
    pub(super) fn with(self, problem: String) -> Self {
        Self { problem, ..self }
    }
}

pub(super) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/login", get(login_page).post(log_in))
        .route("/logout", post(log_out))
        .route("/administrator", get(administrator_page).post(appoint))
}

async fn login_page(State(hub): State<Arc<Hub>>, Query(Next { next }): Query<Next>) -> Response {
    page(StatusCode::OK, &LoginPage::of(&hub, String::new(), next))
}

async fn log_in(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    form: Result<Form<Login>, FormRejection>,
) -> Response {
    let Ok(Form(Login { handle, password, next })) = form else {
        let blank = LoginPage::of(&hub, String::new(), String::new());
        return page(StatusCode::BAD_REQUEST, &blank.with(UNREADABLE.to_owned()));
    };
    let begun = async {
        let caller = hub.access.log_in(&handle, &password, client.address).await?;
        hub.access.begin_session(&caller).await
    };
    match begun.await {
        Ok(session) => {
            let mut response = Redirect::to(inside(&next)).into_response();
            if let Some(session) = session {
                let cookie = SESSION.with(&session, hub.access.is_tls());
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(denied) => {
            let problem = format!("{denied}; {}", denied.hint());
            refused_page(&denied, &LoginPage::of(&hub, handle, next).with(problem))
        }
    }
}

async fn log_out(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Response {
    if let Some(session) = SESSION.shown(&headers)
        && let Err(denied) = hub.access.end_session(session).await
    {
        let blank = LoginPage::of(&hub, String::new(), String::new());
        return refused_page(&denied, &blank.with(denied.to_string()));
    }
    let cookie = SESSION.without(hub.access.is_tls());
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

async fn administrator_page(
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    Query(Link { link }): Query<Link>,
) -> Response {
    let passwords = hub.access.takes_passwords;
    let handle = match (passwords, hub.access.browser(&headers).await) {
        (true, _) => String::new(),
        (false, Ok(Some((_, handle)))) => handle,
        // Who follows the link logs in first.
        (false, Ok(None)) => {
            let next = format!("/administrator?link={link}");
            return page(StatusCode::OK, &LoginPage::of(&hub, String::new(), next));
        }
        (false, Err(denied)) => {
            return refused_page(&denied, &LoginPage::of(&hub, String::new(), String::new()));
        }
    };
    page(StatusCode::OK, &AdministratorPage { problem: String::new(), handle, link, passwords })
}

async fn appoint(
    State(hub): State<Arc<Hub>>,
    headers: HeaderMap,
    form: Result<Form<Appointment>, FormRejection>,
) -> Response {
    let passwords = hub.access.takes_passwords;
    let refuse = |status, problem: String, handle: String, link: String| {
        page(status, &AdministratorPage { problem, handle, link, passwords })
    };
    let Ok(Form(Appointment { link, mut handle, password })) = form else {
        return refuse(StatusCode::BAD_REQUEST, UNREADABLE.to_owned(), String::new(), String::new());
    };
    let appointed = async {
        let secret = Secret::read(&link).ok_or(Refused::Link)?;
        if passwords {
            return hub.access.appoint(secret, handle.parse::<Handle>()?, Some(&password)).await;
        }
        let nobody = || Refused::Invalid("log in first".to_owned());
        (_, handle) = hub.access.browser(&headers).await?.ok_or_else(nobody)?;
        hub.access.appoint(secret, handle.parse::<Handle>()?, None).await
    };
    match appointed.await {
        Ok(()) => {
            tracing::warn!("`{handle}` became an administrator by a link");
            Redirect::to(if passwords { "/login" } else { "/" }).into_response()
        }
        Err(refused) => {
            let status = refused.status();
            if let Refused::Database(error) = &refused {
                tracing::error!("nobody becomes an administrator: {error}");
            }
            refuse(status, refused.to_string(), handle, link)
        }
    }
}

/// A place of this hub and of no other.
pub(super) fn inside(next: &str) -> &str {
    let is_inside = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(|letter: char| letter == '\\' || letter.is_control());
    if is_inside { next } else { "/" }
}

fn refused_page(denied: &Denied, template: &impl Template) -> Response {
    let status = StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut response = page(status, template);
    if let Some(wait_s) = denied.wait_s() {
        response.headers_mut().insert(header::RETRY_AFTER, wait_s.into());
    }
    response
}

/// A page that runs nothing, is shown in no other, and tells nobody where its reader came from.
pub(crate) fn page(status: StatusCode, template: &impl Template) -> Response {
    page_to(status, template, "")
}

/// The same, where its form may lead on to other places.
pub(super) fn page_to(status: StatusCode, template: &impl Template, places: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {places}; frame-ancestors 'none'; base-uri 'none'"
    );
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, &policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let text = template.render().unwrap_or_default();
    (status, headers, Html(text)).into_response()
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn nobody_is_sent_elsewhere_after_a_login() {
        assert_eq!(inside("/packages?q=a"), "/packages?q=a");
        for next in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "javascript:1"]
        {
            assert_eq!(inside(next), "/", "{next}");
        }
    }
}
