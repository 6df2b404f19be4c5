// SPDX-License-Identifier: Apache-2.0
//! Packages that go to other publishers, through the API: owners of both agree, or an administrator decides.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::Problem;

use super::super::transfer::{self, Move, NewTransfer, Transfer};
use super::known::PackagePath;
use super::refused::Refused;
use crate::Hub;
use crate::access::{Action, Caller, Resource};
use crate::given::{Asked, Body, Listed, Named, Part, usual};
use crate::registry::PublisherName;

/// Whose transfers are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// Those from a publisher and to it, for its owners; left out for all, for administrators.
    #[serde(default)]
    publisher: Option<PublisherName>,
    /// The value of `next` that came with the part before; left out for the first.
    #[serde(default)]
    after: String,
    /// How many at most.
    #[serde(default = "usual")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: i64,
}

fn owned(publisher: &str) -> Resource {
    Resource::Publisher(publisher.to_owned())
}

/// Offer a package to another publisher
///
/// What was released stays, under its name; the package goes on under the new one, once an owner there accepts within 14 days.
#[utoipa::path(
    post, path = "/api/v1/packages/{publisher}/{name}/transfer", tag = "transfers", params(PackagePath),
    request_body = NewTransfer, responses((status = 201, body = Transfer), (status = "default", body = Problem))
)]
pub(super) async fn offer(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
    Body(new): Body<NewTransfer>,
) -> Result<(StatusCode, Json<Transfer>), Refused> {
    hub.access.permit(&caller, Action::Manage, owned(&path.publisher)).await?;
    if new.at_once {
        hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    }
    let new_name = new.name.map_or_else(|| path.name.clone(), |name| name.to_string());
    let wanted = Move { publisher: path.publisher, name: path.name, to: new.to.to_string(), new_name };
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let made = hub.database.write(move |connection| {
        async move {
            let by = (actor.as_str(), now_ms);
            if new.at_once {
                transfer::give(connection, &wanted, by).await
            } else {
                transfer::offer(connection, &wanted, by).await
            }
        }
        .boxed()
    });
    Ok((StatusCode::CREATED, Json(made.await?)))
}

/// Packages that are offered or were, the oldest first
#[utoipa::path(
    get, path = "/api/v1/transfers", tag = "transfers", params(Of),
    responses((status = 200, body = Listed<Transfer>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Result<Json<Listed<Transfer>>, Refused> {
    let publisher = of.publisher.as_ref().map(PublisherName::as_str);
    match publisher {
        Some(name) => hub.access.permit(&caller, Action::Manage, owned(name)).await?,
        None => hub.access.permit(&caller, Action::Administer, Resource::Hub).await?,
    }
    let part = Part { after: of.after, limit: of.limit };
    let mut connection = hub.database.readers().acquire().await?;
    let from = (part.after.as_str(), part.read()?);
    let found = transfer::after(&mut connection, publisher, from, hub.now_ms()).await?;
    Ok(Json(part.of(found, |transfer| transfer.id.clone())))
}

/// Accept a package, as an owner of the publisher that it is offered to
#[utoipa::path(
    post, path = "/api/v1/transfers/{id}/acceptance", tag = "transfers", params(("id" = String, Path)),
    responses((status = 200, body = Transfer), (status = "default", body = Problem))
)]
pub(super) async fn accept(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Transfer>, Refused> {
    let offered = known(&hub, &caller, &id).await?;
    hub.access.permit(&caller, Action::Manage, owned(&offered.to)).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let accepted = hub.database.write(move |connection| {
        async move { transfer::accept(connection, &id, (&actor, now_ms)).await }.boxed()
    });
    Ok(Json(accepted.await?))
}

/// Withdraw an offer, or decline it
#[utoipa::path(
    delete, path = "/api/v1/transfers/{id}", tag = "transfers", params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn end(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refused> {
    let offered = known(&hub, &caller, &id).await?;
    if hub.access.permit(&caller, Action::Manage, owned(&offered.publisher)).await.is_err() {
        hub.access.permit(&caller, Action::Manage, owned(&offered.to)).await?;
    }
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let ended = hub.database.write(move |connection| {
        async move { transfer::withdraw(connection, &id, (&actor, now_ms)).await }.boxed()
    });
    ended.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An offer. Whoever is nobody here is not told whether there is one.
async fn known(hub: &Hub, caller: &Caller, id: &str) -> Result<Move, Refused> {
    let mut connection = hub.database.readers().acquire().await?;
    match transfer::find(&mut connection, id, hub.now_ms()).await {
        Ok((offered, _)) => Ok(offered),
        Err(missing) => {
            hub.access.permit(caller, Action::Administer, Resource::Hub).await?;
            Err(missing.into())
        }
    }
}
