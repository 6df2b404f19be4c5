// SPDX-License-Identifier: Apache-2.0
//! What an endorser states: that a publisher, or one release, may be trusted.
//!
//! An endorsement counts only where the policy of a machine names the endorser, and for one level: who is endorsed
//! endorses nobody.

use jiff::Timestamp;
use package::{Digest, Glob, PublisherName};
use serde::{Deserialize, Serialize};

use crate::found::Found;
use crate::in_toto::{Predicate, Statement, Subject};

/// What is stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endorsement {
    /// Whose packages.
    pub publisher: PublisherName,
    /// Which of them.
    pub endorses: Endorsed,
    /// When the statement was made.
    pub created: Timestamp,
    /// From when on it holds no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// What somebody endorses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Endorsed {
    /// What a publisher signs.
    Publisher {
        /// The digest of the publisher's first root: whoever has that name and another root is somebody else.
        root: Digest,
        /// For which packages.
        packages: Vec<Glob>,
    },
    /// One release, whoever signed it.
    Release {
        /// The digest of its index, or of the single object.
        digest: Digest,
    },
}

impl Endorsement {
    /// Whether it speaks of this release.
    pub(crate) fn covers(&self, found: &Found) -> bool {
        self.publisher == found.publisher
            && match &self.endorses {
                Endorsed::Publisher { packages, .. } => {
                    packages.iter().any(|packages| packages.matches(found.package.as_ref()))
                }
                Endorsed::Release { digest } => found.is_named(digest),
            }
    }
}

impl Predicate for Endorsement {
    const TYPE: &'static str = "https://l3af.io/endorsement/v1";
    const WHAT: &'static str = "an endorsement";
}

impl From<Endorsement> for Statement<Endorsement> {
    fn from(endorsement: Endorsement) -> Self {
        let subject = match &endorsement.endorses {
            Endorsed::Publisher { root, .. } => {
                Subject::new(format!("root of {}", endorsement.publisher), root)
            }
            Endorsed::Release { digest } => {
                Subject::new(format!("release of {}", endorsement.publisher), digest)
            }
        };
        Self::new(vec![subject], endorsement)
    }
}
