// SPDX-License-Identifier: Apache-2.0
//! The roots of publishers.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde_json::json;
use wire::Problem;
use wire::hub::RootView;

use super::super::roots as registered;
use super::refused::Refused;
use crate::Hub;
use crate::access::{Action, Caller, Resource};
use crate::audit::{self, Note};
use crate::given::Named;
use crate::registry::PublisherName;

/// The registered roots of a publisher, oldest first
#[utoipa::path(
    get, path = "/api/v1/publishers/{name}/roots", tag = "publishers", params(("name" = PublisherName, Path)),
    responses((status = 200, body = [RootView]), (status = "default", body = Problem))
)]
pub(super) async fn roots(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<PublisherName>,
) -> Result<Json<Vec<RootView>>, Refused> {
    hub.access.permit(&caller, Action::Browse, Resource::Hub).await?;
    let roots = registered::of(hub.database.readers(), name.as_str()).await?;
    Ok(Json(roots.iter().map(registered::view).collect()))
}

/// Register the first root of a publisher, or the next, for its owners
#[utoipa::path(
    post, path = "/api/v1/publishers/{name}/roots", tag = "publishers", params(("name" = PublisherName, Path)),
    request_body(content = String, description = "`root.json`, as `l3af publisher` makes it", content_type = "application/json"),
    responses((status = 201, body = RootView), (status = "default", body = Problem))
)]
pub(super) async fn register(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(name): Named<PublisherName>,
    bytes: Bytes,
) -> Result<(StatusCode, Json<RootView>), Refused> {
    hub.access.permit(&caller, Action::Manage, Resource::Publisher(name.to_string())).await?;
    let (actor, account, now_ms) = (caller.to_string(), caller.account().map(str::to_owned), hub.now_ms());
    let view = hub.database.write(move |connection| {
        async move {
            let by = (account.as_deref(), now_ms);
            let view = registered::register(connection, name.as_str(), &bytes, by).await?;
            let detail = json!({ "version": view.version, "digest": view.digest });
            let note =
                Note { now_ms, actor: &actor, action: "publisher.root", subject: name.as_str(), detail };
            audit::note(connection, &note).await?;
            Ok::<_, registered::Unregistered>(view)
        }
        .boxed()
    });
    Ok((StatusCode::CREATED, Json(view.await?)))
}
