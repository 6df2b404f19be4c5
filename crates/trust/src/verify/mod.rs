// SPDX-License-Identifier: Apache-2.0
//! The one door: from a package that was read to a package that may run.

mod authority;
mod certification;
mod kept;
mod refused;
mod statement;

use jiff::{SignedDuration, Timestamp};
use package::{Digest, Package, PackagePlatform, Platform, PublisherName};

use crate::explain::{Explanation, Rule, Trail};
use crate::found::Found;
use crate::policy::{Exception, Mode, Policy};
use crate::{KeyId, Memory};

pub use kept::keep;
pub use refused::{Discount, Mismatch, Refused};

use authority::{Authority, endorser};
use statement::Examination;

/// How far the clocks of those who sign and those who verify may be apart.
pub(crate) const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A package that passed: the only thing that can be planned. It cannot be made but by [`verify()`], and by
/// [`keep()`] where what ran is no longer trusted.
#[derive(Debug)]
pub struct Verified {
    package: Package,
    machine: usize,
    assurance: Assurance,
}

/// Why a package was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assurance {
    /// Trusted signers signed a statement about exactly these bytes for this platform.
    Signed {
        /// Whose signers.
        publisher: PublisherName,
        /// With which keys.
        keys: Vec<KeyId>,
        /// The digest of the envelope.
        envelope: Digest,
        /// When the statement was made.
        created: Timestamp,
        /// The versions of the publisher's root up to the one that counted, oldest first: to be remembered. None where
        /// the policy names keys.
        roots: Vec<String>,
        /// Who endorsed it, where somebody had to.
        endorser: Option<PublisherName>,
    },
    /// The policy makes an exception.
    Exception {
        /// Why.
        reason: String,
        /// Until when.
        until: Timestamp,
    },
    /// It is trusted no longer, and the policy lets what ran run on.
    Kept {
        /// Why it is not trusted.
        why: String,
    },
    /// Nothing was verified: the policy's mode is `normal`.
    None,
}

/// What came with a package. Nothing of it is trusted.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Statements about it, endorsements and certifications of roots, each in its envelope.
    pub envelopes: Vec<Vec<u8>>,
    /// Versions of the roots of those who signed, in any order.
    pub roots: Vec<Vec<u8>>,
    /// The reference it was fetched by, such as `hub.example.org/network/ratelimit:1.2.0`; none where it came from this
    /// machine.
    pub fetched_from: Option<String>,
}

/// Where, when and for what something is verified.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Whom this machine trusts.
    pub policy: &'a Policy,
    /// What it is.
    pub machine: &'a Platform,
    /// What it accepted before.
    pub memory: &'a Memory,
    /// What its clock says.
    pub now: Timestamp,
    /// When somebody last looked for what is revoked; none where nobody can.
    pub looked: Option<Timestamp>,
    /// What the package is wanted for.
    pub occasion: Occasion,
}

/// What a package is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// To run for the first time. It must not be out of date.
    Deployment,
    /// To run on, to run after a restart, or again after a rollback: it was accepted before. It may have expired.
    Continuation,
}

/// How a verification ended, and how it went.
#[derive(Debug)]
pub struct Judgement<T> {
    /// What it made of it.
    pub outcome: Result<T, Refused>,
    /// Each rule, what it looked at, and how it ended.
    pub explanation: Explanation,
}

impl Verified {
    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// What it holds for this machine.
    pub fn platform(&self) -> &PackagePlatform {
        &self.package.platforms[self.machine]
    }

    /// Why it was accepted.
    pub fn assurance(&self) -> &Assurance {
        &self.assurance
    }
}

impl<'a> Circumstances<'a> {
    /// A first run, where nothing is known of revocations but what the policy says.
    pub fn deployment(policy: &'a Policy, machine: &'a Platform, memory: &'a Memory, now: Timestamp) -> Self {
        Self { policy, machine, memory, now, looked: None, occasion: Occasion::Deployment }
    }

    /// The time to go by.
    pub(crate) fn time(&self) -> Timestamp {
        self.memory.time(self.now)
    }

    /// The latest time at which something may have been made. The tolerance is beside the clock only: beside what was
    /// accepted last, each statement could lead time on a little further.
    pub(crate) fn latest(&self) -> Timestamp {
        let soon = self.now.saturating_add(CLOCK_SKEW);
        self.memory.time(soon.expect("adding a time of fixed length is never ambiguous"))
    }
}

/// Decides whether a package may run.
pub fn verify(package: Package, evidence: &Evidence, at: &Circumstances<'_>) -> Judgement<Verified> {
    let machine = package.platforms.iter().position(|entry| entry.platform == *at.machine);
    let Some(machine) = machine else {
        let mut trail = Trail::default();
        let info = &package.manifest.package;
        let refused = Refused::Platform { package: info.name.clone(), machine: at.machine.clone() };
        let outcome = trail.rule(Rule::Platform, &info.name, Err(refused));
        return Judgement { outcome, explanation: trail.into_explanation() };
    };
    let found = Found::in_package(&package, &package.platforms[machine]);
    let Judgement { outcome, explanation } = judge(&found, evidence, at);
    Judgement { outcome: outcome.map(|assurance| Verified { package, machine, assurance }), explanation }
}

/// Decides whether something may be trusted, such as a single object. What was found is all that is decided upon: whoever
/// asks computed it from the bytes that will be used.
pub fn judge(found: &Found, evidence: &Evidence, at: &Circumstances<'_>) -> Judgement<Assurance> {
    let mut trail = Trail::default();
    let outcome = decide(found, evidence, at, &mut trail);
    Judgement { outcome, explanation: trail.into_explanation() }
}

fn decide(
    found: &Found,
    evidence: &Evidence,
    at: &Circumstances<'_>,
    trail: &mut Trail,
) -> Result<Assurance, Refused> {
    if at.policy.mode() == Mode::Normal {
        trail.skipped(Rule::Mode, "normal", "nothing is verified in this mode");
        return Ok(Assurance::None);
    }
    trail.passed(Rule::Mode, Mode::Trusted);
    trail.rule(Rule::Platform, &found.entry.platform, fits(found, at))?;
    let is_public = trail.rule(Rule::Repository, place(evidence), listed(found, evidence, at))?;
    trail.rule(Rule::Revocation, found, not_revoked(found, at))?;
    fresh(at, trail)?;
    if let Some(exception) = excepted(found, at) {
        trail.passed(Rule::Exception, &exception.reason);
        return Ok(Assurance::Exception { reason: exception.reason.clone(), until: exception.until });
    }
    trail.skipped(Rule::Exception, found, "the policy makes none");
    let authority = Authority::over(found, evidence, at, trail)?;
    let endorser =
        if is_public { Some(endorser(found, &authority.roots, (evidence, at), trail)?) } else { None };
    let endorser = endorser.or_else(|| authority.endorser.clone());
    let examined = Examination { found, authority: &authority, at };
    let (signed, release) = examined.first_that_holds(&evidence.envelopes, trail)?;
    Ok(Assurance::Signed {
        publisher: found.publisher.clone(),
        keys: signed.keys.into_iter().collect(),
        envelope: signed.envelope,
        created: release.created,
        roots: authority.roots.iter().map(|root| root.text().to_owned()).collect(),
        endorser,
    })
}

fn fits(found: &Found, at: &Circumstances<'_>) -> Result<(), Refused> {
    if found.entry.platform == *at.machine {
        return Ok(());
    }
    Err(Refused::Platform { package: found.package.clone(), machine: at.machine.clone() })
}

fn place(evidence: &Evidence) -> String {
    evidence.fetched_from.clone().unwrap_or_else(|| "this machine".to_owned())
}

/// Whether it comes from a place where strangers may publish.
fn listed(found: &Found, evidence: &Evidence, at: &Circumstances<'_>) -> Result<bool, Refused> {
    let Some(reference) = &evidence.fetched_from else { return Ok(false) };
    let repository = at.policy.repository(reference).ok_or_else(|| Refused::Repository {
        package: found.package.clone(),
        reference: reference.clone(),
    })?;
    Ok(repository.public)
}

fn not_revoked(found: &Found, at: &Circumstances<'_>) -> Result<(), Refused> {
    for revocation in &at.policy.revocations {
        if let Some(what) = revocation.revoked.concerns(found) {
            let (package, reason) = (found.package.clone(), revocation.reason.clone());
            return Err(Refused::Revoked { package, what, reason });
        }
    }
    Ok(())
}

fn fresh(at: &Circumstances<'_>, trail: &mut Trail) -> Result<(), Refused> {
    let Some(max_age) = at.policy.max_age() else {
        trail.skipped(Rule::Freshness, "max_age_hours", "the policy sets none");
        return Ok(());
    };
    if at.occasion == Occasion::Continuation {
        trail.skipped(Rule::Freshness, "max_age_hours", "it was accepted before");
        return Ok(());
    }
    let age = at.looked.map(|looked| at.time().duration_since(looked));
    let result = match age {
        Some(age) if age <= max_age => Ok(()),
        Some(_) | None => Err(Refused::Stale { looked: at.looked, hours: max_age.as_hours() }),
    };
    trail.rule(Rule::Freshness, at.looked.map_or_else(|| "never".to_owned(), |at| at.to_string()), result)
}

fn excepted<'a>(found: &Found, at: &Circumstances<'a>) -> Option<&'a Exception> {
    let in_time =
        |exception: &&Exception| at.time() < exception.until || at.occasion == Occasion::Continuation;
    at.policy.exceptions.iter().filter(|exception| found.is_named(&exception.digest)).find(in_time)
}

#[cfg(test)]
mod tests;
