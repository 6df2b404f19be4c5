// SPDX-License-Identifier: Apache-2.0
//! Takedowns, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use package::Digest;
use wire::Problem;

use super::super::release::Release;
use super::super::takedown::{self, NewTakedown, Takedown, Target};
use super::super::{queue, reviews};
use super::refused::Refused;
use crate::Hub;
use crate::access::{Action, Caller, Resource};
use crate::given::{Asked, Body, Listed, Named, Part};

/// Take something down, for administrators
///
/// Nobody is given it any more, its bytes are refused under any name, and whoever asks is told why. It can be taken back until
/// `reversible_until`.
#[utoipa::path(
    post, path = "/api/v1/takedowns", tag = "takedowns", request_body = NewTakedown,
    responses((status = 201, body = Takedown), (status = "default", body = Problem))
)]
pub(super) async fn take(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Body(new): Body<NewTakedown>,
) -> Result<(StatusCode, Json<Takedown>), Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let objects = objects(&hub, &new.target()?).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let taken = hub.database.write(move |connection| {
        async move { takedown::take(connection, &new, &objects, (&actor, now_ms)).await }.boxed()
    });
    let taken = taken.await?;
    hub.record().await;
    Ok((StatusCode::CREATED, Json(taken)))
}

/// The objects in the archives of what is to be taken down; of archives that cannot be read there are none.
async fn objects(hub: &Arc<Hub>, target: &Target) -> Result<Vec<Digest>, Refused> {
    let (publisher, name) = match target {
        Target::Digest(_) => return Ok(Vec::new()),
        Target::Package { publisher, name } | Target::Release { publisher, name, .. } => (publisher, name),
    };
    let mut releases = Release::all(hub.database.readers(), publisher, name).await?;
    if let Target::Release { version, .. } = target {
        releases.retain(|release| release.version.to_string() == *version);
    }
    let mut found = Vec::new();
    for release in &releases {
        let read = queue::read(hub, release).await.map_err(reviews::Untaken::from)?;
        found.extend(read.iter().flat_map(queue::objects));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// What was taken down, the oldest first, for administrators
#[utoipa::path(
    get, path = "/api/v1/takedowns", tag = "takedowns", params(Part),
    responses((status = 200, body = Listed<Takedown>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Takedown>>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let mut connection = hub.database.readers().acquire().await?;
    let found = takedown::after(&mut connection, (&part.after, part.read()?)).await?;
    Ok(Json(part.of(found, |takedown| takedown.id.clone())))
}

/// A takedown, for administrators
#[utoipa::path(
    get, path = "/api/v1/takedowns/{id}", tag = "takedowns", params(("id" = String, Path)),
    responses((status = 200, body = Takedown), (status = "default", body = Problem))
)]
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Takedown>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let mut connection = hub.database.readers().acquire().await?;
    Ok(Json(takedown::find(&mut connection, &id).await?))
}

/// Take a takedown back, for administrators
#[utoipa::path(
    delete, path = "/api/v1/takedowns/{id}", tag = "takedowns", params(("id" = String, Path)),
    responses((status = 200, body = Takedown), (status = "default", body = Problem))
)]
pub(super) async fn lift(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Takedown>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let lifted = hub.database.write(move |connection| {
        async move { takedown::lift(connection, &id, (&actor, now_ms)).await }.boxed()
    });
    Ok(Json(lifted.await?))
}
