// SPDX-License-Identifier: Apache-2.0
//! The gate before the API of l3afd v1: finds out who calls, and writes changes down.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use wire::Problem;

use crate::access::{Access, Asker, Peer};
use crate::api;

/// What a call changed, or why it did not, as the answer tells this gate.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changed {
    problem: Option<Problem>,
    generations: (Option<u64>, Option<u64>),
}

impl Changed {
    pub(crate) fn between(before: u64, after: u64) -> Self {
        Self { problem: None, generations: (Some(before), Some(after)) }
    }

    pub(crate) fn refused(problem: Problem) -> Self {
        Self { problem: Some(problem), generations: (None, None) }
    }
}

/// Lets a call pass, or answers it: over TLS whoever shows a certificate that counts may ask for everything, as in l3afd v1; without,
/// whoever can connect.
pub(crate) async fn gate(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().cloned();
    let by = match access.caller_of_l3afd(peer).await {
        Ok(by) => by,
        Err(refusal) => return api::refused(&refusal).into_response(),
    };
    let call = format!("{} {}", request.method(), request.uri());
    let is_change = request.method() != Method::GET;
    request.extensions_mut().insert(Asker::named(by.clone()));
    let response = next.run(request).await;
    if let Some(Changed { problem, generations }) = response.extensions().get().filter(|_| is_change) {
        access.record_l3afd(by, call, problem.as_ref(), *generations);
    }
    response
}
