// SPDX-License-Identifier: Apache-2.0
//! What a reviewer states of a release before it is released.
//!
//! An approval says of one release what an [`Endorsement`] says, so it counts as one where the policy of a machine names the
//! reviewer among its endorsers. Other decisions are for people: they take nothing from what others say.

use jiff::Timestamp;
use package::{Digest, PackageName, PublisherName, Version};
use serde::{Deserialize, Serialize};

use crate::in_toto::{Predicate, Statement, Subject};
use crate::{Endorsed, Endorsement};

/// What is stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Who publishes what was reviewed.
    pub publisher: PublisherName,
    /// Its name.
    pub package: PackageName,
    /// Its version.
    pub version: Version,
    /// The digest of its index.
    pub release: Digest,
    /// What the reviewer made of it.
    pub decision: ReviewDecision,
    /// Why, in words.
    pub text: String,
    /// When the statement was made.
    pub created: Timestamp,
}

/// What a reviewer makes of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewDecision {
    /// It may be released.
    Approve,
    /// It must not be released.
    Reject,
    /// Something must be done first.
    Changes,
}

impl Predicate for Review {
    const TYPE: &'static str = "https://l3af.io/review/v1";
    const WHAT: &'static str = "a review";
}

impl From<Review> for Statement<Review> {
    fn from(review: Review) -> Self {
        let name = format!("{}/{}@{}", review.publisher, review.package, review.version);
        Self::new(vec![Subject::new(name, &review.release)], review)
    }
}

impl Review {
    /// The endorsement that an approval is; none of another decision.
    pub(crate) fn endorsement(self) -> Option<Endorsement> {
        let Self { publisher, release, decision, created, .. } = self;
        let endorses = Endorsed::Release { digest: release };
        (decision == ReviewDecision::Approve).then_some(Endorsement {
            publisher,
            endorses,
            created,
            expires: None,
        })
    }
}
