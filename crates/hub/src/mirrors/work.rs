// SPDX-License-Identifier: Apache-2.0
//! Carries out rules that are due, and those that somebody at the machine wants carried out now.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use thiserror::Error;
use tokio::task::JoinSet;

use super::keep::Halted;
use super::lease::{self, Lease, RENEW_MS};
use super::rows::{self, Mirror, MirrorResult, Unset};
use super::rule::{MirrorRule, RuleName};
use super::run;
use crate::Hub;
use crate::answer::whole;

/// How often is looked for what is due.
const PERIOD: Duration = Duration::from_millis(500);
/// How many rules a hub carries out at a time.
const AT_ONCE: usize = 2;
/// How many results are read at a time.
const PAGE: i64 = 1000;
/// Who changes rules at the machine of the hub, as the record of changes has it.
const ACTOR: &str = "l3af-hub";

/// What came of carrying out a rule.
#[derive(Debug)]
pub struct Ran {
    /// What could not be done; none where all of it could.
    pub problem: Option<String>,
    /// How many releases it is about, by what became of them.
    pub releases: BTreeMap<String, i64>,
    /// Those that this hub does not have as the source has them, with why.
    pub told: Vec<MirrorResult>,
}

/// A rule is not carried out.
#[derive(Debug, Error)]
pub enum Unrun {
    /// There is no such rule.
    #[error(transparent)]
    Unset(#[from] Unset),
    /// Another hub, or another process, carries it out.
    #[error("the mirror `{name}` is being carried out by another hub or process, or was until a moment ago")]
    Busy {
        /// Which.
        name: String,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Carries out what is due, for ever.
pub(crate) async fn work(hub: Arc<Hub>) {
    let mut period = tokio::time::interval(PERIOD);
    let mut running = JoinSet::new();
    loop {
        period.tick().await;
        while running.try_join_next().is_some() {}
        while running.len() < AT_ONCE {
            let Some(lease) = due(&hub).await else { break };
            let hub = Arc::clone(&hub);
            drop(running.spawn(async move { carry_out(&hub, &lease).await }));
        }
    }
}

/// The next rule that is due, under its lease.
async fn due(hub: &Arc<Hub>) -> Option<Lease> {
    lease::take_due(hub).await.unwrap_or_else(|error| {
        tracing::error!("no rule of a mirror can be carried out now: {error}");
        None
    })
}

/// Carries out a rule under its lease, and says what could not be done.
async fn carry_out(hub: &Arc<Hub>, lease: &Lease) -> Option<String> {
    let ran = tokio::select! {
        ran = run::run(hub, lease) => ran,
        lost = keep_lease(hub, lease) => Err(lost),
    };
    let problem = match &ran {
        Ok(problems) if problems.is_empty() => None,
        Ok(problems) => Some(problems.join("; ")),
        Err(halted) => Some(whole(halted)),
    };
    hub.mirrors.ran(problem.is_none());
    if let Some(problem) = &problem {
        tracing::warn!(mirror = lease.name, "not all of it could be mirrored: {problem}");
    }
    if !matches!(ran, Err(Halted::Lost))
        && let Err(error) = lease.end(hub, problem.clone()).await
    {
        tracing::error!(mirror = lease.name, "how it went is not written down: {error}");
    }
    problem
}

/// Renews a lease until it is lost.
async fn keep_lease(hub: &Arc<Hub>, lease: &Lease) -> Halted {
    loop {
        tokio::time::sleep(Duration::from_millis(RENEW_MS)).await;
        match lease.renew(hub).await {
            Ok(true) => {}
            Ok(false) => return Halted::Lost,
            Err(error) => return error.into(),
        }
    }
}

impl Hub {
    /// Sets the rule of a mirror, in place of one of the same name. A hub that serves carries it out at once.
    ///
    /// # Errors
    /// When it cannot be carried out as it is.
    pub async fn set_mirror(&self, name: RuleName, rule: MirrorRule) -> Result<(), Unset> {
        rule.check(&self.config.mirrors)?;
        let now_ms = self.now_ms();
        let set = self.database.write(move |connection| {
            async move { rows::set(connection, (&name, &rule), ACTOR, now_ms).await }.boxed()
        });
        set.await.map(drop)
    }

    /// Removes the rule of a mirror. What it brought stays.
    ///
    /// # Errors
    /// When there is none.
    pub async fn remove_mirror(&self, name: &str) -> Result<(), Unset> {
        let (name, now_ms) = (name.to_owned(), self.now_ms());
        let removed = self.database.write(move |connection| {
            async move { rows::remove(connection, &name, ACTOR, now_ms).await }.boxed()
        });
        removed.await
    }

    /// All rules, by their names.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mirror_rules(&self) -> Result<Vec<Mirror>, Unset> {
        Ok(rows::after(self.database.readers(), ("", PAGE), self.now_ms()).await?)
    }

    /// Carries out a rule now, in this process.
    ///
    /// # Errors
    /// When there is none, or another process does.
    pub async fn run_mirror(self: &Arc<Self>, name: &str) -> Result<Ran, Unrun> {
        let (readers, now_ms) = (self.database.readers(), self.now_ms());
        let mirror = rows::find(readers, name, now_ms).await?;
        let busy = || Unrun::Busy { name: name.to_owned() };
        let lease = lease::take(self, mirror.id, now_ms).await?.ok_or_else(busy)?;
        let problem = carry_out(self, &lease).await;
        let releases = rows::find(readers, name, now_ms).await?.releases;
        let mut told = Vec::new();
        let mut after = String::new();
        loop {
            let page = rows::results(readers, &lease.mirror, (&after, PAGE)).await?;
            let Some(last) = page.last() else { break };
            after = last.key();
            told.extend(page.into_iter().filter(|result| result.problem.is_some()));
        }
        Ok(Ran { problem, releases, told })
    }
}
