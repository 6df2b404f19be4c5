// SPDX-License-Identifier: Apache-2.0
//! Trusted publishing: a machine shows a token of its issuer, such as that of a CI service, and is given one of this hub for some
//! minutes. Nobody keeps a secret for it.
//!
//! Owners of a publisher say by [`rules`] which tokens: of which issuer, with which claims. A token of the hub that a rule gave acts
//! for whoever made the rule, as far as the rule says, and so never does more than its maker may at that moment.

mod exchange;
mod matching;
pub(super) mod rules;

use thiserror::Error;

use super::refused::Refused;

pub(super) use self::exchange::{Exchanged, LIFETIME_S};

/// A token of an issuer is worth nothing here.
#[derive(Debug, Error)]
pub(super) enum NotExchanged {
    /// It says of no issuer that publishes here that it is of it.
    #[error("the token is of no issuer whose tokens publish here")]
    NoIssuer,
    /// It does not count.
    #[error(transparent)]
    Bad(#[from] door::BadToken),
    /// It was shown before.
    #[error("the token was shown before: each counts once")]
    Replayed,
    /// No rule is about it.
    #[error("no rule of a publisher is about a token whose `sub` is `{subject}`")]
    NoRule { subject: String },
    /// Who is meant nobody said, and anybody may write a rule about any job.
    #[error(
        "rules of several publishers are about the token: say which is meant, as `audience` (`l3af login --ci --publisher NAME`)"
    )]
    Several,
    /// The hub fails, or refuses what the rule says.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<sqlx::Error> for NotExchanged {
    fn from(error: sqlx::Error) -> Self {
        Self::Refused(error.into())
    }
}
