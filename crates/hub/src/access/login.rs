// SPDX-License-Identifier: Apache-2.0
//! Logging in by a password, and becoming the administrator by a link.

use std::net::IpAddr;

use axum::http::HeaderMap;
use futures_util::FutureExt as _;

use super::attempts::{self, Subject};
use super::caller::Caller;
use super::cookie::SESSION;
use super::denied::Denied;
use super::names::Handle;
use super::refused::Refused;
use super::secret::Secret;
use super::{Access, accounts, administrator, sessions};
use crate::audit::{self, Note};

impl Access {
    /// Who has this password. Whether there is no such account, or it has another password, nobody is told.
    ///
    /// # Errors
    /// When nobody has it, and when it was tried too often.
    pub(crate) async fn log_in(&self, handle: &str, password: &str, from: IpAddr) -> Result<Caller, Denied> {
        const NONE: Denied = Denied::Credentials { problem: "this hub takes no passwords" };
        const WRONG: Denied = Denied::Credentials { problem: "nobody has this handle with this password" };
        if !self.takes_passwords {
            return Err(NONE);
        }
        let handle: Handle = handle.parse().map_err(|_bad: super::names::BadHandle| WRONG)?;
        let (account, address) = (Subject::account(handle.as_str()), Subject::address(from));
        let now_ms = self.now_ms();
        let tried = (account.clone(), address.clone());
        let counted = self.database.write(move |connection| {
            let (account, address) = tried;
            async move {
                attempts::begin(connection, &account, now_ms).await?;
                attempts::begin(connection, &address, now_ms).await
            }
            .boxed()
        });
        counted.await?;
        let found = {
            let mut connection = self.database.readers().acquire().await?;
            accounts::password(&mut connection, &handle).await?
        };
        let (id, kept) = found.map_or((None, None), |(id, kept)| (Some(id), kept));
        let is_right = self.passwords.is_right(password, kept.as_ref()).await;
        let Some(id) = id.filter(|_| is_right) else { return Err(WRONG) };
        let done = self.database.write(move |connection| {
            async move {
                attempts::forget(connection, &account).await?;
                attempts::succeed(connection, &address, now_ms).await
            }
            .boxed()
        });
        done.await?;
        Ok(Caller::Account { id, handle: handle.to_string(), scopes: None })
    }

    /// Logs a browser in.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn begin_session(&self, caller: &Caller) -> Result<Option<Secret>, Denied> {
        let (Some(id), now_ms) = (caller.account().map(str::to_owned), self.now_ms()) else {
            return Ok(None);
        };
        let caller = caller.clone();
        let begun = self.database.write(move |connection| {
            async move {
                let note = Note::by(&caller, now_ms, "session.begin", &id);
                audit::note(connection, &note).await?;
                sessions::begin(connection, &id, now_ms).await
            }
            .boxed()
        });
        begun.await.map(Some).map_err(Denied::Unknown)
    }

    /// Logs a browser out.
    pub(super) async fn end_session(&self, session: Secret) -> Result<(), Denied> {
        let ended = self
            .database
            .write(move |connection| async move { sessions::end(connection, &session).await }.boxed());
        ended.await.map_err(Denied::Unknown)
    }

    /// A link for the first administrator, as text that may be shown to whoever starts the hub; none where there is one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn first_administrator_link(&self) -> sqlx::Result<Option<String>> {
        let now_ms = self.now_ms();
        let link = self.database.write(move |connection| {
            async move { administrator::first_link(connection, now_ms).await }.boxed()
        });
        Ok(link.await?.map(|secret| self.link(&secret)))
    }

    /// A link that makes an administrator, whoever there is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn new_administrator_link(&self) -> sqlx::Result<String> {
        let now_ms = self.now_ms();
        let link = self.database.write(move |connection| {
            async move { administrator::new_link(connection, now_ms).await }.boxed()
        });
        Ok(self.link(&link.await?))
    }

    fn link(&self, secret: &Secret) -> String {
        format!("{}/administrator?link={}", self.url, secret.reveal())
    }

    /// As whom a browser is logged in, by its cookie alone: the id and the handle of the account.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn browser(&self, headers: &HeaderMap) -> Result<Option<(String, String)>, Denied> {
        let Some(session) = SESSION.shown(headers) else { return Ok(None) };
        let mut connection = self.database.readers().acquire().await?;
        match sessions::find(&mut connection, &session, self.now_ms()).await? {
            Some(Caller::Account { id, handle, .. }) => Ok(Some((id, handle))),
            Some(Caller::Anonymous) | None => Ok(None),
        }
    }

    /// Makes an administrator of whoever has a link; with a password, where the hub takes those.
    ///
    /// # Errors
    /// When the link does not count, or the password is of no use.
    pub(super) async fn appoint(
        &self,
        link: Secret,
        handle: Handle,
        password: Option<&str>,
    ) -> Result<(), Refused> {
        let now_ms = self.now_ms();
        let counts = {
            let mut connection = self.database.readers().acquire().await?;
            administrator::counts(&mut connection, &link, now_ms).await?
        };
        if !counts {
            return Err(Refused::Link);
        }
        let password = match password {
            Some(password) => Some(self.passwords.take(password).await?),
            None => None,
        };
        let appointed = self.database.write(move |connection| {
            async move { administrator::appoint(connection, &link, &handle, password, now_ms).await }.boxed()
        });
        appointed.await
    }
}
