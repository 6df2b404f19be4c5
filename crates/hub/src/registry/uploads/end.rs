// SPDX-License-Identifier: Apache-2.0
//! How an upload becomes a blob.

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _};

use super::body::{Brought, brought, check_length, check_place, until_broken};
use super::{Upload, created, find};
use crate::access::Action;
use crate::digest::Hasher;
use crate::registry::call::Call;
use crate::registry::refused::Refused;
use crate::registry::{pushes, rows};
use crate::storage::Staged;
use crate::{Algorithm, ContentDigest};

/// Ends an upload, with a last piece or without one.
pub(in crate::registry) async fn end(call: Call, id: &str, body: Body) -> Result<Response<Body>, Refused> {
    let digest = call.query.first("digest").ok_or(Refused::Missing { name: "digest" })?;
    let digest: ContentDigest = digest.parse()?;
    let caller = call.admit(Action::Push).await?;
    let upload = find(&call, &caller, id).await?;
    keep(call, digest, upload.staged.clone(), Some(upload), body).await
}

/// Makes a blob of what is staged and what the body brings.
pub(super) async fn keep(
    call: Call,
    digest: ContentDigest,
    staged: Staged,
    upload: Option<Upload>,
    body: Body,
) -> Result<Response<Body>, Refused> {
    let body = match brought(&call, body).await? {
        Brought::Whole(bytes) if staged.size == 0 => {
            let place = check_place(&call, &staged)?;
            check_length(place.as_ref(), bytes.len() as u64)?;
            return keep_small(&call, &digest, &bytes, upload).await;
        }
        Brought::Whole(bytes) => Body::from(bytes),
        Brought::Stream(body) => body,
    };
    // A client that hangs up does not end it: what came is kept.
    let kept = tokio::spawn(async move { keep_staged(&call, &digest, staged, upload, body).await });
    kept.await.map_err(std::io::Error::other)?
}

async fn keep_small(
    call: &Call,
    digest: &ContentDigest,
    bytes: &Bytes,
    upload: Option<Upload>,
) -> Result<Response<Body>, Refused> {
    check_digest(digest, &ContentDigest::of(digest.algorithm(), bytes))?;
    pushes::keep(call, digest, bytes, upload.as_ref().and_then(Upload::row).as_deref()).await?;
    if let Some(upload) = upload {
        call.hub.begun.forget(upload.staged.id);
    }
    Ok(created(call, digest))
}

async fn keep_staged(
    call: &Call,
    digest: &ContentDigest,
    mut staged: Staged,
    upload: Option<Upload>,
    body: Body,
) -> Result<Response<Body>, Refused> {
    let storage = &call.hub.storage;
    let place = check_place(call, &staged)?;
    let mut hasher = Hasher::new(digest.algorithm());
    let (before, (body, broke_off)) = (staged.size, until_broken(body));
    storage.append(&mut staged, body, |piece| hasher.update(piece)).await?;
    if broke_off.is_so() {
        if let Some(mut upload) = upload {
            upload.staged = staged;
            upload.advance(call).await?;
        }
        return Err(Refused::BrokenOff);
    }
    check_length(place.as_ref(), staged.size - before)?;
    // What came in several requests is read once more.
    let found =
        if before == 0 { hasher.finish() } else { digest_of(call, &staged, digest.algorithm()).await? };
    check_digest(digest, &found)?;
    let id = upload.as_ref().and_then(Upload::row);
    pushes::persist(|| async {
        touch(call, digest, staged.size).await?;
        storage.keep(&staged, digest).await?;
        pushes::admit(call, digest, staged.size, id.as_deref()).await
    })
    .await?;
    call.hub.begun.forget(staged.id);
    if let Err(error) = storage.discard(&staged).await {
        tracing::warn!(upload = %staged.id, "what an upload left behind is not removed yet: {error}");
    }
    Ok(created(call, digest))
}

/// The digest of all that is staged.
async fn digest_of(call: &Call, staged: &Staged, algorithm: Algorithm) -> Result<ContentDigest, Refused> {
    let mut hasher = Hasher::new(algorithm);
    let mut pieces = call.hub.storage.staged(staged).await?;
    while let Some(piece) = pieces.try_next().await? {
        hasher.update(&piece);
    }
    Ok(hasher.finish())
}

/// Has the row of a blob before its object, so that it is not removed while it is made.
async fn touch(call: &Call, digest: &ContentDigest, size: u64) -> Result<(), Refused> {
    let (digest, now_ms) = (digest.clone(), call.hub.now_ms());
    let touched = call.hub.database.write(move |connection| {
        async move { Ok::<_, Refused>(rows::touch(connection, &digest, size, now_ms).await?) }.boxed()
    });
    touched.await
}

fn check_digest(given: &ContentDigest, found: &ContentDigest) -> Result<(), Refused> {
    if given == found {
        return Ok(());
    }
    Err(Refused::OtherDigest { given: given.to_string(), found: found.to_string() })
}
