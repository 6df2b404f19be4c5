// SPDX-License-Identifier: Apache-2.0
//! Mail: to reviewers when something waits for them, to who pushed when that is decided, to administrators when something is
//! reported, to owners when something happens to what they own.
//!
//! A letter is a row ([`outbox`]) that is written in the transaction of what it tells of, and is sent later ([`send()`]); so nobody
//! waits for a server of mail, and nothing is told that did not happen. Nobody is mailed at an address that they did not confirm.

mod addresses;
mod api;
mod letters;
mod outbox;
mod page;
mod send;
mod server;

use std::sync::Arc;

use axum::Router;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Hub;

pub(crate) use self::addresses::forget;
pub(crate) use self::api::routes as api;
pub(crate) use self::letters::{Reported, decided, owners, reported, resolved, waits};
pub(crate) use self::send::send;
pub use self::server::BadMail;
pub(crate) use self::server::Server;

/// What letters are about: each can be unwanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Something waits for a review.
    Reviews,
    /// What one pushed was decided about.
    Decisions,
    /// Something was reported, or a report was resolved.
    Reports,
    /// Something happened to what one owns.
    Publishers,
}

impl Kind {
    /// As it is kept.
    fn name(self) -> &'static str {
        match self {
            Self::Reviews => "reviews",
            Self::Decisions => "decisions",
            Self::Reports => "reports",
            Self::Publishers => "publishers",
        }
    }
}

/// The page by which an address is confirmed.
pub(crate) fn routes() -> Router<Arc<Hub>> {
    page::routes()
}
