// SPDX-License-Identifier: Apache-2.0
//! Finding packages by words, facets and shelves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use wire::Problem;
use wire::hub::{Category, FacetValue, Facets, Found, PackageView, Wanted};

use super::known::PackagePath;
use super::packages;
use super::refused::{Refused, missing};
use crate::access::{Action, Caller, Resource};
use crate::given::{Asked, Named};
use crate::{Hub, search};

/// Search packages
#[utoipa::path(
    get, path = "/api/v1/packages", tag = "packages", params(Wanted),
    responses((status = 200, body = Found), (status = "default", body = Problem))
)]
pub(super) async fn search(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Found>, Refused> {
    hub.access.permit(&caller, Action::Browse, Resource::Hub).await?;
    Ok(Json(search::find(&hub.database, &wanted).await?))
}

/// What there is to choose from in a search
///
/// With the parameters of a search: in what it finds. `limit` and `after` change nothing.
#[utoipa::path(
    get, path = "/api/v1/facets", tag = "packages", params(Wanted),
    responses((status = 200, body = Facets), (status = "default", body = Problem))
)]
pub(super) async fn facets(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Facets>, Refused> {
    hub.access.permit(&caller, Action::Browse, Resource::Hub).await?;
    Ok(Json(search::facets(&hub.database, &wanted).await?))
}

/// The shelves, and their parts
#[utoipa::path(
    get, path = "/api/v1/categories", tag = "packages",
    responses((status = 200, body = [Category]), (status = "default", body = Problem))
)]
pub(super) async fn categories(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<Vec<Category>>, Refused> {
    hub.access.permit(&caller, Action::Browse, Resource::Hub).await?;
    Ok(Json(search::categories(hub.database.readers()).await?))
}

/// A package by the shelf that it stands on now
#[utoipa::path(
    get, path = "/api/v1/categories/{category}/{subcategory}/{publisher}/{name}", tag = "packages",
    params(("category" = String, Path), ("subcategory" = String, Path), PackagePath),
    responses((status = 200, body = PackageView), (status = "default", body = Problem))
)]
pub(super) async fn on_shelf(
    state: State<Arc<Hub>>,
    caller: Caller,
    Named((category, subcategory, publisher, name)): Named<(String, String, String, String)>,
) -> Result<Json<PackageView>, Refused> {
    let view = packages::show(state, caller, Named(PackagePath { publisher, name })).await?;
    let facts = view.latest.facts.as_ref();
    let is_there =
        facts.is_some_and(|facts| (&facts.category, &facts.subcategory) == (&category, &subcategory));
    let path = || format!("{category}/{subcategory}/{}/{}", view.publisher, view.name);
    if is_there { Ok(view) } else { Err(missing("package", path())) }
}

/// The words that packages are tagged with, the most frequent first
#[utoipa::path(
    get, path = "/api/v1/tags", tag = "packages",
    responses((status = 200, body = [FacetValue]), (status = "default", body = Problem))
)]
pub(super) async fn tags(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<Vec<FacetValue>>, Refused> {
    hub.access.permit(&caller, Action::Browse, Resource::Hub).await?;
    Ok(Json(search::values(hub.database.readers(), "tag").await?))
}
