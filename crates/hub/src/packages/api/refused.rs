// SPDX-License-Identifier: Apache-2.0
//! Why something about packages is not done, as problem details.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use super::super::blobs::Unread;
use super::super::resolve::Unresolved;
use super::super::reviews::Untaken;
use super::super::roots::Unregistered;
use super::super::takedown;
use super::super::untransferred::Untransferred;
use super::super::withdrawal::Unwithdrawn;
use crate::access::{self, Denied};
use crate::answer::{failed, problem, refuse, whole};
use crate::search::Unfound;

/// Something is not done.
#[derive(Debug, Error)]
pub(super) enum Refused {
    /// Somebody may not, there is no such thing, or it has a wrong form.
    #[error(transparent)]
    Access(#[from] access::Refused),
    #[error(transparent)]
    Unfound(#[from] Unfound),
    #[error(transparent)]
    Unresolved(#[from] Unresolved),
    #[error(transparent)]
    Untaken(#[from] Untaken),
    #[error(transparent)]
    Unregistered(#[from] Unregistered),
    #[error(transparent)]
    Unwithdrawn(#[from] Unwithdrawn),
    #[error(transparent)]
    Takedown(#[from] takedown::Untaken),
    #[error(transparent)]
    Untransferred(#[from] Untransferred),
    /// It is in a state in which that is not done.
    #[error("{0}")]
    State(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Access(denied.into())
    }
}

/// There is no such thing, or not for whoever asks.
pub(super) fn missing(what: &'static str, name: impl Into<String>) -> Refused {
    Refused::Access(access::Refused::Missing { what, name: name.into() })
}

/// What was asked for has a wrong form.
pub(super) fn invalid(why: impl std::fmt::Display) -> Refused {
    Refused::Access(access::Refused::Invalid(why.to_string()))
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, kind, hint) = match self {
            Self::Access(refused) => return refused.into_response(),
            Self::Database(error)
            | Self::Unfound(Unfound::Database(error))
            | Self::Untaken(Untaken::Database(error) | Untaken::Unread(Unread::Database(error)))
            | Self::Unregistered(Unregistered::Database(error))
            | Self::Takedown(takedown::Untaken::Database(error))
            | Self::Untransferred(Untransferred::Database(error))
            | Self::Unwithdrawn(Unwithdrawn::Database(error)) => return failed(&error),
            Self::Untaken(Untaken::Unread(unread @ Unread::Storage(_))) => return failed(&unread),
            Self::Unfound(
                Unfound::TooManyWords | Unfound::Limit | Unfound::After { .. } | Unfound::Kernel(_),
            ) => (StatusCode::BAD_REQUEST, "invalid", "`/api/v1/openapi.json` says what is accepted"),
            Self::Unresolved(Unresolved::TakenDown { .. }) => (
                StatusCode::NOT_FOUND,
                "unresolved",
                "the advisories of the package say what to do where it runs; ask for another range to have another version",
            ),
            Self::Unresolved(Unresolved::Range { .. } | Unresolved::Unfit { .. }) => (
                StatusCode::NOT_FOUND,
                "unresolved",
                "ask for another range, or for the channel `candidate`, which has pre-releases",
            ),
            Self::Untaken(ref untaken) => about_review(untaken),
            Self::Unregistered(Unregistered::Raced { .. }) => {
                (StatusCode::CONFLICT, "state", "look at the roots that are registered now")
            }
            Self::Unregistered(_) => (
                StatusCode::BAD_REQUEST,
                "root",
                "the first root is signed by its own keys, and each other by those of the one before as well \
                 (`l3af publisher`)",
            ),
            Self::Takedown(ref not) => (not.status(), "takedown", not.hint()),
            Self::Untransferred(ref not) => (not.status(), "transfer", not.hint()),
            Self::Unwithdrawn(_) => (
                StatusCode::CONFLICT,
                "state",
                "what is public and old, or was pulled, can be yanked, and is never deleted",
            ),
            Self::State(_) => {
                (StatusCode::CONFLICT, "state", "look at it again; somebody else may have changed it")
            }
        };
        refuse(&problem(status, kind, whole(&self), hint.to_owned()))
    }
}

fn about_review(untaken: &Untaken) -> (StatusCode, &'static str, &'static str) {
    match untaken {
        Untaken::NotWaiting { .. } => {
            (StatusCode::CONFLICT, "state", "only what passed the checks and was not decided yet is reviewed")
        }
        Untaken::Own { .. } => {
            (StatusCode::FORBIDDEN, "own", "somebody else must approve it; the hub's policy says so")
        }
        Untaken::Unsigned { .. } => (
            StatusCode::BAD_REQUEST,
            "signature",
            "register your key first: `l3af review key FILE --hub HOST`",
        ),
        Untaken::Envelope(_)
        | Untaken::Key(_)
        | Untaken::Other { .. }
        | Untaken::TooLong
        | Untaken::Unread(_)
        | Untaken::Database(_) => {
            (StatusCode::BAD_REQUEST, "review", "`l3af review` makes reviews as they are taken")
        }
    }
}
