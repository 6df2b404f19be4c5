// SPDX-License-Identifier: Apache-2.0
//! Keys and their names. The algorithm comes from the key, never from a signature.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use package::Digest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::pem::{self, Label};

/// The name of a key: the SHA-256 of its canonical form in TUF (specification 1.0.34, section 4.2), in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(String);

/// A key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PublicKey {
    /// Ed25519 (RFC 8032), 32 bytes.
    Ed25519([u8; 32]),
}

/// A key that signs.
#[derive(Clone)]
#[non_exhaustive]
pub enum PrivateKey {
    /// Ed25519 (RFC 8032), from its seed of 32 bytes.
    Ed25519([u8; 32]),
}

/// A text that holds no usable key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("it is not an Ed25519 {kind} key in PEM (`-----BEGIN {label}-----`)")]
pub struct BadKey {
    kind: &'static str,
    label: &'static str,
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl PublicKey {
    /// Reads a PEM text (`SubjectPublicKeyInfo`), as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// When the text holds anything else.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let bad = BadKey { kind: "public", label: "PUBLIC KEY" };
        pem::decode(Label::PublicKey, text).map(Self::Ed25519).ok_or(bad)
    }

    /// The key as a PEM text.
    pub fn to_pem(&self) -> String {
        let Self::Ed25519(key) = self;
        pem::encode(Label::PublicKey, key)
    }

    /// The key's name.
    pub fn id(&self) -> KeyId {
        let Self::Ed25519(key) = self;
        let hex = key.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        // Canonical JSON of TUF: keys sorted, no blanks.
        let canonical =
            format!(r#"{{"keytype":"ed25519","keyval":{{"public":"{hex}"}},"scheme":"ed25519"}}"#);
        KeyId(Digest::of(canonical.as_bytes()).hex())
    }

    /// Whether the signature is one of this key over the message.
    pub(crate) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        let Self::Ed25519(key) = self;
        UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
    }
}

impl PrivateKey {
    /// A key from 32 bytes of good randomness.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self::Ed25519(seed)
    }

    /// Reads a PEM text (PKCS#8), as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// When the text holds anything else.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let bad = BadKey { kind: "private", label: "PRIVATE KEY" };
        pem::decode(Label::PrivateKey, text).map(Self::Ed25519).ok_or(bad)
    }

    /// The key as a PEM text. Whoever has it signs as its owner.
    pub fn to_pem(&self) -> String {
        let Self::Ed25519(seed) = self;
        pem::encode(Label::PrivateKey, seed)
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> PublicKey {
        let key = self.pair().public_key().as_ref().try_into();
        PublicKey::Ed25519(key.expect("an Ed25519 public key has 32 bytes"))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair().sign(message).as_ref().to_vec()
    }

    fn pair(&self) -> Ed25519KeyPair {
        let Self::Ed25519(seed) = self;
        Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed")
    }
}

/// Keys are never shown.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.public().id()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    const SEED: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];

    #[test]
    fn a_signature_is_the_one_of_rfc_8032() {
        let key = PrivateKey::from_seed(SEED);
        let signature = key.sign(b"");
        assert_eq!(signature[..8], [0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72]);
        assert!(key.public().accepts(b"", &signature));
        assert!(!key.public().accepts(b"x", &signature));
        assert!(!key.public().accepts(b"", &signature[1..]));
    }

    #[test]
    fn keys_read_as_they_are_written() {
        let key = PrivateKey::from_seed(SEED);
        assert_eq!(PrivateKey::from_pem(&key.to_pem()).unwrap().public(), key.public());
        assert_eq!(PublicKey::from_pem(&key.public().to_pem()).unwrap(), key.public());
        insta::assert_snapshot!(key.public().to_pem(), @"
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
        -----END PUBLIC KEY-----
        ");
        insta::assert_snapshot!(PublicKey::from_pem(&key.to_pem()).unwrap_err(), @"it is not an Ed25519 public key in PEM (`-----BEGIN PUBLIC KEY-----`)");
    }

    #[test]
    fn a_key_that_openssl_made_is_read() {
        // openssl genpkey -algorithm ed25519 | tee key | openssl pkey -pubout
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
        let key = PrivateKey::from_pem(private).unwrap();
        assert_eq!(key.public(), PublicKey::from_pem(public).unwrap());
        assert!(!format!("{key:?}").contains("nWGx"));
    }
}
