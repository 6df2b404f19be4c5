// SPDX-License-Identifier: Apache-2.0
//! Carrying out a rule: from what the source has to what this hub has.
//!
//! Nothing is remembered between runs but rows: a run that is cut off anywhere is gone on with by the next, and one that finds
//! nothing new changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use package::Digest;
use semver::VersionReq;
use sqlx::AnyPool;
use trust::Policy;

use super::fetch::Fetching;
use super::keep::{self, Became, Halted, Unkept};
use super::lease::Lease;
use super::rows::{self, MirrorResult, Outcome};
use super::source::{Named, Offer, Offered, Source, Standing, Unfetched};
use crate::Hub;
use crate::answer::whole;
use crate::packages::mirrored::{self, Candidate, Terms};
use crate::packages::{Release, Unread, undecodable};

/// The most problems that are told of a run.
const MAX_PROBLEMS: usize = 8;
/// After so many failures in a row that may be about the source as a whole a run ends: one release that can never be had must not
/// keep others from coming.
const MAX_STRIKES: usize = 3;

/// A rule that is being carried out.
pub(super) struct Run<'a> {
    pub(super) hub: &'a Arc<Hub>,
    pub(super) lease: &'a Lease,
    pub(super) source: Source,
    range: VersionReq,
    policy: Arc<Policy>,
    problems: BTreeSet<String>,
    strikes: usize,
}

/// A package, as it is at the source and here.
pub(super) struct Both {
    pub(super) named: Named,
    offer: Offer,
    /// The releases here, by version.
    here: BTreeMap<String, Release>,
    /// What became of them by this rule, by version.
    known: BTreeMap<String, MirrorResult>,
    /// Why this rule may not fill its namespace.
    obstacle: Option<String>,
}

/// Carries out a rule, and says what could not be done for all of it.
pub(super) async fn run(hub: &Arc<Hub>, lease: &Lease) -> Result<Vec<String>, Halted> {
    let policy = Arc::new(lease.rule.policy.read().map_err(Unfetched::from)?);
    let range = lease.rule.range().map_err(Unfetched::from)?;
    let source = Source::open(hub, &lease.rule).await?;
    let mut run = Run { hub, lease, source, range, policy, problems: BTreeSet::new(), strikes: 0 };
    let mut packages: BTreeSet<Named> =
        run.source.packages(&lease.rule.packages).await?.into_iter().collect();
    // What is here already is followed, also where searches do not find it any more.
    let known = rows::packages(hub.database.readers(), &lease.mirror).await?;
    packages.extend(known.into_iter().map(|(publisher, name)| Named { publisher, name }));
    for named in packages {
        run.package(named).await?;
    }
    let told = run.problems.len();
    let mut problems: Vec<String> = run.problems.into_iter().take(MAX_PROBLEMS).collect();
    if told > MAX_PROBLEMS {
        problems.push(format!("and {} more", told - MAX_PROBLEMS));
    }
    Ok(problems)
}

impl Run<'_> {
    async fn package(&mut self, named: Named) -> Result<(), Halted> {
        let readers = self.hub.database.readers();
        let key = (named.publisher.as_str(), named.name.as_str());
        let known = rows::results_of(readers, &self.lease.mirror, key).await?;
        let offer = match self.source.offer(&named).await {
            Ok(offer) => offer,
            Err(missing) if missing.is_missing() => {
                if known.is_empty() {
                    self.problems.insert(format!("the source has no package `{named}`"));
                    return Ok(());
                }
                Offer::default()
            }
            Err(error) => {
                let why = self.bear(error)?;
                self.tell(format!("{named}: {why}"));
                return Ok(());
            }
        };
        let here = Release::all(readers, key.0, key.1).await?;
        let both = Both {
            obstacle: keep::obstacle(self.hub, self.lease, key.0).await?,
            here: here.into_iter().map(|release| (release.version.to_string(), release)).collect(),
            known: known.into_iter().map(|result| (result.version.clone(), result)).collect(),
            named,
            offer,
        };
        for offered in &both.offer.releases {
            self.release(&both, offered).await?;
        }
        self.follow_deletions(&both).await?;
        self.follow_advisories(&both).await
    }

    /// Takes a release over, or follows what happened to it.
    async fn release(&mut self, both: &Both, offered: &Offered) -> Result<(), Halted> {
        let version = offered.version.to_string();
        let known = both.known(&version);
        let is_ours = known.is_some_and(|known| known.outcome.is_here());
        let is_wanted = self.lease.rule.wants(&self.range, &offered.version);
        // Nobody is led to what is yanked, and so neither is this hub.
        let is_new = both.here(&version).is_none();
        if !is_ours && (!is_wanted || (is_new && offered.standing != Standing::Released)) {
            return Ok(());
        }
        let digest = match &offered.digest {
            Ok(digest) => *digest,
            Err(why) => {
                return self.became(both, (&version, None), Outcome::Refused, Some(why.clone())).await;
            }
        };
        let candidate = Candidate {
            publisher: both.named.publisher.clone(),
            name: both.named.name.clone(),
            version: offered.version.clone(),
            digest,
        };
        if let Some(why) = &both.obstacle {
            return self.became(both, (&version, Some(digest)), Outcome::Refused, Some(why.clone())).await;
        }
        match both.here(&version) {
            Some(release) if release.digest == digest.to_string() => {
                self.follow(both, offered, release.clone()).await
            }
            Some(release) => {
                let why = format!(
                    "the source has it as {digest} now, and here it is {}: a version is never used again",
                    release.digest
                );
                let outcome = if is_ours { Outcome::Mirrored } else { Outcome::Refused };
                let named = release.digest.parse().map_err(undecodable)?;
                self.problems.insert(format!("{}: {why}", candidate.title()));
                self.became(both, (&version, Some(named)), outcome, Some(why)).await
            }
            None => self.take(both, candidate).await,
        }
    }

    /// Fetches a release, holds it against the policy, and releases it here.
    async fn take(&mut self, both: &Both, candidate: Candidate) -> Result<(), Halted> {
        let (version, digest) = (candidate.version.to_string(), candidate.digest);
        let listed = BTreeSet::new();
        let fetching =
            Fetching { hub: self.hub, source: &self.source, package: &both.named, listed: &listed };
        let fetched = match fetching.whole(digest).await {
            Ok(fetched) => fetched,
            Err(error) => {
                let why = self.bear(error)?;
                self.tell(format!("{}: {why}", candidate.title()));
                return self.became(both, (&version, Some(digest)), Outcome::Failed, Some(why)).await;
            }
        };
        let evidence = fetching.evidence(digest, &fetched).await?;
        self.forgive();
        let now = Timestamp::from_millisecond(self.hub.now_ms()).map_err(undecodable)?;
        let terms = Terms {
            policy: Arc::clone(&self.policy),
            fetched_from: self.source.reference(&both.named, &candidate.tag()),
            looked: self.source.looked(now),
        };
        let judged = mirrored::look(self.hub, &candidate, (fetched.digests(), evidence), &terms).await;
        let judged = judged.map_err(|unread| match unread {
            Unread::Database(error) => Halted::Database(error),
            Unread::Storage(error) => Unfetched::Storage(std::io::Error::other(error)).into(),
        })?;
        if let Some(why) = judged.refusal() {
            return self.became(both, (&version, Some(digest)), Outcome::Refused, Some(why)).await;
        }
        let title = candidate.title();
        match keep::release(self.hub, self.lease, candidate, (fetched, judged)).await {
            Ok(()) => {
                self.hub.mirrors.became(Outcome::Mirrored);
                tracing::info!(mirror = self.lease.name, "{title} is mirrored");
                Ok(())
            }
            Err(Unkept::Halted(halted)) => Err(halted),
            Err(gone @ Unkept::Gone) => {
                self.problems.insert(format!("{title}: {gone}"));
                self.became(both, (&version, Some(digest)), Outcome::Failed, Some(gone.to_string())).await
            }
            Err(Unkept::Refused(why)) => {
                self.became(both, (&version, Some(digest)), Outcome::Refused, Some(why)).await
            }
        }
    }

    /// Writes down what became of a release, where that is new.
    pub(super) async fn became(
        &self,
        both: &Both,
        (version, digest): (&str, Option<Digest>),
        outcome: Outcome,
        problem: Option<String>,
    ) -> Result<(), Halted> {
        let became = Became {
            package: both.named.clone(),
            version: version.to_owned(),
            digest: digest.map(|digest| digest.to_string()),
            outcome,
            problem,
            yanked: both.known(version).is_some_and(|known| known.yanked),
        };
        self.write(both, became).await
    }

    pub(super) async fn write(&self, both: &Both, became: Became) -> Result<(), Halted> {
        if both.known(&became.version).is_some_and(|known| became.is(known)) {
            return Ok(());
        }
        let (holder, now_ms, told) = (self.lease.clone(), self.hub.now_ms(), became.clone());
        let is_new = keep::change(self.hub, self.lease, move |connection| {
            Box::pin(async move { Ok::<_, Halted>(keep::write(connection, &holder, &became, now_ms).await?) })
        });
        if is_new.await? {
            self.hub.mirrors.became(told.outcome);
            told.log(&self.lease.name);
        }
        Ok(())
    }

    pub(super) fn readers(&self) -> &AnyPool {
        self.hub.database.readers()
    }

    /// Bears that something cannot be fetched, and says why not; ends the run where nothing can be.
    pub(super) fn bear(&mut self, error: Unfetched) -> Result<String, Halted> {
        self.strikes += usize::from(error.halts());
        if error.is_ours() || self.strikes >= MAX_STRIKES {
            return Err(error.into());
        }
        Ok(whole(&error))
    }

    /// Notes that the source answers.
    pub(super) fn forgive(&mut self) {
        self.strikes = 0;
    }

    pub(super) fn tell(&mut self, problem: String) {
        self.problems.insert(problem);
    }
}

impl Both {
    pub(super) fn known(&self, version: &str) -> Option<&MirrorResult> {
        self.known.get(version)
    }

    pub(super) fn all_known(&self) -> impl Iterator<Item = &MirrorResult> {
        self.known.values()
    }

    pub(super) fn here(&self, version: &str) -> Option<&Release> {
        self.here.get(version)
    }

    pub(super) fn offer(&self) -> &Offer {
        &self.offer
    }

    /// Whether the namespace is one that this rule may not fill.
    pub(super) fn obstacle(&self) -> bool {
        self.obstacle.is_some()
    }
}

impl Became {
    /// Whether it is written down so already.
    fn is(&self, known: &MirrorResult) -> bool {
        (&self.digest, self.outcome, &self.problem, self.yanked)
            == (&known.digest, known.outcome, &known.problem, known.yanked)
    }

    fn log(&self, mirror: &str) {
        let Self { package, version, outcome, problem, .. } = self;
        let (outcome, why) = (outcome.name(), problem.as_deref().unwrap_or_default());
        match self.outcome {
            Outcome::Mirrored | Outcome::Removed => {
                tracing::info!(mirror, "{package} {version}: {outcome} {why}");
            }
            Outcome::Refused | Outcome::Failed | Outcome::Gone => {
                tracing::warn!(mirror, "{package} {version}: {outcome}: {why}");
            }
        }
    }
}
