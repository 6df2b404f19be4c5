// SPDX-License-Identifier: Apache-2.0
//! Mirrors, through the API, for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use sqlx::AnyConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::Problem;

use super::rows::{self, Mirror, MirrorResult, Unset};
use super::rule::{MirrorRule, RuleName};
use crate::Hub;
use crate::access::{Action, Caller, Refused, Resource};
use crate::answer::whole;
use crate::given::{Asked, Body, Listed, Named, Part};

/// The calls, with their description.
pub(crate) fn routes() -> OpenApiRouter<Arc<Hub>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, set, remove))
        .routes(routes!(results))
        .routes(routes!(run))
}

impl From<Unset> for Refused {
    fn from(unset: Unset) -> Self {
        match unset {
            Unset::Missing { name } => Self::Missing { what: "mirror", name },
            Unset::Unruly(unruly) => Self::Invalid(whole(&unruly)),
            Unset::Database(error) => Self::Database(error),
        }
    }
}

/// Lets through who looks after the hub.
async fn admit(hub: &Hub, caller: &Caller) -> Result<(), Refused> {
    Ok(hub.access.permit(caller, Action::Administer, Resource::Hub).await?)
}

/// Mirrors, by their names
#[utoipa::path(
    get, path = "/api/v1/mirrors", tag = "mirrors", params(Part),
    responses((status = 200, body = Listed<Mirror>), (status = "default", body = Problem))
)]
async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Mirror>>, Refused> {
    admit(&hub, &caller).await?;
    let found = rows::after(hub.database.readers(), (&part.after, part.read()?), hub.now_ms()).await?;
    Ok(Json(part.of(found, |mirror| mirror.name.clone())))
}

/// A mirror
#[utoipa::path(
    get, path = "/api/v1/mirrors/{name}", tag = "mirrors", params(("name" = RuleName, Path)),
    responses((status = 200, body = Mirror), (status = "default", body = Problem))
)]
async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<RuleName>,
) -> Result<Json<Mirror>, Refused> {
    admit(&hub, &caller).await?;
    Ok(Json(rows::find(hub.database.readers(), name.as_str(), hub.now_ms()).await?))
}

/// Say what is taken from elsewhere; the rule of this name is replaced, and carried out at once
#[utoipa::path(
    put, path = "/api/v1/mirrors/{name}", tag = "mirrors", params(("name" = RuleName, Path)),
    request_body = MirrorRule,
    responses((status = 200, body = Mirror), (status = 201, body = Mirror), (status = "default", body = Problem))
)]
async fn set(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<RuleName>,
    Body(rule): Body<MirrorRule>,
) -> Result<(StatusCode, Json<Mirror>), Refused> {
    admit(&hub, &caller).await?;
    rule.check(&hub.config.mirrors).map_err(Unset::from)?;
    let (actor, now_ms, owned) = (caller.to_string(), hub.now_ms(), name.clone());
    let set = hub.database.write(move |connection| {
        async move { rows::set(connection, (&owned, &rule), &actor, now_ms).await }.boxed()
    });
    let status = if set.await? { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(rows::find(hub.database.readers(), name.as_str(), hub.now_ms()).await?)))
}

/// Take nothing any more by a rule; what it brought stays
#[utoipa::path(
    delete, path = "/api/v1/mirrors/{name}", tag = "mirrors", params(("name" = RuleName, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
async fn remove(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<RuleName>,
) -> Result<StatusCode, Refused> {
    admit(&hub, &caller).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let removed = hub.database.write(move |connection: &mut AnyConnection| {
        async move { rows::remove(connection, name.as_str(), &actor, now_ms).await }.boxed()
    });
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What became of the releases that a rule is about
#[utoipa::path(
    get, path = "/api/v1/mirrors/{name}/results", tag = "mirrors", params(("name" = RuleName, Path), Part),
    responses((status = 200, body = Listed<MirrorResult>), (status = "default", body = Problem))
)]
async fn results(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<RuleName>,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<MirrorResult>>, Refused> {
    admit(&hub, &caller).await?;
    let readers = hub.database.readers();
    let mirror = rows::find(readers, name.as_str(), hub.now_ms()).await?;
    let found = rows::results(readers, &mirror.id, (&part.after, part.read()?)).await?;
    Ok(Json(part.of(found, MirrorResult::key)))
}

/// Have a rule carried out now
#[utoipa::path(
    post, path = "/api/v1/mirrors/{name}/run", tag = "mirrors", params(("name" = RuleName, Path)),
    responses((status = 202), (status = "default", body = Problem))
)]
async fn run(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<RuleName>,
) -> Result<StatusCode, Refused> {
    admit(&hub, &caller).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let hurried = hub.database.write(move |connection: &mut AnyConnection| {
        async move { rows::hurry(connection, name.as_str(), &actor, now_ms).await }.boxed()
    });
    hurried.await?;
    Ok(StatusCode::ACCEPTED)
}
