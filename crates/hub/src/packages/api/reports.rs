// SPDX-License-Identifier: Apache-2.0
//! Reports to administrators, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wire::Problem;

use super::super::reports::{self, Class, MAX_TEXT_BYTES, Report, Reported, Reporter, Resolution};
use super::known::{PackagePath, ReleasePath, release, releases};
use super::refused::{Refused, invalid};
use crate::Hub;
use crate::access::{Action, Caller, Resource, Scope};
use crate::given::{Asked, Body, Listed, Named, Part, usual};
use crate::server::Client;

/// What is wrong, and with what: `publisher` and `name`, with `version` for one release, and with `reviewer` for what somebody said
/// of that; or `account`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewReport {
    #[serde(default)]
    publisher: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    /// Who gave the review.
    #[serde(default)]
    #[schema(max_length = 39)]
    reviewer: Option<String>,
    #[serde(default)]
    #[schema(max_length = 39)]
    account: Option<String>,
    class: Class,
    /// What administrators should know.
    #[schema(min_length = 1, max_length = 4096)]
    text: String,
}

/// Which reports are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// `open`, `claimed` or `resolved`; left out for all.
    #[serde(default)]
    state: String,
    /// The value of `next` that came with the part before; left out for the first.
    #[serde(default)]
    after: String,
    /// How many at most.
    #[serde(default = "usual")]
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: i64,
}

/// Report something to the administrators
///
/// For whoever is logged in, and for others where the hub is told so. The answer has the id by which they see what becomes of it.
#[utoipa::path(
    post, path = "/api/v1/reports", tag = "reports", request_body = NewReport,
    responses((status = 201, body = Report), (status = "default", body = Problem))
)]
pub(super) async fn file(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    caller: Caller,
    Body(new): Body<NewReport>,
) -> Result<(StatusCode, Json<Report>), Refused> {
    hub.access.permit(&caller, Action::Browse, Resource::Hub).await?;
    let (rules, now_ms) = (hub.config.reports.clone(), hub.now_ms());
    let reporter = match &caller {
        Caller::Anonymous if rules.anonymous => Reporter::at(client.address, now_ms),
        Caller::Anonymous | Caller::Account { .. } => {
            let (account, handle) = caller.account_for(&Scope::WriteApi)?;
            Reporter::account(account, handle)
        }
    };
    if new.text.trim().is_empty() || new.text.len() > MAX_TEXT_BYTES {
        return Err(invalid(format!("a text has 1 to {MAX_TEXT_BYTES} bytes")));
    }
    let about = about(&hub, &caller, new).await?;
    let filed = hub.database.write(move |connection| {
        async move { reports::file(connection, &reporter, &about, (rules.per_hour, now_ms)).await }.boxed()
    });
    Ok((StatusCode::CREATED, Json(filed.await?)))
}

/// What a report is about, if the caller may know of it.
async fn about(hub: &Arc<Hub>, caller: &Caller, new: NewReport) -> Result<Reported, Refused> {
    let NewReport { publisher, name, version, reviewer, account, class, text } = new;
    let (kind, subject) = match (publisher, name, version, reviewer, account) {
        (None, None, None, None, Some(handle)) => {
            // Whether there is such an account, nobody is told.
            let is_short =
                (2..=39).contains(&handle.len()) && handle.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_short {
                return Err(invalid(format!("`{handle}` is no handle")));
            }
            ("account", handle)
        }
        (Some(publisher), Some(name), None, None, None) => {
            let path = PackagePath { publisher, name };
            releases(hub, caller, &path).await?;
            ("package", path.place().to_string())
        }
        (Some(publisher), Some(name), Some(version), reviewer, None) => {
            let path = ReleasePath { publisher, name, version };
            let title = release(hub, caller, &path).await?.title();
            match reviewer {
                None => ("release", title),
                Some(reviewer) if reviewer.len() <= 39 => ("review", format!("{title} by {reviewer}")),
                Some(reviewer) => return Err(invalid(format!("`{reviewer}` is no handle"))),
            }
        }
        _ => {
            let what = "say `publisher` and `name`, with `version` and `reviewer` where it is about these; or `account`";
            return Err(invalid(what));
        }
    };
    Ok(Reported { kind, subject, class, text })
}

/// Reports, the oldest first: one's own, and all for administrators
#[utoipa::path(
    get, path = "/api/v1/reports", tag = "reports", params(Of),
    responses((status = 200, body = Listed<Report>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Result<Json<Listed<Report>>, Refused> {
    let sees_all = hub.access.permit(&caller, Action::Administer, Resource::Hub).await.is_ok();
    let own = if sees_all { None } else { Some(caller.account_for(&Scope::ReadApi)?.0) };
    let part = Part { after: of.after, limit: of.limit };
    let mut connection = hub.database.readers().acquire().await?;
    let wanted = (own, of.state.as_str());
    let found = reports::after(&mut connection, wanted, (&part.after, part.read()?)).await?;
    Ok(Json(part.of(found, |report| report.id.clone())))
}

/// What became of a report
///
/// For who made it and for administrators; of one that nobody logged in for, whoever has the id sees how far it is.
#[utoipa::path(
    get, path = "/api/v1/reports/{id}", tag = "reports", params(("id" = String, Path)),
    responses((status = 200, body = Report), (status = "default", body = Problem))
)]
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Report>, Refused> {
    let sees_all = hub.access.permit(&caller, Action::Administer, Resource::Hub).await.is_ok();
    let mut connection = hub.database.readers().acquire().await?;
    let report = reports::find(&mut connection, &id).await?;
    let is_own = report.account.is_some() && report.account.as_deref() == caller.account();
    match report.account {
        _ if sees_all || is_own => Ok(Json(report)),
        None => Ok(Json(report.without_words())),
        Some(_) => Err(super::refused::missing("report", id)),
    }
}

/// Look into a report, for administrators
#[utoipa::path(
    post, path = "/api/v1/reports/{id}/claim", tag = "reports", params(("id" = String, Path)),
    responses((status = 200, body = Report), (status = "default", body = Problem))
)]
pub(super) async fn claim(
    hub: State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Report>, Refused> {
    set_claim(&hub, &caller, id, true).await
}

/// Put a report back into the queue, for administrators
#[utoipa::path(
    delete, path = "/api/v1/reports/{id}/claim", tag = "reports", params(("id" = String, Path)),
    responses((status = 200, body = Report), (status = "default", body = Problem))
)]
pub(super) async fn unclaim(
    hub: State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Report>, Refused> {
    set_claim(&hub, &caller, id, false).await
}

async fn set_claim(
    hub: &Hub,
    caller: &Caller,
    id: String,
    is_claimed: bool,
) -> Result<Json<Report>, Refused> {
    hub.access.permit(caller, Action::Administer, Resource::Hub).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let claimed = hub.database.write(move |connection| {
        async move { reports::claim(connection, (&id, is_claimed), (&actor, now_ms)).await }.boxed()
    });
    let other = "somebody else looks into it, or it is not in the state for that";
    claimed.await?.map(Json).ok_or_else(|| Refused::State(other.to_owned()))
}

/// Say what became of a report, for administrators
#[utoipa::path(
    post, path = "/api/v1/reports/{id}/resolution", tag = "reports", params(("id" = String, Path)),
    request_body = Resolution, responses((status = 200, body = Report), (status = "default", body = Problem))
)]
pub(super) async fn resolve(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
    Body(resolution): Body<Resolution>,
) -> Result<Json<Report>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let resolved = hub.database.write(move |connection| {
        async move { reports::resolve(connection, &id, &resolution, (&actor, now_ms)).await }.boxed()
    });
    resolved.await?.map(Json).ok_or_else(|| Refused::State("it was resolved before".to_owned()))
}
