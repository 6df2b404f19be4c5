// SPDX-License-Identifier: Apache-2.0
//! The signature algorithms that this project knows, by the names that TUF gives them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A signature algorithm. It comes from a key, never from a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Algorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
    /// ECDSA on NIST P-256 with SHA-256 (FIPS 186-5); signatures are ASN.1.
    EcdsaP256,
    /// RSASSA-PSS with SHA-256 and a salt of 32 bytes (RFC 8017, section 8.1); keys of 2048 to 8192 bits.
    RsaPss,
    /// ML-DSA-65 (FIPS 204) over the SHA-512 of the message, as TAP 21 of TUF says.
    MlDsa65,
}

/// What would break an algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A large quantum computer.
    Classical,
    /// Nothing that is known, and less experience than with the others.
    PostQuantum,
}

/// There is no algorithm of that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no signature algorithm `{name}` here, but {}", every())]
pub struct UnknownAlgorithm {
    /// The name.
    pub name: String,
}

fn every() -> String {
    Algorithm::ALL.map(|algorithm| format!("`{algorithm}`")).join(", ")
}

impl Algorithm {
    /// All of them, from the one to choose first.
    pub const ALL: [Self; 4] = [Self::Ed25519, Self::EcdsaP256, Self::RsaPss, Self::MlDsa65];

    /// The name of the signature scheme in TUF (specification 1.0.34, section 4.2; TAP 21 for ML-DSA).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::RsaPss => "rsassa-pss-sha256",
            Self::MlDsa65 => "ml-dsa-65/1",
        }
    }

    /// The name of the type of its keys in TUF.
    pub const fn key_type(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256 => "ecdsa",
            Self::RsaPss => "rsa",
            Self::MlDsa65 => "ml-dsa",
        }
    }

    /// What would break it.
    pub const fn family(self) -> Family {
        match self {
            Self::Ed25519 | Self::EcdsaP256 | Self::RsaPss => Family::Classical,
            Self::MlDsa65 => Family::PostQuantum,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Classical => "classical",
            Self::PostQuantum => "post-quantum",
        })
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name() == name);
        found.ok_or_else(|| UnknownAlgorithm { name: name.to_owned() })
    }
}

impl From<Algorithm> for &'static str {
    fn from(algorithm: Algorithm) -> Self {
        algorithm.name()
    }
}

impl TryFrom<String> for Algorithm {
    type Error = UnknownAlgorithm;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_are_written() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        insta::assert_snapshot!("md5".parse::<Algorithm>().unwrap_err(), @"there is no signature algorithm `md5` here, but `ed25519`, `ecdsa-sha2-nistp256`, `rsassa-pss-sha256`, `ml-dsa-65/1`");
    }
}
