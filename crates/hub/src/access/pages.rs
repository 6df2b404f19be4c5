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

use super::denied::Denied;
use super::names::Handle;
use super::refused::Refused;
use super::secret::Secret;
use super::sessions;
use crate::Hub;
use crate::server::Client;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    problem: String,
    handle: String,
    /// Where to go afterwards.
    next: String,
}

#[derive(Template)]
#[template(path = "administrator.html")]
struct AdministratorPage {
    problem: String,
    handle: String,
    link: String,
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
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
    handle: String,
    password: String,
}

pub(super) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/login", get(login_page).post(log_in))
        .route("/logout", post(log_out))
        .route("/administrator", get(administrator_page).post(appoint))
}

async fn login_page(Query(Next { next }): Query<Next>) -> Response {
    page(StatusCode::OK, &LoginPage { problem: String::new(), handle: String::new(), next })
}

async fn log_in(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    form: Result<Form<Login>, FormRejection>,
) -> Response {
    let Ok(Form(Login { handle, password, next })) = form else {
        return page(
            StatusCode::BAD_REQUEST,
            &LoginPage {
                problem: "the form cannot be read".to_owned(),
                handle: String::new(),
                next: String::new(),
            },
        );
    };
    let begun = async {
        let caller = hub.access.log_in(&handle, &password, client.address).await?;
        hub.access.begin_session(&caller).await
    };
    match begun.await {
        Ok(session) => {
            let mut response = Redirect::to(inside(&next)).into_response();
            if let Some(session) = session {
                let cookie = sessions::cookie(&session, hub.access.is_tls());
                response.headers_mut().insert(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(denied) => {
            let problem = format!("{denied}; {}", denied.hint());
            refused_page(&denied, &LoginPage { problem, handle, next })
        }
    }
}

async fn log_out(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Response {
    if let Some(session) = sessions::shown(&headers)
        && let Err(denied) = hub.access.end_session(session).await
    {
        return refused_page(
            &denied,
            &LoginPage { problem: denied.to_string(), handle: String::new(), next: String::new() },
        );
    }
    let cookie = sessions::no_cookie(hub.access.is_tls());
    ([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response()
}

async fn administrator_page(Query(Link { link }): Query<Link>) -> Response {
    page(StatusCode::OK, &AdministratorPage { problem: String::new(), handle: String::new(), link })
}

async fn appoint(State(hub): State<Arc<Hub>>, form: Result<Form<Appointment>, FormRejection>) -> Response {
    let refuse = |status, problem: String, handle: String, link: String| {
        page(status, &AdministratorPage { problem, handle, link })
    };
    let Ok(Form(Appointment { link, handle, password })) = form else {
        let problem = "the form cannot be read".to_owned();
        return refuse(StatusCode::BAD_REQUEST, problem, String::new(), String::new());
    };
    let appointed = async {
        let secret = Secret::read(&link).ok_or(Refused::Link)?;
        hub.access.appoint(secret, handle.parse::<Handle>()?, &password).await
    };
    match appointed.await {
        Ok(()) => {
            tracing::warn!("`{handle}` became an administrator by a link");
            Redirect::to("/login").into_response()
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
fn inside(next: &str) -> &str {
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
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let headers: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
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
