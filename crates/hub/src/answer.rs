// SPDX-License-Identifier: Apache-2.0
//! Answers that say what is wrong, as problem details (RFC 9457).

use std::error::Error;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use wire::Problem;

/// A problem by its kind, with what is wrong and what to do.
pub(crate) fn problem(status: StatusCode, kind: &str, title: String, hint: String) -> Problem {
    Problem {
        kind: format!("urn:l3af:problem:{kind}"),
        title,
        status: status.as_u16(),
        detail: String::new(),
        hint: Some(hint),
        errors: Vec::new(),
        rules: Vec::new(),
        log: None,
    }
}

/// The answer that tells a problem.
pub(crate) fn refuse(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    let kind = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The answer where something of the hub itself failed: what it was only the log tells.
pub(crate) fn failed(error: &dyn Error) -> Response {
    tracing::error!("a request failed inside: {}", whole(error));
    let title = "the hub cannot answer now".to_owned();
    let mut response = refuse(&problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        title,
        "try again later; the log of the hub says more".to_owned(),
    ));
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// An error with its causes.
pub(crate) fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
