// SPDX-License-Identifier: Apache-2.0
//! The document in the body of a request, or all that is wrong with it.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use axum::response::Response;
use wire::{Document, Problem, UnreadableDocument};

use super::answer::{problem, problem_response, refuse};

/// The document that was given.
pub(super) struct Given(pub(super) Document);

impl<S: Send + Sync> FromRequest<S> for Given {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        // With parameters, such as a character set, it is JSON still (RFC 9110, section 8.3).
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim().to_owned();
        if !kind.eq_ignore_ascii_case("application/json") {
            let hint = "send JSON, with `Content-Type: application/json`";
            return Err(refuse(415, "media-type", "a document is `application/json`", hint));
        }
        let unread = |rejection: BytesRejection| {
            let hint = "is it larger than a document may be?";
            refuse(rejection.status().as_u16(), "body", &rejection.body_text(), hint)
        };
        let body = Bytes::from_request(request, state).await.map_err(unread)?;
        Document::parse_json(&body).map(Self).map_err(not_a_document)
    }
}

fn not_a_document(UnreadableDocument { faults }: UnreadableDocument) -> Response {
    let detail = faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let hint = "`docs/node.md` describes the document; `/openapi.json` has its schema";
    let problem = problem(422, "document", "it is not a desired state", hint);
    problem_response(&Problem { detail, errors: faults, ..problem })
}
