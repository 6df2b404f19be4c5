// SPDX-License-Identifier: Apache-2.0
//! Logins at issuers that are accounts here, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use wire::Problem;

use super::super::accounts;
use super::super::action::{Action, Resource};
use super::super::caller::Caller;
use super::super::names::Handle;
use super::super::oidc::identities::{self, Identity, NewIdentity};
use super::super::refused::Refused;
use super::super::scope::Scope;
use crate::Hub;
use crate::given::{Asked, Body, Listed, Named, Part};

/// One's own logins at issuers, the oldest first
#[utoipa::path(
    get, path = "/api/v1/account/identities", tag = "accounts", params(Part),
    responses((status = 200, body = Listed<Identity>), (status = "default", body = Problem))
)]
pub(super) async fn own(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Identity>>, Refused> {
    let (account, _) = caller.account_for(&Scope::ReadApi)?;
    let mut connection = hub.database.readers().acquire().await?;
    let found = identities::after(&mut connection, account, &part.after, part.read()?).await?;
    Ok(Json(part.of(found, |identity| identity.id.clone())))
}

/// Unlink one's own login at an issuer
///
/// Browsers that were logged in are so no more. The only way in stays: who has no password keeps one login.
#[utoipa::path(
    delete, path = "/api/v1/account/identities/{id}", tag = "accounts", params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn unlink_own(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refused> {
    let (_, handle) = caller.account_for(&Scope::WriteApi)?;
    let (handle, actor, now_ms) = (handle.parse::<Handle>()?, handle.to_owned(), hub.now_ms());
    let takes_passwords = hub.access.takes_passwords;
    let unlinked = hub.access.write(move |connection| {
        async move {
            let account = accounts::find(connection, &handle).await?;
            identities::unlink(connection, &account, &id, &actor, now_ms).await?;
            let password = accounts::password(connection, &handle).await?.and_then(|(_, password)| password);
            let has_password = takes_passwords && password.is_some();
            if !has_password && identities::after(connection, &account.id, "", 1).await?.is_empty() {
                let only = "this is the only way by which you log in; link another login first";
                return Err(Refused::Invalid(only.to_owned()));
            }
            Ok(())
        }
        .boxed()
    });
    unlinked.await.map(|()| StatusCode::NO_CONTENT)
}

/// The logins of an account at issuers, the oldest first
#[utoipa::path(
    get, path = "/api/v1/accounts/{handle}/identities", tag = "accounts",
    params(("handle" = Handle, Path), Part),
    responses((status = 200, body = Listed<Identity>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(handle): Named<Handle>,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Identity>>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let mut connection = hub.database.readers().acquire().await?;
    let account = accounts::find(&mut connection, &handle).await?;
    let found = identities::after(&mut connection, &account.id, &part.after, part.read()?).await?;
    Ok(Json(part.of(found, |identity| identity.id.clone())))
}

/// Link a login at an issuer to an account, before it came for the first time
#[utoipa::path(
    post, path = "/api/v1/accounts/{handle}/identities", tag = "accounts",
    params(("handle" = Handle, Path)), request_body = NewIdentity,
    responses((status = 201, body = Identity), (status = "default", body = Problem))
)]
pub(super) async fn link(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(handle): Named<Handle>,
    Body(new): Body<NewIdentity>,
) -> Result<(StatusCode, Json<Identity>), Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let is_known = hub.access.issuers.of_people().any(|(issuer, _)| issuer.url == new.issuer);
    if !is_known {
        return Err(Refused::Missing { what: "issuer that people log in by", name: new.issuer });
    }
    if !(1..=255).contains(&new.subject.len()) || new.subject.contains(char::is_control) {
        return Err(Refused::Invalid("a subject is a plain text of 1 to 255 bytes".to_owned()));
    }
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let linked = hub.access.write(move |connection| {
        async move {
            let account = accounts::find(connection, &handle).await?;
            let whose = (account.id.as_str(), account.handle.as_str());
            identities::link(connection, &new, account.handle.as_str(), whose, (&actor, now_ms)).await
        }
        .boxed()
    });
    Ok((StatusCode::CREATED, Json(linked.await?)))
}

/// Unlink a login of an account
#[utoipa::path(
    delete, path = "/api/v1/accounts/{handle}/identities/{id}", tag = "accounts",
    params(("handle" = Handle, Path), ("id" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn unlink(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named((handle, id)): Named<(Handle, String)>,
) -> Result<StatusCode, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let unlinked = hub.access.write(move |connection| {
        async move {
            let account = accounts::find(connection, &handle).await?;
            identities::unlink(connection, &account, &id, &actor, now_ms).await
        }
        .boxed()
    });
    unlinked.await.map(|()| StatusCode::NO_CONTENT)
}
