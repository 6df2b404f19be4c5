// SPDX-License-Identifier: Apache-2.0
//! Changes that may meet others: those of hubs beside this one, and the removal of what nobody needs.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use sqlx::AnyConnection;

use super::call::Call;
use super::refused::Refused;
use super::rows;
use crate::ContentDigest;

/// How often something is tried that met something else.
const ATTEMPTS: usize = 5;

/// Tries again what failed for having met something else that was changed at the same time.
pub(super) async fn persist<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Refused>
where
    F: Future<Output = Result<T, Refused>>,
{
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(refused) if has_met_another(&refused) => {}
            done => return done,
        }
    }
    attempt().await
}

/// Whether it failed for having met something else that was changed at the same time.
pub(super) fn has_met_another(refused: &Refused) -> bool {
    // PostgreSQL, "Error Codes": serialization_failure, deadlock_detected, and foreign_key_violation, where what is named
    // was removed meanwhile.
    const CODES: [&str; 3] = ["40001", "40P01", "23503"];
    if let Refused::Database(sqlx::Error::Database(error)) = refused {
        return error.code().is_some_and(|code| CODES.contains(&code.as_ref()));
    }
    matches!(refused, Refused::Gone)
}

/// Keeps a blob that is here as a whole, and lets it be read through the repository. An upload that it ends is over.
pub(super) async fn keep(
    call: &Call,
    digest: &ContentDigest,
    bytes: &Bytes,
    upload: Option<&str>,
) -> Result<(), Refused> {
    persist(|| async {
        call.hub.storage.put(digest, bytes.clone()).await?;
        admit(call, digest, bytes.len() as u64, upload).await
    })
    .await
}

/// Lets a blob be read that lies in the storage.
pub(super) async fn admit(
    call: &Call,
    digest: &ContentDigest,
    size: u64,
    upload: Option<&str>,
) -> Result<(), Refused> {
    let (hub, name, digest) = (Arc::clone(&call.hub), call.name.clone(), digest.clone());
    let upload = upload.map(str::to_owned);
    let written = call.hub.database.write(move |connection| {
        async move {
            let now_ms = hub.now_ms();
            let repository = rows::find_or_make(connection, &name, now_ms).await?;
            if let Some(upload) = upload
                && !end(connection, &upload).await?
            {
                return Err(Refused::NoUpload { name: name.to_string(), id: upload });
            }
            rows::hold(connection, &hub, &digest, size).await?;
            rows::link(connection, &repository, &digest, now_ms).await?;
            rows::check_quota(connection, &hub, (&name, &repository)).await
        }
        .boxed()
    });
    written.await
}

/// Whether there was such an upload, which is over now.
async fn end(connection: &mut AnyConnection, upload: &str) -> sqlx::Result<bool> {
    let end = sqlx::query("DELETE FROM uploads WHERE id = $1").bind(upload);
    Ok(end.execute(connection).await?.rows_affected() > 0)
}
