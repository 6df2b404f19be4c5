// SPDX-License-Identifier: Apache-2.0
//! Taking a release back: nobody is led to what is yanked, and nobody has what is deleted. Its version is used up either way.

use sqlx::AnyConnection;
use thiserror::Error;
use wire::hub::State;

use super::release::{Release, undecodable};
use super::state;
use crate::{registry, search};

/// For so long after it was pushed a release can be deleted.
const DELETABLE_MS: i64 = 72 * 60 * 60 * 1000;

/// A release is not taken back.
#[derive(Debug, Error)]
pub(super) enum Unwithdrawn {
    /// It is in a state in which it cannot.
    #[error("{title} is {state}")]
    State { title: String, state: State },
    /// It was public for too long.
    #[error("{title} was pushed more than 72 hours ago")]
    Late { title: String },
    /// Somebody has it.
    #[error("{title} was pulled {pulls} times")]
    Used { title: String, pulls: i64 },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Leads nobody to a release any more, and says why. Who names it still gets it.
pub(super) async fn yank(
    connection: &mut AnyConnection,
    release: &Release,
    reason: &str,
    now_ms: i64,
) -> Result<(), Unwithdrawn> {
    go(connection, release, (State::Yanked, Some(reason)), now_ms).await?;
    Ok(search::index(connection, &release.package).await?)
}

/// Leads people to a yanked release again.
pub(super) async fn unyank(
    connection: &mut AnyConnection,
    release: &Release,
    now_ms: i64,
) -> Result<(), Unwithdrawn> {
    if release.state != State::Yanked {
        return Err(Unwithdrawn::State { title: release.title(), state: release.state });
    }
    go(connection, release, (State::Released, None), now_ms).await?;
    Ok(search::index(connection, &release.package).await?)
}

/// Deletes a release: while it is young, and nobody pulled it, or while nobody else could.
pub(super) async fn delete(
    connection: &mut AnyConnection,
    release: &Release,
    now_ms: i64,
) -> Result<(), Unwithdrawn> {
    if release.state.is_public() && now_ms - release.pushed_ms > DELETABLE_MS {
        return Err(Unwithdrawn::Late { title: release.title() });
    }
    let select = sqlx::query_scalar("SELECT pulls FROM releases WHERE id = $1").bind(&release.id);
    let pulls: i64 = select.fetch_one(&mut *connection).await?;
    if pulls > 0 {
        return Err(Unwithdrawn::Used { title: release.title(), pulls });
    }
    remove(connection, release, None, now_ms).await
}

/// Deletes a release, however old it is.
pub(super) async fn remove(
    connection: &mut AnyConnection,
    release: &Release,
    reason: Option<&str>,
    now_ms: i64,
) -> Result<(), Unwithdrawn> {
    go(connection, release, (State::Deleted, reason), now_ms).await?;
    let digest = release.digest.parse().map_err(undecodable)?;
    registry::conceal(connection, &release.repository, &digest).await?;
    let delete = sqlx::query("DELETE FROM tags WHERE repository = $1 AND digest = $2");
    delete.bind(&release.repository).bind(&release.digest).execute(&mut *connection).await?;
    sqlx::query("DELETE FROM check_queue WHERE release = $1")
        .bind(&release.id)
        .execute(&mut *connection)
        .await?;
    Ok(search::index(connection, &release.package).await?)
}

async fn go(
    connection: &mut AnyConnection,
    release: &Release,
    (to, reason): (State, Option<&str>),
    now_ms: i64,
) -> Result<(), Unwithdrawn> {
    if state::go(connection, &release.id, to, reason, now_ms).await? {
        return Ok(());
    }
    let now = Release::by_id(connection, &release.id).await?;
    let state = now.map_or(release.state, |now| now.state);
    Err(Unwithdrawn::State { title: release.title(), state })
}
