// SPDX-License-Identifier: Apache-2.0
//! Reviews: what people decide about a release, each decision signed by their own key.
//!
//! The signed statement is stored beside the release as any other, so that a node can demand the word of a reviewer whom its
//! policy names. What is said here moves a release only while it waits for reviewers.

use std::sync::Arc;

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use package::{Digest, Package, Referrer, ReferrerKind};
use sqlx::{AnyConnection, AnyPool};
use thiserror::Error;
use trust::{BadEnvelope, BadKey, Envelope, Quorum, Review, ReviewDecision, Signer, Statement};
use uuid::Uuid;
use wire::hub::{Decision, ReviewKeyView, ReviewPolicy, ReviewView, State};

use super::beside::Stored;
use super::blobs::{RepositoryBlobs, Unread};
use super::release::{Release, undecodable};
use super::{beside, policies, queue, state};
use crate::config::Review as Rules;
use crate::time::rfc3339;
use crate::{Hub, rebuild, registry, search};

/// How far the clock of a reviewer may be ahead.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// The longest text of a review, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 16 * 1024;

/// Who reviews.
#[derive(Debug, Clone)]
pub(super) struct Reviewer {
    pub(super) account: String,
    pub(super) handle: String,
    /// Whether they belong to the publisher, or pushed it.
    pub(super) own: bool,
}

/// A review is not taken.
#[derive(Debug, Error)]
pub(super) enum Untaken {
    /// It is no envelope.
    #[error("the review cannot be read")]
    Envelope(#[from] BadEnvelope),
    /// None of the reviewer's keys signed it.
    #[error("none of the {keys} keys that `{handle}` registered signed it")]
    Unsigned { handle: String, keys: usize },
    /// A registered key cannot be used any more.
    #[error("a registered key cannot be used")]
    Key(#[from] BadKey),
    /// What was signed is something else.
    #[error("what was signed is no review of {title}: {problem}")]
    Other { title: String, problem: String },
    /// It does not wait for reviewers.
    #[error("{title} is {state}, and does not wait for reviewers")]
    NotWaiting { title: String, state: State },
    /// Somebody reviews what is their own.
    #[error("`{handle}` may not review {title}, which is their own")]
    Own { handle: String, title: String },
    /// The text is too long.
    #[error("the text has more than {MAX_TEXT_BYTES} bytes")]
    TooLong,
    /// The release cannot be read, or nothing can be stored.
    #[error(transparent)]
    Unread(#[from] Unread),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Says something about a release, which decides nothing.
pub(super) async fn comment(
    hub: &Hub,
    release: &Release,
    reviewer: &Reviewer,
    text: String,
) -> Result<(), Untaken> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Untaken::TooLong);
    }
    let (release, reviewer, now_ms) = (release.id.clone(), reviewer.clone(), hub.now_ms());
    let said = hub.database.write(move |connection| {
        async move { insert(connection, &release, &reviewer, (Decision::Comment, &text, None), now_ms).await }
            .boxed()
    });
    Ok(said.await?)
}

/// Takes a signed decision.
pub(super) async fn decide(
    hub: &Arc<Hub>,
    release: &Release,
    reviewer: Reviewer,
    envelope: &[u8],
) -> Result<(), Untaken> {
    let review = verified(hub, release, &reviewer, envelope).await?;
    let rejected = match review.decision {
        ReviewDecision::Reject => all_digests(hub, release).await?,
        ReviewDecision::Approve | ReviewDecision::Changes => Vec::new(),
    };
    let referrer = Referrer { kind: ReferrerKind::Statement, bytes: envelope.to_vec() };
    let decided =
        Decided { stored: beside::store(hub, release, &referrer).await?, review, rejected, reviewer };
    let (release, rules, now_ms) = (release.clone(), hub.config.review.clone(), hub.now_ms());
    let kept = hub.database.write(move |connection| {
        async move { keep(connection, &release, decided, (&rules, now_ms)).await }.boxed()
    });
    kept.await
}

/// A decision that was verified, and what follows from it.
struct Decided {
    review: Review,
    reviewer: Reviewer,
    /// The signed statement.
    stored: Stored,
    /// What must not come back.
    rejected: Vec<Digest>,
}

async fn keep(
    connection: &mut AnyConnection,
    release: &Release,
    decided: Decided,
    (rules, now_ms): (&Rules, i64),
) -> Result<(), Untaken> {
    let Decided { review, reviewer, stored, rejected } = decided;
    // From here on nobody else changes the release.
    wait_for(connection, release).await?;
    let policy = policies::of(connection, release, release.facts.as_ref(), rules).await?;
    if reviewer.own && !policy.own && review.decision == ReviewDecision::Approve {
        return Err(Untaken::Own { handle: reviewer.handle, title: release.title() });
    }
    beside::list(connection, release, &stored, now_ms).await?;
    let said = (decision(review.decision), review.text.as_str(), Some(stored.digest.as_str()));
    insert(connection, &release.id, &reviewer, said, now_ms).await?;
    Ok(follow(connection, release, (&review, &rejected), policy, now_ms).await?)
}

/// What was signed, if a key of the reviewer signed it and it is about this release.
async fn verified(
    hub: &Hub,
    release: &Release,
    reviewer: &Reviewer,
    envelope: &[u8],
) -> Result<Review, Untaken> {
    let envelope = Envelope::parse(envelope)?;
    let select = sqlx::query_scalar("SELECT pem FROM review_keys WHERE account = $1").bind(&reviewer.account);
    let keys: Vec<String> = select.fetch_all(hub.database.readers()).await?;
    let other = |problem: String| Untaken::Other { title: release.title(), problem };
    for pem in &keys {
        let quorum = Quorum::new(vec![Signer::from_pem(pem)?], 1).map_err(undecodable)?;
        let Ok(payload) = envelope.verify(&quorum, |_| Ok(())) else { continue };
        let review = Statement::<Review>::parse(&payload).map_err(|bad| other(bad.to_string()))?.predicate;
        return about(release, review, hub.now_ms()).map_err(other);
    }
    Err(Untaken::Unsigned { handle: reviewer.handle.clone(), keys: keys.len() })
}

fn about(release: &Release, review: Review, now_ms: i64) -> Result<Review, String> {
    let pairs = [
        ("publisher", review.publisher.to_string(), &release.publisher),
        ("package", review.package.to_string(), &release.name),
        ("version", review.version.to_string(), &release.version.to_string()),
        ("release", review.release.to_string(), &release.digest),
    ];
    if let Some((key, said, wanted)) = pairs.into_iter().find(|(_, said, wanted)| said != *wanted) {
        return Err(format!("its `{key}` is `{said}`, not `{wanted}`"));
    }
    if review.text.len() > MAX_TEXT_BYTES {
        return Err(format!("its text has more than {MAX_TEXT_BYTES} bytes"));
    }
    let latest = now_ms.saturating_add(i64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(i64::MAX));
    if review.created.as_millisecond() > latest {
        return Err(format!("it was made at {}, which is yet to come", review.created));
    }
    Ok(review)
}

/// All digests of a release that must not come back: its index, images, layers and objects.
async fn all_digests(hub: &Arc<Hub>, release: &Release) -> Result<Vec<Digest>, Unread> {
    let index: Digest = release.digest.parse().map_err(undecodable)?;
    let read = RepositoryBlobs::new(hub, &release.repository).package(index).await?;
    Ok(std::iter::once(index).chain(read.iter().flat_map(parts)).collect())
}

fn parts(package: &Package) -> Vec<Digest> {
    let images = package.platforms.iter().flat_map(|entry| [entry.manifest, entry.layer]);
    images.chain(queue::objects(package)).collect()
}

/// Holds a release that waits for reviewers until the end of the transaction, so that of two who decide the second sees the first.
async fn wait_for(connection: &mut AnyConnection, release: &Release) -> Result<(), Untaken> {
    let update = "UPDATE releases SET changed_ms = changed_ms WHERE id = $1 AND state = 'review'";
    if sqlx::query(update).bind(&release.id).execute(&mut *connection).await?.rows_affected() == 1 {
        return Ok(());
    }
    let now = Release::by_id(connection, &release.id).await?;
    let state = now.map_or(release.state, |now| now.state);
    Err(Untaken::NotWaiting { title: release.title(), state })
}

async fn follow(
    connection: &mut AnyConnection,
    release: &Release,
    (review, rejected): (&Review, &[Digest]),
    policy: ReviewPolicy,
    now_ms: i64,
) -> sqlx::Result<()> {
    match review.decision {
        ReviewDecision::Approve => release_if_approved(connection, &release.id, policy, now_ms).await,
        ReviewDecision::Changes => {
            let asked = state::go(connection, &release.id, State::ChangesAsked, Some(&review.text), now_ms);
            asked.await.map(drop)
        }
        ReviewDecision::Reject => {
            state::go(connection, &release.id, State::Rejected, Some(&review.text), now_ms).await?;
            refuse(connection, release, rejected, &review.text, now_ms).await
        }
    }
}

/// Refuses bytes for ever, under any name.
async fn refuse(
    connection: &mut AnyConnection,
    release: &Release,
    digests: &[Digest],
    reason: &str,
    now_ms: i64,
) -> sqlx::Result<()> {
    for digest in digests {
        let insert = "INSERT INTO rejected (digest, release, reason, rejected_ms) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (digest) DO NOTHING";
        let insert = sqlx::query(insert).bind(digest.to_string()).bind(&release.id);
        insert.bind(reason).bind(now_ms).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Releases what waits for reviewers, if enough approve: everybody can have it once this is durable.
pub(super) async fn release_if_approved(
    connection: &mut AnyConnection,
    release: &str,
    policy: ReviewPolicy,
    now_ms: i64,
) -> sqlx::Result<()> {
    if approvals(connection, release).await? < policy.approvals {
        return Ok(());
    }
    if state::go(connection, release, State::Released, None, now_ms).await? {
        let found = Release::by_id(connection, release).await?;
        if let Some(found) = found {
            let digest = found.digest.parse().map_err(undecodable)?;
            registry::reveal(connection, &found.repository, &digest).await?;
            search::index(connection, &found.package).await?;
        }
    }
    Ok(())
}

/// How many approve: of each reviewer the last decision counts.
pub(super) async fn approvals(connection: &mut AnyConnection, release: &str) -> sqlx::Result<u64> {
    let select = "SELECT COUNT(*) FROM reviews r WHERE r.release = $1 AND r.decision = 'approve' AND NOT EXISTS \
                  (SELECT 1 FROM reviews l WHERE l.release = r.release AND l.account = r.account \
                  AND l.decision <> 'comment' AND l.id > r.id)";
    let count: i64 = sqlx::query_scalar(select).bind(release).fetch_one(connection).await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn insert(
    connection: &mut AnyConnection,
    release: &str,
    reviewer: &Reviewer,
    (decision, text, referrer): (Decision, &str, Option<&str>),
    now_ms: i64,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO reviews (id, release, account, handle, decision, text, referrer, reviewed_ms) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = sqlx::query(insert).bind(Uuid::now_v7().to_string()).bind(release).bind(&reviewer.account);
    let insert = insert.bind(&reviewer.handle).bind(decision.as_str()).bind(text).bind(referrer);
    insert.bind(now_ms).execute(&mut *connection).await?;
    let repository = sqlx::query_scalar("SELECT repository FROM releases WHERE id = $1").bind(release);
    let repository: String = repository.fetch_one(&mut *connection).await?;
    rebuild::stale(connection, &repository).await
}

/// What was said about a release, oldest first.
pub(super) async fn of(readers: &AnyPool, release: &str) -> sqlx::Result<Vec<ReviewView>> {
    let select =
        "SELECT handle, decision, text, referrer, reviewed_ms FROM reviews WHERE release = $1 ORDER BY id";
    let rows = sqlx::query_as::<_, (String, String, String, Option<String>, i64)>(select).bind(release);
    let read = rows.fetch_all(readers).await?.into_iter().map(|(reviewer, said, text, referrer, at_ms)| {
        let decision = said.parse().map_err(undecodable)?;
        Ok(ReviewView { reviewer, decision, text, referrer, at: rfc3339(at_ms) })
    });
    read.collect()
}

/// Registers a key by which somebody signs decisions.
pub(super) async fn add_key(
    connection: &mut AnyConnection,
    account: &str,
    signer: &Signer,
    now_ms: i64,
) -> sqlx::Result<()> {
    let ids: Vec<String> = signer.ids().map(|id| id.to_string()).collect();
    let insert = "INSERT INTO review_keys (account, key_ids, pem, added_ms) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (account, key_ids) DO NOTHING";
    let insert = sqlx::query(insert).bind(account).bind(ids.join(" ")).bind(signer.to_pem());
    insert.bind(now_ms).execute(connection).await.map(drop)
}

/// The keys by which somebody signs decisions, the oldest first.
pub(super) async fn keys(connection: &mut AnyConnection, account: &str) -> sqlx::Result<Vec<ReviewKeyView>> {
    let select =
        "SELECT key_ids, pem, added_ms FROM review_keys WHERE account = $1 ORDER BY added_ms, key_ids";
    let rows = sqlx::query_as::<_, (String, String, i64)>(select).bind(account).fetch_all(connection).await?;
    let view = |(ids, pem, added_ms): (String, String, i64)| ReviewKeyView {
        key: ids.replace(' ', "+"),
        pem,
        added: rfc3339(added_ms),
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Takes a key back, and tells whether it was there. What was decided by it stays decided.
pub(super) async fn remove_key(
    connection: &mut AnyConnection,
    account: &str,
    key: &str,
) -> sqlx::Result<bool> {
    let delete = sqlx::query("DELETE FROM review_keys WHERE account = $1 AND key_ids = $2");
    let delete = delete.bind(account).bind(key.replace('+', " ")).execute(connection);
    Ok(delete.await?.rows_affected() == 1)
}

fn decision(decision: ReviewDecision) -> Decision {
    match decision {
        ReviewDecision::Approve => Decision::Approve,
        ReviewDecision::Reject => Decision::Reject,
        ReviewDecision::Changes => Decision::Changes,
    }
}
