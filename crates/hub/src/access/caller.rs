// SPDX-License-Identifier: Apache-2.0
//! Who makes a request.

use std::fmt;
use std::sync::Arc;

use super::action::{Action, Resource};
use super::scope::Scope;

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Somebody who did not log in.
    Anonymous,
    /// An account, by its id.
    Account {
        id: String,
        handle: String,
        /// What the token is for; none where the caller did not come by a token.
        scopes: Option<Arc<[Scope]>>,
    },
}

impl Caller {
    /// The id of the account.
    pub(crate) fn account(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Account { id, .. } => Some(id),
        }
    }

    /// Whether what the caller came by is for that.
    pub(super) fn is_for(&self, action: Action, resource: &Resource) -> bool {
        match self {
            Self::Anonymous | Self::Account { scopes: None, .. } => true,
            Self::Account { scopes: Some(scopes), .. } => {
                // A token that is for nothing is no less than none.
                action == Action::Browse || scopes.iter().any(|scope| scope.admits(action, resource))
            }
        }
    }

    /// Whether what the caller came by is for all that the account may do, or for this.
    pub(super) fn has(&self, wanted: &Scope) -> bool {
        match self {
            Self::Anonymous => false,
            Self::Account { scopes: None, .. } => true,
            Self::Account { scopes: Some(scopes), .. } => scopes.contains(wanted),
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "somebody who did not log in",
            Self::Account { handle, .. } => handle,
        })
    }
}
