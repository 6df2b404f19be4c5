// SPDX-License-Identifier: Apache-2.0
//! The part of the REST API that is about access: accounts, tokens, publishers and their members, the record of changes.

mod accounts;
mod closing;
mod identities;
mod publishers;
mod record;
mod rules;
mod tokens;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::AnyConnection;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::action::{Action, Resource};
use super::caller::Caller;
use super::denied::{Denied, Why};
use super::refused::Refused;
use super::scope::Scope;
use super::{Access, Hub};

/// The calls, with their description.
pub(crate) fn routes() -> OpenApiRouter<Arc<Hub>> {
    OpenApiRouter::new()
        .routes(routes!(accounts::own))
        .routes(routes!(accounts::set_own_password))
        .routes(routes!(accounts::list, accounts::add))
        .routes(routes!(accounts::show, accounts::change))
        .routes(routes!(accounts::set_password))
        .routes(routes!(identities::own))
        .routes(routes!(identities::unlink_own))
        .routes(routes!(identities::list, identities::link))
        .routes(routes!(identities::unlink))
        .routes(routes!(closing::close_own))
        .routes(routes!(closing::close, closing::reopen))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(tokens::revoke))
        .routes(routes!(publishers::list, publishers::found))
        .routes(routes!(publishers::show, publishers::change))
        .routes(routes!(publishers::members))
        .routes(routes!(publishers::set_member, publishers::remove_member))
        .routes(routes!(rules::list, rules::add))
        .routes(routes!(rules::remove))
        .routes(routes!(record::list))
}

impl Caller {
    /// The account, as its id and its handle, where what the caller came by is for this.
    ///
    /// # Errors
    /// When nobody logged in, or the token is for other things.
    pub(crate) fn account_for(&self, wanted: &Scope) -> Result<(&str, &str), Refused> {
        let refuse = |why, is_anonymous| {
            let (caller, action, resource) = (self.to_string(), Action::Browse, Resource::Hub);
            Err(Denied::Rule { caller, action, resource, why, is_anonymous }.into())
        };
        match self {
            Self::Anonymous => refuse(Why::Unpermitted, true),
            Self::Account { .. } if !self.has(wanted) => refuse(Why::Scope, false),
            Self::Account { id, handle, .. } => Ok((id, handle)),
        }
    }
}

impl Access {
    /// Carries out a change in a transaction.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        change: impl for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, Refused>> + Send + 'static,
    ) -> Result<T, Refused> {
        self.database.write(change).await
    }
}
