// SPDX-License-Identifier: Apache-2.0
//! What happens to packages, as others hear of it: by feeds ([`feed`]), and by requests to where they asked for them
//! ([`delivery`]).
//!
//! An event is a row that is written in the transaction that makes it happen, and so are the deliveries that it leads to. So
//! nothing is told that did not happen, and nothing happens that is not told.

mod api;
mod careful;
mod delivery;
mod feed;
mod signature;
mod webhooks;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use sqlx::AnyConnection;
use uuid::Uuid;

use crate::Hub;

pub(crate) use self::api::routes as api;
pub(crate) use self::careful::Reach;
pub(crate) use self::delivery::deliver;

/// What happened to a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A version waits for review.
    Submitted,
    /// A version can be had.
    Released,
    /// Its publisher should change something.
    ChangesAsked,
    /// A version was refused.
    Rejected,
    /// People are warned of a version.
    Yanked,
    /// They are no longer.
    Restored,
    /// A version was removed.
    Deleted,
    /// Something is wrong with versions.
    Advised,
    /// A package goes on under another publisher.
    Transferred,
    /// An administrator took a version from everybody.
    TakenDown,
    /// It can be had again.
    Reinstated,
}

/// Something that happens.
#[derive(Debug, Clone)]
pub(crate) struct Event<'a> {
    pub(crate) kind: Kind,
    pub(crate) publisher: &'a str,
    pub(crate) package: &'a str,
    pub(crate) version: &'a str,
    pub(crate) digest: Option<&'a str>,
    /// What is said of it.
    pub(crate) text: &'a str,
}

/// Public routes: the feeds.
pub(crate) fn routes() -> Router<Arc<Hub>> {
    feed::routes()
}

/// Writes down what happens, in the transaction in which it does.
///
/// # Errors
/// When the database fails.
pub(crate) async fn tell(connection: &mut AnyConnection, event: &Event<'_>, now_ms: i64) -> sqlx::Result<()> {
    let id = Uuid::now_v7().to_string();
    sqlx::query(
        "INSERT INTO events (id, kind, publisher, package, version, digest, text, at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&id)
    .bind(event.kind.name())
    .bind(event.publisher)
    .bind(event.package)
    .bind(event.version)
    .bind(event.digest)
    .bind(event.text)
    .bind(now_ms)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO deliveries (webhook, event, due_ms) SELECT id, $1, $2 FROM webhooks \
         WHERE gone_ms IS NULL AND (publisher IS NULL OR publisher = $3)",
    )
    .bind(&id)
    .bind(now_ms)
    .bind(event.publisher)
    .execute(connection)
    .await?;
    Ok(())
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Submitted,
        Self::Released,
        Self::ChangesAsked,
        Self::Rejected,
        Self::Yanked,
        Self::Restored,
        Self::Deleted,
        Self::Advised,
        Self::Transferred,
        Self::TakenDown,
        Self::Reinstated,
    ];

    /// As it is written down and told.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Released => "released",
            Self::ChangesAsked => "changes-asked",
            Self::Rejected => "rejected",
            Self::Yanked => "yanked",
            Self::Restored => "restored",
            Self::Deleted => "deleted",
            Self::Advised => "advised",
            Self::Transferred => "transferred",
            Self::TakenDown => "taken-down",
            Self::Reinstated => "reinstated",
        }
    }

    /// Whether everybody may know.
    fn is_public(self) -> bool {
        match self {
            Self::Released
            | Self::Yanked
            | Self::Restored
            | Self::Deleted
            | Self::Advised
            | Self::Transferred
            | Self::TakenDown
            | Self::Reinstated => true,
            Self::Submitted | Self::ChangesAsked | Self::Rejected => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = sqlx::Error;

    fn from_str(name: &str) -> Result<Self, sqlx::Error> {
        let unknown = || sqlx::Error::Decode(format!("`{name}` is no kind of event").into());
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
    }
}
