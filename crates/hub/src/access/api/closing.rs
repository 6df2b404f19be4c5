// SPDX-License-Identifier: Apache-2.0
//! Closing accounts, through the API: one's own, and those of others for administrators.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use futures_util::FutureExt as _;
use serde::Deserialize;
use utoipa::ToSchema;
use wire::Problem;

use super::super::accounts::Account;
use super::super::action::{Action, Resource};
use super::super::caller::Caller;
use super::super::closing::{self, Closing, Ended};
use super::super::names::Handle;
use super::super::refused::Refused;
use super::super::scope::Scope;
use crate::Hub;
use crate::given::{Body, Named};
use crate::server::Client;

/// How one's own account is to be closed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnClosing {
    /// The password, so that a token that leaked closes nothing. Who has none comes by a browser.
    #[schema(format = Password)]
    #[serde(default)]
    password: Option<String>,
    /// Who owns publishers from now on that would be without an owner: handles by the names of publishers.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, Handle>)]
    successors: BTreeMap<String, Handle>,
}

/// Close one's own account
///
/// Only an administrator opens it again. Reviews that it gave and what the record says of it stay; nobody else gets its handle.
#[utoipa::path(
    post, path = "/api/v1/account/closure", tag = "accounts", request_body = OwnClosing,
    responses((status = 200, body = Ended), (status = "default", body = Problem))
)]
pub(super) async fn close_own(
    State(hub): State<Arc<Hub>>,
    Extension(client): Extension<Client>,
    caller: Caller,
    Body(OwnClosing { password, successors }): Body<OwnClosing>,
) -> Result<Json<Ended>, Refused> {
    let (_, handle) = caller.account_for(&Scope::WriteApi)?;
    match password {
        Some(password) => drop(hub.access.log_in(handle, &password, client.address).await?),
        // Who logged in by a browser came by no token.
        None if matches!(caller, Caller::Account { scopes: None, .. }) => {}
        None => return Err(Refused::Invalid("`password` is needed where one comes by a token".to_owned())),
    }
    let closing = Closing { successors, reason: "by itself".to_owned() };
    close_as(&hub, handle.parse()?, closing, handle.to_owned()).await
}

/// Close an account
#[utoipa::path(
    post, path = "/api/v1/accounts/{handle}/closure", tag = "accounts", params(("handle" = Handle, Path)),
    request_body = Closing, responses((status = 200, body = Ended), (status = "default", body = Problem))
)]
pub(super) async fn close(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(handle): Named<Handle>,
    Body(closing): Body<Closing>,
) -> Result<Json<Ended>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    close_as(&hub, handle, closing, caller.to_string()).await
}

/// Open a closed account again
///
/// It is a member of nothing and has no tokens and no keys.
#[utoipa::path(
    delete, path = "/api/v1/accounts/{handle}/closure", tag = "accounts", params(("handle" = Handle, Path)),
    responses((status = 200, body = Account), (status = "default", body = Problem))
)]
pub(super) async fn reopen(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(handle): Named<Handle>,
) -> Result<Json<Account>, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    hub.reopen_as(handle, caller.to_string()).await.map(Json)
}

async fn close_as(
    hub: &Hub,
    handle: Handle,
    closing: Closing,
    actor: String,
) -> Result<Json<Ended>, Refused> {
    hub.close_as(handle, closing, actor).await.map(Json)
}

impl Hub {
    /// Closes an account.
    pub(in crate::access) async fn close_as(
        &self,
        handle: Handle,
        closing: Closing,
        actor: String,
    ) -> Result<Ended, Refused> {
        let now_ms = self.now_ms();
        let closed = self.access.write(move |connection| {
            async move { closing::close(connection, &handle, &closing, &actor, now_ms).await }.boxed()
        });
        closed.await
    }

    /// Opens one again.
    pub(in crate::access) async fn reopen_as(
        &self,
        handle: Handle,
        actor: String,
    ) -> Result<Account, Refused> {
        let now_ms = self.now_ms();
        let opened = self.access.write(move |connection| {
            async move { closing::reopen(connection, &handle, &actor, now_ms).await }.boxed()
        });
        opened.await
    }
}
