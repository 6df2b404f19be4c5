// SPDX-License-Identifier: Apache-2.0
//! Why something about accounts, tokens or publishers is not done.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use super::denied::Denied;
use super::names::{BadHandle, Handle};
use super::password::Unfit;
use crate::answer;
use crate::registry::{BadName, PublisherName};

/// Something is not done.
#[derive(Debug, Error)]
pub(crate) enum Refused {
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Somebody has that name.
    #[error("the name `{name}` is taken")]
    Taken { name: String },
    /// There is no such thing.
    #[error("there is no {what} `{name}`")]
    Missing { what: &'static str, name: String },
    /// What was asked for has a wrong form.
    #[error("{0}")]
    Invalid(String),
    /// Nobody could look after the hub any more.
    #[error("`{handle}` is the only administrator")]
    LastAdministrator { handle: Handle },
    /// Nobody could say any more who is a member.
    #[error("`{handle}` is the only owner of `{publisher}`")]
    LastOwner { handle: Handle, publisher: PublisherName },
    /// Publishers would have no owner.
    #[error("`{handle}` is the only owner of `{}`", .publishers.join("`, `"))]
    NoSuccessor { handle: Handle, publishers: Vec<String> },
    /// An account is closed already.
    #[error("the account `{handle}` is closed")]
    Closed { handle: Handle },
    /// A link was used, is too old, or never was one.
    #[error("this link does not count, or not any more")]
    Link,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<Unfit> for Refused {
    fn from(unfit: Unfit) -> Self {
        Self::Invalid(unfit.to_string())
    }
}

impl From<BadHandle> for Refused {
    fn from(bad: BadHandle) -> Self {
        Self::Invalid(bad.to_string())
    }
}

impl From<BadName> for Refused {
    fn from(bad: BadName) -> Self {
        Self::Invalid(bad.to_string())
    }
}

impl Refused {
    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Denied(denied) => StatusCode::from_u16(denied.status()).unwrap_or(StatusCode::FORBIDDEN),
            Self::Taken { .. }
            | Self::LastAdministrator { .. }
            | Self::LastOwner { .. }
            | Self::NoSuccessor { .. }
            | Self::Closed { .. } => StatusCode::CONFLICT,
            Self::Missing { .. } => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Link => StatusCode::GONE,
            Self::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Denied(Denied::Credentials { .. }) => "credentials",
            Self::Denied(Denied::TooOften { .. }) => "too-often",
            Self::Denied(Denied::Rule { .. } | Denied::Unknown(_)) => "denied",
            Self::Taken { .. } => "taken",
            Self::Missing { .. } => "missing",
            Self::Invalid(_) => "invalid",
            Self::LastAdministrator { .. } | Self::LastOwner { .. } | Self::NoSuccessor { .. } => "last",
            Self::Closed { .. } => "closed",
            Self::Link => "link",
            Self::Database(_) => "unavailable",
        }
    }

    pub(super) fn hint(&self) -> String {
        match self {
            Self::Denied(denied) => denied.hint(),
            Self::Taken { .. } => "take another".to_owned(),
            Self::Missing { .. } => "look for it in the list; it may be spelt otherwise".to_owned(),
            Self::Invalid(_) => "`/api/v1/openapi.json` says what is accepted".to_owned(),
            Self::LastAdministrator { .. } => "make somebody else an administrator first".to_owned(),
            Self::LastOwner { .. } => "make somebody else an owner first".to_owned(),
            Self::NoSuccessor { .. } => "make somebody else an owner of each first, or name who it is from now on: \
                                         `POST …/closure` with `successors`, or `l3af-hub account close --successor`"
                .to_owned(),
            Self::Closed { .. } => "an administrator opens it again: `DELETE …/closure`".to_owned(),
            Self::Link => "`l3af-hub administrator --new-link` makes another".to_owned(),
            Self::Database(_) => "try again later".to_owned(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        if let Self::Database(error) | Self::Denied(Denied::Unknown(error)) = &self {
            return answer::failed(error);
        }
        let mut response =
            answer::refuse(&answer::problem(self.status(), self.kind(), self.to_string(), self.hint()));
        if let Self::Denied(denied) = &self
            && let Some(wait_s) = denied.wait_s()
        {
            response.headers_mut().insert(header::RETRY_AFTER, wait_s.into());
        }
        response
    }
}
