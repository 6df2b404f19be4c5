// SPDX-License-Identifier: Apache-2.0
//! Manifests: end-3, end-7 and end-9 of the specification.

mod put;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use futures_util::FutureExt as _;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::call::Call;
use super::name::Tag;
use super::refused::Refused;
use super::{CONTENT_DIGEST, blobs, rows};
use crate::access::{Action, Caller};
use crate::packages::{self, Departing, Departure, withheld};
use crate::{ContentDigest, rebuild};

pub(super) use self::put::put;

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reference {
    Tag(Tag),
    Digest(ContentDigest),
}

impl Reference {
    /// A digest has a colon, and no tag does.
    fn parse(text: &str) -> Result<Self, Refused> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }

    /// The same for a manifest that should be there: under what is no tag there is none.
    fn of_existing(call: &Call, text: &str) -> Result<Self, Refused> {
        Self::parse(text).map_err(|refused| {
            if matches!(refused, Refused::Name(_)) { missing(call, text) } else { refused }
        })
    }
}

fn missing(call: &Call, reference: &str) -> Refused {
    Refused::NoManifest { name: call.name.to_string(), reference: reference.to_owned() }
}

/// Answers with a manifest, whatever types the client says to accept: it is never converted, so that its digest stays.
pub(super) async fn read(call: &Call, reference: &str) -> Result<Response<Body>, Refused> {
    let parsed = Reference::of_existing(call, reference)?;
    let caller = call.admit(Action::Pull).await?;
    call.check_notice(&caller).await?;
    let row = find(call, &parsed).await?;
    let row = match row {
        Some(row) if row.try_get::<i64, _>(3)? == 1 => row,
        hidden => unseen(call, &caller, (hidden, &parsed)).await?.ok_or_else(|| missing(call, reference))?,
    };
    let (digest, media_type, size): (&str, &str, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (etag, size) = (format!("\"{digest}\""), u64::try_from(size).unwrap_or_default());
    let answer = Response::builder().header(header::ETAG, &etag).header(CONTENT_DIGEST, digest);
    if call.header(&header::IF_NONE_MATCH).is_some_and(|known| known == etag) {
        return Ok(answer
            .status(StatusCode::NOT_MODIFIED)
            .body(Body::empty())
            .expect("every header is text"));
    }
    let digest: ContentDigest = digest.parse()?;
    if !call.is_head() {
        call.count(&caller, row.try_get(4)?, &digest);
    }
    let body =
        if call.is_head() { Body::empty() } else { call.hub.storage.body(&digest, 0..size, size).await? };
    let answer = answer.header(header::CONTENT_TYPE, media_type).header(header::CONTENT_LENGTH, size);
    Ok(answer.body(body).expect("every header is text"))
}

/// A manifest that readers do not see, for those who do. Whoever asks for what was taken down is told so.
async fn unseen(
    call: &Call,
    caller: &Caller,
    (row, reference): (Option<AnyRow>, &Reference),
) -> Result<Option<AnyRow>, Refused> {
    let mut connection = call.hub.database.readers().acquire().await?;
    let digest = match (&row, reference) {
        (Some(row), _) => Some(row.try_get::<String, _>(0)?),
        (None, Reference::Digest(digest)) => Some(digest.to_string()),
        (None, Reference::Tag(_)) => None,
    };
    let sees_all = call.sees_all(caller).await;
    let withheld = match (digest, reference) {
        // That a version is there which was never released, readers are not told.
        (Some(digest), Reference::Digest(_)) => withheld::of_digest(&mut connection, &digest).await?,
        (Some(digest), Reference::Tag(_)) if sees_all => {
            withheld::of_digest(&mut connection, &digest).await?
        }
        (_, Reference::Tag(tag)) => {
            let package = (call.name.publisher.as_str(), call.name.rest.as_str());
            let version = tag.as_str().replace('_', "+");
            withheld::of_version(&mut connection, package, &version).await?
        }
        (None, Reference::Digest(_)) => None,
    };
    match withheld {
        Some(withheld) => Err(Refused::TakenDown { withheld }),
        None => Ok(row.filter(|_| sees_all)),
    }
}

/// The digest, media type, size and visibility of a manifest.
async fn find(call: &Call, reference: &Reference) -> sqlx::Result<Option<AnyRow>> {
    const BY_TAG: &str = "SELECT manifests.digest, manifests.media_type, blobs.size, manifests.visible, manifests.repository \
                          FROM repositories JOIN tags ON tags.repository = repositories.id \
                          JOIN manifests ON manifests.repository = tags.repository AND manifests.digest = tags.digest \
                          JOIN blobs ON blobs.digest = manifests.digest \
                          WHERE repositories.publisher = $1 AND repositories.name = $2 AND tags.name = $3";
    const BY_DIGEST: &str = "SELECT manifests.digest, manifests.media_type, blobs.size, manifests.visible, manifests.repository \
                             FROM repositories JOIN manifests ON manifests.repository = repositories.id \
                             JOIN blobs ON blobs.digest = manifests.digest \
                             WHERE repositories.publisher = $1 AND repositories.name = $2 AND manifests.digest = $3";
    let (text, value) = match reference {
        Reference::Tag(tag) => (BY_TAG, tag.as_str().to_owned()),
        Reference::Digest(digest) => (BY_DIGEST, digest.to_string()),
    };
    let find = sqlx::query(text).bind(call.name.publisher.as_str()).bind(call.name.rest.as_str()).bind(value);
    find.fetch_optional(call.hub.database.readers()).await
}

/// Removes a tag, or a manifest with its tags and with what is only there for being about it.
pub(super) async fn delete(call: &Call, reference: &str) -> Result<Response<Body>, Refused> {
    let parsed = Reference::of_existing(call, reference)?;
    call.admit(Action::Delete).await?;
    let name = call.name.clone();
    let none = missing(call, reference);
    let deleted = call.hub.database.write(move |connection| {
        async move {
            let Some(repository) = rows::find_to_change(connection, &name).await? else { return Err(none) };
            if !repository.is_registry {
                let what = match &parsed {
                    Reference::Tag(tag) => Departing::Tag(tag.as_str().to_owned()),
                    Reference::Digest(digest) => Departing::Manifest(digest.clone()),
                };
                let departure = Departure { repository: repository.id.clone(), what };
                packages::depart(connection, &departure).await?;
            }
            let count = match &parsed {
                Reference::Tag(tag) => remove_tag(connection, &repository.id, tag).await?,
                Reference::Digest(digest) => remove(connection, &repository.id, digest).await?,
            };
            rebuild::stale(connection, &repository.id).await?;
            if count == 0 { Err(none) } else { Ok(()) }
        }
        .boxed()
    });
    deleted.await?;
    Ok(blobs::accepted())
}

async fn remove_tag(connection: &mut AnyConnection, repository: &str, tag: &Tag) -> sqlx::Result<u64> {
    let delete = sqlx::query("DELETE FROM tags WHERE repository = $1 AND name = $2");
    Ok(delete.bind(repository).bind(tag.as_str()).execute(connection).await?.rows_affected())
}

/// Removes a manifest, and what is about it and has no tag of its own, and what is about that.
async fn remove(
    connection: &mut AnyConnection,
    repository: &str,
    digest: &ContentDigest,
) -> sqlx::Result<u64> {
    const REMOVE: &str = "WITH RECURSIVE gone (digest) AS (SELECT digest FROM manifests \
                          WHERE repository = $1 AND digest = $2 UNION SELECT manifests.digest FROM gone JOIN manifests ON manifests.subject = gone.digest \
                          WHERE manifests.repository = $1 AND NOT EXISTS (SELECT 1 FROM tags \
                          WHERE tags.repository = $1 AND tags.digest = manifests.digest)) \
                          DELETE FROM manifests WHERE repository = $1 AND digest IN (SELECT digest FROM gone)";
    let remove = sqlx::query(REMOVE).bind(repository).bind(digest.to_string());
    Ok(remove.execute(connection).await?.rows_affected())
}
