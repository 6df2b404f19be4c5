// SPDX-License-Identifier: Apache-2.0
//! Whom a machine trusts, for what: `trust.toml`. The default trusts nobody.
//!
//! `docs/trust-policy.md` describes every key; [`PolicyDocument`] reads them.

mod anchor;
mod document;
mod error;
mod revoked;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use package::{Digest, Glob, PackageName, Platform, Privileges, ProgramKind, PublisherName, Version};
use serde::{Deserialize, Serialize};

use crate::{Algorithm, Certificate, Discount, Family, KeyId, Pen, Quorum, Signer};

pub use anchor::Anchor;
pub use document::PolicyDocument;
pub use error::PolicyError;
pub use revoked::{BadReleases, Releases, Revocation, Revoked};

/// Whom a machine trusts, for what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    pub(crate) mode: Mode,
    pub(crate) algorithms: Algorithms,
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) endorsers: Vec<Endorser>,
    pub(crate) revocations: Vec<Revocation>,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) withdrawal: Withdrawal,
}

/// Whether packages are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only what a trusted publisher signed for this machine is accepted.
    #[default]
    Trusted,
    /// Everything is accepted.
    Normal,
}

/// The algorithms whose signatures count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Algorithms(pub(crate) BTreeSet<Algorithm>);

/// A publisher whom a machine trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The name.
    pub name: PublisherName,
    /// What they may publish.
    pub packages: Vec<Glob>,
    /// For which platforms; none means all.
    pub platforms: Option<BTreeSet<Platform>>,
    /// For which hooks and kinds of probes; none means all.
    pub hooks: Option<BTreeSet<ProgramKind>>,
    /// What their user programs may be given beyond what every process may do.
    pub user: Privileges,
    /// The families of which each signer must have a key.
    pub require: BTreeSet<Family>,
    /// The authorities of which one must certify a key of each signer; none means that nobody need.
    pub authorities: Vec<Certificate>,
    /// The Private Enterprise Number that must be in the certificates of their signers.
    pub pen: Option<Pen>,
    /// The lowest version of each package that is accepted.
    pub minimum_versions: BTreeMap<PackageName, Version>,
    /// What says who signs for them.
    pub anchor: Anchor,
}

/// One whose word about others counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorser {
    /// The name.
    pub name: PublisherName,
    /// For which packages.
    pub packages: Vec<Glob>,
    /// From when on their word counts no longer.
    pub until: Timestamp,
    /// What says who signs for them.
    pub anchor: Anchor,
}

/// One thing that is let in although nobody trusted signed it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The digest of its index, or of the single object.
    pub digest: Digest,
    /// Why, for those who meet it.
    pub reason: String,
    /// Until when.
    pub until: Timestamp,
}

/// A place that packages may come from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Host, port and the beginning of the name, as in `hub.example.org:5000/network`.
    pub url: String,
    /// Whether strangers may publish there: what comes from it needs an endorsement besides.
    #[serde(default)]
    pub public: bool,
    /// Other places that have what is below the `url`, in the order in which nodes ask them, spelled as it is.
    #[serde(default)]
    pub mirrors: Vec<String>,
}

/// What becomes of what runs when it is no longer trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnRevoked {
    /// It is taken out of its chain.
    #[default]
    Remove,
    /// It runs on, and an alarm is raised.
    Keep,
}

/// How trust is withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Withdrawal {
    pub(crate) on_revoked: OnRevoked,
    pub(crate) at_hooks: BTreeMap<String, OnRevoked>,
    pub(crate) max_age: Option<SignedDuration>,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trusted => "trusted",
            Self::Normal => "normal",
        })
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self(Algorithm::ALL.into())
    }
}

impl Policy {
    /// A policy that trusts one signer for all packages of a publisher.
    pub fn trusting(name: PublisherName, signer: Signer) -> Self {
        let publisher = Publisher {
            name,
            packages: vec![Glob::all()],
            platforms: None,
            hooks: None,
            user: Privileges::default(),
            require: BTreeSet::new(),
            authorities: Vec::new(),
            pen: None,
            minimum_versions: BTreeMap::new(),
            anchor: Anchor::Keys(Quorum::new(vec![signer], 1).expect("one of one")),
        };
        Self { publishers: vec![publisher], ..Self::default() }
    }

    /// Whether packages are verified.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The publisher of that name, if the machine trusts one.
    pub fn publisher(&self, name: &PublisherName) -> Option<&Publisher> {
        self.publishers.iter().find(|publisher| publisher.name == *name)
    }

    /// The names of the publishers that the machine trusts.
    pub fn publishers(&self) -> impl Iterator<Item = &PublisherName> {
        self.publishers.iter().map(|publisher| &publisher.name)
    }

    /// The places that packages may come from.
    pub fn repositories(&self) -> &[Repository] {
        &self.repositories
    }

    /// The repository that a reference such as `hub.example.org/network/ratelimit:1.2.0` belongs to, if one is listed.
    /// Where one lies in another, the inner one counts: a private host may have a public corner.
    pub fn repository(&self, reference: &str) -> Option<&Repository> {
        let holding = self.repositories.iter().filter(|repository| repository.holds(reference));
        holding.max_by_key(|repository| (repository.name().len(), repository.public))
    }

    /// What becomes of what runs at a hook, such as `eth0/xdp`, when it is no longer trusted.
    pub fn on_revoked(&self, hook: &str) -> OnRevoked {
        self.withdrawal.at_hooks.get(hook).copied().unwrap_or(self.withdrawal.on_revoked)
    }

    /// How old the knowledge of revocations may be for something new to be accepted.
    pub fn max_age(&self) -> Option<SignedDuration> {
        self.withdrawal.max_age
    }

    /// Whether what somebody signs counts at all.
    pub(crate) fn counts(&self, signer: &Signer) -> Result<(), Discount> {
        for key in signer.keys() {
            if let Some(reason) = self.revoked_key(&key.id()) {
                return Err(Discount::Revoked { reason: reason.to_owned() });
            }
            if !self.algorithms.0.contains(&key.algorithm()) {
                return Err(Discount::Algorithm(key.algorithm()));
            }
        }
        Ok(())
    }

    /// Why a key counts for nothing, if it is revoked.
    fn revoked_key(&self, key: &KeyId) -> Option<&str> {
        let is_it = |revocation: &&Revocation| revocation.revoked == Revoked::Key(key.clone());
        self.revocations.iter().find(is_it).map(|revocation| revocation.reason.as_str())
    }
}

impl Publisher {
    /// Whether they may publish a package of this name.
    pub fn may_publish(&self, package: &PackageName) -> bool {
        self.packages.iter().any(|packages| packages.matches(package.as_ref()))
    }
}

impl Repository {
    /// Whether a reference lies in it: names go by whole parts, so that `a/b` is not in `a/bc`.
    fn holds(&self, reference: &str) -> bool {
        let rest = reference.strip_prefix(self.name());
        rest.is_some_and(|rest| {
            rest.starts_with('/') || rest.starts_with([':', '@']) && self.name().contains('/')
        })
    }

    /// Where mirrors would have what a reference into this repository names; with its tag and digest.
    pub fn mirrored(&self, reference: &str) -> Vec<String> {
        let Some(rest) = reference.strip_prefix(self.name()) else { return Vec::new() };
        self.mirrors.iter().map(|mirror| format!("{}{rest}", mirror_name(mirror))).collect()
    }

    fn name(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// Refuses mirrors that nobody could ask.
    pub(super) fn check(self) -> Result<Self, PolicyError> {
        let letters = |letter: char| letter.is_ascii_alphanumeric() || "._-/:[]".contains(letter);
        let is_one = |mirror: &str| {
            let name = mirror_name(mirror);
            let path = name.split_once('/').map(|(_, path)| path);
            name.starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '[')
                && name.chars().all(letters)
                && !name.contains("//")
                && path.is_none_or(|path| !path.is_empty() && !path.contains(':'))
        };
        match self.mirrors.iter().find(|mirror| !is_one(mirror)) {
            Some(mirror) => Err(PolicyError::Mirror { repository: self.url.clone(), mirror: mirror.clone() }),
            None => Ok(self),
        }
    }
}

/// A mirror without what says that it is spoken to over TLS, which holds for all but this machine.
fn mirror_name(mirror: &str) -> &str {
    mirror.strip_prefix("https://").unwrap_or(mirror).trim_end_matches('/')
}
