// SPDX-License-Identifier: Apache-2.0
//! Packages: what they are, their versions, and which of them somebody wants.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use package::{KernelVersion, Platform};
use semver::VersionReq;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use wire::Problem;
use wire::hub::{Advisory, Channel, Found, NewAdvisory, PackageView, ReleaseView, Resolved, Wanted};

use super::super::advisories as advice;
use super::super::resolve::{self as resolving, Asked as Question, latest};
use super::super::{line, prices, ratings};
use super::known::{PackagePath, permit, releases, told};
use super::refused::{Refused, invalid, missing};
use crate::access::{Action, Caller};
use crate::audit::{self, Note};
use crate::given::{Asked, Body, Named};
use crate::time::rfc3339;
use crate::{Hub, search};

/// Which release somebody wants.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedRelease {
    /// Versions, such as `^1.2`. All.
    range: Option<String>,
    /// `stable`, or `candidate` for pre-releases as well. `stable`.
    channel: Channel,
    /// The kernel that it is to run on, such as `6.1`.
    kernel: Option<String>,
    /// The platform that it is to run on, such as `linux/amd64`.
    platform: Option<String>,
}

/// A package
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}", tag = "packages", params(PackagePath),
    responses((status = 200, body = PackageView), (status = "default", body = Problem))
)]
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
) -> Result<Json<PackageView>, Refused> {
    let releases = releases(&hub, &caller, &path).await?;
    let best = latest(&releases).or_else(|| releases.first()).cloned();
    let mut told = told(&hub, best.as_slice()).await?;
    let latest = told.pop().ok_or_else(|| missing("package", path.name.clone()))?;
    let mut connection = hub.database.readers().acquire().await?;
    let select = "SELECT id, pulls, counted_ms, price FROM packages WHERE publisher = $1 AND name = $2";
    let select = sqlx::query_as::<_, (String, i64, Option<i64>, Option<String>)>(select);
    let found = select.bind(&path.publisher).bind(&path.name).fetch_one(&mut *connection).await?;
    let (package, pulls, counted_ms, price) = found;
    let (price, rating) = (prices::read(price.as_deref())?, ratings::of(&mut connection, &package).await?);
    drop(connection);
    let (moved_to, moved_from) = moves(&hub, &path).await?;
    let (pulls, counted_until) = (u64::try_from(pulls).unwrap_or(0), counted_ms.map(rfc3339));
    let PackagePath { publisher, name } = path;
    Ok(Json(PackageView {
        publisher,
        name,
        latest,
        pulls,
        counted_until,
        moved_to,
        moved_from,
        price,
        rating,
    }))
}

/// What became of a package, and what it was before.
async fn moves(hub: &Hub, path: &PackagePath) -> Result<(Option<String>, Option<String>), Refused> {
    let mut connection = hub.database.readers().acquire().await?;
    let to = line::moved_to(&mut connection, &path.publisher, &path.name).await?;
    let from = line::moved_from(&mut connection, &path.publisher, &path.name).await?;
    Ok((to, from))
}

/// All versions of a package, the greatest first
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}/versions", tag = "packages", params(PackagePath),
    responses((status = 200, body = [ReleaseView]), (status = "default", body = Problem))
)]
pub(super) async fn versions(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
) -> Result<Json<Vec<ReleaseView>>, Refused> {
    let releases = releases(&hub, &caller, &path).await?;
    told(&hub, &releases).await.map(Json)
}

/// The release that fits a range, a kernel and a platform
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}/resolve", tag = "packages", params(PackagePath, WantedRelease),
    responses((status = 200, body = Resolved), (status = "default", body = Problem))
)]
pub(super) async fn resolve(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
    Asked(wanted): Asked<WantedRelease>,
) -> Result<Json<Resolved>, Refused> {
    let range = wanted.range.as_deref().unwrap_or("*").parse::<VersionReq>().map_err(invalid)?;
    let kernel = wanted.kernel.as_deref().map(str::parse::<KernelVersion>).transpose().map_err(invalid)?;
    let platform = wanted.platform.as_deref().map(str::parse::<Platform>).transpose().map_err(invalid)?;
    let question = Question { range, channel: wanted.channel, kernel, platform };
    let releases = releases(&hub, &caller, &path).await?;
    let found = resolving::resolve(&releases, &question)?;
    let told = told(&hub, std::slice::from_ref(found)).await?;
    let url = hub.config.url();
    let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
    let tag = found.version.to_string().replace('+', "_");
    Ok(Json(Resolved {
        version: found.version.clone(),
        digest: found.digest.clone(),
        reference: format!("{host}/{}/{}:{tag}@{}", path.publisher, path.name, found.digest),
        advisories: told.into_iter().flat_map(|view| view.advisories).collect(),
        moved_to: moves(&hub, &path).await?.0,
    }))
}

/// Packages that stand on the same part of the shelf, the best first
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}/related", tag = "packages", params(PackagePath),
    responses((status = 200, body = Found), (status = "default", body = Problem))
)]
pub(super) async fn related(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
) -> Result<Json<Found>, Refused> {
    let releases = releases(&hub, &caller, &path).await?;
    let facts = latest(&releases).and_then(|release| release.facts.as_ref());
    let facts = facts.ok_or_else(|| missing("release", path.name.clone()))?;
    let (category, subcategory) = (Some(facts.category.clone()), Some(facts.subcategory.clone()));
    let wanted = Wanted { category, subcategory, limit: Some(11), ..Wanted::default() };
    let mut found = search::find(&hub.database, &wanted).await?;
    found.packages.retain(|other| (&other.publisher, &other.name) != (&path.publisher, &path.name));
    found.packages.truncate(10);
    Ok(Json(Found { next: None, ..found }))
}

/// What is known to be wrong with versions of a package
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}/advisories", tag = "packages", params(PackagePath),
    responses((status = 200, body = [Advisory]), (status = "default", body = Problem))
)]
pub(super) async fn advisories(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
) -> Result<Json<Vec<Advisory>>, Refused> {
    let releases = releases(&hub, &caller, &path).await?;
    let package = releases.first().map(|release| release.package.clone()).unwrap_or_default();
    let known = advice::of(hub.database.readers(), &package).await?;
    Ok(Json(known.into_iter().map(|(_, advisory)| advisory).collect()))
}

/// Warn of versions of a package
#[utoipa::path(
    post, path = "/api/v1/packages/{publisher}/{name}/advisories", tag = "packages", params(PackagePath),
    request_body = NewAdvisory,
    responses((status = 201, body = Advisory), (status = "default", body = Problem))
)]
pub(super) async fn advise(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<PackagePath>,
    Body(new): Body<NewAdvisory>,
) -> Result<(StatusCode, Json<Advisory>), Refused> {
    permit(&hub, &caller, Action::Yank, &path).await?;
    new.range.parse::<VersionReq>().map_err(invalid)?;
    let releases = releases(&hub, &caller, &path).await?;
    let package = releases.first().map(|release| release.package.clone()).unwrap_or_default();
    let (actor, now_ms, subject) = (caller.to_string(), hub.now_ms(), path.place().to_string());
    let account = caller.account().map(str::to_owned);
    let published = hub.database.write(move |connection| {
        async move {
            let detail = json!({ "range": new.range, "severity": new.severity, "title": new.title });
            let note = Note { now_ms, actor: &actor, action: "advisory.publish", subject: &subject, detail };
            audit::note(connection, &note).await?;
            advice::publish(connection, &package, new, (account.as_deref(), now_ms)).await
        }
        .boxed()
    });
    Ok((StatusCode::CREATED, Json(published.await?)))
}
