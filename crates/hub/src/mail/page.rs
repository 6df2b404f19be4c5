// SPDX-License-Identifier: Apache-2.0
//! The page that a link in a letter leads to. It changes nothing before somebody presses the button: programs that look at mail
//! open links.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use futures_util::FutureExt as _;
use serde::Deserialize;

use super::addresses;
use crate::Hub;
use crate::access::{Refused, Secret, page};

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    /// What came of it; empty where nothing was done yet.
    said: String,
    link: String,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    link: String,
}

pub(super) fn routes() -> Router<Arc<Hub>> {
    Router::new().route("/mail/confirm", get(show).post(confirm))
}

async fn show(Query(Link { link }): Query<Link>) -> Response {
    page(StatusCode::OK, &ConfirmPage { said: String::new(), link })
}

async fn confirm(State(hub): State<Arc<Hub>>, form: Result<Form<Link>, FormRejection>) -> Response {
    let link = form.map(|Form(Link { link })| link).unwrap_or_default();
    let Some(secret) = Secret::read(&link) else {
        let said = Refused::Link.to_string();
        return page(StatusCode::GONE, &ConfirmPage { said, link: String::new() });
    };
    let now_ms = hub.now_ms();
    let confirmed = hub.database.write(move |connection| {
        async move { addresses::confirm(connection, &secret, now_ms).await }.boxed()
    });
    let (status, said) = match confirmed.await {
        Ok(()) => (StatusCode::OK, "Your address is confirmed.".to_owned()),
        Err(refused) => {
            if let Refused::Database(error) = &refused {
                tracing::error!("no address is confirmed: {error}");
            }
            (refused.status(), refused.to_string())
        }
    };
    page(status, &ConfirmPage { said, link: String::new() })
}
