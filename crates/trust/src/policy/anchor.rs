// SPDX-License-Identifier: Apache-2.0
//! What a policy says of those who sign for somebody: their keys, or their root.

use std::collections::BTreeMap;
use std::sync::Arc;

use package::{Digest, PublisherName};

use super::PolicyError;
use crate::{BadRoot, Quorum, Root, Signer};

/// What a machine knows of those who sign for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// Their keys, and how many must sign.
    Keys(Quorum),
    /// A version of their root; newer ones may come along.
    Root(Box<Root>),
    /// The digest of a version of their root, which comes along with what they sign.
    RootDigest(Digest),
}

impl Anchor {
    /// The version of the root that is pinned, where it is one, from here or from among these texts.
    pub(crate) fn root(&self, texts: &[Vec<u8>]) -> Option<Root> {
        match self {
            Self::Keys(_) => None,
            Self::Root(root) => Some(Root::clone(root)),
            Self::RootDigest(digest) => {
                let text = texts.iter().find(|text| Digest::of(text) == *digest)?;
                Root::pinned(text).ok()
            }
        }
    }
}

/// Where it is written who signs, and for whom.
pub(super) struct WrittenAnchor<'a> {
    pub(super) name: &'a PublisherName,
    pub(super) threshold: Option<usize>,
    pub(super) keys: &'a [String],
    pub(super) key_files: &'a [String],
    pub(super) root_file: Option<&'a String>,
    pub(super) root_digest: Option<Digest>,
}

impl WrittenAnchor<'_> {
    /// The anchor, with the texts of the files that it names.
    pub(super) fn resolve(&self, files: &BTreeMap<String, String>) -> Result<Anchor, PolicyError> {
        let has_keys = !self.keys.is_empty() || !self.key_files.is_empty() || self.threshold.is_some();
        match (self.root_file, self.root_digest) {
            (None, None) => self.quorum(files).map(Anchor::Keys),
            (Some(path), None) if !has_keys => self.root(path, files),
            (None, Some(digest)) if !has_keys => Ok(Anchor::RootDigest(digest)),
            (Some(_), _) | (_, Some(_)) => Err(PolicyError::TwoAnchors { name: self.name.clone() }),
        }
    }

    fn file<'f>(&self, path: &str, files: &'f BTreeMap<String, String>) -> Result<&'f str, PolicyError> {
        let missing = || PolicyError::MissingFile { name: self.name.clone(), path: path.to_owned() };
        files.get(path).map(String::as_str).ok_or_else(missing)
    }

    fn root(&self, path: &str, files: &BTreeMap<String, String>) -> Result<Anchor, PolicyError> {
        let refuse =
            |bad| PolicyError::Root { name: self.name.clone(), file: path.to_owned(), bad: Arc::new(bad) };
        let root = Root::pinned(self.file(path, files)?.as_bytes()).map_err(refuse)?;
        match root.publisher().filter(|publisher| *publisher != self.name) {
            Some(other) => Err(refuse(BadRoot::Foreign { found: other.clone() })),
            None => Ok(Anchor::Root(Box::new(root))),
        }
    }

    fn quorum(&self, files: &BTreeMap<String, String>) -> Result<Quorum, PolicyError> {
        let name = self.name;
        let refuse =
            |file: Option<&String>, bad| PolicyError::Key { name: name.clone(), file: file.cloned(), bad };
        let mut signers = Vec::new();
        for text in self.keys {
            signers.push(Signer::from_pem(text).map_err(|bad| refuse(None, bad))?);
        }
        for path in self.key_files {
            signers.push(Signer::from_pem(self.file(path, files)?).map_err(|bad| refuse(Some(path), bad))?);
        }
        Quorum::new(signers, self.threshold.unwrap_or(1))
            .map_err(|bad| PolicyError::Quorum { name: name.clone(), bad })
    }
}
