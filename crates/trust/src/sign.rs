// SPDX-License-Identifier: Apache-2.0
//! The port to whatever holds a signing key: a file, a token, a command.

use std::error::Error;

use thiserror::Error as ThisError;

use crate::{KeyId, PublicKey};

/// One key that signs. [`PrivateKey`](crate::PrivateKey) does so in memory.
pub trait Sign {
    /// The key that checks what it signs.
    fn public(&self) -> &PublicKey;

    /// A signature over a message, in the form of the key's algorithm.
    ///
    /// # Errors
    /// When the holder of the key cannot or will not sign.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A key did not sign.
#[derive(Debug, ThisError)]
#[error("the key does not sign")]
pub struct SignError {
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

/// What came back from the holder of a key is not its signature.
#[derive(Debug, ThisError)]
#[error("what came back is no signature of the key {key} over what was to be signed")]
pub struct NotASignature {
    /// The key that should have signed.
    pub key: KeyId,
}

/// A key whose signatures are checked before anybody gets them: what holds it may be out of order, or hold another key.
#[derive(Debug, Clone)]
pub struct Checked<S>(S);

impl<S: Sign> Checked<S> {
    /// Checks what this key signs.
    pub fn new(key: S) -> Self {
        Self(key)
    }
}

impl<S: Sign> Sign for Checked<S> {
    fn public(&self) -> &PublicKey {
        self.0.public()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.0.sign(message)?;
        if self.public().accepts(message, &signature) {
            return Ok(signature);
        }
        Err(SignError::new(NotASignature { key: self.public().id() }))
    }
}

impl SignError {
    /// A failure of whatever holds the key.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    /// Says that it is one key, and signs with another.
    struct Impostor(PrivateKey, PrivateKey);

    impl Sign for Impostor {
        fn public(&self) -> &PublicKey {
            self.0.public()
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            self.1.sign(message)
        }
    }

    #[test]
    fn a_signature_of_another_key_is_kept_from_everybody() {
        let key = |seed| PrivateKey::from_seed([seed; 32]);
        let honest = Checked::new(Impostor(key(1), key(1)));
        assert_eq!(honest.sign(b"m").unwrap(), key(1).sign(b"m").unwrap());
        let refused = Checked::new(Impostor(key(1), key(2))).sign(b"m").unwrap_err();
        insta::assert_snapshot!(refused.source().unwrap(), @"what came back is no signature of the key 7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12 over what was to be signed");
    }
}
