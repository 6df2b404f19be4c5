// SPDX-License-Identifier: Apache-2.0
//! The port to whatever holds a signing key: a file, a token, a command.

use std::error::Error;

use thiserror::Error as ThisError;

use crate::PublicKey;

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

impl SignError {
    /// A failure of whatever holds the key.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}
