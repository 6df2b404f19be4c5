// SPDX-License-Identifier: Apache-2.0
//! Making the next version of a root. A draft gathers signatures until both thresholds are met; a change drops them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use package::{Digest, PublisherName};
use serde_json::{Value, json};
use thiserror::Error;

use super::read::{self, EXTENSION, Extension, Signatures};
use super::{BadRoot, Role, Root, Whose};
use crate::keys::hex;
use crate::{KeyId, Sign, SignError, Signer};

/// The version of the specification that we write.
const SPECIFICATION: &str = "1.0.34";
/// TUF wants four roles; these two are of its own repositories, and we have the keys of releases stand in for them.
const STANDING_IN: [&str; 2] = ["snapshot", "timestamp"];

/// A version of a root that is not finished.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    signed: Value,
    signatures: Signatures,
}

/// What a draft lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Whose signatures.
    pub whose: Whose,
    /// Which version names them.
    pub version: u64,
    /// How many of them signed.
    pub valid: usize,
    /// How many must.
    pub threshold: usize,
    /// Those who did not sign.
    pub of: Vec<Signer>,
}

/// A draft cannot be changed in this way.
#[derive(Debug, Error)]
pub enum BadEdit {
    /// What it would become is no root.
    #[error(transparent)]
    Root(#[from] BadRoot),
    /// There is no such key.
    #[error("no key of the role `{role}` begins with `{key}`")]
    NoKey {
        /// The role.
        role: Role,
        /// What was asked for.
        key: String,
    },
    /// Several keys could be meant.
    #[error("several keys of the role `{role}` begin with `{key}`")]
    Ambiguous {
        /// The role.
        role: Role,
        /// What was asked for.
        key: String,
    },
    /// A key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The signatures are those of another draft.
    #[error("it says something else than this draft, so its signatures are not for it")]
    Other,
    /// A key signs that is in no role that could.
    #[error("the key {key} is none of the role `root`, neither of this version nor of the one before")]
    NoSigner {
        /// The key.
        key: KeyId,
    },
}

impl Draft {
    /// The first version of a publisher's root.
    ///
    /// # Errors
    /// When a key would be there twice.
    pub fn first(
        publisher: &PublisherName,
        expires: Timestamp,
        root: &[Signer],
        release: &[Signer],
    ) -> Result<Self, BadEdit> {
        let role = || json!({"keyids": [], "threshold": 1});
        let mut signed = json!({
            "_type": "root", "spec_version": SPECIFICATION, "version": 1, "expires": whole(expires).to_string(),
            "consistent_snapshot": true, "keys": {},
            "roles": {"root": role(), "targets": role(), "snapshot": role(), "timestamp": role()},
        });
        signed[EXTENSION] = json!(Extension { publisher: Some(publisher.clone()), ..Extension::default() });
        let mut draft = Self { signed, signatures: Vec::new() };
        for (role, signers) in [(Role::Root, root), (Role::Release, release)] {
            for signer in signers {
                draft.insert(role, signer);
            }
        }
        draft.checked()?;
        Ok(draft)
    }

    /// The version after this one, with the same keys.
    pub fn after(root: &Root, expires: Timestamp) -> Self {
        let mut signed = root.signed.clone();
        // Nothing follows the last of all numbers, which nobody reaches by counting: such a draft stays one.
        signed["version"] = json!(root.version.saturating_add(1));
        signed["expires"] = json!(whole(expires).to_string());
        Self { signed, signatures: Vec::new() }
    }

    /// Reads a draft, or a finished root as one.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRoot> {
        let (signed, signatures) = read::parts(bytes)?;
        let draft = Self { signed, signatures };
        draft.checked()?;
        Ok(draft)
    }

    /// The draft as JSON.
    pub fn to_json(&self) -> String {
        let signatures = self.signatures.iter();
        let signatures: Vec<Value> =
            signatures.map(|(key, sig)| json!({"keyid": key, "sig": hex(sig)})).collect();
        let mut text = json!({"signatures": signatures, "signed": self.signed});
        // Also where another crate has serde_json keep the order in which keys came.
        text.sort_all_objects();
        let text = serde_json::to_string_pretty(&text);
        text.expect("JSON can be written") + "\n"
    }

    /// The version that it will be.
    ///
    /// # Errors
    /// When it is no root.
    pub fn checked(&self) -> Result<Root, BadRoot> {
        read::checked(self.signed.clone(), self.signatures.clone(), self.to_json())
    }

    /// Adds a signer to a role.
    ///
    /// # Errors
    /// When one of the keys is there.
    pub fn add(&mut self, role: Role, signer: &Signer) -> Result<(), BadEdit> {
        self.change(|draft| {
            draft.insert(role, signer);
            Ok(())
        })
    }

    /// Takes a signer out of a role, by the beginning of the name of one of the keys. Where fewer are left than the
    /// threshold says, the threshold follows.
    ///
    /// # Errors
    /// When no key or several begin so, or it is the last.
    pub fn remove(&mut self, role: Role, key: &str) -> Result<Signer, BadEdit> {
        let found = self.checked()?;
        let begins = |signer: &&Signer| signer.ids().any(|id| id.to_string().starts_with(key));
        let mut named = found.quorum(role).signers().iter().filter(begins);
        let (first, second) = (named.next(), named.next());
        let signer = match (first, second) {
            (Some(signer), None) => signer.clone(),
            (None, _) => return Err(BadEdit::NoKey { role, key: key.to_owned() }),
            (Some(_), Some(_)) => return Err(BadEdit::Ambiguous { role, key: key.to_owned() }),
        };
        let left = found.quorum(role).signers().len() - 1;
        self.change(|draft| {
            draft.take_out(role, &signer);
            if draft.checked().is_err() && left > 0 {
                draft.each(role, |written| written["threshold"] = json!(left));
            }
            Ok(())
        })?;
        Ok(signer)
    }

    /// Sets how many must sign in a role.
    ///
    /// # Errors
    /// When it can never be met, or is nothing.
    pub fn set_threshold(&mut self, role: Role, threshold: usize) -> Result<(), BadEdit> {
        self.change(|draft| {
            draft.each(role, |written| written["threshold"] = json!(threshold));
            Ok(())
        })
    }

    /// Signs with keys of the role `root`, of this version or of the one before; one that signed already signs anew.
    ///
    /// # Errors
    /// When a key does not sign, or none of its signatures would count.
    pub fn sign(&mut self, before: Option<&Root>, keys: &[&dyn Sign]) -> Result<(), BadEdit> {
        let own = self.checked()?;
        let roots = [Some(&own), before];
        let signers = roots.into_iter().flatten().flat_map(|root| root.quorum(Role::Root).signers());
        let may: BTreeSet<KeyId> = signers.flat_map(Signer::ids).collect();
        let message = read::signed_bytes(&self.signed)?;
        for key in keys {
            let id = key.public().id();
            if !may.contains(&id) {
                return Err(BadEdit::NoSigner { key: id });
            }
            let signature = key.sign(&message)?;
            self.signatures.retain(|(signed, _)| *signed != id);
            self.signatures.push((id, signature));
        }
        Ok(())
    }

    /// Expires at another time.
    ///
    /// # Errors
    /// When it is no root.
    pub fn set_expiry(&mut self, expires: Timestamp) -> Result<(), BadEdit> {
        self.change(|draft| {
            draft.signed["expires"] = json!(whole(expires).to_string());
            Ok(())
        })
    }

    /// Takes over the signatures of a copy that somebody else signed. They count for no more than they are worth.
    ///
    /// # Errors
    /// When it says something else than this one.
    pub fn gather(&mut self, copy: &Self) -> Result<(), BadEdit> {
        if copy.signed != self.signed {
            return Err(BadEdit::Other);
        }
        let had: BTreeSet<KeyId> = self.signatures.iter().map(|(key, _)| key.clone()).collect();
        let new = copy.signatures.iter().filter(|(key, _)| !had.contains(key));
        self.signatures.extend(new.cloned());
        Ok(())
    }

    /// The digest of what signatures are over: those who sign on different machines can compare it.
    ///
    /// # Errors
    /// When it is no root.
    pub fn message_digest(&self) -> Result<Digest, BadRoot> {
        read::signed_bytes(&self.signed).map(|message| Digest::of(&message))
    }

    /// What it lacks to be the next version after `before`, or the first.
    ///
    /// # Errors
    /// When it is no root.
    pub fn missing(&self, before: Option<&Root>) -> Result<Vec<Missing>, BadRoot> {
        let own = self.checked()?;
        let message = read::signed_bytes(&self.signed)?;
        let signatures: Vec<&[u8]> = self.signatures.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        let wanted = [(before, Whose::Before), (Some(&own), Whose::Own)];
        let lacks = wanted.into_iter().filter_map(|(root, whose)| {
            let root = root?;
            let quorum = root.quorum(Role::Root);
            let signed = quorum.signed(&message, &signatures);
            let (valid, threshold) = (signed.len(), quorum.threshold());
            let of = quorum.signers().iter().filter(|signer| !signed.contains(signer)).cloned().collect();
            (valid < threshold).then_some(Missing { whose, version: root.version, valid, threshold, of })
        });
        Ok(lacks.collect())
    }

    /// Changes a copy, and keeps it when it still is a root.
    fn change(&mut self, edit: impl FnOnce(&mut Self) -> Result<(), BadEdit>) -> Result<(), BadEdit> {
        let mut changed = Self { signed: self.signed.clone(), signatures: Vec::new() };
        edit(&mut changed)?;
        changed.checked()?;
        *self = changed;
        Ok(())
    }

    fn insert(&mut self, role: Role, signer: &Signer) {
        for key in signer.keys() {
            let (kind, scheme) = (key.algorithm().key_type(), key.algorithm().name());
            let id = key.id();
            self.signed["keys"][id.to_string()] =
                json!({"keytype": kind, "scheme": scheme, "keyval": {"public": key.tuf_value()}});
            self.each(role, |written| key_ids(written).push(json!(id)));
        }
        let ids: Vec<KeyId> = signer.ids().collect();
        let chain = signer.chain().map(crate::Chain::to_pem);
        self.extend(|extension| {
            if let [first, second] = ids.as_slice()
                && !extension.hybrid.iter().any(|pair| pair.contains(first))
            {
                extension.hybrid.push([first.clone(), second.clone()]);
            }
            extension.certificates.extend(chain.map(|chain| (ids[0].clone(), chain)));
        });
    }

    /// Takes the keys out of a role, and out of the root where no other role has them.
    fn take_out(&mut self, role: Role, signer: &Signer) {
        let ids: Vec<Value> = signer.ids().map(|id| json!(id)).collect();
        self.each(role, |written| key_ids(written).retain(|key| !ids.contains(key)));
        let roles = self.signed["roles"].as_object();
        let used: Vec<Value> = roles
            .into_iter()
            .flat_map(|roles| roles.values())
            .filter_map(|written| written["keyids"].as_array().cloned())
            .flatten()
            .collect();
        let gone: Vec<KeyId> = signer.ids().filter(|id| !used.contains(&json!(id))).collect();
        if let Some(keys) = self.signed["keys"].as_object_mut() {
            keys.retain(|id, _| !gone.iter().any(|gone| gone.to_string() == *id));
        }
        self.extend(|extension| {
            extension.hybrid.retain(|pair| !gone.contains(&pair[0]));
            extension.certificates.retain(|key, _| !gone.contains(key));
        });
    }

    /// Changes a role, and those that stand for it.
    fn each(&mut self, role: Role, edit: impl Fn(&mut Value)) {
        let standing_in: &[&str] = if role == Role::Release { &STANDING_IN } else { &[] };
        for name in [role.in_tuf()].iter().chain(standing_in) {
            edit(&mut self.signed["roles"][name]);
        }
    }

    fn extend(&mut self, edit: impl FnOnce(&mut Extension)) {
        let mut extension = serde_json::from_value(self.signed[EXTENSION].clone()).unwrap_or_default();
        edit(&mut extension);
        self.signed[EXTENSION] = json!(extension);
    }
}

/// TUF writes whole seconds.
fn whole(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).expect("a time without its fraction is one")
}

/// The keys of a role.
fn key_ids(role: &mut Value) -> &mut Vec<Value> {
    role["keyids"].as_array_mut().expect("a draft is a root: each of its roles has a list of keys")
}
