// SPDX-License-Identifier: Apache-2.0
//! Whose a publisher's root is, as certificates of an organisation's arc say.

use std::fmt;

use package::Digest;

use super::{Circumstances, Evidence, Occasion};
use crate::explain::{Rule, Trail};
use crate::policy::Publisher;
use crate::{BadCertification, CertifiedRoot, Root, SignedCertification, Signer};

/// What proves a number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof {
    /// A certificate for a key of each who signed.
    Keys,
    /// A certification of the root that names them.
    Root,
}

/// What becomes of each certification of a publisher's root that came along.
///
/// It must be about the version that is pinned, or about one that follows from it up to the newest: each was signed by a
/// threshold of the one before, so whose the earlier one is, theirs is the later. A version before the pinned one does not
/// do. A later one may have been pinned because the keys of the earlier ones were lost, and who has these could lead to it.
pub(super) fn certifications(
    publisher: &Publisher,
    roots: &[Root],
    (evidence, at): (&Evidence, &Circumstances<'_>),
    trail: &mut Trail,
) -> Vec<Result<CertifiedRoot, BadCertification>> {
    let name = &publisher.name;
    if roots.is_empty() {
        trail.skipped(Rule::Certification, name, "the policy names keys");
        return Vec::new();
    }
    let versions: Vec<Digest> = roots.iter().map(Root::digest).collect();
    let check = |bytes: &Vec<u8>| {
        let certification = SignedCertification::parse(bytes)?;
        let key = certification.chain().signer().key()?;
        at.policy.counts(&Signer::single(key)).map_err(BadCertification::Discounted)?;
        match at.occasion {
            Occasion::Deployment => certification.check(name, &versions, &publisher.authorities, at.time()),
            Occasion::Continuation => {
                certification.check_continued(name, &versions, &publisher.authorities, at.time())
            }
        }
    };
    let came = evidence.envelopes.iter().filter(|bytes| SignedCertification::is_one(bytes));
    let checked: Vec<_> = came.map(|bytes| (Digest::of(bytes), check(bytes))).collect();
    if checked.is_empty() {
        trail.skipped(Rule::Certification, name, "none came with it");
    } else if publisher.authorities.is_empty() {
        trail.skipped(Rule::Certification, name, "the policy names no authorities");
    }
    let noted = checked.into_iter().map(|(digest, outcome)| match outcome {
        _ if publisher.authorities.is_empty() => outcome,
        Ok(certified) => {
            trail.passed(Rule::Certification, &certified);
            Ok(certified)
        }
        Err(bad) => trail.rule(Rule::Certification, digest, Err(bad)),
    });
    noted.collect()
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keys => "certificates of those who signed",
            Self::Root => "a certification of the root",
        })
    }
}
