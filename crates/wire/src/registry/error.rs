// SPDX-License-Identifier: Apache-2.0
//! What goes wrong with a registry, and what to do about it.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use oci_client::errors::OciDistributionError;
use package::{BlobError, Digest};
use thiserror::Error;

use super::{Reference, Repository};

/// A registry did not give or take what was asked.
#[derive(Debug, Error)]
pub enum RegistryError {
    /// Neither tag nor digest says which release is meant.
    #[error("`{0}` names no release")]
    NoRelease(Reference),
    /// There is nothing by that name.
    #[error("there is no {what} in `{repository}`")]
    Missing {
        /// What was looked for.
        what: String,
        /// Where.
        repository: Repository,
    },
    /// Who asks must log in first, or may not.
    #[error("the registry of `{repository}` asks for a login")]
    LoginNeeded {
        /// What was asked for.
        repository: Repository,
    },
    /// The login does not permit it.
    #[error("the registry of `{repository}` refuses the login it was given")]
    LoginRefused {
        /// What was asked for.
        repository: Repository,
    },
    /// It asks for a login in a way that is not safe or not known.
    #[error("the registry of `{repository}` asks for a login in a way that cannot be used: {problem}")]
    Challenge {
        /// What was asked for.
        repository: Repository,
        /// What is wrong with it.
        problem: String,
    },
    /// It does not answer, or stops in the middle.
    #[error("the registry of `{repository}` does not answer as it should")]
    Unreachable {
        /// What was asked for.
        repository: Repository,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// It answers, but too slowly.
    #[error("the registry of `{repository}` took longer than {} s", limit.as_secs_f32())]
    TooSlow {
        /// What was asked for.
        repository: Repository,
        /// How long it had.
        limit: Duration,
    },
    /// It answers with a failure.
    #[error("the registry of `{repository}` answers {status}: {message}")]
    Status {
        /// What was asked for.
        repository: Repository,
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// It sends more than there may be.
    #[error("`{repository}` sends more than {max_bytes} bytes for {what}")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// Where.
        repository: Repository,
        /// How much there may be.
        max_bytes: u64,
    },
    /// It sends something else.
    #[error("`{repository}` sends other bytes for {wanted}: their digest is {found}")]
    WrongDigest {
        /// What was asked for.
        wanted: Digest,
        /// What came.
        found: Digest,
        /// Where.
        repository: Repository,
    },
    /// What is there is no package.
    #[error("what `{repository}` has there is no package: {problem}")]
    NotAPackage {
        /// Where.
        repository: Repository,
        /// What it is.
        problem: String,
    },
    /// What came cannot be kept.
    #[error("what was fetched cannot be kept")]
    Unkept(#[source] io::Error),
    /// What is to be pushed is not there.
    #[error("the package that is to be pushed lacks {digest}")]
    Unread {
        /// What is missing.
        digest: Digest,
        /// Why.
        #[source]
        source: BlobError,
    },
    /// An upload is refused.
    #[error("the registry of `{repository}` does not take {digest}")]
    Upload {
        /// Where to.
        repository: Repository,
        /// What.
        digest: Digest,
        /// Why not.
        #[source]
        source: Box<OciDistributionError>,
    },
    /// Neither a repository nor its mirrors give it.
    #[error("none of the {} places that were asked gives it: {}", asked.len(), told(asked))]
    Nowhere {
        /// Why not, place by place.
        asked: Vec<RegistryError>,
    },
    /// A mirror knows of no statements, and those who must know cannot be asked.
    #[error("`{mirror}` knows of no statement about it, and may not know all")]
    NothingSaid {
        /// Who was asked in the end.
        mirror: Repository,
        /// Why the repository itself was not.
        #[source]
        source: Box<RegistryError>,
    },
    /// There is no client for uploads on this machine.
    #[error("nothing can be pushed from this machine")]
    NoUploads(#[source] OciDistributionError),
    /// There is no client for HTTP on this machine.
    #[error("no connection to registries can be made on this machine")]
    NoClient(#[source] reqwest::Error),
}

impl RegistryError {
    /// What can be done about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoRelease(reference) => format!("name one by tag or digest, as in `{reference}:1.0.0`"),
            Self::Missing { repository, .. } => {
                format!("`skopeo list-tags docker://{repository}` lists what is there")
            }
            Self::LoginNeeded { repository } | Self::LoginRefused { repository } => format!(
                "log in with `skopeo login --authfile ~/.docker/config.json {}`, or name the file with the login in \
                 `REGISTRY_AUTH_FILE`",
                repository.host()
            ),
            Self::Unreachable { repository, .. } if !repository.is_loopback() => {
                "is it spelled right? Registries are spoken to over TLS, but for those of this machine"
                    .to_owned()
            }
            Self::Unreachable { .. } | Self::TooSlow { .. } => "try again when it is well".to_owned(),
            Self::WrongDigest { .. } | Self::TooLarge { .. } => {
                "nothing of it was used; tell whoever runs the registry".to_owned()
            }
            Self::NotAPackage { .. } => "`l3af push` puts packages there".to_owned(),
            Self::Nowhere { asked } => return asked.iter().find_map(Self::hint),
            Self::NothingSaid { mirror, .. } => format!(
                "copy the package to `{}` with its statements, by `l3af pull` and `l3af push`, or wait for the original",
                mirror.host()
            ),
            Self::Challenge { .. }
            | Self::Status { .. }
            | Self::Unkept(_)
            | Self::Unread { .. }
            | Self::Upload { .. }
            | Self::NoUploads(_)
            | Self::NoClient(_) => return None,
        };
        Some(hint)
    }

    /// What several places say; the one where it is only one.
    pub(super) fn nowhere(mut asked: Vec<Self>) -> Self {
        match asked.pop() {
            Some(only) if asked.is_empty() => only,
            last => {
                asked.extend(last);
                Self::Nowhere { asked }
            }
        }
    }

    /// Whether the place cannot be reached for now, and has said nothing of what was asked for.
    pub(super) fn is_silence(&self) -> bool {
        if let Self::Status { status, .. } = self {
            return *status >= 500 || *status == 429;
        }
        matches!(self, Self::Unreachable { .. } | Self::TooSlow { .. })
    }

    /// Whether another place may do better.
    pub(super) fn is_of_place(&self) -> bool {
        !matches!(
            self,
            Self::NoRelease(_)
                | Self::Unkept(_)
                | Self::Unread { .. }
                | Self::NoUploads(_)
                | Self::NoClient(_)
        )
    }
}

/// What went wrong at each place, with its causes.
fn told(asked: &[RegistryError]) -> String {
    let told = asked.iter().map(|error| {
        let mut text = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            text = format!("{text}: {cause}");
            next = cause.source();
        }
        text
    });
    told.collect::<Vec<_>>().join("; ")
}
