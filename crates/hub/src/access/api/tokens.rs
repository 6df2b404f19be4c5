// SPDX-License-Identifier: Apache-2.0
//! One's own tokens, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use futures_util::FutureExt as _;
use serde::Serialize;
use utoipa::ToSchema;
use wire::Problem;

use super::super::action::{Action, Resource};
use super::super::caller::Caller;
use super::super::credentials::Shown;
use super::super::denied::{Denied, Why};
use super::super::refused::Refused;
use super::super::scope::Scope;
use super::super::tokens::{self, NewToken, Token};
use crate::Hub;
use crate::given::{Asked, Body, Listed, Named, Part};
use crate::server::Client;

/// A token that was made just now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeToken {
    /// What to show, as the password beside any user or as a bearer token. Nobody is told it again.
    secret: String,
    #[serde(flatten)]
    token: Token,
}

/// One's tokens, the oldest first
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens", params(Part),
    responses((status = 200, body = Listed<Token>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Token>>, Refused> {
    let (account, _) = caller.account_for(&Scope::ReadApi)?;
    let mut connection = hub.database.readers().acquire().await?;
    let found = tokens::after(&mut connection, account, &part.after, part.read()?).await?;
    Ok(Json(part.of(found, |token| token.id.clone())))
}

/// Make a token
///
/// For who logs in by a password (HTTP Basic) or has a session: a token makes no other, so that one that leaked leaves none
/// behind when it is revoked.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", request_body = NewToken,
    responses((status = 201, body = MadeToken), (status = "default", body = Problem))
)]
pub(super) async fn add(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<MadeToken>), Refused> {
    let caller = match Shown::read(&headers) {
        Shown::Password { user, password } => hub.access.log_in(&user, &password, client.address).await?,
        Shown::Nothing | Shown::Session(_) | Shown::Token(_) | Shown::Signed(_) | Shown::Unreadable(_) => {
            hub.access.caller(&headers).await?
        }
    };
    if let Caller::Account { scopes: Some(_), .. } = &caller {
        let (action, resource) = (Action::Found, Resource::Hub);
        let caller = caller.to_string();
        return Err(
            Denied::Rule { caller, action, resource, why: Why::TokenByToken, is_anonymous: false }.into()
        );
    }
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let added = hub.access.write(move |connection| {
        async move { tokens::add(connection, (&account, &handle), new, now_ms).await }.boxed()
    });
    let (token, secret) = added.await?;
    Ok((StatusCode::CREATED, Json(MadeToken { secret: secret.reveal().to_owned(), token })))
}

/// Revoke a token
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "tokens", params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn revoke(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let (account, handle, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let revoked = hub.access.write(move |connection| {
        async move { tokens::revoke(connection, (&account, &handle), &id, now_ms).await }.boxed()
    });
    revoked.await.map(|()| StatusCode::NO_CONTENT)
}
