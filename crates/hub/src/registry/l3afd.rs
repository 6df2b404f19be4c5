// SPDX-License-Identifier: Apache-2.0
//! Releases as l3afd v1 fetches them: `<repository>/<name>/<version>/<platform>/<artifact>`, where the repository that l3afd is
//! told of is `https://hub/l3afd/<publisher>`.
//!
//! Its chaining is another than ours, so it gets only what was built for that (`l3af build --for l3afd`) and hangs on a release:
//! a manifest with the release as its subject and the artifact type [`ARTIFACT`], whose layers are files with their names
//! in the annotation `org.opencontainers.image.title`. The annotation [`PLATFORM`] says what it runs on, as `lsb_release -cs`
//! does; without it that is any Linux.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use sqlx::Row as _;
use thiserror::Error;

use super::call::{self, Call};
use super::name::{BadName, RepositoryName, Tag};
use super::query::Query;
use super::refused::Refused;
use super::{blobs, manifest};
use crate::access::Action;
use crate::packages::withheld;
use crate::server::Client;
use crate::{ContentDigest, Hub};

/// What is built for the chaining of l3afd v1.
const ARTIFACT: &str = "application/vnd.l3af.l3afd.v1";
/// Which platform it is for.
const PLATFORM: &str = "io.l3af.l3afd.platform";
const TITLE: &str = "org.opencontainers.image.title";
/// The platform of l3afd on Windows; the others are named after releases of Linux distributions.
const WINDOWS: &str = "windows";

/// Why l3afd does not get what it asks for.
#[derive(Debug, Error)]
enum NotFound {
    #[error(transparent)]
    Name(#[from] BadName),
    #[error("there is no release `{version}` of `{name}`")]
    Release { name: RepositoryName, version: String },
    #[error(
        "release `{version}` of `{name}` has no variant for the chaining of l3afd; hint: `l3af build --for l3afd` makes one, \
         which is pushed as a referrer of the release with the artifact type `{ARTIFACT}`"
    )]
    Variant { name: RepositoryName, version: String },
    #[error("release `{version}` of `{name}` has for l3afd only {}", list(.there))]
    Artifact { name: RepositoryName, version: String, there: Vec<String> },
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// A manifest with files.
#[derive(Deserialize)]
struct Variant {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Layer {
    digest: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

pub(crate) fn routes() -> Router<Arc<Hub>> {
    Router::new().route("/l3afd/{publisher}/{name}/{version}/{platform}/{artifact}", get(fetch))
}

/// What l3afd asks for, from its path.
struct Wanted {
    name: RepositoryName,
    version: String,
    platform: String,
    artifact: String,
}

async fn fetch(
    State(hub): State<Arc<Hub>>,
    Path((publisher, name, version, platform, artifact)): Path<(String, String, String, String, String)>,
    client: Option<Extension<Client>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let name: RepositoryName = match format!("{publisher}/{name}").parse() {
        Ok(name) => name,
        Err(bad) => return NotFound::from(bad).into_response(),
    };
    let client = client.map(|Extension(client)| client);
    let call = Call { hub, name: name.clone(), client, method, headers, query: Query::default() };
    let answered = answer(call, Wanted { name, version, platform, artifact }).await;
    answered.unwrap_or_else(NotFound::into_response)
}

async fn answer(call: Call, wanted: Wanted) -> Result<Response, NotFound> {
    let caller = call::caller(&call.hub, &call.headers).await?;
    call::permit(&call.hub, &caller, Action::Pull, &call.name).await?;
    let mut there = Vec::new();
    for variant in variants(&call, &wanted).await? {
        let platform = variant.annotations.get(PLATFORM).map_or("", String::as_str);
        for layer in &variant.layers {
            let Some(title) = layer.annotations.get(TITLE) else { continue };
            let runs = platform == wanted.platform || (platform.is_empty() && wanted.platform != WINDOWS);
            if runs && *title == wanted.artifact {
                return Ok(blobs::read(&call, &layer.digest).await?);
            }
            let any = if platform.is_empty() { "any Linux" } else { platform };
            there.push(format!("`{title}` for {any}"));
        }
    }
    Err(NotFound::Artifact { name: wanted.name, version: wanted.version, there })
}

/// What was built for l3afd of a release.
async fn variants(call: &Call, wanted: &Wanted) -> Result<Vec<Variant>, NotFound> {
    const FIND: &str = "SELECT about.digest, blobs.size FROM repositories \
                        JOIN tags ON tags.repository = repositories.id \
                        JOIN manifests AS release ON release.repository = tags.repository AND release.digest = tags.digest \
                        LEFT JOIN manifests AS about ON about.repository = release.repository \
                        AND about.subject = release.digest AND about.artifact_type = $4 AND about.visible = 1 \
                        LEFT JOIN blobs ON blobs.digest = about.digest \
                        WHERE repositories.publisher = $1 AND repositories.name = $2 AND tags.name = $3 \
                        AND release.visible = 1 ORDER BY about.digest";
    let Wanted { name, version, .. } = wanted;
    // A tag has no `+`, so that of a release has `_` in its place.
    let tag: Tag = version.replace('+', "_").parse()?;
    let find = sqlx::query(FIND).bind(name.publisher.as_str()).bind(name.rest.as_str());
    let find = find.bind(tag.as_str()).bind(ARTIFACT).fetch_all(call.hub.database.readers()).await;
    let rows = find.map_err(Refused::from)?;
    if rows.is_empty() {
        let mut connection = call.hub.database.readers().acquire().await.map_err(Refused::from)?;
        let package = (name.publisher.as_str(), name.rest.as_str());
        let withheld =
            withheld::of_version(&mut connection, package, version).await.map_err(Refused::from)?;
        if let Some(withheld) = withheld {
            return Err(Refused::TakenDown { withheld }.into());
        }
        return Err(NotFound::Release { name: name.clone(), version: version.clone() });
    }
    let mut variants = Vec::new();
    for row in rows {
        let digest: Option<String> = row.try_get(0).map_err(Refused::from)?;
        let Some(digest) = digest else { continue };
        let size = row.try_get::<i64, _>(1).map_err(Refused::from)?;
        variants.push(read(call, &digest, size).await?);
    }
    if variants.is_empty() {
        return Err(NotFound::Variant { name: name.clone(), version: version.clone() });
    }
    Ok(variants)
}

async fn read(call: &Call, digest: &str, size: i64) -> Result<Variant, Refused> {
    let (digest, size): (ContentDigest, u64) = (digest.parse()?, u64::try_from(size).unwrap_or_default());
    let body = call.hub.storage.body(&digest, 0..size, size).await?;
    let bytes = axum::body::to_bytes(body, manifest::MOST_BYTES).await.map_err(std::io::Error::other)?;
    Ok(serde_json::from_slice(&bytes).map_err(std::io::Error::other)?)
}

impl IntoResponse for NotFound {
    fn into_response(self) -> Response {
        if let Self::Refused(refused) = self {
            return refused.into_response();
        }
        let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        (StatusCode::NOT_FOUND, text, format!("{self}\n")).into_response()
    }
}

fn list(there: &[String]) -> String {
    if there.is_empty() { "files without names".to_owned() } else { there.join(", ") }
}
