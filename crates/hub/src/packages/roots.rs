// SPDX-License-Identifier: Apache-2.0
//! The roots of publishers. The first that is registered is believed, since whoever may speak for the publisher registers it; every
//! other is the next version, signed by the one before (TUF 5.3.4). The hub keeps no key that signs.

use package::PublisherName;
use sqlx::{AnyConnection, AnyPool};
use thiserror::Error;
use trust::{BadRoot, Root};
use wire::hub::RootView;

use super::release::undecodable;
use crate::rebuild;

/// A root is not registered.
#[derive(Debug, Error)]
pub(super) enum Unregistered {
    /// It cannot be used, or does not follow the one before.
    #[error("the root is refused")]
    Bad(#[from] BadRoot),
    /// It is somebody else's.
    #[error("it is the root of `{found}`, not of `{publisher}`")]
    Foreign { found: PublisherName, publisher: String },
    /// Somebody registered another one at the same time.
    #[error("version {version} was registered meanwhile")]
    Raced { version: u64 },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// The registered roots of a publisher, oldest first.
pub(super) async fn of(readers: &AnyPool, publisher: &str) -> sqlx::Result<Vec<Root>> {
    read(&texts(&mut *readers.acquire().await?, publisher).await?)
}

async fn texts(connection: &mut AnyConnection, publisher: &str) -> sqlx::Result<Vec<String>> {
    let select = "SELECT text FROM publisher_roots WHERE publisher = $1 ORDER BY version";
    sqlx::query_scalar(select).bind(publisher).fetch_all(connection).await
}

fn read(texts: &[String]) -> sqlx::Result<Vec<Root>> {
    texts.iter().map(|text| Root::pinned(text.as_bytes()).map_err(undecodable)).collect()
}

/// Registers a root: the first of a publisher, or the next.
pub(super) async fn register(
    connection: &mut AnyConnection,
    publisher: &str,
    bytes: &[u8],
    (account, now_ms): (Option<&str>, i64),
) -> Result<RootView, Unregistered> {
    let known = read(&texts(connection, publisher).await?)?;
    if let Some(same) = known.iter().find(|known| known.text().as_bytes() == bytes) {
        return Ok(view(same));
    }
    let root = match known.last() {
        None => Root::pinned(bytes)?,
        Some(before) => before.update(bytes)?,
    };
    if let Some(found) = root.publisher().filter(|named| named.as_ref() != publisher) {
        return Err(Unregistered::Foreign { found: found.clone(), publisher: publisher.to_owned() });
    }
    let insert = "INSERT INTO publisher_roots (publisher, version, digest, text, registered_by, registered_ms) \
                  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (publisher, version) DO NOTHING";
    let version = i64::try_from(root.version()).map_err(undecodable)?;
    let insert = sqlx::query(insert).bind(publisher).bind(version).bind(root.digest().to_string());
    let insert = insert.bind(root.text()).bind(account).bind(now_ms);
    rebuild::stale_publisher(connection, publisher).await?;
    match insert.execute(connection).await?.rows_affected() {
        0 => Err(Unregistered::Raced { version: root.version() }),
        _ => Ok(view(&root)),
    }
}

/// A root as lists show it.
pub(super) fn view(root: &Root) -> RootView {
    RootView {
        version: root.version(),
        digest: root.digest().to_string(),
        expires: root.expires().to_string(),
    }
}
