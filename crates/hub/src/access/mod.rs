// SPDX-License-Identifier: Apache-2.0
//! Who is calling, and what they may do.

use std::fmt;

use axum::http::HeaderMap;

use crate::Config;

/// Decides who may do what.
pub struct Access {}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody who did not log in.
    Anonymous,
    /// An account, by its id.
    Account { id: String, handle: String },
}

/// What somebody wants to do in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// To read what is released.
    Pull,
    /// To upload, and to read what is not released yet.
    Push,
    /// To remove.
    Delete,
}

/// What they want to do it with: a repository that exists or would.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) publisher: String,
    pub(crate) repository: String,
}

/// Somebody may not do that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    /// The rule that says so.
    pub(crate) rule: String,
}

impl Access {
    pub(crate) fn open(_config: &Config) -> Self {
        Self {}
    }

    /// Who makes a request, by its credentials; whoever shows none is anonymous.
    ///
    /// # Errors
    /// When credentials are shown that are not, or no longer, good.
    #[expect(clippy::unused_async, reason = "tokens are in the database")]
    pub(crate) async fn caller(&self, _headers: &HeaderMap) -> Result<Caller, Denied> {
        Ok(Caller::Anonymous)
    }

    /// Whether somebody may do that there.
    ///
    /// # Errors
    /// The rule by which not.
    #[expect(clippy::unused_async, reason = "rules look at the database")]
    pub(crate) async fn permit(
        &self,
        _caller: &Caller,
        _action: Action,
        _place: &Place,
    ) -> Result<(), Denied> {
        Ok(())
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "denied by rule `{}`", self.rule)
    }
}
