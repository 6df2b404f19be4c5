// SPDX-License-Identifier: Apache-2.0
//! What packages cost, and what people think of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use wire::Problem;
use wire::hub::{OwnRating, Price, Rating};

use super::super::release::Release;
use super::super::{prices, ratings};
use super::known::{PackagePath, releases};
use super::refused::{Refused, missing};
use crate::Hub;
use crate::access::{Action, Caller, Resource, Scope};
use crate::given::{Body, Named};

/// Say what is asked for a package, for owners of its publisher
///
/// It is told to whoever looks at the package. The hub takes no money, and hands the package over to whoever may pull it.
#[utoipa::path(
    put, path = "/api/v1/packages/{publisher}/{name}/price", tag = "packages", params(PackagePath),
    request_body = Price, responses((status = 200, body = Price), (status = "default", body = Problem))
)]
pub(super) async fn set_price(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
    Body(price): Body<Price>,
) -> Result<Json<Price>, Refused> {
    let release = owned(&hub, &caller, &path).await?;
    let (actor, now_ms, told) = (caller.to_string(), hub.now_ms(), price.clone());
    let set = hub.database.write(move |connection| {
        async move { prices::set(connection, &release, &price, (&actor, now_ms)).await }.boxed()
    });
    set.await?;
    Ok(Json(told))
}

/// Say that a package is free, for owners of its publisher
#[utoipa::path(
    delete, path = "/api/v1/packages/{publisher}/{name}/price", tag = "packages", params(PackagePath),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn remove_price(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
) -> Result<StatusCode, Refused> {
    let release = owned(&hub, &caller, &path).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let set = hub.database.write(move |connection| {
        async move { prices::unset(connection, &release, (&actor, now_ms)).await }.boxed()
    });
    set.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A release of a package whose publisher the caller owns.
async fn owned(hub: &Arc<Hub>, caller: &Caller, path: &PackagePath) -> Result<Release, Refused> {
    hub.access.permit(caller, Action::Manage, Resource::Publisher(path.publisher.clone())).await?;
    known(hub, caller, path).await
}

/// What whoever asks thinks of a package
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}/rating", tag = "packages", params(PackagePath),
    responses((status = 200, body = OwnRating), (status = "default", body = Problem))
)]
pub(super) async fn own_rating(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
) -> Result<Json<OwnRating>, Refused> {
    let (account, _) = caller.account_for(&Scope::ReadApi)?;
    let package = known(&hub, &caller, &path).await?.package;
    let mut connection = hub.database.readers().acquire().await?;
    let stars = ratings::by(&mut connection, &package, account).await?;
    stars.map(|stars| Json(OwnRating { stars })).ok_or_else(|| missing("rating", path.place().to_string()))
}

/// Rate a package, for whoever is logged in and neither contributes to its publisher nor reviews for it
///
/// What was said before is forgotten by that. Answers with what all people think of it then.
#[utoipa::path(
    put, path = "/api/v1/packages/{publisher}/{name}/rating", tag = "packages", params(PackagePath),
    request_body = OwnRating, responses((status = 200, body = Rating), (status = "default", body = Problem))
)]
pub(super) async fn rate(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
    Body(own): Body<OwnRating>,
) -> Result<Json<Rating>, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    hub.access.permit(&caller, Action::Rate, &path.place()).await?;
    let (package, title) = (known(&hub, &caller, &path).await?.package, path.place().to_string());
    let name = title.clone();
    let set = hub.database.write(move |connection| {
        async move {
            ratings::set(connection, (&package, &title), (&account, &handle), own.stars, now_ms).await?;
            ratings::of(connection, &package).await
        }
        .boxed()
    });
    set.await?.map(Json).ok_or_else(|| missing("account", name))
}

/// Take one's rating of a package back
#[utoipa::path(
    delete, path = "/api/v1/packages/{publisher}/{name}/rating", tag = "packages", params(PackagePath),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn unrate(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
) -> Result<StatusCode, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    // Whoever rated it takes that back, also where the package is not for them any more.
    let set = hub.database.write(move |connection| {
        async move {
            let select = sqlx::query_scalar("SELECT id FROM packages WHERE publisher = $1 AND name = $2");
            let select = select.bind(&path.publisher).bind(&path.name).fetch_optional(&mut *connection);
            let package: Option<String> = select.await?;
            let Some(package) = package else { return Ok(()) };
            let title = path.place().to_string();
            ratings::unset(connection, (&package, &title), (&account, &handle), now_ms).await
        }
        .boxed()
    });
    set.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A release of a package that the caller may know of.
async fn known(hub: &Arc<Hub>, caller: &Caller, path: &PackagePath) -> Result<Release, Refused> {
    let mut releases = releases(hub, caller, path).await?;
    releases.pop().ok_or_else(|| missing("package", path.place().to_string()))
}
