// SPDX-License-Identifier: Apache-2.0
//! Why a program is given no token, as OAuth tells it (RFC 6749, section 5.2; RFC 8628, section 3.5).

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use door::BadToken;
use serde_json::json;
use thiserror::Error;

use super::super::publishing::NotExchanged;
use super::super::refused::Refused;
use crate::answer::whole;

/// There is no token.
#[derive(Debug, Error)]
pub(super) enum NoGrant {
    /// What was sent is not what should be.
    #[error("{0}")]
    Request(String),
    /// There is no such client.
    #[error("the one client is `l3af`")]
    Client,
    /// Of another kind.
    #[error("`grant_type` is none that this hub has")]
    Kind,
    /// What is to be permitted is none of this hub's.
    #[error("{0}")]
    Scope(String),
    /// What was shown does not count.
    #[error("{0}")]
    Grant(String),
    /// Nobody decided yet.
    #[error("nobody has decided yet")]
    Pending,
    /// It asks too often.
    #[error("wait five seconds longer than before")]
    SlowDown,
    /// Somebody said no.
    #[error("somebody said no")]
    Denied,
    /// It took too long.
    #[error("nobody decided in time")]
    Expired,
    /// The hub cannot tell now.
    #[error("the hub cannot tell now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<Refused> for NoGrant {
    fn from(refused: Refused) -> Self {
        if let Refused::Database(error) = refused {
            return Self::Unavailable(Box::new(error));
        }
        Self::Grant(refused.to_string())
    }
}

impl From<sqlx::Error> for NoGrant {
    fn from(error: sqlx::Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<NotExchanged> for NoGrant {
    fn from(refused: NotExchanged) -> Self {
        match refused {
            NotExchanged::Refused(refused) => refused.into(),
            NotExchanged::Bad(BadToken::Unknown(error)) => Self::Unavailable(Box::new(error)),
            NotExchanged::NoIssuer
            | NotExchanged::Bad(BadToken::Invalid(_))
            | NotExchanged::Replayed
            | NotExchanged::NoRule { .. }
            | NotExchanged::Several => Self::Grant(refused.to_string()),
        }
    }
}

impl NoGrant {
    /// What OAuth calls it.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Request(_) => "invalid_request",
            Self::Client => "invalid_client",
            Self::Kind => "unsupported_grant_type",
            Self::Scope(_) => "invalid_scope",
            Self::Grant(_) => "invalid_grant",
            Self::Pending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::Denied => "access_denied",
            Self::Expired => "expired_token",
            Self::Unavailable(_) => "temporarily_unavailable",
        }
    }
}

impl IntoResponse for NoGrant {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::Unavailable(_) => {
                tracing::error!("a program is given no token: {}", whole(&self));
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Client => StatusCode::UNAUTHORIZED,
            Self::Request(_)
            | Self::Kind
            | Self::Scope(_)
            | Self::Grant(_)
            | Self::Pending
            | Self::SlowDown
            | Self::Denied
            | Self::Expired => StatusCode::BAD_REQUEST,
        };
        let body = json!({ "error": self.code(), "error_description": self.to_string() });
        (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
    }
}
