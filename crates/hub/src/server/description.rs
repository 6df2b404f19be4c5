// SPDX-License-Identifier: Apache-2.0
//! What the API is, for programs (`/api/v1/openapi.json`) and for people (`/api/v1/`).

use std::sync::Arc;

use askama::Template;
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::Value;
use utoipa::openapi::OpenApi;
use utoipa::{Modify as _, OpenApi as _};
use utoipa_axum::router::OpenApiRouter;
use wire::Problems;

use crate::Hub;

#[derive(utoipa::OpenApi)]
#[openapi(info(title = "L3AF hub", description = "The eBPF package repository"))]
struct Description;

#[derive(Template)]
#[template(path = "api.html")]
struct Page {
    calls: Vec<Call>,
}

#[derive(Debug, PartialEq, Eq)]
struct Call {
    method: String,
    path: String,
    what: String,
}

/// The calls of the API with what describes them.
pub(super) fn described(api: OpenApiRouter<Arc<Hub>>) -> Router<Arc<Hub>> {
    let (routes, mut description) =
        OpenApiRouter::with_openapi(Description::openapi()).merge(api).split_for_parts();
    Problems.modify(&mut description);
    let page = page(&description);
    routes
        .route("/api/v1/openapi.json", get(async move || Json(description.clone())))
        .route("/api/v1/", get(async move || shown(page.clone())))
}

fn page(description: &OpenApi) -> String {
    let description = serde_json::to_value(description).expect("a description is JSON");
    Page { calls: calls(&description) }.render().expect("all that the page holds can be written")
}

fn shown(page: String) -> Response {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(page)).into_response()
}

fn calls(description: &Value) -> Vec<Call> {
    let paths = description["paths"].as_object().into_iter().flatten();
    let calls = paths.flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, call)| Call {
            method: method.to_uppercase(),
            path: path.clone(),
            what: call["summary"].as_str().unwrap_or_default().to_owned(),
        })
    });
    calls.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_says_what_it_does() {
        let (_, description) =
            OpenApiRouter::with_openapi(Description::openapi()).merge(crate::access::api()).split_for_parts();
        let calls = calls(&serde_json::to_value(&description).unwrap());
        assert!(calls.iter().any(|call| call.method == "POST" && call.path == "/api/v1/tokens"));
        for call in &calls {
            assert!(!call.what.is_empty(), "{call:?}");
        }
        assert!(page(&description).contains("<code>GET /api/v1/account</code>"));
    }
}
