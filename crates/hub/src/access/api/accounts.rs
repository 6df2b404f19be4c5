// SPDX-License-Identifier: Apache-2.0
//! Accounts, through the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wire::Problem;

use super::super::accounts::{self, Account, Change, NewAccount};
use super::super::action::{Action, Resource};
use super::super::caller::Caller;
use super::super::names::{Handle, Role};
use super::super::refused::Refused;
use super::super::scope::Scope;
use crate::Hub;
use crate::given::{Asked, Body, Listed, Named, Part};
use crate::server::Client;

/// An account that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WantedAccount {
    handle: Handle,
    /// What people call it; the handle, where it is left out.
    #[schema(max_length = 200)]
    name: Option<String>,
    /// What it may do at the hub.
    role: Role,
    /// Without it the account cannot log in by a password.
    #[schema(min_length = 15, max_length = 1024, format = Password)]
    password: Option<String>,
}

/// What is to be different about an account; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountChange {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    role: Option<Role>,
    /// Whether it is closed: logged in nowhere, with no token that counts.
    closed: Option<bool>,
}

/// A password in place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    /// The one until now.
    #[schema(format = Password)]
    old: String,
    #[schema(min_length = 15, max_length = 1024, format = Password)]
    new: String,
}

/// A password that an administrator gives.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenPassword {
    #[schema(min_length = 15, max_length = 1024, format = Password)]
    new: String,
}

/// Who is calling.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Own {
    #[serde(flatten)]
    account: Account,
    /// What the token is for; none where the caller came without one.
    scopes: Option<Vec<Scope>>,
}

/// Who is calling
#[utoipa::path(
    get, path = "/api/v1/account", tag = "accounts",
    responses((status = 200, body = Own), (status = "default", body = Problem))
)]
pub(super) async fn own(State(hub): State<Arc<Hub>>, caller: Caller) -> Result<Json<Own>, Refused> {
    let (_, handle) = caller.account_for(&Scope::ReadApi)?;
    let mut connection = hub.database.readers().acquire().await?;
    let account = accounts::find(&mut connection, &handle.parse()?).await?;
    let scopes = match &caller {
        Caller::Account { scopes: Some(scopes), .. } => Some(scopes.to_vec()),
        Caller::Account { scopes: None, .. } | Caller::Anonymous => None,
    };
    Ok(Json(Own { account, scopes }))
}

/// Change one's own password
#[utoipa::path(
    put, path = "/api/v1/account/password", tag = "accounts", request_body = NewPassword,
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn set_own_password(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    caller: Caller,
    Body(NewPassword { old, new }): Body<NewPassword>,
) -> Result<StatusCode, Refused> {
    let (_, handle) = caller.account_for(&Scope::WriteApi)?;
    hub.access.log_in(handle, &old, client.address).await?;
    replace(&hub, handle.parse()?, &new, handle.to_owned()).await
}

/// Accounts, by their handles
#[utoipa::path(
    get, path = "/api/v1/accounts", tag = "accounts", params(Part),
    responses((status = 200, body = Listed<Account>), (status = "default", body = Problem))
)]
pub(super) async fn list(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Asked(part): Asked<Part>,
) -> Result<Json<Listed<Account>>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let mut connection = hub.database.readers().acquire().await?;
    let found = accounts::after(&mut connection, &part.after, part.read()?).await?;
    Ok(Json(part.of(found, |account| account.handle.to_string())))
}

/// Add an account
#[utoipa::path(
    post, path = "/api/v1/accounts", tag = "accounts", request_body = WantedAccount,
    responses((status = 201, body = Account), (status = "default", body = Problem))
)]
pub(super) async fn add(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Body(wanted): Body<WantedAccount>,
) -> Result<(StatusCode, Json<Account>), Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let WantedAccount { handle, name, role, password } = wanted;
    let name = checked(name.unwrap_or_else(|| handle.to_string()))?;
    let password = match password {
        Some(password) => Some(hub.access.passwords.take(&password).await?),
        None => None,
    };
    let new = NewAccount { handle, name, role, password };
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let added = hub.access.write(move |connection| {
        async move {
            accounts::add(connection, &new, &actor, now_ms).await?;
            accounts::find(connection, &new.handle).await
        }
        .boxed()
    });
    Ok((StatusCode::CREATED, Json(added.await?)))
}

/// An account
#[utoipa::path(
    get, path = "/api/v1/accounts/{handle}", tag = "accounts", params(("handle" = Handle, Path)),
    responses((status = 200, body = Account), (status = "default", body = Problem))
)]
pub(super) async fn show(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(handle): Named<Handle>,
) -> Result<Json<Account>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let mut connection = hub.database.readers().acquire().await?;
    accounts::find(&mut connection, &handle).await.map(Json)
}

/// Change an account: its name, its role, whether it is closed
#[utoipa::path(
    patch, path = "/api/v1/accounts/{handle}", tag = "accounts", params(("handle" = Handle, Path)),
    request_body = AccountChange,
    responses((status = 200, body = Account), (status = "default", body = Problem))
)]
pub(super) async fn change(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(handle): Named<Handle>,
    Body(wanted): Body<AccountChange>,
) -> Result<Json<Account>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    let name = wanted.name.map(checked).transpose()?;
    let wanted = Change { name, role: wanted.role, closed: wanted.closed };
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let changed = hub.access.write(move |connection| {
        async move { accounts::change(connection, &handle, &wanted, &actor, now_ms).await }.boxed()
    });
    changed.await.map(Json)
}

/// Give an account another password
#[utoipa::path(
    put, path = "/api/v1/accounts/{handle}/password", tag = "accounts", params(("handle" = Handle, Path)),
    request_body = GivenPassword,
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn set_password(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(handle): Named<Handle>,
    Body(GivenPassword { new }): Body<GivenPassword>,
) -> Result<StatusCode, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    replace(&hub, handle, &new, caller.to_string()).await
}

async fn replace(hub: &Hub, handle: Handle, new: &str, actor: String) -> Result<StatusCode, Refused> {
    let (password, now_ms) = (hub.access.passwords.take(new).await?, hub.now_ms());
    let set = hub.access.write(move |connection| {
        async move {
            let account = accounts::find(connection, &handle).await?;
            accounts::set_password(connection, &account, &password, &actor, now_ms).await
        }
        .boxed()
    });
    set.await.map(|()| StatusCode::NO_CONTENT)
}

/// What people call an account.
fn checked(name: String) -> Result<String, Refused> {
    let is_fit = (1..=200).contains(&name.chars().count()) && !name.contains(char::is_control);
    let unfit = || Refused::Invalid("a name has 1 to 200 characters, all on one line".to_owned());
    is_fit.then_some(name).ok_or_else(unfit)
}
