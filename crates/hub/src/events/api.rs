// SPDX-License-Identifier: Apache-2.0
//! Webhooks, through the API: those of a publisher for its owners, those of the whole hub for administrators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::Problem;

use super::webhooks::{Delivery, NewWebhook, Webhook};
use crate::Hub;
use crate::access::{Action, Caller, Refused, Resource};
use crate::given::{Asked, Body, Listed, Named, Part, usual};
use crate::registry::PublisherName;

/// The calls, with their description.
pub(crate) fn routes() -> OpenApiRouter<Arc<Hub>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(remove)).routes(routes!(deliveries))
}

/// A webhook that was made just now.
#[derive(Debug, Serialize, ToSchema)]
struct MadeWebhook {
    /// What deliveries are signed with, as the Standard Webhooks specification has it. Nobody is told it again.
    secret: String,
    #[serde(flatten)]
    webhook: Webhook,
}

/// Whose webhooks are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Of {
    /// Those about the packages of a publisher; left out for those about all packages.
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

/// Lets through who looks after those packages.
async fn admit(hub: &Hub, caller: &Caller, publisher: Option<&str>) -> Result<(), Refused> {
    let (action, resource) = match publisher {
        Some(name) => (Action::Manage, Resource::Publisher(name.to_owned())),
        None => (Action::Administer, Resource::Hub),
    };
    Ok(hub.access.permit(caller, action, resource).await?)
}

/// Webhooks, the oldest first
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "webhooks", params(Of),
    responses((status = 200, body = Listed<Webhook>), (status = "default", body = Problem))
)]
async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Result<Json<Listed<Webhook>>, Refused> {
    let publisher = of.publisher.as_ref().map(PublisherName::as_str);
    admit(&hub, &caller, publisher).await?;
    let part = Part { after: of.after, limit: of.limit };
    let found = Webhook::after(hub.database.readers(), publisher, (&part.after, part.read()?)).await?;
    Ok(Json(part.of(found, |webhook| webhook.id.clone())))
}

/// Ask to be told what happens to packages
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "webhooks", request_body = NewWebhook,
    responses((status = 201, body = MadeWebhook), (status = "default", body = Problem))
)]
async fn add(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Body(new): Body<NewWebhook>,
) -> Result<(StatusCode, Json<MadeWebhook>), Refused> {
    admit(&hub, &caller, new.publisher.as_ref().map(PublisherName::as_str)).await?;
    let (actor, now_ms, reach) = (caller.to_string(), hub.now_ms(), hub.config.webhooks.reach());
    let added = hub
        .database
        .write(move |connection| async move { new.add(connection, reach, &actor, now_ms).await }.boxed());
    let (webhook, secret) = added.await?;
    Ok((StatusCode::CREATED, Json(MadeWebhook { secret, webhook })))
}

/// Remove a webhook
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{id}", tag = "webhooks", params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
async fn remove(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refused> {
    let webhook = mine(&hub, &caller, &id).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let removed = hub
        .database
        .write(move |connection| async move { webhook.remove(connection, &actor, now_ms).await }.boxed());
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a webhook was told, or is to be, the oldest first
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}/deliveries", tag = "webhooks", params(("id" = String, Path), Part),
    responses((status = 200, body = Listed<Delivery>), (status = "default", body = Problem))
)]
async fn deliveries(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Delivery>>, Refused> {
    let webhook = mine(&hub, &caller, &id).await?;
    let found = webhook.deliveries(hub.database.readers(), (&part.after, part.read()?)).await?;
    Ok(Json(part.of(found, |delivery| delivery.event.clone())))
}

/// A webhook that the caller looks after. Whoever does not is not told whether there is one.
async fn mine(hub: &Hub, caller: &Caller, id: &str) -> Result<Webhook, Refused> {
    match Webhook::find(hub.database.readers(), id).await {
        Ok(webhook) => {
            admit(hub, caller, webhook.publisher.as_deref()).await?;
            Ok(webhook)
        }
        Err(missing) => {
            admit(hub, caller, None).await?;
            Err(missing)
        }
    }
}
