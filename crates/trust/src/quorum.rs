// SPDX-License-Identifier: Apache-2.0
//! How many of whom must sign. Signers are counted, not signatures and not keys.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

use crate::pem;
use crate::{Algorithm, BadKey, Chain, Family, KeyId, PublicKey};

/// The most signers of one quorum: what a check costs is bounded by it.
pub const MAX_SIGNERS: usize = 32;

/// One who signs and counts once: with one key, or with two that must both verify (a hybrid).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// One, or a classical and a post-quantum one in this order.
    keys: Vec<PublicKey>,
    /// What authorities say of one of the keys. Nothing of it is believed.
    chain: Option<Chain>,
}

/// Signers, and how many of them must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    signers: Vec<Signer>,
    threshold: usize,
}

/// Signers and a threshold that do not fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadQuorum {
    /// One key would count twice.
    #[error("the key {key} is there twice")]
    Twice {
        /// The key.
        key: KeyId,
    },
    /// More must sign than there are, or none.
    #[error(
        "there are {signers} different signers, so the threshold must be 1 to {signers}, not {threshold}"
    )]
    Threshold {
        /// How many must sign.
        threshold: usize,
        /// How many there are.
        signers: usize,
    },
    /// There are too many.
    #[error("there are {signers} signers, more than {MAX_SIGNERS}")]
    TooMany {
        /// How many.
        signers: usize,
    },
}

impl Signer {
    /// One who signs with one key.
    pub fn single(key: PublicKey) -> Self {
        Self { keys: vec![key], chain: None }
    }

    /// One who signs with these keys: one, or one of each family.
    ///
    /// # Errors
    /// When there are none, more, or two of one family.
    pub fn of(mut keys: Vec<PublicKey>) -> Result<Self, BadKey> {
        keys.sort_by_key(|key| key.algorithm().family());
        match keys.as_slice() {
            [_] => Ok(Self { keys, chain: None }),
            [first, second] if first.algorithm().family() != second.algorithm().family() => {
                Ok(Self { keys, chain: None })
            }
            [first, second] => Err(BadKey::Pair { first: first.algorithm(), second: second.algorithm() }),
            _ => Err(BadKey::Other {
                found: vec!["PUBLIC KEY".to_owned(); keys.len()],
                wanted: "one key, or the two of a hybrid",
            }),
        }
    }

    /// The same with a chain of certificates for one of the keys.
    #[must_use]
    pub fn with_chain(self, chain: Chain) -> Self {
        Self { chain: Some(chain), ..self }
    }

    /// Reads a PEM text with one `PUBLIC KEY`, or with the two of a hybrid; behind them there may be the `CERTIFICATE`s of a
    /// chain for one of them, the signer's first.
    ///
    /// # Errors
    /// When the text holds anything else.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        const KEY: &str = "PUBLIC KEY";
        let blocks = pem::blocks(text)?;
        let (keys, chain) = blocks.split_at(blocks.iter().take_while(|block| block.label == KEY).count());
        if keys.is_empty() {
            let found = blocks.into_iter().map(|block| block.label).collect();
            return Err(BadKey::Other { found, wanted: "`PUBLIC KEY`" });
        }
        let keys = keys.iter().map(|block| PublicKey::from_spki(&block.der));
        let signer = Self::of(keys.collect::<Result<_, _>>()?)?;
        if chain.is_empty() {
            return Ok(signer);
        }
        let chain = Chain::from_blocks(chain).map_err(|bad| BadKey::Certificate(Box::new(bad)))?;
        Ok(signer.with_chain(chain))
    }

    /// The keys and the chain as a PEM text.
    pub fn to_pem(&self) -> String {
        let keys = self.keys.iter().map(PublicKey::to_pem);
        keys.chain(self.chain.as_ref().map(Chain::to_pem)).collect()
    }

    /// What authorities say of one of the keys, by the chain that came with them.
    pub fn chain(&self) -> Option<&Chain> {
        self.chain.as_ref()
    }

    /// The keys: one, or a classical and a post-quantum one.
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// The names of the keys.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.keys.iter().map(PublicKey::id)
    }

    /// The algorithms of the keys.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.keys.iter().map(PublicKey::algorithm)
    }

    /// Whether one of the keys is of this family.
    pub fn is_of(&self, family: Family) -> bool {
        self.algorithms().any(|algorithm| algorithm.family() == family)
    }

    /// Whether each of the keys made one of the signatures over the message.
    pub(crate) fn signed(&self, message: &[u8], signatures: &[&[u8]]) -> bool {
        self.keys.iter().all(|key| signatures.iter().any(|signature| key.accepts(message, signature)))
    }
}

/// The names of the keys, with a plus between those of a hybrid.
impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.ids().map(|id| id.to_string()).collect();
        f.pad(&ids.join("+"))
    }
}

impl Quorum {
    /// As many of these signers as the threshold says.
    ///
    /// # Errors
    /// When a key would count twice, or the threshold can never be met or is nothing.
    pub fn new(signers: Vec<Signer>, threshold: usize) -> Result<Self, BadQuorum> {
        if signers.len() > MAX_SIGNERS {
            return Err(BadQuorum::TooMany { signers: signers.len() });
        }
        let mut seen = BTreeSet::new();
        for key in signers.iter().flat_map(Signer::keys) {
            if !seen.insert(key) {
                return Err(BadQuorum::Twice { key: key.id() });
            }
        }
        if !(1..=signers.len()).contains(&threshold) {
            return Err(BadQuorum::Threshold { threshold, signers: signers.len() });
        }
        Ok(Self { signers, threshold })
    }

    /// Who may sign.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// How many must sign; at least 1.
    pub fn threshold(&self) -> usize {
        self.threshold
    }

    /// Those who signed the message.
    pub(crate) fn signed(&self, message: &[u8], signatures: &[&[u8]]) -> Vec<&Signer> {
        self.signers.iter().filter(|signer| signer.signed(message, signatures)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrivateKey, Sign as _};

    fn classical(seed: u8) -> PrivateKey {
        PrivateKey::from_seed([seed; 32])
    }

    fn quantum(seed: u8) -> PrivateKey {
        PrivateKey::post_quantum_from_seed([seed; 32])
    }

    fn hybrid(seed: u8) -> Signer {
        Signer::of(vec![quantum(seed).public().clone(), classical(seed).public().clone()]).unwrap()
    }

    fn count(quorum: &Quorum, keys: &[&PrivateKey]) -> usize {
        let signatures: Vec<Vec<u8>> = keys.iter().map(|key| key.sign(b"m").unwrap()).collect();
        quorum.signed(b"m", &signatures.iter().map(Vec::as_slice).collect::<Vec<_>>()).len()
    }

    #[test]
    fn a_hybrid_counts_once_and_only_if_both_keys_signed() {
        let quorum = Quorum::new(vec![hybrid(1), hybrid(2)], 2).unwrap();
        assert_eq!(count(&quorum, &[&classical(1)]), 0);
        assert_eq!(count(&quorum, &[&quantum(1)]), 0);
        assert_eq!(count(&quorum, &[&classical(1), &quantum(2)]), 0);
        assert_eq!(count(&quorum, &[&classical(1), &quantum(1)]), 1);
        assert_eq!(count(&quorum, &[&quantum(2), &classical(1), &quantum(1), &classical(2)]), 2);
    }

    #[test]
    fn no_key_counts_twice() {
        let single = Signer::single(classical(1).public().clone());
        let refused = |signers, threshold| Quorum::new(signers, threshold).unwrap_err().to_string();
        assert!(refused(vec![single.clone(), hybrid(1)], 1).ends_with(" is there twice"));
        assert!(refused(vec![single.clone(), single.clone()], 2).ends_with(" is there twice"));
        insta::assert_snapshot!(refused(vec![single.clone()], 2), @"there are 1 different signers, so the threshold must be 1 to 1, not 2");
        insta::assert_snapshot!(refused(vec![single.clone()], 0), @"there are 1 different signers, so the threshold must be 1 to 1, not 0");
        insta::assert_snapshot!(refused(vec![single; 33], 1), @"there are 33 signers, more than 32");
    }

    #[test]
    fn signers_read_as_they_are_written() {
        for signer in [hybrid(1), Signer::single(classical(1).public().clone())] {
            assert_eq!(Signer::from_pem(&signer.to_pem()).unwrap(), signer);
        }
        let three = [hybrid(1).to_pem(), classical(2).public().to_pem()].concat();
        insta::assert_snapshot!(Signer::from_pem(&three).unwrap_err(), @"it holds `PUBLIC KEY`, `PUBLIC KEY`, `PUBLIC KEY`, not one key, or the two of a hybrid");
    }
}
