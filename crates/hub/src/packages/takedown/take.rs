// SPDX-License-Identifier: Apache-2.0
//! Taking something down, in one transaction.

use std::collections::BTreeSet;

use package::Digest;
use serde_json::json;
use sqlx::AnyConnection;
use uuid::Uuid;
use wire::hub::State;

use super::view::{Takedown, find};
use super::{NewTakedown, Target, Untaken, reach};
use crate::audit::{self, Note};
use crate::packages::release::{Release, undecodable};
use crate::packages::state;
use crate::{ContentDigest, mail, rebuild, registry, search};

/// Takes something down. `objects` are those in the archives of what it is about.
pub(in crate::packages) async fn take(
    connection: &mut AnyConnection,
    new: &NewTakedown,
    objects: &[Digest],
    (actor, now_ms): (&str, i64),
) -> Result<Takedown, Untaken> {
    let target = new.target()?;
    new.check_reason()?;
    let subject = target.to_string();
    let detail = json!({ "class": new.class, "reason": new.reason, "report": new.report });
    // From here on nobody else takes down, or takes back.
    audit::note(connection, &Note { now_ms, actor, action: "takedown", subject: &subject, detail }).await?;
    let releases = reach::releases(connection, &target).await?;
    let id = insert(connection, (new, &target), (actor, now_ms)).await?;
    let mut digests = match &target {
        Target::Digest(digest) => BTreeSet::from([digest.clone()]),
        Target::Package { .. } | Target::Release { .. } => reach::digests(connection, &releases).await?,
    };
    if new.class.is_about_objects() {
        digests.extend(objects.iter().map(ToString::to_string));
    }
    for digest in &digests {
        hide(connection, &id, digest).await?;
    }
    let said = format!("{}: {}", new.class, new.reason);
    for release in &releases {
        withdraw(connection, (&id, &said), release, now_ms).await?;
        if release.released_ms.is_some() {
            advise(connection, (&id, new), release, now_ms).await?;
        }
    }
    let packages: BTreeSet<&String> = releases.iter().map(|release| &release.package).collect();
    for package in packages {
        search::index(connection, package).await?;
    }
    rebuild::stale_hub(connection).await?;
    let taken = find(connection, &id).await?;
    tell(connection, &taken, (&releases, &said), now_ms).await?;
    Ok(taken)
}

/// Tells the owners of what was taken down.
async fn tell(
    connection: &mut AnyConnection,
    taken: &Takedown,
    (releases, said): (&[Release], &str),
    now_ms: i64,
) -> sqlx::Result<()> {
    let publishers: BTreeSet<&String> = releases.iter().map(|release| &release.publisher).collect();
    for publisher in publishers {
        let titles = releases.iter().filter(|release| release.publisher == *publisher).map(Release::title);
        let titles: Vec<String> = titles.collect();
        let subject = format!("{} was taken down", titles.first().cloned().unwrap_or_default());
        let text = format!(
            "An administrator took this down ({said}):\n\n{}\n\nIt can be taken back until {}.\n",
            titles.join("\n"),
            taken.reversible_until
        );
        mail::owners(connection, publisher, (&subject, &text), now_ms).await?;
    }
    Ok(())
}

async fn insert(
    connection: &mut AnyConnection,
    (new, target): (&NewTakedown, &Target),
    (actor, now_ms): (&str, i64),
) -> Result<String, Untaken> {
    let id = Uuid::now_v7().to_string();
    let [publisher, name, version, digest] = target.parts();
    let insert = "INSERT INTO takedowns (id, publisher, package, version, digest, class, reason, report, taken_by, taken_ms, \
                  erase_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let insert = sqlx::query(insert).bind(&id).bind(publisher).bind(name).bind(version).bind(digest);
    let insert = insert.bind(new.class.name()).bind(&new.reason).bind(&new.report).bind(actor);
    insert.bind(now_ms).bind(new.erase_ms(now_ms)?).execute(connection).await?;
    Ok(id)
}

/// Takes a digest from readers, in whatever repository it is.
async fn hide(connection: &mut AnyConnection, takedown: &str, digest: &str) -> sqlx::Result<()> {
    let insert = sqlx::query("INSERT INTO withheld (digest, takedown) VALUES ($1, $2)");
    insert.bind(digest).bind(takedown).execute(&mut *connection).await?;
    for update in [
        "UPDATE manifests SET visible = 0 WHERE digest = $1",
        "UPDATE links SET visible = 0 WHERE digest = $1",
    ] {
        sqlx::query(update).bind(digest).execute(&mut *connection).await?;
    }
    rebuild::stale_digest(connection, digest).await
}

/// Takes a release from readers, with what is about it, and remembers how far it was.
async fn withdraw(
    connection: &mut AnyConnection,
    (takedown, said): (&str, &str),
    release: &Release,
    now_ms: i64,
) -> sqlx::Result<()> {
    // One that was taken down before stays as far as it was then.
    let before = "SELECT state, reason FROM withheld_releases WHERE release = $1 ORDER BY takedown LIMIT 1";
    let before = sqlx::query_as(before).bind(&release.id).fetch_optional(&mut *connection).await?;
    let (state, reason): (String, Option<String>) =
        before.unwrap_or_else(|| (release.state.to_string(), release.reason.clone()));
    let insert = "INSERT INTO withheld_releases (release, takedown, state, reason) VALUES ($1, $2, $3, $4)";
    let insert = sqlx::query(insert).bind(&release.id).bind(takedown).bind(state).bind(reason);
    insert.execute(&mut *connection).await?;
    if state::go(connection, &release.id, State::TakenDown, Some(said), now_ms).await? {
        let queued = sqlx::query("DELETE FROM check_queue WHERE release = $1").bind(&release.id);
        queued.execute(&mut *connection).await?;
        let digest: ContentDigest = release.digest.parse().map_err(undecodable)?;
        registry::conceal(connection, &release.repository, &digest).await?;
    }
    Ok(())
}

/// Warns of a release that people may have.
async fn advise(
    connection: &mut AnyConnection,
    (takedown, new): (&str, &NewTakedown),
    release: &Release,
    now_ms: i64,
) -> sqlx::Result<()> {
    let title = format!("{} was taken down ({})", release.version, new.class);
    let insert = "INSERT INTO advisories (id, package, versions, severity, title, text, published_ms, takedown) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = sqlx::query(insert).bind(Uuid::now_v7().to_string()).bind(&release.package);
    let insert = insert.bind(format!("={}", plain(&release.version))).bind(new.class.severity().as_str());
    insert.bind(title).bind(&new.reason).bind(now_ms).bind(takedown).execute(connection).await.map(drop)
}

/// A version as ranges have it, without what differs in the build alone.
fn plain(version: &package::Version) -> package::Version {
    package::Version { build: semver::BuildMetadata::EMPTY, ..version.clone() }
}
