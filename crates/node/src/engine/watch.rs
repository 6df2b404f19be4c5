// SPDX-License-Identifier: Apache-2.0
//! Watching over trust: what runs is verified again when the policy changes, when repositories tell something new and at
//! least hourly, and what was accepted is remembered.
//!
//! Whatever is trusted no longer is left out of what is wanted, or kept, as the policy says. The generation in force stays
//! as it is, so that its members come back by themselves when the policy trusts them again.

use std::io;

use jiff::{SignedDuration, Timestamp};
use package::{Blobs, Digest};
use plan::Desired;
use trust::{Explanation, Mode, Policy};
use wire::{Alarm, Document, EventKind, TrustMode};

use super::Engine;
use crate::Rejected;
use crate::events::Happened;
use crate::evidence::Found;
use crate::fetch::Fetched;
use crate::policy::PolicyFiles;
use crate::resolve::{Demand, MAX_DOCUMENT_BYTES, Resolved};
use crate::standing::{Explanations, Withdrawn};

/// How long a verification of what runs holds without another look.
const HOLDS_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What is known of the trust in what runs.
#[derive(Debug, Default)]
pub(super) struct TrustWatch {
    /// Under which policy what runs was verified last, and when; none when it is to be verified again.
    verified: Option<(Digest, Timestamp)>,
    /// None until a policy was read.
    mode: Option<Mode>,
    alarms: Vec<Alarm>,
    withdrawn: Explanations,
}

/// What came of verifying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reverified {
    /// Nobody did: the last time still holds.
    NotDue,
    /// All stands as it stood.
    AsBefore,
    /// Something lost its trust, or has it back.
    Otherwise,
}

impl TrustWatch {
    /// Has what runs verified again at the next opportunity.
    pub(super) fn make_due(&mut self) {
        self.verified = None;
    }

    /// The mode of the policy that was read last.
    pub(super) fn mode(&self) -> TrustMode {
        match self.mode.unwrap_or_default() {
            Mode::Trusted => TrustMode::Trusted,
            Mode::Normal => TrustMode::Normal,
        }
    }

    /// What somebody should look at.
    pub(super) fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }

    /// How it was found that a package is trusted no longer.
    pub(super) fn withdrawn(&self, reference: &str) -> Option<&Explanation> {
        self.withdrawn.get(reference)
    }

    /// Takes what is wrong now for what is wrong. What is new of it is logged, once.
    fn raise(&mut self, alarms: Vec<Alarm>) -> bool {
        for alarm in alarms.iter().filter(|alarm| !self.alarms.contains(alarm)) {
            let (removed, kept) = (alarm.removed.join(", "), alarm.kept.join(", "));
            tracing::error!(package.reference = alarm.package, removed, kept, "{alarm}");
        }
        for over in self.alarms.iter().filter(|alarm| !alarms.contains(alarm)) {
            tracing::info!(package.reference = over.package, "no longer so: {}", over.title);
        }
        std::mem::replace(&mut self.alarms, alarms) != self.alarms
    }
}

impl Engine {
    /// Has what runs verified again at the next tick: somebody asked for it.
    pub fn look_again(&mut self) {
        self.trust.make_due();
    }

    /// Takes note of what repositories tell about the packages in force, and has them verified again. `is_all` says whether all
    /// of them answered: only then was looked for what is revoked.
    ///
    /// # Errors
    /// When the policy cannot be read, or what was found cannot be kept.
    pub fn learn(&mut self, found: Found, is_all: bool) -> Result<(), Rejected> {
        let policy = PolicyFiles::read(&self.parts.config.policy)?.policy()?;
        // A key that is revoked beside one package is revoked for all of its publisher's.
        let roots = found.roots().map(|digest| self.store.blob(&digest, MAX_DOCUMENT_BYTES));
        let roots: Vec<Vec<u8>> = roots.collect::<Result<_, _>>().map_err(|source| Rejected::State {
            action: "read a root that was found",
            source: io::Error::other(source),
        })?;
        self.memory.learn(&policy, &roots)?;
        if self.evidence.add(found)? {
            tracing::info!("repositories have new statements or roots about what runs");
            self.trust.make_due();
        }
        if is_all { self.memory.looked((self.parts.clock)()) } else { Ok(()) }
    }

    /// Verifies the generation in force again if that is due, and takes it up as it stands then. Without a policy nothing
    /// is changed: what runs was trusted when somebody could still tell.
    pub(super) fn verify_again(&mut self) -> Result<Reverified, Rejected> {
        let files = PolicyFiles::read(&self.parts.config.policy)?;
        let (digest, now) = (files.digest(), (self.parts.clock)());
        // A clock that was put back must not make a verification hold for longer.
        let holds =
            |(under, at): &(Digest, Timestamp)| *under == digest && now.duration_since(*at).abs() < HOLDS_FOR;
        if self.trust.verified.as_ref().is_some_and(holds) {
            return Ok(Reverified::NotDue);
        }
        let mut outcome = Reverified::AsBefore;
        match &self.current()? {
            None => self.note(&files.policy()?)?,
            Some(generation) => {
                let policy = files.policy_that_is_there()?;
                self.note(&policy)?;
                let Resolved { desired, withdrawn, .. } =
                    self.resolve(&generation.document, &policy, Demand::InForce, &Fetched::default())?;
                if self.raise(withdrawn) {
                    outcome = Reverified::Otherwise;
                }
                self.desired = Some(desired);
            }
        }
        self.trust.verified = Some((digest, now));
        Ok(outcome)
    }

    /// The policy for a document. To take all off needs nobody's trust, and no policy that can be read.
    pub(super) fn policy_for(&mut self, document: &Document, demand: Demand) -> Result<Policy, Rejected> {
        if document.chains.is_empty() && document.probes.is_empty() {
            return Ok(Policy::default());
        }
        let files = PolicyFiles::read(&self.parts.config.policy)?;
        let policy = match demand {
            Demand::New | Demand::Again => files.policy()?,
            Demand::InForce => files.policy_that_is_there()?,
        };
        self.note(&policy)?;
        Ok(policy)
    }

    /// Reads the mode from the policy, if nobody did so far.
    pub(super) fn note_mode(&mut self) -> Result<(), Rejected> {
        if self.trust.mode.is_some() {
            return Ok(());
        }
        let policy = PolicyFiles::read(&self.parts.config.policy)?.policy()?;
        self.note(&policy)
    }

    /// Notes what a policy that was read just now says of the node. Where nothing that runs came from a repository, to read
    /// it is to look for what is revoked: nobody else could tell.
    fn note(&mut self, policy: &Policy) -> Result<(), Rejected> {
        if self.fetched_in_force()?.is_empty() {
            self.memory.looked((self.parts.clock)())?;
        }
        if self.trust.mode.replace(policy.mode()) != Some(policy.mode()) {
            match policy.mode() {
                Mode::Normal => {
                    tracing::warn!("mode `normal`: packages are NOT verified, anything that is applied runs");
                }
                Mode::Trusted => {
                    tracing::info!(policy = %self.parts.config.policy.display(), "packages are verified");
                }
            }
        }
        Ok(())
    }

    /// Remembers what was accepted and is reached.
    pub(super) fn remember(&self, desired: &Desired) -> Result<(), Rejected> {
        self.memory.remember(desired.packages().into_iter().map(AsRef::as_ref))
    }

    /// Raises an alarm for each package that is trusted no longer, and for no other. Returns whether that is news.
    pub(super) fn raise(&mut self, withdrawn: Vec<Withdrawn>) -> bool {
        let before = self.trust.alarms.clone();
        let is_news = self.trust.raise(withdrawn.iter().map(Withdrawn::alarm).collect());
        for (kind, ones, others) in [
            (EventKind::Alarm, &self.trust.alarms, &before),
            (EventKind::AlarmOver, &before, &self.trust.alarms),
        ] {
            for alarm in ones.iter().filter(|alarm| !others.contains(alarm)) {
                self.tell(Happened::new(kind, alarm.to_string()));
            }
        }
        let told = withdrawn.into_iter().map(|package| (package.reference, package.explanation));
        self.trust.withdrawn = told.collect();
        is_news
    }
}
