// SPDX-License-Identifier: Apache-2.0
//! Publisher roots: whose keys sign what, in versions of which each is signed by the one before.
//!
//! A root is a `root.json` of TUF (specification 1.0.34, section 4.3). The role `root` signs roots, the role `targets`
//! signs releases. Machines pin one version; a newer one counts when a threshold of the one before and a threshold of its
//! own signed it (section 5.3). A key is revoked by a version without it. `docs/publisher-root.md` tells how to keep one.

mod draft;
mod error;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use package::{Digest, PublisherName};
use serde_json::Value;
use thiserror::Error;

use crate::{KeyId, Quorum};

pub use draft::{BadEdit, Draft, Missing};
pub use error::{BadRoot, Whose};

/// The roles of which we use the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Signs roots: to be kept where no network is.
    Root,
    /// Signs releases: `targets` in TUF.
    Release,
}

/// A version of a publisher's root whose own threshold signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    digest: Digest,
    version: u64,
    expires: Timestamp,
    publisher: Option<PublisherName>,
    quorums: BTreeMap<Role, Quorum>,
    /// What was signed, with the fields that we do not know.
    signed: Value,
    signatures: Vec<(KeyId, Vec<u8>)>,
    /// The bytes it was read from, to be handed on.
    text: String,
}

/// There is no role of that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{name}` is no role; those are `root`, which signs roots, and `release`, which signs releases")]
pub struct UnknownRole {
    name: String,
}

impl Root {
    /// Reads a root that is pinned: its own threshold must have signed it, and whoever pins it answers for the rest.
    ///
    /// # Errors
    /// When it is not a root, or too few of its own keys signed it.
    pub fn pinned(bytes: &[u8]) -> Result<Self, BadRoot> {
        let root = read::root(bytes)?;
        root.is_signed_by(&root, Whose::Own)?;
        Ok(root)
    }

    /// The next version, if these bytes are one (TUF 5.3.4 to 5.3.8). Whether it has expired is asked of the last one only
    /// (5.3.10).
    ///
    /// # Errors
    /// When it is no root, is another version than the next, or too few of the old or the new keys signed it.
    pub fn update(&self, bytes: &[u8]) -> Result<Self, BadRoot> {
        let next = read::root(bytes)?;
        next.is_signed_by(self, Whose::Before)?;
        next.is_signed_by(&next, Whose::Own)?;
        if Some(next.version) != self.version.checked_add(1) {
            return Err(BadRoot::Version { found: next.version, wanted: self.version.saturating_add(1) });
        }
        if next.publisher != self.publisher {
            return Err(BadRoot::Publisher);
        }
        Ok(next)
    }

    /// All versions that follow each other among these texts, from this one on. What does not follow is left out: whoever
    /// hands over an old version, or a forged one, gains nothing.
    pub fn walk(self, texts: &[&[u8]]) -> Vec<Self> {
        let mut chain = vec![self];
        loop {
            let newest = chain.last().expect("it begins with one");
            let Some(next) = texts.iter().find_map(|bytes| newest.update(bytes).ok()) else { return chain };
            chain.push(next);
        }
    }

    /// Who signs in a role, and how many must.
    pub fn quorum(&self, role: Role) -> &Quorum {
        &self.quorums[&role]
    }

    /// Counts up from 1.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// From when on nothing new is accepted under it.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Whose it is; none where some other tool made it.
    pub fn publisher(&self) -> Option<&PublisherName> {
        self.publisher.as_ref()
    }

    /// The digest of its bytes: what machines pin.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The text it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn is_signed_by(&self, other: &Self, whose: Whose) -> Result<(), BadRoot> {
        let signed = read::signed_bytes(&self.signed)?;
        let signatures: Vec<&[u8]> = self.signatures.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        let quorum = other.quorum(Role::Root);
        let valid = quorum.signed(&signed, &signatures).len();
        if valid < quorum.threshold() {
            return Err(BadRoot::Unsigned { whose, valid, threshold: quorum.threshold() });
        }
        Ok(())
    }
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Root, Self::Release];

    /// What TUF calls it.
    pub(crate) fn in_tuf(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Release => "targets",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Root => "root",
            Self::Release => "release",
        })
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.to_string() == name);
        found.ok_or_else(|| UnknownRole { name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests;
