// SPDX-License-Identifier: Apache-2.0
//! What a run changes: each change is one transaction that holds the lease, so that a hub that was killed, or lost the lease,
//! leaves nothing half done.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use sqlx::AnyConnection;
use thiserror::Error;

use super::fetch::Fetched;
use super::lease::Lease;
use super::rows::Outcome;
use super::source::{Named, Unfetched};
use crate::Hub;
use crate::audit::{self, Note};
use crate::packages::mirrored::{self, Candidate, Clash, Judged};
use crate::registry::{self, NotListed, RepositoryName};

/// A run ends before its time.
#[derive(Debug, Error)]
pub(super) enum Halted {
    /// The source cannot be used.
    #[error(transparent)]
    Unfetched(#[from] Unfetched),
    /// Another hub has the rule, or it is gone.
    #[error("another hub carries it out, or it was removed meanwhile")]
    Lost,
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// A release is not kept.
#[derive(Debug, Error)]
pub(super) enum Unkept {
    /// It may not be here.
    #[error("{0}")]
    Refused(String),
    /// Something of it was removed meanwhile; it is fetched again.
    #[error("something of it was removed meanwhile; it is fetched again the next time")]
    Gone,
    /// The run ends.
    #[error(transparent)]
    Halted(#[from] Halted),
}

impl From<sqlx::Error> for Unkept {
    fn from(error: sqlx::Error) -> Self {
        Self::Halted(error.into())
    }
}

impl From<NotListed> for Unkept {
    fn from(unlisted: NotListed) -> Self {
        match unlisted {
            NotListed::Gone => Self::Gone,
            NotListed::Unfit(why) => Self::Refused(why),
            NotListed::Database(error) => error.into(),
        }
    }
}

impl From<Clash> for Unkept {
    fn from(clash: Clash) -> Self {
        match clash {
            Clash::Other(why) => Self::Refused(why),
            Clash::Database(error) => error.into(),
        }
    }
}

/// What became of a release, as it is written down.
#[derive(Debug, Clone)]
pub(super) struct Became {
    pub(super) package: Named,
    pub(super) version: String,
    pub(super) digest: Option<String>,
    pub(super) outcome: Outcome,
    pub(super) problem: Option<String>,
    /// Whether it is yanked here since it is there.
    pub(super) yanked: bool,
}

/// Changes something in a transaction that holds the lease.
pub(super) async fn change<T, E>(
    hub: &Hub,
    lease: &Lease,
    change: impl for<'c> FnOnce(&'c mut AnyConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<sqlx::Error> + From<Halted> + Send + 'static,
{
    let (lease, now_ms) = (lease.clone(), hub.now_ms());
    let changed = hub.database.write(move |connection| {
        async move {
            if !lease.hold(connection, now_ms).await? {
                return Err(Halted::Lost.into());
            }
            change(connection).await
        }
        .boxed()
    });
    changed.await
}

/// Lists what was fetched and verified, and releases it: everybody can have it once this is durable.
pub(super) async fn release(
    hub: &Arc<Hub>,
    lease: &Lease,
    candidate: Candidate,
    (fetched, judged): (Fetched, Judged),
) -> Result<(), Unkept> {
    let (owned, holder) = (Arc::clone(hub), lease.clone());
    change(hub, lease, move |connection| {
        async move {
            let now_ms = owned.now_ms();
            let detail =
                json!({ "digest": candidate.digest.to_string(), "source": holder.rule.source.to_string() });
            note(connection, (&holder, "release.mirror"), (&candidate.title(), detail), now_ms).await?;
            claim(connection, &holder, &candidate.publisher, now_ms).await?;
            let name = name(&candidate.publisher, &candidate.name)?;
            let (blobs, digests) = (fetched.blobs(), fetched.digests());
            let repository =
                registry::list(connection, &owned, &name, (&fetched.documents(), &blobs)).await?;
            mirrored::release(connection, &candidate, (&repository, &digests), &judged, now_ms).await?;
            let became = Became {
                package: Named { publisher: candidate.publisher, name: candidate.name },
                version: candidate.version.to_string(),
                digest: Some(candidate.digest.to_string()),
                outcome: Outcome::Mirrored,
                problem: said(&fetched),
                yanked: false,
            };
            write(connection, &holder, &became, now_ms).await.map(drop).map_err(Unkept::from)
        }
        .boxed()
    })
    .await
}

/// Lists what newly refers to a release that is here already.
pub(super) async fn refer(
    hub: &Arc<Hub>,
    lease: &Lease,
    (package, fetched): (&Named, Fetched),
    title: String,
) -> Result<(), Unkept> {
    let (owned, holder, name) = (Arc::clone(hub), lease.clone(), name(&package.publisher, &package.name)?);
    change(hub, lease, move |connection| {
        async move {
            let now_ms = owned.now_ms();
            let documents = fetched.documents();
            let new: Vec<String> = documents.iter().map(|document| document.digest.to_string()).collect();
            note(connection, (&holder, "release.refer"), (&title, json!({ "manifests": new })), now_ms)
                .await?;
            let blobs = fetched.blobs();
            let repository = registry::list(connection, &owned, &name, (&documents, &blobs)).await?;
            for document in &documents {
                registry::reveal(connection, &repository, &document.digest).await?;
            }
            Ok::<_, Unkept>(())
        }
        .boxed()
    })
    .await
}

/// What there is to say of something that was fetched.
pub(super) fn said(fetched: &Fetched) -> Option<String> {
    let passed_over = &fetched.passed_over;
    (!passed_over.is_empty())
        .then(|| format!("what refers to it and cannot be had: {}", passed_over.join("; ")))
}

fn name(publisher: &str, name: &str) -> Result<RepositoryName, Unkept> {
    let text = format!("{publisher}/{name}");
    text.parse().map_err(|bad: crate::BadName| Unkept::Refused(bad.to_string()))
}

/// Writes down what the rule changes.
pub(super) async fn note(
    connection: &mut AnyConnection,
    (lease, action): (&Lease, &'static str),
    (subject, detail): (&str, Value),
    now_ms: i64,
) -> sqlx::Result<()> {
    let actor = lease.actor();
    audit::note(connection, &Note { now_ms, actor: &actor, action, subject, detail }).await
}

/// Whose a namespace is.
enum Namespace {
    /// Nobody's yet.
    Free,
    /// That of a rule that is gone.
    Left,
    /// This rule fills it.
    Ours,
    /// It is somebody else's, who is told.
    Theirs(String),
}

impl Namespace {
    async fn of(connection: &mut AnyConnection, lease: &Lease, publisher: &str) -> sqlx::Result<Self> {
        let select = "SELECT p.mirror, m.name FROM publishers p LEFT JOIN mirrors m ON m.id = p.mirror WHERE p.name = $1";
        let select = sqlx::query_as::<_, (Option<String>, Option<String>)>(select).bind(publisher);
        Ok(match select.fetch_optional(&mut *connection).await? {
            None => {
                let account = sqlx::query("SELECT 1 FROM accounts WHERE handle = $1").bind(publisher);
                match account.fetch_optional(connection).await? {
                    Some(_) => Self::Theirs(format!("`{publisher}` is the handle of an account of this hub")),
                    None => Self::Free,
                }
            }
            Some((Some(mirror), _)) if mirror == lease.mirror => Self::Ours,
            Some((Some(mirror), _)) if mirror.is_empty() => Self::Left,
            Some((Some(_), other)) => Self::Theirs(format!(
                "`{publisher}` is filled by the mirror `{}`",
                other.as_deref().unwrap_or_default()
            )),
            Some((None, _)) => Self::Theirs(format!(
                "`{publisher}` is a publisher of this hub; what is published here is not taken from elsewhere"
            )),
        })
    }
}

/// Why this rule may not fill a namespace; none where it may.
pub(super) async fn obstacle(hub: &Hub, lease: &Lease, publisher: &str) -> sqlx::Result<Option<String>> {
    let mut connection = hub.database.readers().acquire().await?;
    match Namespace::of(&mut connection, lease, publisher).await? {
        Namespace::Theirs(why) => Ok(Some(why)),
        Namespace::Free | Namespace::Left | Namespace::Ours => Ok(None),
    }
}

/// Makes sure that the namespace is one that this rule fills. What is somebody's here stays theirs.
pub(super) async fn claim(
    connection: &mut AnyConnection,
    lease: &Lease,
    publisher: &str,
    now_ms: i64,
) -> Result<(), Unkept> {
    let taken = match Namespace::of(connection, lease, publisher).await? {
        Namespace::Ours => return Ok(()),
        Namespace::Theirs(why) => return Err(Unkept::Refused(why)),
        Namespace::Free => {
            let insert = "INSERT INTO publishers (name, created_ms, mirror) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING";
            sqlx::query(insert)
                .bind(publisher)
                .bind(now_ms)
                .bind(&lease.mirror)
                .execute(&mut *connection)
                .await?
        }
        Namespace::Left => {
            let adopt = sqlx::query("UPDATE publishers SET mirror = $2 WHERE name = $1 AND mirror = ''");
            adopt.bind(publisher).bind(&lease.mirror).execute(&mut *connection).await?
        }
    };
    if taken.rows_affected() == 0 {
        return Err(Unkept::Refused(format!("somebody else took `{publisher}` at the same time")));
    }
    let detail = json!({ "source": lease.rule.source.to_string() });
    Ok(note(connection, (lease, "publisher.mirror"), (publisher, detail), now_ms).await?)
}

/// Writes down what became of a release. Returns whether that is new.
pub(super) async fn write(
    connection: &mut AnyConnection,
    lease: &Lease,
    became: &Became,
    now_ms: i64,
) -> sqlx::Result<bool> {
    const WRITE: &str = "INSERT INTO mirrored (mirror, publisher, package, version, digest, outcome, problem, yanked, since_ms) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (mirror, publisher, package, version) \
                         DO UPDATE SET digest = excluded.digest, outcome = excluded.outcome, problem = excluded.problem, \
                         yanked = excluded.yanked, since_ms = CASE WHEN mirrored.outcome = excluded.outcome \
                         THEN mirrored.since_ms ELSE excluded.since_ms END";
    let Named { publisher, name } = &became.package;
    let before =
        "SELECT outcome FROM mirrored WHERE mirror = $1 AND publisher = $2 AND package = $3 AND version = $4";
    let before = sqlx::query_scalar::<_, String>(before).bind(&lease.mirror).bind(publisher).bind(name);
    let before = before.bind(&became.version).fetch_optional(&mut *connection).await?;
    let write = sqlx::query(WRITE).bind(&lease.mirror).bind(publisher).bind(name).bind(&became.version);
    let write = write.bind(&became.digest).bind(became.outcome.name()).bind(&became.problem);
    write.bind(i64::from(became.yanked)).bind(now_ms).execute(&mut *connection).await?;
    let is_new = before.as_deref() != Some(became.outcome.name());
    if is_new && became.outcome != Outcome::Mirrored {
        let subject = format!("{publisher}/{name} {}", became.version);
        let detail = json!({ "outcome": became.outcome, "problem": became.problem, "digest": became.digest });
        note(connection, (lease, "mirror.result"), (&subject, detail), now_ms).await?;
    }
    Ok(is_new)
}
