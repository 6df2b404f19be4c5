// SPDX-License-Identifier: Apache-2.0
//! Who has a namespace. Nothing can be pushed where there is no publisher.

use futures_util::FutureExt as _;
use serde_json::Value;
use thiserror::Error;

use super::name::PublisherName;
use crate::Hub;
use crate::audit::{self, Note};

/// What a namespace is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// Packages, which are checked, reviewed and released.
    Packages,
    /// Anything: an ordinary registry.
    Registry,
}

/// A publisher was not added.
#[derive(Debug, Error)]
pub enum NotAdded {
    /// There is one of that name.
    #[error("there is a publisher `{name}` already")]
    Taken {
        /// Which.
        name: String,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl Hub {
    /// Adds a publisher.
    ///
    /// # Errors
    /// When there is one of that name.
    pub async fn add_publisher(&self, name: &PublisherName, namespace: Namespace) -> Result<(), NotAdded> {
        let (publisher, now_ms) = (name.as_str().to_owned(), self.now_ms());
        let registry_only = i64::from(namespace == Namespace::Registry);
        let add = self.database.write(move |connection| {
            async move {
                let note = Note {
                    now_ms,
                    actor: "l3af-hub",
                    action: "publisher.create",
                    subject: &publisher,
                    detail: Value::Null,
                };
                audit::note(connection, &note).await?;
                let insert = "INSERT INTO publishers (name, registry_only, created_ms) VALUES ($1, $2, $3) \
                              ON CONFLICT (name) DO NOTHING";
                let insert = sqlx::query(insert).bind(&publisher).bind(registry_only).bind(now_ms);
                Ok::<_, NotAdded>(insert.execute(connection).await?.rows_affected())
            }
            .boxed()
        });
        match add.await? {
            0 => Err(NotAdded::Taken { name: name.to_string() }),
            _ => Ok(()),
        }
    }
}
