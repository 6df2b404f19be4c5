// SPDX-License-Identifier: Apache-2.0
//! What packages cost, and what people think of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use wire::Problem;
use wire::hub::{OwnRating, Price, Rating};

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
    put_price(&hub, &caller, &path, Some(price.clone())).await?;
    Ok(Json(price))
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
    put_price(&hub, &caller, &path, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn put_price(
    hub: &Arc<Hub>,
    caller: &Caller,
    path: &PackagePath,
    price: Option<Price>,
) -> Result<(), Refused> {
    hub.access.permit(caller, Action::Manage, Resource::Publisher(path.publisher.clone())).await?;
    let (package, title) = known(hub, caller, path).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let set = hub.database.write(move |connection| {
        async move { prices::set(connection, (&package, &title), price.as_ref(), (&actor, now_ms)).await }
            .boxed()
    });
    Ok(set.await?)
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
    let (package, title) = known(&hub, &caller, &path).await?;
    let mut connection = hub.database.readers().acquire().await?;
    let stars = ratings::by(&mut connection, &package, account).await?;
    stars.map(|stars| Json(OwnRating { stars })).ok_or_else(|| missing("rating", title))
}

/// Rate a package, for whoever is logged in and is no member of its publisher
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
    let rating = put_rating(&hub, &caller, &path, Some(own)).await?;
    rating.map(Json).ok_or_else(|| missing("rating", path.place().to_string()))
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
    put_rating(&hub, &caller, &path, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn put_rating(
    hub: &Arc<Hub>,
    caller: &Caller,
    path: &PackagePath,
    own: Option<OwnRating>,
) -> Result<Option<Rating>, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let who = (account.to_owned(), handle.to_owned());
    // Whoever is a member may not say less of their own either.
    if own.is_some() {
        hub.access.permit(caller, Action::Rate, &path.place()).await?;
    }
    let (package, title) = known(hub, caller, path).await?;
    let now_ms = hub.now_ms();
    let set = hub.database.write(move |connection| {
        async move {
            let (package, who) = ((package.as_str(), title.as_str()), (who.0.as_str(), who.1.as_str()));
            ratings::set(connection, package, who, own.map(|own| own.stars), now_ms).await
        }
        .boxed()
    });
    Ok(set.await?)
}

/// The id and the name of a package that the caller may know of.
async fn known(hub: &Arc<Hub>, caller: &Caller, path: &PackagePath) -> Result<(String, String), Refused> {
    let title = path.place().to_string();
    let releases = releases(hub, caller, path).await?;
    let package = releases.first().map(|release| release.package.clone());
    Ok((package.ok_or_else(|| missing("package", title.clone()))?, title))
}
