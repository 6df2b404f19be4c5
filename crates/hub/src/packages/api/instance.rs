// SPDX-License-Identifier: Apache-2.0
//! What this hub is, and accepting what it asks everybody to accept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use wire::Problem;
use wire::hub::Instance;

use super::super::notice;
use super::refused::Refused;
use crate::Hub;
use crate::access::{Caller, Scope};

/// What this hub is
#[utoipa::path(get, path = "/api/v1/instance", tag = "instance", responses((status = 200, body = Instance)))]
pub(super) async fn show(State(hub): State<Arc<Hub>>) -> Json<Instance> {
    let crate::config::Instance { name, notice } = hub.config.instance.clone();
    Json(Instance { name, notice })
}

/// Accept the notice
#[utoipa::path(
    post, path = "/api/v1/instance/acceptance", tag = "instance",
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn accept(State(hub): State<Arc<Hub>>, caller: Caller) -> Result<StatusCode, Refused> {
    let (account, _) = caller.account_for(&Scope::WriteApi)?;
    let (account, text, now_ms) = (account.to_owned(), hub.config.instance.notice.clone(), hub.now_ms());
    if let Some(text) = text {
        let accepted = hub.database.write(move |connection| {
            async move { notice::accept(connection, &account, &text, now_ms).await }.boxed()
        });
        accepted.await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
