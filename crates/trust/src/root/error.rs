// SPDX-License-Identifier: Apache-2.0
//! Why a root is refused.

use std::fmt;

use jiff::Timestamp;
use package::PublisherName;
use thiserror::Error;

use crate::canonical::Fraction;
use crate::json::BadJson;
use crate::{BadCertificate, BadKey, BadQuorum, KeyId};

/// A root is refused.
#[derive(Debug, Error)]
pub enum BadRoot {
    /// It is not JSON.
    #[error("it is no root: {0}")]
    Json(BadJson),
    /// It has not the shape of a root.
    #[error("it is no `root.json` of TUF: {0}")]
    Shape(serde_json::Error),
    /// It has no canonical form, so nobody can have signed it.
    #[error("{0}")]
    Fraction(Fraction),
    /// It is metadata of another kind.
    #[error("it is metadata of the type `{found}`, not `root`")]
    Type {
        /// What it is.
        found: String,
    },
    /// It is of another specification.
    #[error("it is of the specification {found}, and only those of 1.x are known")]
    Specification {
        /// What it names.
        found: String,
    },
    /// The name of a key is not its digest.
    #[error("the key {key} has another name than its digest, {digest}: it could be there twice")]
    KeyId {
        /// The name.
        key: String,
        /// The digest.
        digest: KeyId,
    },
    /// A key cannot be used.
    #[error("the key {key} cannot be used: {bad}")]
    Key {
        /// The key.
        key: KeyId,
        /// Why not.
        bad: BadKey,
    },
    /// A certificate cannot be used.
    #[error("the certificates of the key {key} cannot be used: {bad}")]
    Certificate {
        /// The key.
        key: KeyId,
        /// Why not.
        bad: Box<BadCertificate>,
    },
    /// A role, or the pairs of keys, names a key that is not there.
    #[error("`{place}` names the key {key}, which is not there")]
    NoKey {
        /// What names it.
        place: String,
        /// The key.
        key: KeyId,
    },
    /// A role is missing.
    #[error("it has no role `{role}`")]
    NoRole {
        /// The role, as TUF calls it.
        role: &'static str,
    },
    /// A role has one key of a pair only.
    #[error("the role `{role}` has the key {key} without the other one of its hybrid")]
    Half {
        /// The role, as TUF calls it.
        role: &'static str,
        /// The key.
        key: KeyId,
    },
    /// The keys of a role and its threshold do not fit.
    #[error("the role `{role}` cannot be used: {bad}")]
    Quorum {
        /// The role, as TUF calls it.
        role: &'static str,
        /// Why not.
        bad: BadQuorum,
    },
    /// There are too many signatures.
    #[error("it has {count} signatures, more than {max}")]
    TooManySignatures {
        /// How many.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// One key signed it twice.
    #[error("the key {key} signed it twice")]
    SignedTwice {
        /// The key.
        key: KeyId,
    },
    /// Too few of the keys signed it.
    #[error("{valid} of the signers that {whose} signed it, {threshold} must")]
    Unsigned {
        /// Whose signers.
        whose: Whose,
        /// How many signed.
        valid: usize,
        /// How many must.
        threshold: usize,
    },
    /// It is not the next version.
    #[error("it is version {found}, and {wanted} is the next")]
    Version {
        /// What it is.
        found: u64,
        /// What it should be.
        wanted: u64,
    },
    /// It names another publisher than the version before.
    #[error("it names another publisher than the version before")]
    Publisher,
    /// It is somebody else's.
    #[error("it is the root of `{found}`")]
    Foreign {
        /// Whose it is.
        found: PublisherName,
    },
    /// It is out of date.
    #[error("version {version} expired at {expired}")]
    Expired {
        /// Which version.
        version: u64,
        /// When.
        expired: Timestamp,
    },
}

/// Which keys must sign a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those that it names itself.
    Own,
    /// Those that the version before names.
    Before,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Own => "it names itself",
            Self::Before => "the version before names",
        })
    }
}
