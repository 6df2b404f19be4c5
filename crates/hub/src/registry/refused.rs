// SPDX-License-Identifier: Apache-2.0
//! Why the registry does not do what it is asked, in the words of the distribution specification ("Error Codes").

use std::io;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use thiserror::Error;

use super::name::BadName;
use crate::access::{Denied, OverQuota};
use crate::digest::BadDigest;
use crate::packages::{Turned, Withheld};

/// A request is refused.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    /// A name is none.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A digest is none, or of an algorithm that is not known here.
    #[error(transparent)]
    Digest(#[from] BadDigest),
    /// Bytes have another digest.
    #[error("the digest of what was sent is `{found}` and not `{given}`")]
    OtherDigest { given: String, found: String },
    /// A parameter must be there.
    #[error("the parameter `{name}` is missing")]
    Missing { name: &'static str },
    /// There is nothing under a path.
    #[error("a registry has nothing there")]
    NoSuchPath,
    /// A method is not for this path.
    #[error("that is not done with `{method}`")]
    Method { method: String },
    /// How many to list is no number.
    #[error("`n` must be a whole number and not `{given}`")]
    BadCount { given: String },
    /// Nobody can push where there is no publisher.
    #[error(
        "there is no publisher `{publisher}`; an administrator adds one: `l3af-hub publisher add {publisher}`"
    )]
    NoPublisher { publisher: String },
    /// There is no such repository.
    #[error("there is no repository `{name}`")]
    NoRepository { name: String },
    /// There is no such blob, or not for this caller.
    #[error("there is no blob `{digest}` in `{name}`")]
    NoBlob { name: String, digest: String },
    /// There is no such manifest, or not for this caller.
    #[error("there is no manifest `{reference}` in `{name}`")]
    NoManifest { name: String, reference: String },
    /// There is no such upload, or not for this caller.
    #[error("there is no upload `{id}` in `{name}`; it ended, or was given up for being old")]
    NoUpload { name: String, id: String },
    /// A piece of an upload does not come next.
    #[error("the upload has {size} bytes, so that the next piece begins at {size}, and not `{given}`")]
    OutOfOrder { size: u64, given: String, location: String },
    /// The length of a piece is not what its range says.
    #[error("`Content-Range: {given}` is not the range of the {size} bytes that were sent")]
    OtherLength { given: String, size: u64 },
    /// The body of a request ended before it was whole.
    #[error("the body of the request broke off")]
    BrokenOff,
    /// What was asked for in a blob is not in it.
    #[error("the blob has {size} bytes and nothing in `{given}`")]
    NoSuchRange { size: u64, given: String },
    /// A manifest is too large.
    #[error("a manifest may have {most} bytes")]
    TooLarge { most: usize },
    /// A manifest is none.
    #[error("{why}")]
    NoManifestAtAll { why: String },
    /// What a manifest names was not pushed before.
    #[error("the manifest names `{digest}`, which is not in `{name}`: push it first")]
    Lacks { name: String, digest: String },
    /// Not for this caller; `challenge` says where another might log in.
    #[error("{denied}; hint: {}", denied.hint())]
    Denied { denied: Denied, challenge: String },
    /// The publisher would have more than it may.
    #[error("{why}")]
    OverQuota { why: String },
    /// A rule of packages.
    #[error("{why}")]
    Turned { why: String },
    /// What is taken from elsewhere is written by nobody here.
    #[error(
        "`{publisher}` is a mirror: what is in it comes from elsewhere by a rule of this hub (`l3af-hub mirror list`), and nothing \
         is pushed or deleted here; push to where it comes from"
    )]
    Mirrored { publisher: String },
    /// An administrator took it down.
    #[error("it was {withheld}")]
    TakenDown { withheld: Withheld },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The storage failed.
    #[error("the storage failed")]
    Storage(#[from] io::Error),
    /// What was kept is gone again: others removed it at the same time.
    #[error("the blob was removed while it was pushed; push it again")]
    Gone,
}

impl Refused {
    /// Its code and the status that goes with it.
    fn kind(&self) -> (&'static str, StatusCode) {
        match self {
            Self::Name(_) => ("NAME_INVALID", StatusCode::BAD_REQUEST),
            Self::Digest(_) | Self::OtherDigest { .. } | Self::Missing { .. } => {
                ("DIGEST_INVALID", StatusCode::BAD_REQUEST)
            }
            Self::NoSuchPath => ("NAME_INVALID", StatusCode::NOT_FOUND),
            Self::Method { .. } => ("UNSUPPORTED", StatusCode::METHOD_NOT_ALLOWED),
            Self::BadCount { .. } => ("PAGINATION_NUMBER_INVALID", StatusCode::BAD_REQUEST),
            Self::NoPublisher { .. } | Self::NoRepository { .. } => ("NAME_UNKNOWN", StatusCode::NOT_FOUND),
            Self::NoBlob { .. } => ("BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Self::NoManifest { .. } => ("MANIFEST_UNKNOWN", StatusCode::NOT_FOUND),
            Self::NoUpload { .. } | Self::Gone => ("BLOB_UPLOAD_UNKNOWN", StatusCode::NOT_FOUND),
            Self::OutOfOrder { .. } => ("BLOB_UPLOAD_INVALID", StatusCode::RANGE_NOT_SATISFIABLE),
            Self::OtherLength { .. } => ("SIZE_INVALID", StatusCode::BAD_REQUEST),
            Self::BrokenOff => ("BLOB_UPLOAD_INVALID", StatusCode::BAD_REQUEST),
            Self::NoSuchRange { .. } => ("UNSUPPORTED", StatusCode::RANGE_NOT_SATISFIABLE),
            Self::TooLarge { .. } => ("SIZE_INVALID", StatusCode::PAYLOAD_TOO_LARGE),
            Self::NoManifestAtAll { .. } => ("MANIFEST_INVALID", StatusCode::BAD_REQUEST),
            Self::Lacks { .. } => ("MANIFEST_BLOB_UNKNOWN", StatusCode::NOT_FOUND),
            Self::Denied { denied, .. } => {
                (denied.code(), StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::FORBIDDEN))
            }
            Self::TakenDown { withheld } => ("DENIED", withheld.class.status()),
            Self::OverQuota { .. } | Self::Turned { .. } | Self::Mirrored { .. } => {
                ("DENIED", StatusCode::FORBIDDEN)
            }
            Self::Database(_) | Self::Storage(_) => ("UNKNOWN", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl From<Turned> for Refused {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::Away { why } => Self::Turned { why },
            Turned::Database(error) => Self::Database(error),
        }
    }
}

impl From<OverQuota> for Refused {
    fn from(over: OverQuota) -> Self {
        match over {
            OverQuota::Over { .. } => Self::OverQuota { why: over.to_string() },
            OverQuota::Database(error) => Self::Database(error),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (code, status) = self.kind();
        if let Some(cause) = std::error::Error::source(&self).filter(|_| status.is_server_error()) {
            tracing::error!("{self}: {cause}");
        }
        let mut detail = Value::Null;
        if let Self::TakenDown { withheld } = &self {
            detail = json!({ "class": withheld.class, "takedown": withheld.takedown });
        }
        let body = json!({ "errors": [{ "code": code, "message": self.to_string(), "detail": detail }] });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let mut add = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        };
        add(header::CONTENT_TYPE, "application/json");
        if let Self::Denied { denied, challenge } = &self {
            if status == StatusCode::UNAUTHORIZED {
                add(header::WWW_AUTHENTICATE, challenge);
            }
            if let Some(wait_s) = denied.wait_s() {
                add(header::RETRY_AFTER, &wait_s.to_string());
            }
        }
        if matches!(self, Self::TakenDown { .. }) {
            // It may be taken back.
            add(header::CACHE_CONTROL, "no-store");
        }
        if let Self::NoSuchRange { size, .. } = &self {
            add(header::CONTENT_RANGE, &format!("bytes */{size}"));
        }
        if let Self::OutOfOrder { size, location, .. } = &self {
            add(header::RANGE, &format!("0-{}", size.saturating_sub(1)));
            add(header::LOCATION, location);
        }
        response
    }
}
