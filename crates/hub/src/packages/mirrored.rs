// SPDX-License-Identifier: Apache-2.0
//! Packages that were released elsewhere: what is made of them before they are released here, and what follows from what happens to
//! them there.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use package::{BlobError, Blobs, Digest, Package, Version};
use semver::VersionReq;
use sqlx::{AnyConnection, AnyPool};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::task;
use trust::{Assurance, Circumstances, Evidence, Found, Memory, Occasion, Policy, Root, judge};
use uuid::Uuid;
use wire::hub::{Advisory, CheckResult, Facts, Finding, Level, State};

use super::blobs::{Unread, stored};
use super::checks::{self, Subject, finding};
use super::facts::facts;
use super::queue;
use super::release::{Release, undecodable};
use super::withdrawal::{self, Unwithdrawn};
use super::{advisories, arrival, state};
use crate::answer::whole;
use crate::{ContentDigest, Hub, rebuild, registry, search};

/// The longest text of an advisory that is taken over, in bytes.
const MAX_ADVISORY_BYTES: usize = 64 * 1024;

/// A release of another place.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) publisher: String,
    pub(crate) name: String,
    pub(crate) version: Version,
    /// That of its index.
    pub(crate) digest: Digest,
}

/// What a candidate is held against.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) policy: Arc<Policy>,
    /// The reference that it was fetched by; none where it came in a folder.
    pub(crate) fetched_from: Option<String>,
    /// When somebody last looked for what is revoked; none where nobody could.
    pub(crate) looked: Option<Timestamp>,
}

/// What was made of a candidate.
#[derive(Debug)]
pub(crate) struct Judged {
    results: Vec<CheckResult>,
    facts: Option<Facts>,
    signed_by: Option<String>,
}

/// A release cannot be made of a candidate.
#[derive(Debug, Error)]
pub(crate) enum Clash {
    /// There are others, or it may not be here.
    #[error("{0}")]
    Other(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl Judged {
    /// Why it is not released here; none where it is.
    pub(crate) fn refusal(&self) -> Option<String> {
        let failed = self.results.iter().filter(|result| result.level == Level::Fail);
        let told = failed.flat_map(|result| {
            let fails = result.findings.iter().filter(|finding| finding.level == Level::Fail);
            fails.map(|finding| format!("{}: {}", result.name, finding.what))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

/// The bytes of the storage that were fetched for one release; nothing else is there.
struct Fetched {
    hub: Arc<Hub>,
    digests: BTreeSet<Digest>,
    runtime: Handle,
}

impl Blobs for Fetched {
    /// Waits, so it is for threads that may.
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        if !self.digests.contains(digest) {
            return Err(BlobError::Missing);
        }
        let named =
            digest.to_string().parse::<ContentDigest>().map_err(|bad| BlobError::Other(bad.into()))?;
        self.runtime.block_on(stored(&self.hub, &named, max_bytes))
    }
}

/// Holds what was fetched against the policy, and against what this hub takes.
///
/// # Errors
/// When the database or the storage fails.
pub(crate) async fn look(
    hub: &Arc<Hub>,
    candidate: &Candidate,
    (digests, evidence): (BTreeSet<Digest>, Evidence),
    terms: &Terms,
) -> Result<Judged, Unread> {
    let fetched = Fetched { hub: Arc::clone(hub), digests, runtime: Handle::current() };
    let index = candidate.digest;
    let read = task::spawn_blocking(move || Package::read(&fetched, &index)).await;
    let package = match read.expect("reading a package never panics: it is fuzzed") {
        Ok(package) => package,
        Err(package::ReadError::Blob { source: failed @ BlobError::Other(_), .. }) => {
            return Err(Unread::Storage(failed));
        }
        Err(why) => {
            return Ok(Judged { results: vec![checks::unreadable(&why)], facts: None, signed_by: None });
        }
    };
    let rejected = queue::rejected_objects(hub, &package).await?;
    let now = Timestamp::from_millisecond(hub.now_ms()).map_err(undecodable)?;
    let (hub, terms, release) = (Arc::clone(hub), terms.clone(), candidate.release());
    let evidence = Evidence { fetched_from: terms.fetched_from.clone(), ..evidence };
    let ran = task::spawn_blocking(move || {
        let (policy, signed_by) = verify(&package, &evidence, &terms, now);
        let subject = Subject {
            rules: &hub.config.review,
            now,
            release: &release,
            package: &package,
            others: &[],
            before: None,
            evidence: &evidence,
            roots: &[],
            known: &[],
            rejected: &rejected,
        };
        Judged { results: checks::run_mirrored(&subject, policy), facts: Some(facts(&package)), signed_by }
    });
    Ok(ran.await.expect("no check panics"))
}

/// Asks the policy as a node does, for each platform, and says by whose first root it was signed.
fn verify(
    package: &Package,
    evidence: &Evidence,
    terms: &Terms,
    now: Timestamp,
) -> (Vec<Finding>, Option<String>) {
    let memory = Memory::default();
    let (mut findings, mut signed_by) = (Vec::new(), None);
    for entry in &package.platforms {
        let at = Circumstances {
            policy: &terms.policy,
            machine: &entry.platform,
            memory: &memory,
            now,
            looked: terms.looked,
            occasion: Occasion::Deployment,
        };
        match judge(&Found::in_package(package, entry), evidence, &at).outcome {
            Ok(Assurance::Signed { roots, .. }) => {
                let first = roots.first().and_then(|text| Root::pinned(text.as_bytes()).ok());
                signed_by = signed_by.or_else(|| first.map(|root| root.digest().to_string()));
            }
            Ok(Assurance::Exception { .. } | Assurance::Kept { .. }) => {}
            Ok(Assurance::None) => {
                let hint = "a rule of a mirror needs `mode = \"trusted\"`";
                findings.push(finding(Level::Fail, "the policy verifies nothing", hint));
            }
            Err(refused) => {
                let what = format!("for {}: {}", entry.platform, whole(&refused));
                findings.push(finding(Level::Fail, what, refused.hint()));
            }
        }
    }
    (findings, signed_by)
}

impl Candidate {
    /// `l3af/ratelimit 1.2.0`.
    pub(crate) fn title(&self) -> String {
        format!("{}/{} {}", self.publisher, self.name, self.version)
    }

    /// The tag of its version, which has no `+`.
    pub(crate) fn tag(&self) -> String {
        self.version.to_string().replace('+', "_")
    }

    /// As the checks see it, which is of no place yet.
    fn release(&self) -> Release {
        Release {
            id: String::new(),
            package: String::new(),
            version: self.version.clone(),
            repository: String::new(),
            digest: self.digest.to_string(),
            state: State::Pending,
            reason: None,
            evidence: 0,
            pushed_by: None,
            pushed_ms: 0,
            released_ms: None,
            facts: None,
            signed_by: None,
            pulls: 0,
            publisher: self.publisher.clone(),
            name: self.name.clone(),
        }
    }
}

/// Releases a candidate whose manifests are listed in a repository: everybody can have it once this is durable.
///
/// # Errors
/// When the version is used already, or something of it was rejected here.
pub(crate) async fn release(
    connection: &mut AnyConnection,
    candidate: &Candidate,
    (repository, digests): (&str, &BTreeSet<Digest>),
    judged: &Judged,
    now_ms: i64,
) -> Result<(), Clash> {
    for digest in digests {
        if let Some(reason) = arrival::rejection(connection, &digest.to_string()).await? {
            return Err(Clash::Other(format!("{digest} was rejected here, under whatever name: {reason}")));
        }
    }
    let package = arrival::package(connection, (&candidate.publisher, &candidate.name), now_ms).await;
    let package = package.map_err(|turned| match turned {
        arrival::Turned::Away { why } => Clash::Other(why),
        arrival::Turned::Database(error) => Clash::Database(error),
    })?;
    let insert = "INSERT INTO releases (id, package, version, repository, digest, state, pushed_ms, changed_ms, facts, signed_by) \
                  VALUES ($1, $2, $3, $4, $5, 'review', $6, $6, $7, $8) ON CONFLICT (package, version) DO NOTHING";
    let (id, version) = (Uuid::now_v7().to_string(), candidate.version.to_string());
    let facts = judged.facts.as_ref().map(serde_json::to_string).transpose().map_err(undecodable)?;
    let insert = sqlx::query(insert).bind(&id).bind(&package).bind(&version).bind(repository);
    let insert = insert.bind(candidate.digest.to_string()).bind(now_ms).bind(facts).bind(&judged.signed_by);
    if insert.execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(Clash::Other(format!("there is a release {} already", candidate.title())));
    }
    queue::keep(connection, &id, &judged.results).await?;
    let tag = "INSERT INTO tags (repository, name, digest, updated_ms) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, updated_ms = excluded.updated_ms";
    let tag = sqlx::query(tag).bind(repository).bind(candidate.tag()).bind(candidate.digest.to_string());
    tag.bind(now_ms).execute(&mut *connection).await?;
    state::go(connection, &id, State::Released, None, now_ms).await?;
    let digest = candidate.digest.to_string().parse().map_err(undecodable)?;
    registry::reveal(connection, repository, &digest).await?;
    Ok(search::index(connection, &package).await?)
}

/// Leads nobody to a release any more, for a reason, which may be another one than before.
///
/// # Errors
/// When the database fails.
pub(crate) async fn warn(
    connection: &mut AnyConnection,
    release: &Release,
    reason: &str,
    now_ms: i64,
) -> sqlx::Result<()> {
    if done(withdrawal::yank(connection, release, reason, now_ms).await)? {
        return Ok(());
    }
    let update = "UPDATE releases SET reason = $2, changed_ms = $3 WHERE id = $1 AND state = 'yanked'";
    let update = sqlx::query(update).bind(&release.id).bind(reason).bind(now_ms);
    update.execute(&mut *connection).await?;
    rebuild::stale(connection, &release.repository).await
}

/// Leads people to a release again. Returns whether that is new.
///
/// # Errors
/// When the database fails.
pub(crate) async fn unyank(
    connection: &mut AnyConnection,
    release: &Release,
    now_ms: i64,
) -> sqlx::Result<bool> {
    done(withdrawal::unyank(connection, release, now_ms).await)
}

/// Removes a release. Returns whether that is new.
///
/// # Errors
/// When the database fails.
pub(crate) async fn remove(
    connection: &mut AnyConnection,
    release: &Release,
    reason: &str,
    now_ms: i64,
) -> sqlx::Result<bool> {
    done(withdrawal::remove(connection, release, Some(reason), now_ms).await)
}

/// Keeps what another place says is wrong with versions of a package, as far as it can be read. Returns how many are new.
///
/// # Errors
/// When the database fails.
pub(crate) async fn advise(
    connection: &mut AnyConnection,
    package: &str,
    told: &[Advisory],
    now_ms: i64,
) -> sqlx::Result<u64> {
    let mut new = 0;
    for advisory in told.iter().filter(|advisory| is_fit(advisory)) {
        new += u64::from(advisories::keep(connection, package, advisory, now_ms).await?);
    }
    Ok(new)
}

/// What is known to be wrong with versions of a package, the latest first.
///
/// # Errors
/// When the database fails.
pub(crate) async fn advisories(readers: &AnyPool, package: &str) -> sqlx::Result<Vec<Advisory>> {
    let known = advisories::of(readers, package).await?;
    Ok(known.into_iter().map(|(_, advisory)| advisory).collect())
}

fn is_fit(advisory: &Advisory) -> bool {
    let length = advisory.range.len() + advisory.title.len() + advisory.text.len();
    Uuid::try_parse(&advisory.id).is_ok()
        && advisory.range.parse::<VersionReq>().is_ok()
        && length <= MAX_ADVISORY_BYTES
}

/// Somebody who came first leaves nothing to be done.
fn done(done: Result<(), Unwithdrawn>) -> sqlx::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(Unwithdrawn::Database(error)) => Err(error),
        Err(Unwithdrawn::State { .. } | Unwithdrawn::Late { .. } | Unwithdrawn::Used { .. }) => Ok(false),
    }
}
