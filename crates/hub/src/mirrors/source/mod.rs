// SPDX-License-Identifier: Apache-2.0
//! Where packages are taken from: another hub, a registry that is none, or a folder. Nothing of what it says is believed: bytes are
//! compared with their digests here, and what they are worth the rule's trust policy decides.

mod folder;
mod online;

use std::sync::Arc;

use jiff::Timestamp;
use package::{Digest, Version};
use thiserror::Error;
use wire::RegistryError;
use wire::hub::{Advisory, HubError, State};

use self::folder::Folder;
use self::online::Online;
use super::pattern::Pattern;
use super::rule::{MirrorRule, MirrorSource, Unruly};
use crate::Hub;

pub(super) use self::folder::NoExport;
pub(crate) use self::folder::{EXPORT, PACKAGES, layout};

/// A place that has packages.
pub(super) enum Source {
    Online(Box<Online>),
    Folder(Arc<Folder>),
}

/// A package of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) publisher: String,
    pub(super) name: String,
}

/// What a source has of a package.
#[derive(Debug, Default)]
pub(super) struct Offer {
    pub(super) releases: Vec<Offered>,
    pub(super) advisories: Vec<Advisory>,
    /// Whether it says what is yanked.
    pub(super) tells_yanks: bool,
}

/// A release of a source.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) version: Version,
    /// The digest of its index, or why it cannot be had.
    pub(super) digest: Result<Digest, String>,
    pub(super) standing: Standing,
}

/// What a source thinks of a release that people had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Released,
    /// It warns of it, for this reason.
    Yanked(String),
    /// It gives it to nobody any more, for this reason.
    TakenDown(String),
}

impl Standing {
    /// None where people never had it.
    pub(super) fn of(state: State, reason: Option<String>) -> Option<Self> {
        match state {
            State::Released => Some(Self::Released),
            State::Yanked => Some(Self::Yanked(reason.unwrap_or_default())),
            State::TakenDown => Some(Self::TakenDown(reason.unwrap_or_default())),
            State::Pending
            | State::Checking
            | State::Review
            | State::ChangesAsked
            | State::Rejected
            | State::Deleted => None,
        }
    }

    /// Why nobody should be led to it; none where people should.
    pub(super) fn warning(&self) -> Option<String> {
        match self {
            Self::Released => None,
            Self::Yanked(reason) => Some(format!("yanked: {reason}")),
            Self::TakenDown(reason) => Some(format!("taken down ({reason})")),
        }
    }
}

/// Something cannot be fetched.
#[derive(Debug, Error)]
pub(super) enum Unfetched {
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Folder(#[from] NoExport),
    #[error(transparent)]
    Unruly(#[from] Unruly),
    /// The logins cannot be used.
    #[error("the logins of `[mirrors]` cannot be used")]
    Logins(#[from] wire::BadCredentials),
    /// It is not what it should be.
    #[error("{0}")]
    Unfit(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// The storage failed.
    #[error("the storage failed")]
    Storage(#[from] std::io::Error),
}

impl Unfetched {
    /// Whether it may be about the source as a whole, so that what else is asked for would fail as well.
    pub(super) fn halts(&self) -> bool {
        match self {
            Self::Hub(HubError::Refused { problem, .. }) => is_of_server(problem.status),
            Self::Hub(error) => !error.is_missing() && !matches!(error, HubError::TooLarge { .. }),
            Self::Registry(error) => is_of_registry(error),
            Self::Unfit(_) => false,
            Self::Folder(error) => error.is_whole(),
            Self::Unruly(_) | Self::Logins(_) | Self::Database(_) | Self::Storage(_) => true,
        }
    }

    /// Whether it is about this hub and no source.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Unruly(_) | Self::Logins(_) | Self::Database(_) | Self::Storage(_))
    }

    /// Whether the source says that there is no such thing.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Hub(error) => error.is_missing(),
            Self::Registry(error) => matches!(error, RegistryError::Missing { .. }),
            Self::Folder(error) => error.is_missing(),
            Self::Unruly(_) | Self::Logins(_) | Self::Unfit(_) | Self::Database(_) | Self::Storage(_) => {
                false
            }
        }
    }
}

/// Whether a registry fails for everything.
fn is_of_registry(error: &RegistryError) -> bool {
    if let RegistryError::Status { status, .. } = error {
        return is_of_server(*status);
    }
    matches!(
        error,
        RegistryError::Unreachable { .. } | RegistryError::TooSlow { .. } | RegistryError::NoClient(_)
    )
}

fn is_of_server(status: u16) -> bool {
    status >= 500 || status == 429
}

impl Source {
    /// Finds out what the source of a rule is.
    ///
    /// # Errors
    /// When it cannot be reached, or is none.
    pub(super) async fn open(hub: &Arc<Hub>, rule: &MirrorRule) -> Result<Self, Unfetched> {
        rule.source.check(&hub.config.mirrors)?;
        match &rule.source {
            MirrorSource::Host(host) => {
                Online::open(host, hub.config.mirrors.logins.as_deref()).await.map(Box::new).map(Self::Online)
            }
            MirrorSource::Folder(folder) => Ok(Self::Folder(Arc::new(Folder::open(folder).await?))),
        }
    }

    /// The packages that it has of those that are meant.
    pub(super) async fn packages(&self, patterns: &[Pattern]) -> Result<Vec<Named>, Unfetched> {
        match self {
            Self::Online(online) => online.packages(patterns).await,
            Self::Folder(folder) => Ok(folder.packages(patterns)),
        }
    }

    /// What it has of a package.
    pub(super) async fn offer(&self, package: &Named) -> Result<Offer, Unfetched> {
        match self {
            Self::Online(online) => online.offer(package).await,
            Self::Folder(folder) => folder.offer(package).await,
        }
    }

    /// A manifest or an index.
    pub(super) async fn document(&self, package: &Named, digest: &Digest) -> Result<Vec<u8>, Unfetched> {
        match self {
            Self::Online(online) => online.document(package, digest).await,
            Self::Folder(folder) => folder.document(package, digest).await,
        }
    }

    /// A blob of so many bytes at most.
    pub(super) async fn blob(
        &self,
        package: &Named,
        (digest, max_bytes): (&Digest, u64),
    ) -> Result<Vec<u8>, Unfetched> {
        match self {
            Self::Online(online) => online.blob(package, (digest, max_bytes)).await,
            Self::Folder(folder) => folder.blob(package, (digest, max_bytes)).await,
        }
    }

    /// The digests of what refers to a document.
    pub(super) async fn referring(&self, package: &Named, digest: &Digest) -> Result<Vec<String>, Unfetched> {
        match self {
            Self::Online(online) => online.referring(package, digest).await,
            Self::Folder(folder) => folder.referring(package, digest).await,
        }
    }

    /// The reference by which a release is fetched; none where it comes in a folder.
    pub(super) fn reference(&self, package: &Named, tag: &str) -> Option<String> {
        match self {
            Self::Online(online) => Some(format!("{}/{package}:{tag}", online.host)),
            Self::Folder(_) => None,
        }
    }

    /// When somebody looked for what is revoked: now, or nobody can.
    pub(super) fn looked(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Online(_) => Some(now),
            Self::Folder(_) => None,
        }
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.publisher, self.name)
    }
}
