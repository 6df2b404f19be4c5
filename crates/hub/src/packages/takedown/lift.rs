// SPDX-License-Identifier: Apache-2.0
//! Taking a takedown back, as long as there are bytes.

use serde_json::Value;
use sqlx::AnyConnection;
use wire::hub::State;

use super::Untaken;
use super::view::{Takedown, find};
use crate::audit::{self, Note};
use crate::events::{self, Event, Kind};
use crate::packages::arrival::enqueue;
use crate::packages::release::{Release, undecodable};
use crate::{rebuild, registry, search};

/// Takes a takedown back: what it withheld is as it was, unless another one withholds it.
pub(in crate::packages) async fn lift(
    connection: &mut AnyConnection,
    id: &str,
    (actor, now_ms): (&str, i64),
) -> Result<Takedown, Untaken> {
    let subject = find(connection, id).await?.subject();
    let note = Note { now_ms, actor, action: "takedown.lift", subject: &subject, detail: Value::Null };
    audit::note(connection, &note).await?;
    let now = find(connection, id).await?;
    if let Some(at) = now.erased {
        return Err(Untaken::Erased { at });
    }
    let set = "UPDATE takedowns SET lifted_by = $2, lifted_ms = $3 WHERE id = $1 AND lifted_ms IS NULL";
    let set = sqlx::query(set).bind(id).bind(actor).bind(now_ms).execute(&mut *connection).await?;
    if set.rows_affected() == 0 {
        return Err(Untaken::Lifted);
    }
    rebuild::stale_hub(connection).await?;
    show(connection, id).await?;
    let select = "SELECT release, state, reason FROM withheld_releases WHERE takedown = $1 ORDER BY release";
    let releases: Vec<(String, String, Option<String>)> =
        sqlx::query_as(select).bind(id).fetch_all(&mut *connection).await?;
    let forget = sqlx::query("DELETE FROM withheld_releases WHERE takedown = $1").bind(id);
    forget.execute(&mut *connection).await?;
    let forget = sqlx::query("DELETE FROM advisories WHERE takedown = $1").bind(id);
    forget.execute(&mut *connection).await?;
    for (release, state, reason) in releases {
        let before = (state.parse().map_err(undecodable)?, reason);
        restore(connection, &release, before, now_ms).await?;
    }
    find(connection, id).await
}

/// Gives back what is in ordinary registries, where everything is shown. What packages are made of, their releases give back.
async fn show(connection: &mut AnyConnection, id: &str) -> sqlx::Result<()> {
    let select =
        sqlx::query_scalar("SELECT digest FROM withheld WHERE takedown = $1 ORDER BY digest").bind(id);
    let digests: Vec<String> = select.fetch_all(&mut *connection).await?;
    let forget = sqlx::query("DELETE FROM withheld WHERE takedown = $1").bind(id);
    forget.execute(&mut *connection).await?;
    for digest in digests {
        for update in [
            "UPDATE manifests SET visible = 1 WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM withheld WHERE digest = $1) \
             AND repository IN (SELECT r.id FROM repositories r JOIN publishers p ON p.name = r.publisher WHERE p.registry_only = 1)",
            "UPDATE links SET visible = 1 WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM withheld WHERE digest = $1) \
             AND repository IN (SELECT r.id FROM repositories r JOIN publishers p ON p.name = r.publisher WHERE p.registry_only = 1)",
        ] {
            sqlx::query(update).bind(&digest).execute(&mut *connection).await?;
        }
        rebuild::stale_digest(connection, &digest).await?;
    }
    Ok(())
}

/// Takes a release back to where it was, unless something else withholds it.
async fn restore(
    connection: &mut AnyConnection,
    release: &str,
    (before, reason): (State, Option<String>),
    now_ms: i64,
) -> sqlx::Result<()> {
    // What was being checked is checked again.
    let to = if before == State::Checking { State::Pending } else { before };
    let set = "UPDATE releases SET state = $2, reason = $4, changed_ms = $3 WHERE id = $1 AND state = 'taken-down' \
               AND NOT EXISTS (SELECT 1 FROM withheld_releases WHERE release = $1)";
    let set = sqlx::query(set).bind(release).bind(to.as_str()).bind(now_ms).bind(reason);
    if set.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(());
    }
    let Some(restored) = Release::by_id(connection, release).await? else { return Ok(()) };
    rebuild::stale(connection, &restored.repository).await?;
    if to == State::Pending {
        return enqueue(connection, release, now_ms).await;
    }
    if to.is_public() {
        let digest = restored.digest.parse().map_err(undecodable)?;
        registry::reveal(connection, &restored.repository, &digest).await?;
    }
    if restored.released_ms.is_some() {
        let event = Event {
            kind: Kind::Reinstated,
            publisher: &restored.publisher,
            package: &restored.name,
            version: &restored.version.to_string(),
            digest: Some(&restored.digest),
            text: "",
        };
        events::tell(connection, &event, now_ms).await?;
    }
    search::index(connection, &restored.package).await
}
