// SPDX-License-Identifier: Apache-2.0
//! Rules by which machines publish, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use wire::Problem;

use super::super::action::{Action, Resource};
use super::super::caller::Caller;
use super::super::publishers;
use super::super::publishing::rules::{self, NewPublishingRule, PublishingRule};
use super::super::refused::Refused;
use super::super::scope::Scope;
use crate::Hub;
use crate::given::{Asked, Body, Listed, Named, Part};
use crate::registry::PublisherName;

fn of(name: &PublisherName) -> Resource {
    Resource::Publisher(name.to_string())
}

/// The rules by which machines publish for a publisher, for its members, the oldest first
#[utoipa::path(
    get, path = "/api/v1/publishers/{name}/publishing-rules", tag = "publishers",
    params(("name" = PublisherName, Path), Part),
    responses((status = 200, body = Listed<PublishingRule>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<PublisherName>,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<PublishingRule>>, Refused> {
    hub.access.permit(&caller, Action::Browse, of(&name)).await?;
    let mut connection = hub.database.readers().acquire().await?;
    publishers::find(&mut connection, &name).await?;
    let found = rules::after(&mut connection, &name, &part.after, part.read()?).await?;
    Ok(Json(part.of(found, |rule| rule.id.clone())))
}

/// Let machines publish by tokens of their issuer
///
/// A token that fits is exchanged at `/oauth/token` (RFC 8693) for one of this hub, which counts for fifteen minutes and acts for who
/// made the rule.
#[utoipa::path(
    post, path = "/api/v1/publishers/{name}/publishing-rules", tag = "publishers",
    params(("name" = PublisherName, Path)), request_body = NewPublishingRule,
    responses((status = 201, body = PublishingRule), (status = "default", body = Problem))
)]
pub(super) async fn add(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<PublisherName>,
    Body(new): Body<NewPublishingRule>,
) -> Result<(StatusCode, Json<PublishingRule>), Refused> {
    hub.access.permit(&caller, Action::Manage, of(&name)).await?;
    new.check(&name)?;
    if hub.access.issuers.publishing(&new.issuer).is_none() {
        return Err(Refused::Missing { what: "issuer whose tokens publish", name: new.issuer });
    }
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let added = hub.access.write(move |connection| {
        async move { rules::add(connection, &name, new, (&account, &handle), now_ms).await }.boxed()
    });
    Ok((StatusCode::CREATED, Json(added.await?)))
}

/// Remove a rule by which machines publish
///
/// Tokens that it gave count no more.
#[utoipa::path(
    delete, path = "/api/v1/publishers/{name}/publishing-rules/{id}", tag = "publishers",
    params(("name" = PublisherName, Path), ("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn remove(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named((name, id)): Named<(PublisherName, String)>,
) -> Result<StatusCode, Refused> {
    hub.access.permit(&caller, Action::Manage, of(&name)).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let removed = hub.access.write(move |connection| {
        async move { rules::remove(connection, &name, &id, &actor, now_ms).await }.boxed()
    });
    removed.await.map(|()| StatusCode::NO_CONTENT)
}
