// SPDX-License-Identifier: Apache-2.0
//! What is about a manifest: end-12 of the specification.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::call::Call;
use super::next_page;
use super::refused::Refused;
use crate::ContentDigest;
use crate::access::Action;

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The most descriptors of an answer, which is a manifest and may not be larger than one; more are on the next page.
const MOST: u32 = 1000;

/// Lists what is about a manifest, which need not be there, nor its repository.
pub(super) async fn list(call: &Call, digest: &str) -> Result<Response, Refused> {
    const LIST: &str = "SELECT manifests.digest, manifests.media_type, blobs.size, manifests.artifact_type, \
                        manifests.annotations FROM repositories \
                        JOIN publishers ON publishers.name = repositories.publisher \
                        JOIN manifests ON manifests.repository = repositories.id \
                        JOIN blobs ON blobs.digest = manifests.digest \
                        WHERE repositories.publisher = $1 AND repositories.name = $2 AND manifests.subject = $3 \
                        AND (manifests.visible = 1 OR $4 = 1) AND ($5 = '' OR manifests.artifact_type = $5) \
                        AND manifests.digest > $6 ORDER BY manifests.digest LIMIT $7";
    let digest: ContentDigest = digest.parse()?;
    let caller = call.admit(Action::Pull).await?;
    let wanted = call.query.first("artifactType").unwrap_or_default();
    let find = sqlx::query(LIST).bind(call.name.publisher.as_str()).bind(call.name.rest.as_str());
    let find = find.bind(digest.to_string()).bind(i64::from(call.sees_all(&caller).await)).bind(wanted);
    let find = find.bind(call.query.first("last").unwrap_or_default()).bind(i64::from(MOST) + 1);
    let rows = find.fetch_all(call.hub.database.readers()).await?;
    let listed = rows.iter().take(MOST as usize).map(descriptor).collect::<Result<Vec<Value>, _>>()?;
    let end = listed.last().filter(|_| rows.len() > MOST as usize).and_then(|last| last["digest"].as_str());
    let next = end.map(|last| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let filter = (!wanted.is_empty()).then_some(("artifactType", wanted));
        let query = query.extend_pairs(filter).append_pair("last", last).finish();
        [next_page(&call.path(&format!("referrers/{digest}")), &query)]
    });
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed });
    let mut answer = ([(header::CONTENT_TYPE, INDEX)], index.to_string()).into_response();
    if !wanted.is_empty() {
        answer.headers_mut().insert(FILTERS, HeaderValue::from_static("artifactType"));
    }
    Ok(match next {
        Some(next) => (next, answer).into_response(),
        None => answer,
    })
}

fn descriptor(row: &AnyRow) -> Result<Value, sqlx::Error> {
    let (digest, media_type, size): (String, String, i64) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let mut descriptor = json!({ "mediaType": media_type, "digest": digest, "size": size });
    if let Some(artifact_type) = row.try_get::<Option<String>, _>(3)? {
        descriptor["artifactType"] = artifact_type.into();
    }
    if let Some(annotations) = row.try_get::<Option<String>, _>(4)? {
        let read: Result<Map<String, Value>, _> = serde_json::from_str(&annotations);
        descriptor["annotations"] = read.map_err(|error| sqlx::Error::Decode(Box::new(error)))?.into();
    }
    Ok(descriptor)
}
