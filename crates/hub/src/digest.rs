// SPDX-License-Identifier: Apache-2.0
//! Digests of content, as the OCI image specification writes them: `sha256:` or `sha512:` and lower-case hexadecimal digits.

use std::fmt;
use std::io;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256, SHA512};
use thiserror::Error;

/// An algorithm that makes digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4), which every client knows.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// The digest of some bytes, with its algorithm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest {
    algorithm: Algorithm,
    /// Lower-case hexadecimal digits, as many as the algorithm gives.
    hex: String,
}

/// A text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` is not a digest: it must be `sha256:` and 64, or `sha512:` and 128, lower-case hexadecimal digits"
)]
pub struct BadDigest {
    /// What was given.
    pub given: String,
}

/// Makes a digest of bytes that come one after the other.
pub(crate) struct Hasher {
    algorithm: Algorithm,
    context: Context,
}

impl Algorithm {
    /// Its name in a digest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hexadecimal digits a digest has.
    fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl FromStr for Algorithm {
    type Err = BadDigest;

    fn from_str(name: &str) -> Result<Self, BadDigest> {
        let named = |algorithm: &Self| algorithm.name() == name;
        [Self::Sha256, Self::Sha512]
            .into_iter()
            .find(named)
            .ok_or_else(|| BadDigest { given: name.to_owned() })
    }
}

impl ContentDigest {
    /// The digest of these bytes.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Which algorithm made it.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hexadecimal digits without the algorithm.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl FromStr for ContentDigest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let bad = || BadDigest { given: text.to_owned() };
        let (name, hex) = text.split_once(':').ok_or_else(bad)?;
        let algorithm: Algorithm = name.parse().map_err(|_unknown: BadDigest| bad())?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != algorithm.digits() || !hex.bytes().all(is_hex) {
            return Err(bad());
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl Hasher {
    /// Begins with no bytes.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let made_by = match algorithm {
            Algorithm::Sha256 => &SHA256,
            Algorithm::Sha512 => &SHA512,
        };
        Self { algorithm, context: Context::new(made_by) }
    }

    /// Goes on with these bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The digest of all of them.
    pub(crate) fn finish(self) -> ContentDigest {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = self.context.finish();
        let both =
            |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]].map(char::from);
        ContentDigest { algorithm: self.algorithm, hex: bytes.as_ref().iter().flat_map(both).collect() }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, ContentDigest};

    #[test]
    fn digests_of_both_algorithms_are_read_and_written_alike() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = ContentDigest::of(algorithm, b"abc");
            assert_eq!(digest.to_string().parse(), Ok(digest));
        }
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let short = format!("sha512:{}", "a".repeat(64));
        let loud = format!("sha256:{}", "A".repeat(64));
        for text in [
            "",
            "sha256:",
            "sha256",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            &short,
            &loud,
            "sha256:../../etc",
        ] {
            assert!(text.parse::<ContentDigest>().is_err(), "`{text}`");
        }
    }
}
