// SPDX-License-Identifier: Apache-2.0
//! The OCI registry (distribution specification 1.1).
//!
//! A name is `publisher/rest`, where the rest may have more components. In namespaces of packages what is pushed is unseen by
//! readers until it is released ([`crate::packages`], [`reveal`]); a namespace that is `registry_only` is an ordinary registry.
//!
//! What is acknowledged is durable: first the bytes in the storage, then the rows, then the answer. Nothing is remembered here
//! where another hub over the same database and storage may answer the next request.

mod blobs;
mod call;
mod catalog;
mod check;
mod l3afd;
mod manifest;
mod manifests;
mod mirrored;
mod name;
mod path;
mod publishers;
mod pushes;
mod query;
mod range;
mod referrers;
mod refused;
mod rows;
mod sweep;
mod tags;
mod uploads;
mod visibility;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;

use self::call::Call;
use self::path::{Path, Within};
use self::query::Query;
use self::refused::Refused;
use crate::Hub;

pub use self::check::{Problem, Report, Unchecked};
pub(crate) use self::manifest::Manifest;
pub(crate) use self::mirrored::{Document, NotListed, list, subject, touch};
pub(crate) use self::name::RepositoryName;
pub use self::name::{BadName, PublisherName};
pub use self::publishers::{Namespace, NotAdded};
pub(crate) use self::sweep::work as sweep;
pub(crate) use self::uploads::Begun;
pub(crate) use self::visibility::{conceal, reveal};

/// What clients of Docker look for.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
/// The digest of what is answered with, or was stored.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// The routes below `/v2/`, and those of l3afd v1.
pub(crate) fn routes() -> Router<Arc<Hub>> {
    let registry = Router::new().route("/v2", any(answer)).route("/v2/", any(answer));
    registry.route("/v2/{*rest}", any(answer)).merge(l3afd::routes())
}

async fn answer(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    let answered = lead(hub, request).await;
    let mut response = answered.unwrap_or_else(Refused::into_response);
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    // Whatever was uploaded is for clients of registries, and is never shown by a browser as what it claims to be.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Leads a request to what answers it.
async fn lead(hub: Arc<Hub>, request: Request) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let path = Path::parse(path.strip_prefix("/v2/").unwrap_or_default())?;
    let query = Query::parse(head.uri.query());
    let is_read = matches!(head.method, Method::GET | Method::HEAD);
    match path {
        Path::Version if is_read => {
            call::welcome(&hub, &head.headers).await?;
            Ok(json("{}".to_owned()))
        }
        Path::Catalog if is_read => catalog::list(&hub, &head.headers, &query).await,
        Path::Version | Path::Catalog => Err(Refused::Method { method: head.method.to_string() }),
        Path::Repository(name, within) => {
            let client = head.extensions.get().copied();
            let call = Call { hub, name, client, method: head.method, headers: head.headers, query };
            within_repository(call, within, body).await
        }
    }
}

async fn within_repository(call: Call, within: Within, body: Body) -> Result<Response, Refused> {
    match (within, call.method.as_str()) {
        (Within::Tags, "GET" | "HEAD") => tags::list(&call).await,
        (Within::Manifest(reference), "GET" | "HEAD") => manifests::read(&call, &reference).await,
        (Within::Manifest(reference), "PUT") => manifests::put(&call, &reference, body).await,
        (Within::Manifest(reference), "DELETE") => manifests::delete(&call, &reference).await,
        (Within::Blob(digest), "GET" | "HEAD") => blobs::read(&call, &digest).await,
        (Within::Blob(digest), "DELETE") => blobs::delete(&call, &digest).await,
        (Within::Uploads, "POST") => uploads::begin(call, body).await,
        (Within::Upload(id), "GET" | "HEAD") => uploads::status(&call, &id).await,
        (Within::Upload(id), "PATCH") => uploads::append(call, id, body).await,
        (Within::Upload(id), "PUT") => uploads::end(call, &id, body).await,
        (Within::Upload(id), "DELETE") => uploads::cancel(&call, &id).await,
        (Within::Referrers(digest), "GET" | "HEAD") => referrers::list(&call, &digest).await,
        (_, method) => Err(Refused::Method { method: method.to_owned() }),
    }
}

/// An answer in JSON.
fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The header that leads to the next page of a list.
fn next_page(path: &str, query: &str) -> (HeaderName, String) {
    (header::LINK, format!("<{path}?{query}>; rel=\"next\""))
}
