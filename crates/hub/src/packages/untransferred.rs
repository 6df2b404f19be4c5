// SPDX-License-Identifier: Apache-2.0
//! Why a package does not go to another publisher.

use axum::http::StatusCode;
use thiserror::Error;

/// A package stays where it is.
#[derive(Debug, Error)]
pub(super) enum Untransferred {
    /// There is no such package.
    #[error("there is no package `{package}`")]
    NoPackage { package: String },
    /// There is no such offer.
    #[error("there is no transfer `{id}`")]
    Missing { id: String },
    /// It went before.
    #[error("{package} became {to} already")]
    Moved { package: String, to: String },
    /// Nobody can be given packages by that name.
    #[error("`{publisher}` is no other publisher of packages")]
    Publisher { publisher: String },
    /// There is such a package, or was.
    #[error("the name {name} is taken, or was used")]
    Taken { name: String },
    /// Somebody would have to decide about what one publisher pushed and another has.
    #[error("{package} has versions that wait: {versions}")]
    Waiting { package: String, versions: String },
    /// The offer is no more.
    #[error("the offer is {state}")]
    Over { state: String },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl Untransferred {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoPackage { .. } | Self::Missing { .. } => StatusCode::NOT_FOUND,
            Self::Publisher { .. } => StatusCode::BAD_REQUEST,
            Self::Moved { .. } | Self::Taken { .. } | Self::Waiting { .. } | Self::Over { .. } => {
                StatusCode::CONFLICT
            }
            Self::Database(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::NoPackage { .. } => "look for it in the list; it may be spelt otherwise",
            Self::Missing { .. } => "`GET /api/v1/transfers?publisher=…` lists those of a publisher",
            Self::Moved { .. } => "whoever owns what it became can offer that",
            Self::Publisher { .. } => {
                "name a publisher that is there, is another one, and is no ordinary registry"
            }
            Self::Taken { .. } => "offer it under another `name`",
            Self::Waiting { .. } => "have them decided about first, or delete them",
            Self::Over { .. } => "ask for a new offer",
            Self::Database(_) => "try again later",
        }
    }
}
