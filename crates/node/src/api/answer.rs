// SPDX-License-Identifier: Apache-2.0
//! Answers: what the engine says as JSON, and what is wrong as problem details (RFC 9457).

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::task::JoinHandle;
use wire::Problem;

use crate::access::{InForce, Refusal};
use crate::server::{Shared, with};
use crate::{Engine, Rejected};

/// What an answer says is wrong, for the record of changes.
#[derive(Debug, Clone)]
pub(crate) struct Told(pub(crate) String);

/// Calls the engine, and answers with JSON.
pub(super) async fn answer<T, F>(engine: Shared, call: F) -> Response
where
    T: Serialize + Send + 'static,
    F: FnOnce(&mut Engine) -> Result<T, Rejected> + Send + 'static,
{
    ask(engine, call).await.map_or_else(|refused| refused, |body| axum::Json(body).into_response())
}

/// Calls the engine for what may change something, and answers with JSON and which generation is in force.
pub(super) async fn change<T, F>(engine: Shared, call: F) -> Response
where
    T: Serialize + Send + 'static,
    F: FnOnce(&mut Engine) -> Result<T, Rejected> + Send + 'static,
{
    let number = |engine: &Engine| engine.desired().ok().map(|desired| desired.number);
    let asked = ask(engine, move |engine| {
        let before = number(engine);
        let done = call(engine);
        Ok((done, InForce { before, after: number(engine) }))
    });
    match asked.await {
        Ok((done, in_force)) => {
            let done = done.map_err(|rejected| rejection(&rejected));
            let mut response = done.map_or_else(|refused| refused, |body| axum::Json(body).into_response());
            response.extensions_mut().insert(in_force);
            response
        }
        Err(refused) => refused,
    }
}

/// Calls the engine.
pub(super) async fn ask<T, F>(engine: Shared, call: F) -> Result<T, Response>
where
    T: Send + 'static,
    F: FnOnce(&mut Engine) -> Result<T, Rejected> + Send + 'static,
{
    finished(with(&engine, call)).await
}

/// Waits for work on another thread.
pub(super) async fn finished<T>(work: JoinHandle<Result<T, Rejected>>) -> Result<T, Response> {
    match work.await {
        Ok(done) => done.map_err(|rejected| rejection(&rejected)),
        Err(panicked) => {
            tracing::error!("a request failed inside: {panicked}");
            let title = "the daemon failed while it worked on this";
            Err(refuse(500, "internal", title, "its log says more"))
        }
    }
}

fn rejection(rejected: &Rejected) -> Response {
    let problem = rejected.problem();
    tracing::warn!(problem = %problem.kind, status = problem.status, "refused: {problem}");
    problem_response(&problem)
}

/// The answer to a call that is not let through to the engine.
pub(crate) fn refused(refusal: &Refusal) -> Response {
    let mut causes = std::error::Error::source(refusal);
    let mut detail = String::new();
    while let Some(cause) = causes {
        detail = if detail.is_empty() { cause.to_string() } else { format!("{detail}: {cause}") };
        causes = cause.source();
    }
    let problem = Problem {
        detail,
        ..problem(refusal.status(), refusal.kind(), &refusal.to_string(), &refusal.hint())
    };
    tracing::warn!(problem = %problem.kind, status = problem.status, "refused: {problem}");
    let mut response = problem_response(&problem);
    if let Some((name, value)) = refusal.header()
        && let Ok(value) = HeaderValue::try_from(value)
    {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

pub(super) fn refuse(status: u16, kind: &str, title: &str, hint: &str) -> Response {
    problem_response(&problem(status, kind, title, hint))
}

pub(crate) fn problem(status: u16, kind: &str, title: &str, hint: &str) -> Problem {
    Problem {
        kind: format!("urn:l3af:problem:{kind}"),
        title: title.to_owned(),
        status,
        detail: String::new(),
        hint: Some(hint.to_owned()),
        errors: Vec::new(),
        rules: Vec::new(),
        log: None,
    }
}

pub(super) fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(problem)).into_response();
    let kind = header::HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response.extensions_mut().insert(Told(problem.to_string()));
    response
}
