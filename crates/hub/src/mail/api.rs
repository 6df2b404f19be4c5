// SPDX-License-Identifier: Apache-2.0
//! Where one is mailed and what about, and for administrators what became of letters, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use wire::Problem;

use super::Kind;
use super::addresses::{self, OwnMail};
use super::outbox::{self, Sent};
use crate::Hub;
use crate::access::{Action, Caller, Refused, Resource, Scope};
use crate::audit::{self, Note};
use crate::given::{Asked, Body, Listed, Named, Part, usual};

/// The calls, with their description.
pub(crate) fn routes() -> OpenApiRouter<Arc<Hub>> {
    OpenApiRouter::new()
        .routes(routes!(own, set_address, remove_address))
        .routes(routes!(set_unwanted))
        .routes(routes!(list))
        .routes(routes!(retry))
}

/// An address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAddress {
    #[schema(format = Email, max_length = 254)]
    address: String,
}

/// What is not wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Unwanted {
    #[schema(max_items = 16)]
    kinds: Vec<Kind>,
}

/// Which letters are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Of {
    /// `waiting`, `sent` or `dead`; left out for all.
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

/// Where one is mailed
#[utoipa::path(
    get, path = "/api/v1/account/mail", tag = "mail",
    responses((status = 200, body = OwnMail), (status = "default", body = Problem))
)]
async fn own(State(hub): State<Arc<Hub>>, caller: Caller) -> Result<Json<OwnMail>, Refused> {
    let (account, _) = caller.account_for(&Scope::ReadApi)?;
    let mut connection = hub.database.readers().acquire().await?;
    Ok(Json(addresses::of(&mut connection, account).await?))
}

/// Have oneself mailed at an address
///
/// A link is sent there, and nothing else before that was opened.
#[utoipa::path(
    put, path = "/api/v1/account/mail", tag = "mail", request_body = NewAddress,
    responses((status = 202), (status = "default", body = Problem))
)]
async fn set_address(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Body(NewAddress { address }): Body<NewAddress>,
) -> Result<StatusCode, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    if hub.mail.is_none() {
        let why = "this hub sends no mail: its configuration has no `[mail]`";
        return Err(Refused::Invalid(why.to_owned()));
    }
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let asked = hub.database.write(move |connection| {
        async move { addresses::ask(connection, (&account, &handle), &address, now_ms).await }.boxed()
    });
    asked.await.map(|()| StatusCode::ACCEPTED)
}

/// Be mailed no more
#[utoipa::path(
    delete, path = "/api/v1/account/mail", tag = "mail",
    responses((status = 204), (status = "default", body = Problem))
)]
async fn remove_address(State(hub): State<Arc<Hub>>, caller: Caller) -> Result<StatusCode, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let removed = hub.database.write(move |connection| {
        async move { addresses::remove(connection, (&account, &handle), now_ms).await }.boxed()
    });
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say what one does not want to be mailed
#[utoipa::path(
    put, path = "/api/v1/account/mail/unwanted", tag = "mail", request_body = Unwanted,
    responses((status = 204), (status = "default", body = Problem))
)]
async fn set_unwanted(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Body(Unwanted { mut kinds }): Body<Unwanted>,
) -> Result<StatusCode, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    kinds.truncate(16);
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let set = hub.database.write(move |connection| {
        async move { addresses::set_unwanted(connection, (&account, &handle), &kinds, now_ms).await }.boxed()
    });
    set.await.map(|()| StatusCode::NO_CONTENT)
}

/// What became of letters, the oldest first, for administrators
#[utoipa::path(
    get, path = "/api/v1/mail", tag = "mail", params(Of),
    responses((status = 200, body = Listed<Sent>), (status = "default", body = Problem))
)]
async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(of): Asked<Of>,
) -> Result<Json<Listed<Sent>>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let part = Part { after: of.after, limit: of.limit };
    let mut connection = hub.database.readers().acquire().await?;
    let found = outbox::after(&mut connection, &of.state, (&part.after, part.read()?)).await?;
    let unknown = || Refused::Invalid("`state` is `waiting`, `sent` or `dead`".to_owned());
    Ok(Json(part.of(found.ok_or_else(unknown)?, |letter| letter.id.clone())))
}

/// Try a letter again that was given up, for administrators
#[utoipa::path(
    post, path = "/api/v1/mail/{id}/retry", tag = "mail", params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
async fn retry(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let revived = hub.database.write(move |connection| {
        async move {
            let detail = serde_json::Value::Null;
            let note = Note { now_ms, actor: &actor, action: "mail.retry", subject: &id, detail };
            audit::note(connection, &note).await?;
            if outbox::revive(connection, &id, now_ms).await? {
                return Ok(());
            }
            Err(Refused::Missing { what: "letter that was given up", name: id })
        }
        .boxed()
    });
    revived.await.map(|()| StatusCode::NO_CONTENT)
}
