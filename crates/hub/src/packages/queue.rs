// SPDX-License-Identifier: Apache-2.0
//! The queue of releases that are to be checked. Any of several hubs may take one: it holds a lease while it works, and what it
//! found counts only where the lease is still its own and nothing was pushed beside the release meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use package::{Digest, Package};
use sqlx::AnyConnection;
use trust::{Evidence, Root};
use uuid::Uuid;
use wire::hub::{CheckResult, Facts, Finding, Level, State};

use super::arrival::{check_again, rejection};
use super::blobs::{RepositoryBlobs, Unread};
use super::checks::{self, Subject};
use super::facts::facts;
use super::release::{Release, undecodable};
use super::{line, policies, pulls, reviews, roots, state};
use crate::config::Review;
use crate::{Hub, mail};

/// How often the queue is looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// How long a lease holds.
const LEASE_MS: i64 = 60_000;
/// How often checking is tried: whoever tried before may have died of it.
const MAX_ATTEMPTS: i64 = 5;
/// With so many names a new one is compared; nobody knows more.
const MAX_KNOWN: i64 = 200_000;

/// What was found, to be kept.
struct Checked {
    results: Vec<CheckResult>,
    facts: Option<Facts>,
    signed_by: Option<String>,
}

/// A release that this hub may check.
struct Lease {
    id: String,
    release: Release,
}

/// Checks what waits, and counts pulls, for ever.
pub(crate) async fn work(hub: Arc<Hub>) {
    tokio::join!(check(Arc::clone(&hub)), pulls::work(hub));
}

async fn check(hub: Arc<Hub>) {
    let mut period = tokio::time::interval(PERIOD);
    loop {
        period.tick().await;
        loop {
            match check_one(&hub).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, "a release cannot be checked now");
                    break;
                }
            }
        }
    }
}

/// Checks one release that waits. Returns whether there was one.
pub(super) async fn check_one(hub: &Arc<Hub>) -> Result<bool, Unread> {
    let Some(lease) = lease(hub).await? else { return Ok(false) };
    let checked = look(hub, &lease.release).await?;
    finish(hub, lease, checked).await?;
    Ok(true)
}

/// Takes the release that waits longest.
async fn lease(hub: &Arc<Hub>) -> sqlx::Result<Option<Lease>> {
    let now_ms = hub.now_ms();
    let select =
        "SELECT release FROM check_queue WHERE leased_until_ms <= $1 ORDER BY due_ms, release LIMIT 1";
    let next = sqlx::query_scalar::<_, String>(select).bind(now_ms);
    let Some(release) = next.fetch_optional(hub.database.readers()).await? else { return Ok(None) };
    hub.database.write(move |connection| take(connection, release, now_ms).boxed()).await
}

async fn take(connection: &mut AnyConnection, release: String, now_ms: i64) -> sqlx::Result<Option<Lease>> {
    let id = Uuid::now_v7().to_string();
    let update = "UPDATE check_queue SET lease = $2, leased_until_ms = $3, attempts = attempts + 1 \
                  WHERE release = $1 AND leased_until_ms <= $4 RETURNING attempts";
    let update = sqlx::query_scalar::<_, i64>(update).bind(&release).bind(&id).bind(now_ms + LEASE_MS);
    let Some(attempts) = update.bind(now_ms).fetch_optional(&mut *connection).await? else {
        return Ok(None);
    };
    // Whoever had the lease before may have got as far as this.
    state::go(connection, &release, State::Checking, None, now_ms).await?;
    let found = Release::by_id(connection, &release).await?;
    let Some(found) = found.filter(|found| found.state == State::Checking) else {
        sqlx::query("DELETE FROM check_queue WHERE release = $1").bind(&release).execute(connection).await?;
        return Ok(None);
    };
    if attempts > MAX_ATTEMPTS {
        give_up(connection, &found, now_ms).await?;
        return Ok(None);
    }
    Ok(Some(Lease { id, release: found }))
}

async fn give_up(connection: &mut AnyConnection, release: &Release, now_ms: i64) -> sqlx::Result<()> {
    let what = format!("checking it failed {MAX_ATTEMPTS} times");
    let hint = "the hub's log says why; ask for the checks again once that is mended";
    let finding = Finding { level: Level::Fail, what: what.clone(), hint: Some(hint.to_owned()) };
    keep(connection, &release.id, &[CheckResult::new("checks", vec![finding])]).await?;
    sqlx::query("DELETE FROM check_queue WHERE release = $1")
        .bind(&release.id)
        .execute(&mut *connection)
        .await?;
    state::go(connection, &release.id, State::ChangesAsked, Some(&what), now_ms).await.map(drop)
}

/// Reads a release and all that the checks want to know, and runs them.
async fn look(hub: &Arc<Hub>, release: &Release) -> Result<Checked, Unread> {
    let package = match read(hub, release).await? {
        Ok(package) => package,
        Err(why) => {
            let results = vec![checks::unreadable(&why)];
            return Ok(Checked { results, facts: None, signed_by: None });
        }
    };
    let readers = hub.database.readers();
    let others: Vec<Release> = Release::all(readers, &release.publisher, &release.name).await?;
    let mut others: Vec<Release> = others.into_iter().filter(|other| other.id != release.id).collect();
    others.extend(line::earlier(&mut *readers.acquire().await?, &release.package).await?);
    others.sort_by(|one, other| other.version.cmp(&one.version));
    let earlier = others.iter().find(|other| other.state.is_public() && other.version < release.version);
    let before = match earlier {
        Some(earlier) => read(hub, earlier).await?.ok(),
        None => None,
    };
    let evidence = RepositoryBlobs::new(hub, &release.repository).evidence(&release.digest).await?;
    // A name that people know already is compared with no other.
    let is_known = others.iter().any(|other| other.state.is_public());
    let known = if is_known { Vec::new() } else { known(hub, &release.publisher).await? };
    let gathered = Gathered {
        others,
        before,
        evidence,
        roots: roots::of(readers, &release.publisher).await?,
        known,
        rejected: rejected_objects(hub, &package).await?,
    };
    let now = Timestamp::from_millisecond(hub.now_ms()).map_err(undecodable)?;
    let (hub, release) = (Arc::clone(hub), release.clone());
    // Linting and verifying take a while, which others should not wait for.
    let ran = tokio::task::spawn_blocking(move || run(&hub, now, &release, (&package, &gathered)));
    Ok(ran.await.expect("no check panics"))
}

/// What is around a release that is checked.
struct Gathered {
    others: Vec<Release>,
    before: Option<Package>,
    evidence: Evidence,
    roots: Vec<Root>,
    known: Vec<String>,
    rejected: Vec<(Digest, String)>,
}

fn run(hub: &Hub, now: Timestamp, release: &Release, read: (&Package, &Gathered)) -> Checked {
    let (package, gathered) = read;
    let results = checks::run(&Subject {
        rules: &hub.config.review,
        now,
        release,
        package,
        others: &gathered.others,
        before: gathered.before.as_ref(),
        evidence: &gathered.evidence,
        roots: &gathered.roots,
        known: &gathered.known,
        rejected: &gathered.rejected,
    });
    Checked { results, facts: Some(facts(package)), signed_by: checks::signed_by(&gathered.roots) }
}

pub(super) async fn read(
    hub: &Arc<Hub>,
    release: &Release,
) -> Result<Result<Package, package::ReadError>, Unread> {
    let index = release.digest.parse().map_err(undecodable)?;
    RepositoryBlobs::new(hub, &release.repository).package(index).await
}

/// Packages of others that people have, as `publisher/name`.
async fn known(hub: &Hub, publisher: &str) -> sqlx::Result<Vec<String>> {
    let select = "SELECT p.publisher || '/' || p.name FROM packages p WHERE p.publisher <> $1 AND EXISTS \
                  (SELECT 1 FROM releases r WHERE r.package = p.id AND r.state IN ('released', 'yanked')) LIMIT $2";
    sqlx::query_scalar(select).bind(publisher).bind(MAX_KNOWN).fetch_all(hub.database.readers()).await
}

pub(super) async fn rejected_objects(hub: &Hub, package: &Package) -> sqlx::Result<Vec<(Digest, String)>> {
    let mut connection = hub.database.readers().acquire().await?;
    let mut found = Vec::new();
    for digest in objects(package) {
        let reason = rejection(&mut connection, &digest.to_string()).await?;
        found.extend(reason.map(|reason| (digest, reason)));
    }
    Ok(found)
}

/// The digests of the objects of a package, each once.
pub(super) fn objects(package: &Package) -> Vec<Digest> {
    let files = package
        .platforms
        .iter()
        .flat_map(|entry| package.manifest.objects().into_iter().filter_map(|path| entry.files.bytes(path)));
    let mut digests: Vec<Digest> = files.map(Digest::of).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}

/// Keeps what was found, and takes the release to where that leads.
async fn finish(hub: &Arc<Hub>, lease: Lease, checked: Checked) -> sqlx::Result<()> {
    let (rules, now_ms) = (hub.config.review.clone(), hub.now_ms());
    let conclude = hub.database.write(move |connection| {
        async move { conclude(connection, lease, &checked, (&rules, now_ms)).await }.boxed()
    });
    conclude.await
}

async fn conclude(
    connection: &mut AnyConnection,
    Lease { id, release }: Lease,
    checked: &Checked,
    (rules, now_ms): (&Review, i64),
) -> sqlx::Result<()> {
    // What is pushed beside it waits until this is done, or was counted before.
    let hold = "UPDATE releases SET evidence = evidence WHERE id = $1 RETURNING evidence";
    let evidence: i64 = sqlx::query_scalar(hold).bind(&release.id).fetch_one(&mut *connection).await?;
    let delete = sqlx::query("DELETE FROM check_queue WHERE release = $1 AND lease = $2");
    let done = delete.bind(&release.id).bind(&id).execute(&mut *connection).await?;
    if done.rows_affected() == 0 {
        return Ok(());
    }
    if evidence != release.evidence {
        return check_again(connection, &release.id, now_ms).await.map(drop);
    }
    record(connection, &release.id, checked).await?;
    let (next, reason) = checks::verdict(&checked.results);
    state::go(connection, &release.id, next, reason.as_deref(), now_ms).await?;
    if next == State::Review {
        let policy = policies::of(connection, &release, checked.facts.as_ref(), rules).await?;
        reviews::release_if_approved(connection, &release.id, policy, now_ms).await?;
        let waiting = Release::by_id(connection, &release.id).await?;
        if let Some(waiting) = waiting.filter(|waiting| waiting.state == State::Review) {
            mail::waits(connection, &waiting, policy, now_ms).await?;
        }
    }
    Ok(())
}

async fn record(connection: &mut AnyConnection, release: &str, checked: &Checked) -> sqlx::Result<()> {
    keep(connection, release, &checked.results).await?;
    let facts = checked.facts.as_ref().map(serde_json::to_string).transpose().map_err(undecodable)?;
    let update = sqlx::query("UPDATE releases SET facts = $2, signed_by = $3 WHERE id = $1").bind(release);
    update.bind(facts).bind(&checked.signed_by).execute(connection).await.map(drop)
}

pub(super) async fn keep(
    connection: &mut AnyConnection,
    release: &str,
    results: &[CheckResult],
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM check_results WHERE release = $1")
        .bind(release)
        .execute(&mut *connection)
        .await?;
    for (place, result) in (0_i64..).zip(results) {
        let findings = serde_json::to_string(&result.findings).map_err(undecodable)?;
        let insert =
            "INSERT INTO check_results (release, place, name, level, findings) VALUES ($1, $2, $3, $4, $5)";
        let insert = sqlx::query(insert).bind(release).bind(place).bind(&result.name);
        insert.bind(result.level.as_str()).bind(findings).execute(&mut *connection).await?;
    }
    Ok(())
}

/// What the checks of a release found, in their order.
pub(super) async fn results(hub: &Hub, release: &str) -> sqlx::Result<Vec<CheckResult>> {
    let select = "SELECT name, findings FROM check_results WHERE release = $1 ORDER BY place";
    let rows = sqlx::query_as::<_, (String, String)>(select).bind(release);
    let rows = rows.fetch_all(hub.database.readers()).await?;
    let read = rows.into_iter().map(|(name, findings)| {
        let findings = serde_json::from_str(&findings).map_err(undecodable)?;
        Ok(CheckResult::new(&name, findings))
    });
    read.collect()
}
