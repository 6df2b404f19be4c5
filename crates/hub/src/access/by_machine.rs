// SPDX-License-Identifier: Apache-2.0
//! What whoever has the machine does to accounts, without logging in.

use std::collections::BTreeMap;
use std::error::Error;

use thiserror::Error;

use super::closing::Closing;
use super::names::Handle;
use super::refused::Refused;
use crate::Hub;

/// Who acts.
const ACTOR: &str = "l3af-hub";

/// Something was not done to an account.
#[derive(Debug, Error)]
#[error("{what}; hint: {hint}")]
pub struct NotDone {
    what: String,
    hint: String,
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl From<Refused> for NotDone {
    fn from(refused: Refused) -> Self {
        let (what, hint) = (refused.to_string(), refused.hint());
        let Refused::Database(error) = refused else { return Self { what, hint, cause: None } };
        Self { what: "the database failed".to_owned(), hint, cause: Some(Box::new(error)) }
    }
}

impl Hub {
    /// Closes an account, and says what ended with it. Successors are handles by publishers.
    ///
    /// # Errors
    /// When there is no such account, it is the only administrator, or a publisher would have no owner.
    pub async fn close_account(
        &self,
        handle: &str,
        successors: Vec<(String, String)>,
        reason: String,
    ) -> Result<String, NotDone> {
        let named = |(publisher, handle): (String, String)| Ok::<_, Refused>((publisher, handle.parse()?));
        let successors = successors.into_iter().map(named).collect::<Result<BTreeMap<_, _>, _>>()?;
        let handle: Handle = handle.parse().map_err(Refused::from)?;
        let closing = Closing { successors, reason };
        let ended = self.close_as(handle, closing, ACTOR.to_owned()).await?;
        let publishers =
            if ended.publishers.is_empty() { "no publisher".to_owned() } else { ended.publishers.join(", ") };
        Ok(format!(
            "`{}` is closed: {} logins, {} tokens, {} keys of reviews and {} ratings ended, and memberships in {publishers}",
            ended.account.handle, ended.sessions, ended.tokens, ended.review_keys, ended.ratings
        ))
    }

    /// Opens a closed account again.
    ///
    /// # Errors
    /// When there is no such account, or it is not closed.
    pub async fn reopen_account(&self, handle: &str) -> Result<String, NotDone> {
        let handle: Handle = handle.parse().map_err(Refused::from)?;
        let account = self.reopen_as(handle, ACTOR.to_owned()).await?;
        Ok(format!("`{}` is open again", account.handle))
    }
}
