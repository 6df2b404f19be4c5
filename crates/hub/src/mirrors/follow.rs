// SPDX-License-Identifier: Apache-2.0
//! What happens at the source to releases that are here already: new signatures and whatever else refers to them come here too,
//! yanks and advisories follow, and what is deleted there is told, or deleted as well where the rule says so.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use serde_json::json;
use sqlx::AnyConnection;
use wire::hub::{Advisory, State};

use super::fetch::Fetching;
use super::keep::{self, Became, Halted, Unkept};
use super::lease::Lease;
use super::rows::Outcome;
use super::rule::Deletions;
use super::run::{Both, Run};
use super::source::{Named, Offered, Standing};
use crate::packages::mirrored;
use crate::packages::{Release, undecodable};

/// The longest reason that is taken over, in bytes.
const MAX_REASON_BYTES: usize = 4096;
/// The most advisories of a package that are taken over at a time.
const MAX_ADVISORIES: usize = 256;

impl Run<'_> {
    /// Follows what happened to a release.
    pub(super) async fn follow(
        &mut self,
        both: &Both,
        offered: &Offered,
        release: Release,
    ) -> Result<(), Halted> {
        let version = release.version.to_string();
        if release.state == State::Deleted {
            let digest = release.digest.parse().map_err(undecodable)?;
            let why = "it was deleted here".to_owned();
            return self.became(both, (&version, Some(digest)), Outcome::Removed, Some(why)).await;
        }
        let problem = match offered.standing {
            // Neither does it say any more what refers to it.
            Standing::TakenDown(_) => None,
            Standing::Released | Standing::Yanked(_) => self.follow_referrers(both, &release).await?,
        };
        let was_yanked = both.known(&version).is_some_and(|known| known.yanked);
        let mut became = Became {
            package: both.named.clone(),
            version,
            digest: Some(release.digest.clone()),
            outcome: Outcome::Mirrored,
            problem,
            yanked: was_yanked,
        };
        // The namespace may be one that another rule left.
        if both.known(&became.version).is_none() && !self.adopt(became.clone()).await? {
            return Ok(());
        }
        let warning = offered.standing.warning().map(|warning| self.reason(&warning));
        match (warning, release.state) {
            (Some(warning), State::Released) => {
                became.yanked = true;
                self.warn(release, warning, became).await
            }
            // Somebody who yanked it here had a reason of their own.
            (Some(warning), State::Yanked) if was_yanked && release.reason.as_ref() != Some(&warning) => {
                self.warn(release, warning, became).await
            }
            (None, State::Yanked) if was_yanked && both.offer().tells_yanks => {
                became.yanked = false;
                self.unyank(release, became).await
            }
            _ => self.write(both, became).await,
        }
    }

    /// Takes over what refers to a release and is not here yet. Returns what cannot be had.
    async fn follow_referrers(&mut self, both: &Both, release: &Release) -> Result<Option<String>, Halted> {
        let select = sqlx::query_scalar("SELECT digest FROM manifests WHERE repository = $1");
        let listed: Vec<String> = select.bind(&release.repository).fetch_all(self.readers()).await?;
        let listed: BTreeSet<String> = listed.into_iter().collect();
        let fetching =
            Fetching { hub: self.hub, source: &self.source, package: &both.named, listed: &listed };
        let fetched = match fetching.whole(release.digest.parse().map_err(undecodable)?).await {
            Ok(fetched) => fetched,
            Err(error) => {
                let why = self.bear(error)?;
                self.tell(format!("{}: {why}", release.title()));
                return Ok(Some(format!("what refers to it cannot be had: {why}")));
            }
        };
        self.forgive();
        let said = keep::said(&fetched);
        if fetched.is_empty() {
            return Ok(said);
        }
        match keep::refer(self.hub, self.lease, (&both.named, fetched), release.title()).await {
            Ok(()) => Ok(said),
            Err(Unkept::Halted(halted)) => Err(halted),
            Err(unkept @ (Unkept::Refused(_) | Unkept::Gone)) => {
                self.tell(format!("{}: {unkept}", release.title()));
                Ok(Some(format!("what newly refers to it is not kept: {unkept}")))
            }
        }
    }

    /// Why something is yanked here, which is for people.
    fn reason(&self, said: &str) -> String {
        let mut end = said.len().min(MAX_REASON_BYTES);
        while !said.is_char_boundary(end) {
            end -= 1;
        }
        format!("at {} {}", self.lease.rule.source, &said[..end])
    }

    async fn warn(&self, release: Release, reason: String, became: Became) -> Result<(), Halted> {
        let (lease, now_ms) = (self.lease.clone(), self.hub.now_ms());
        keep::change(self.hub, self.lease, move |connection| {
            async move {
                let detail = json!({ "reason": reason });
                keep::note(connection, (&lease, "release.yank"), (&release.title(), detail), now_ms).await?;
                mirrored::warn(connection, &release, &reason, now_ms).await?;
                keep::write(connection, &lease, &became, now_ms).await?;
                Ok::<_, Halted>(())
            }
            .boxed()
        })
        .await
    }

    async fn unyank(&self, release: Release, became: Became) -> Result<(), Halted> {
        let (lease, now_ms) = (self.lease.clone(), self.hub.now_ms());
        keep::change(self.hub, self.lease, move |connection| {
            async move {
                let subject = (release.title(), serde_json::Value::Null);
                keep::note(connection, (&lease, "release.unyank"), (&subject.0, subject.1), now_ms).await?;
                mirrored::unyank(connection, &release, now_ms).await?;
                keep::write(connection, &lease, &became, now_ms).await?;
                Ok::<_, Halted>(())
            }
            .boxed()
        })
        .await
    }

    /// Takes over a release that is here by a rule that is gone, unless that cannot be.
    async fn adopt(&mut self, became: Became) -> Result<bool, Halted> {
        let (lease, now_ms) = (self.lease.clone(), self.hub.now_ms());
        let adopted = keep::change(self.hub, self.lease, move |connection| {
            async move {
                keep::claim(connection, &lease, &became.package.publisher, now_ms).await?;
                keep::write(connection, &lease, &became, now_ms).await?;
                Ok::<_, Unkept>(())
            }
            .boxed()
        });
        match adopted.await {
            Ok(()) => Ok(true),
            Err(Unkept::Halted(halted)) => Err(halted),
            Err(unkept @ (Unkept::Refused(_) | Unkept::Gone)) => {
                self.tell(unkept.to_string());
                Ok(false)
            }
        }
    }

    /// Follows what the source does not have any more.
    pub(super) async fn follow_deletions(&self, both: &Both) -> Result<(), Halted> {
        let offered: BTreeSet<String> =
            both.offer().releases.iter().map(|offered| offered.version.to_string()).collect();
        let gone =
            both.all_known().filter(|known| known.outcome.is_here() && !offered.contains(&known.version));
        for known in gone {
            let Some(release) = both.here(&known.version).filter(|release| release.state.is_public()) else {
                continue;
            };
            let digest = release.digest.parse().map_err(undecodable)?;
            let place = (known.version.as_str(), Some(digest));
            let why = format!("{} does not have it any more", self.lease.rule.source);
            match self.lease.rule.deletions {
                Deletions::Keep => self.became(both, place, Outcome::Gone, Some(why)).await?,
                Deletions::Follow => {
                    let became = Became {
                        package: both.named.clone(),
                        version: known.version.clone(),
                        digest: known.digest.clone(),
                        outcome: Outcome::Removed,
                        problem: Some(why.clone()),
                        yanked: known.yanked,
                    };
                    self.remove(release.clone(), why, became).await?;
                }
            }
        }
        Ok(())
    }

    async fn remove(&self, release: Release, why: String, became: Became) -> Result<(), Halted> {
        let (lease, now_ms) = (self.lease.clone(), self.hub.now_ms());
        keep::change(self.hub, self.lease, move |connection| {
            async move {
                let detail = json!({ "reason": why });
                keep::note(connection, (&lease, "release.delete"), (&release.title(), detail), now_ms)
                    .await?;
                mirrored::remove(connection, &release, &why, now_ms).await?;
                keep::write(connection, &lease, &became, now_ms).await?;
                Ok::<_, Halted>(())
            }
            .boxed()
        })
        .await
    }

    /// Takes over what is known to be wrong with versions of a package.
    pub(super) async fn follow_advisories(&self, both: &Both) -> Result<(), Halted> {
        if both.obstacle() || both.offer().advisories.is_empty() {
            return Ok(());
        }
        let Named { publisher, name } = &both.named;
        let here = Release::all(self.readers(), publisher, name).await?;
        let Some(package) = here.first().map(|release| release.package.clone()) else { return Ok(()) };
        let known = sqlx::query_scalar("SELECT id FROM advisories WHERE package = $1").bind(&package);
        let known: Vec<String> = known.fetch_all(self.readers()).await?;
        let mut new = both.offer().advisories.clone();
        new.retain(|advisory| !known.contains(&advisory.id));
        new.truncate(MAX_ADVISORIES);
        if new.is_empty() {
            return Ok(());
        }
        let (lease, now_ms, subject) = (self.lease.clone(), self.hub.now_ms(), both.named.to_string());
        keep::change(self.hub, self.lease, move |connection| {
            async move { Ok(advise(connection, &lease, (&subject, &package, &new), now_ms).await?) }.boxed()
        })
        .await
    }
}

/// Keeps advisories in the transaction that says so, where one of them is new.
async fn advise(
    connection: &mut AnyConnection,
    lease: &Lease,
    (subject, package, new): (&str, &str, &[Advisory]),
    now_ms: i64,
) -> sqlx::Result<()> {
    if mirrored::advise(connection, package, new, now_ms).await? == 0 {
        return Ok(());
    }
    let ids: Vec<&str> = new.iter().map(|advisory| advisory.id.as_str()).collect();
    let detail = json!({ "advisories": ids });
    keep::note(connection, (lease, "advisory.mirror"), (subject, detail), now_ms).await
}
