// SPDX-License-Identifier: Apache-2.0
//! Releases: how far they are, and taking them back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use wire::Problem;
use wire::hub::{Checks, ReleaseView, Yank};

use super::super::release::Release;
use super::super::withdrawal::Unwithdrawn;
use super::super::{arrival, queue, withdrawal};
use super::known::{ReleasePath, release, release_to, told};
use super::refused::{Refused, invalid, missing};
use crate::Hub;
use crate::access::{Action, Caller};
use crate::audit::{self, Note};
use crate::given::{Body, Named};

/// The longest reason, in bytes.
const MAX_REASON_BYTES: usize = 4096;

/// A release
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}/versions/{version}", tag = "releases", params(ReleasePath),
    responses((status = 200, body = ReleaseView), (status = "default", body = Problem))
)]
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<ReleasePath>,
) -> Result<Json<ReleaseView>, Refused> {
    let release = release(&hub, &caller, &path).await?;
    let mut told = told(&hub, std::slice::from_ref(&release)).await?;
    told.pop().map(Json).ok_or_else(|| missing("release", release.title()))
}

/// How far a release is, and what its checks found
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}/versions/{version}/checks", tag = "releases",
    params(ReleasePath), responses((status = 200, body = Checks), (status = "default", body = Problem))
)]
pub(super) async fn checks(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<ReleasePath>,
) -> Result<Json<Checks>, Refused> {
    let Release { id, state, reason, .. } = release(&hub, &caller, &path).await?;
    Ok(Json(Checks { state, reason, checks: queue::results(&hub, &id).await? }))
}

/// Have a release checked again that waits for changes
#[utoipa::path(
    post, path = "/api/v1/packages/{publisher}/{name}/versions/{version}/checks", tag = "releases",
    params(ReleasePath), responses((status = 202), (status = "default", body = Problem))
)]
pub(super) async fn check_again(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<ReleasePath>,
) -> Result<StatusCode, Refused> {
    let release = release_to(&hub, &caller, (Action::Publish, &path)).await?;
    let (id, now_ms) = (release.id.clone(), hub.now_ms());
    let again = hub
        .database
        .write(move |connection| async move { arrival::check_again(connection, &id, now_ms).await }.boxed());
    if again.await? {
        return Ok(StatusCode::ACCEPTED);
    }
    Err(Refused::State(format!("{} is {}, and does not wait for changes", release.title(), release.state)))
}

/// Lead nobody to a release any more, and say why
#[utoipa::path(
    put, path = "/api/v1/packages/{publisher}/{name}/versions/{version}/yank", tag = "releases",
    params(ReleasePath), request_body = Yank, responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn yank(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<ReleasePath>,
    Body(Yank { reason }): Body<Yank>,
) -> Result<StatusCode, Refused> {
    if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
        return Err(invalid(format!("a reason has 1 to {MAX_REASON_BYTES} bytes")));
    }
    let release = release_to(&hub, &caller, (Action::Yank, &path)).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let yanked = hub.database.write(move |connection| {
        async move {
            note(connection, ("release.yank", &actor), &release, json!({ "reason": reason }), now_ms).await?;
            withdrawal::yank(connection, &release, &reason, now_ms).await
        }
        .boxed()
    });
    yanked.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lead people to a yanked release again
#[utoipa::path(
    delete, path = "/api/v1/packages/{publisher}/{name}/versions/{version}/yank", tag = "releases",
    params(ReleasePath), responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn unyank(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<ReleasePath>,
) -> Result<StatusCode, Refused> {
    let release = release_to(&hub, &caller, (Action::Yank, &path)).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let unyanked = hub.database.write(move |connection| {
        async move {
            note(connection, ("release.unyank", &actor), &release, Value::Null, now_ms).await?;
            withdrawal::unyank(connection, &release, now_ms).await
        }
        .boxed()
    });
    unyanked.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a release that is young and that nobody pulled
#[utoipa::path(
    delete, path = "/api/v1/packages/{publisher}/{name}/versions/{version}", tag = "releases", params(ReleasePath),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn delete(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<ReleasePath>,
) -> Result<StatusCode, Refused> {
    let release = release_to(&hub, &caller, (Action::Delete, &path)).await?;
    // Pulls of the last seconds count.
    super::super::pulls::write(&hub).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let deleted = hub.database.write(move |connection| {
        async move {
            note(connection, ("release.delete", &actor), &release, Value::Null, now_ms).await?;
            withdrawal::delete(connection, &release, now_ms).await
        }
        .boxed()
    });
    deleted.await?;
    hub.record().await;
    Ok(StatusCode::NO_CONTENT)
}

async fn note(
    connection: &mut AnyConnection,
    (action, actor): (&'static str, &str),
    release: &Release,
    detail: Value,
    now_ms: i64,
) -> Result<(), Unwithdrawn> {
    let subject = release.title();
    Ok(audit::note(connection, &Note { now_ms, actor, action, subject: &subject, detail }).await?)
}
