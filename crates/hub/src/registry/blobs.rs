// SPDX-License-Identifier: Apache-2.0
//! Blobs that are there: end-2 and end-10 of the specification.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_util::FutureExt as _;
use sqlx::Row as _;

use super::call::Call;
use super::range::{Asked, asked};
use super::refused::Refused;
use super::{CONTENT_DIGEST, rows};
use crate::ContentDigest;
use crate::access::{Action, Caller};
use crate::packages::{self, Departing, Departure, withheld};

/// Answers with a blob, or a part of it.
pub(super) async fn read(call: &Call, digest: &str) -> Result<Response<Body>, Refused> {
    let digest: ContentDigest = digest.parse()?;
    let caller = call.admit(Action::Pull).await?;
    let size = size(call, &caller, &digest).await?;
    let asked = asked(call.header(&header::RANGE), size);
    let (status, range) = match asked {
        Asked::Nothing => {
            let given = call.header(&header::RANGE).unwrap_or_default().to_owned();
            return Err(Refused::NoSuchRange { size, given });
        }
        Asked::Whole => (StatusCode::OK, 0..size),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
    };
    let mut answer = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
        .header(header::CONTENT_LENGTH, range.end - range.start)
        .header(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .header(header::ETAG, format!("\"{digest}\""))
        .header(CONTENT_DIGEST, digest.to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        answer =
            answer.header(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1));
    }
    let body =
        if call.is_head() { Body::empty() } else { call.hub.storage.body(&digest, range, size).await? };
    Ok(answer.body(body).expect("every header is text"))
}

/// How many bytes a blob has that the caller may read here.
async fn size(call: &Call, caller: &Caller, digest: &ContentDigest) -> Result<u64, Refused> {
    const FIND: &str = "SELECT blobs.size, links.visible FROM repositories \
                        JOIN links ON links.repository = repositories.id JOIN blobs ON blobs.digest = links.digest \
                        WHERE repositories.publisher = $1 AND repositories.name = $2 AND links.digest = $3";
    let find = sqlx::query(FIND).bind(call.name.publisher.as_str()).bind(call.name.rest.as_str());
    let found = find.bind(digest.to_string()).fetch_optional(call.hub.database.readers()).await?;
    let missing = || Refused::NoBlob { name: call.name.to_string(), digest: digest.to_string() };
    let (size, visible): (i64, i64) = match &found {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (0, 0),
    };
    if visible == 0 {
        let mut connection = call.hub.database.readers().acquire().await?;
        if let Some(withheld) = withheld::of_digest(&mut connection, &digest.to_string()).await? {
            return Err(Refused::TakenDown { withheld });
        }
        drop(connection);
        if found.is_none() || !call.sees_all(caller).await {
            return Err(missing());
        }
    }
    Ok(u64::try_from(size).unwrap_or_default())
}

/// Takes a blob out of a repository. Others keep it.
pub(super) async fn delete(call: &Call, digest: &str) -> Result<Response<Body>, Refused> {
    let digest: ContentDigest = digest.parse()?;
    call.admit(Action::Delete).await?;
    let name = call.name.clone();
    let written = call.hub.database.write(move |connection| {
        async move {
            let missing = || Refused::NoBlob { name: name.to_string(), digest: digest.to_string() };
            let repository = rows::find_to_change(connection, &name).await?.ok_or_else(missing)?;
            if !repository.is_registry {
                let what = Departing::Blob(digest.clone());
                let departure = Departure { repository: repository.id.clone(), what };
                packages::depart(connection, &departure).await?;
            }
            let delete = sqlx::query("DELETE FROM links WHERE repository = $1 AND digest = $2");
            let delete = delete.bind(repository.id.as_str()).bind(digest.to_string());
            match delete.execute(connection).await?.rows_affected() {
                0 => Err(missing()),
                _ => Ok(()),
            }
        }
        .boxed()
    });
    written.await?;
    Ok(accepted())
}

/// What is answered when something was removed.
pub(super) fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
