// SPDX-License-Identifier: Apache-2.0
//! Publishers and their members, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde::Deserialize;
use utoipa::ToSchema;
use wire::Problem;

use super::super::action::{Action, Resource};
use super::super::caller::Caller;
use super::super::names::{Handle, MemberRole};
use super::super::publishers::{self, Member, NewPublisher, Publisher, PublisherChange};
use super::super::refused::Refused;
use super::super::scope::Scope;
use crate::Hub;
use crate::given::{Asked, Body, Listed, Named, Part};
use crate::registry::PublisherName;

/// What a member may do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Membership {
    role: MemberRole,
}

fn of(name: &PublisherName) -> Resource {
    Resource::Publisher(name.to_string())
}

/// Publishers, by their names
#[utoipa::path(
    get, path = "/api/v1/publishers", tag = "publishers", params(Part),
    responses((status = 200, body = Listed<Publisher>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Publisher>>, Refused> {
    hub.access.permit(&caller, Action::Browse, Resource::Hub).await?;
    let mut connection = hub.database.readers().acquire().await?;
    let found = publishers::after(&mut connection, &part.after, part.read()?).await?;
    Ok(Json(part.of(found, |publisher| publisher.name.to_string())))
}

/// Found a publisher, as its first owner
#[utoipa::path(
    post, path = "/api/v1/publishers", tag = "publishers", request_body = NewPublisher,
    responses((status = 201, body = Publisher), (status = "default", body = Problem))
)]
pub(super) async fn found(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Body(new): Body<NewPublisher>,
) -> Result<(StatusCode, Json<Publisher>), Refused> {
    hub.access.permit(&caller, Action::Found, Resource::Hub).await?;
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let founded = hub.access.write(move |connection| {
        async move { publishers::found(connection, &new, (&account, &handle), now_ms).await }.boxed()
    });
    Ok((StatusCode::CREATED, Json(founded.await?)))
}

/// A publisher
#[utoipa::path(
    get, path = "/api/v1/publishers/{name}", tag = "publishers", params(("name" = PublisherName, Path)),
    responses((status = 200, body = Publisher), (status = "default", body = Problem))
)]
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<PublisherName>,
) -> Result<Json<Publisher>, Refused> {
    hub.access.permit(&caller, Action::Browse, Resource::Hub).await?;
    let mut connection = hub.database.readers().acquire().await?;
    publishers::find(&mut connection, &name).await.map(Json)
}

/// Change a publisher
#[utoipa::path(
    patch, path = "/api/v1/publishers/{name}", tag = "publishers", params(("name" = PublisherName, Path)),
    request_body = PublisherChange,
    responses((status = 200, body = Publisher), (status = "default", body = Problem))
)]
pub(super) async fn change(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<PublisherName>,
    Body(wanted): Body<PublisherChange>,
) -> Result<Json<Publisher>, Refused> {
    hub.access.permit(&caller, Action::Manage, of(&name)).await?;
    if wanted.registry_only.is_some() || wanted.quota_bytes.is_some() {
        hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    }
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let changed = hub.access.write(move |connection| {
        async move { publishers::change(connection, &name, &wanted, &actor, now_ms).await }.boxed()
    });
    let changed = changed.await?;
    // Whether readers may have it must not be lost with the database.
    hub.record().await;
    Ok(Json(changed))
}

/// The members of a publisher, for its members
#[utoipa::path(
    get, path = "/api/v1/publishers/{name}/members", tag = "publishers",
    params(("name" = PublisherName, Path), Part),
    responses((status = 200, body = Listed<Member>), (status = "default", body = Problem))
)]
pub(super) async fn members(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<PublisherName>,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Member>>, Refused> {
    hub.access.permit(&caller, Action::Browse, of(&name)).await?;
    let mut connection = hub.database.readers().acquire().await?;
    publishers::find(&mut connection, &name).await?;
    let found = publishers::members(&mut connection, &name, &part.after, part.read()?).await?;
    Ok(Json(part.of(found, |member| member.handle.to_string())))
}

/// Make somebody a member, or give a member another role
#[utoipa::path(
    put, path = "/api/v1/publishers/{name}/members/{handle}", tag = "publishers",
    params(("name" = PublisherName, Path), ("handle" = Handle, Path)), request_body = Membership,
    responses((status = 200, body = Member), (status = "default", body = Problem))
)]
pub(super) async fn set_member(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named((name, handle)): Named<(PublisherName, Handle)>,
    Body(Membership { role }): Body<Membership>,
) -> Result<Json<Member>, Refused> {
    hub.access.permit(&caller, Action::Manage, of(&name)).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let set = hub.access.write(move |connection| {
        async move { publishers::set_member(connection, &name, (&handle, role), &actor, now_ms).await }
            .boxed()
    });
    set.await.map(Json)
}

/// Take a member out
#[utoipa::path(
    delete, path = "/api/v1/publishers/{name}/members/{handle}", tag = "publishers",
    params(("name" = PublisherName, Path), ("handle" = Handle, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn remove_member(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named((name, handle)): Named<(PublisherName, Handle)>,
) -> Result<StatusCode, Refused> {
    hub.access.permit(&caller, Action::Manage, of(&name)).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let removed = hub.access.write(move |connection| {
        async move { publishers::remove_member(connection, &name, &handle, &actor, now_ms).await }.boxed()
    });
    removed.await.map(|()| StatusCode::NO_CONTENT)
}
