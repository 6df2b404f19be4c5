// SPDX-License-Identifier: Apache-2.0
//! People who log in at an issuer (`OpenID` Connect Core 1.0, authorization code flow with PKCE).
//!
//! A browser is sent to the issuer with a state that counts once and for this browser alone ([`journeys`]); what it brings back
//! becomes a token that says who came ([`proof`]), and that somebody is an account here, or becomes one ([`identities`]). An issuer
//! is believed about its own subjects and about nothing else: an address of mail, verified or not, leads to no account.

mod arrival;
mod departure;
pub(super) mod identities;
mod journeys;
mod newcomer;
mod pages;
mod proof;

use thiserror::Error;
use wire::IssuerError;

use super::denied::Denied;
use super::refused::Refused;

pub(super) use self::journeys::challenge;
pub(super) use self::pages::routes;

/// Somebody is not logged in.
#[derive(Debug, Error)]
pub(super) enum NotLoggedIn {
    /// There is no such issuer, or it is not for people.
    #[error("nobody logs in by `{name}` here")]
    NoIssuer { name: String },
    /// What the browser brought was not asked for in this browser, is over, or was brought before.
    #[error("this login was not begun in this browser, was used, or is too old")]
    Stray,
    /// The issuer says no, or the person did.
    #[error("`{issuer}` says `{error}`")]
    Told { issuer: String, error: String },
    /// What the issuer gave does not count.
    #[error("what `{issuer}` says of you does not count: {problem}")]
    Unproven { issuer: String, problem: String },
    /// The issuer cannot be asked.
    #[error("`{issuer}` gives no answer")]
    Silent {
        issuer: String,
        #[source]
        source: IssuerError,
    },
    /// Nobody here is known by that login, and it makes no account.
    #[error("no account is linked to your login at `{issuer}`")]
    Unlinked { issuer: String },
    /// The account was closed.
    #[error("the account was closed")]
    Closed,
    /// The account, or the session, is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<sqlx::Error> for NotLoggedIn {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Denied> for NotLoggedIn {
    fn from(denied: Denied) -> Self {
        Self::Refused(denied.into())
    }
}

impl NotLoggedIn {
    /// What to do.
    fn hint(&self) -> &'static str {
        match self {
            Self::NoIssuer { .. } | Self::Stray | Self::Told { .. } => "log in again",
            Self::Unproven { .. } => "log in again; if that does not help, tell who looks after this hub",
            Self::Silent { .. } => "try again later; the log of the hub says more",
            Self::Unlinked { .. } => {
                "log in in another way and then once more by this, or ask who looks after this hub to link it"
            }
            Self::Closed => "ask who looks after this hub",
            Self::Refused(_) => "try again",
        }
    }
}
