// SPDX-License-Identifier: Apache-2.0
//! How often an address, and a token, may ask for something. Each replica counts for itself, and forgets when it ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use door::Pace;
use serde_json::json;

use super::Client;
use crate::answer::{problem, refuse};
use crate::config::LimitsConfig;
use crate::{Algorithm, ContentDigest};

/// The buckets.
pub(super) struct Paces {
    requests: Option<Pace>,
    changes: Option<Pace>,
}

impl Paces {
    pub(super) fn new(limits: &LimitsConfig) -> Self {
        let pace = |per_minute: Option<_>| per_minute.map(Pace::new);
        Self { requests: pace(limits.requests_per_minute), changes: pace(limits.changes_per_minute) }
    }

    /// Counts a request of each of these callers.
    fn take(&self, callers: &[String], is_change: bool, now: Instant) -> Result<(), Duration> {
        let changes = self.changes.iter().filter(|_| is_change);
        for pace in self.requests.iter().chain(changes) {
            callers.iter().try_for_each(|caller| pace.take(caller, now))?;
        }
        Ok(())
    }
}

/// Refuses what comes too often.
pub(super) async fn paced(
    State(paces): State<Arc<Paces>>,
    Extension(client): Extension<Client>,
    request: Request,
    next: Next,
) -> Response {
    let is_change = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    let counted = paces.take(&callers(client, request.headers()), is_change, Instant::now());
    let Err(wait) = counted else { return next.run(request).await };
    let wait_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let title = "too many requests".to_owned();
    let mut response = if request.uri().path().starts_with("/v2/") {
        let body = json!({ "errors": [{ "code": "TOOMANYREQUESTS", "message": title, "detail": null }] });
        (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response()
    } else {
        refuse(&problem(StatusCode::TOO_MANY_REQUESTS, "too-often", title, format!("wait {wait_s} s")))
    };
    response.headers_mut().insert(header::RETRY_AFTER, wait_s.into());
    response
}

/// The address, and what was shown: whoever shows a token from many addresses is one caller.
fn callers(client: Client, headers: &HeaderMap) -> Vec<String> {
    let shown = headers.get(header::AUTHORIZATION).map(|shown| {
        // What was shown is kept nowhere.
        ContentDigest::of(Algorithm::Sha256, shown.as_bytes()).to_string()
    });
    std::iter::once(client.address.to_string()).chain(shown).collect()
}
