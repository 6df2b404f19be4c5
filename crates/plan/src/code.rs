// SPDX-License-Identifier: Apache-2.0
//! What a kernel says of the instructions of a program: their digest, of which it tells the beginning as the tag.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// By what algorithm a kernel digests the instructions of programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeAlgorithm {
    /// Before Linux 6.18.
    Sha1,
    /// Since Linux 6.18.
    Sha256,
}

impl CodeAlgorithm {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    fn digits(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }
}

/// The digest of a program's instructions as its kernel computes it: those after relocation, without the numbers of maps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeDigest {
    algorithm: CodeAlgorithm,
    hex: String,
}

/// A text is not the digest of instructions.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` is not the digest of instructions: it must be `sha1:` or `sha256:` and hexadecimal digits"
)]
pub struct BadCodeDigest {
    /// What was given.
    pub given: String,
}

/// The digests of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Of what runs.
    pub digest: CodeDigest,
    /// Of what its author wrote, where that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untouched: Option<CodeDigest>,
}

impl CodeDigest {
    /// The first eight bytes in hexadecimal digits, as the kernel tells them (`bpf_prog_info.tag`).
    pub fn tag(&self) -> &str {
        &self.hex[..16]
    }
}

impl FromStr for CodeDigest {
    type Err = BadCodeDigest;

    fn from_str(text: &str) -> Result<Self, BadCodeDigest> {
        let bad = || BadCodeDigest { given: text.to_owned() };
        let (name, hex) = text.split_once(':').ok_or_else(bad)?;
        let known = [CodeAlgorithm::Sha1, CodeAlgorithm::Sha256];
        let algorithm = known.into_iter().find(|known| known.as_str() == name).ok_or_else(bad)?;
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if hex.len() != algorithm.digits() || !hex.bytes().all(lower) {
            return Err(bad());
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl fmt::Display for CodeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.hex)
    }
}

impl TryFrom<String> for CodeDigest {
    type Error = BadCodeDigest;

    fn try_from(text: String) -> Result<Self, BadCodeDigest> {
        text.parse()
    }
}

impl From<CodeDigest> for String {
    fn from(digest: CodeDigest) -> Self {
        digest.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::CodeDigest;

    #[test]
    fn a_digest_is_written_as_it_is_read_and_its_tag_is_its_beginning() {
        for text in [format!("sha1:{}", "0a".repeat(20)), format!("sha256:{}", "0a".repeat(32))] {
            let digest: CodeDigest = text.parse().unwrap();
            assert_eq!((digest.to_string(), digest.tag()), (text, "0a0a0a0a0a0a0a0a"));
        }
    }

    #[test]
    fn other_texts_are_no_digests() {
        let long = format!("sha1:{}", "0a".repeat(32));
        let upper = format!("sha256:{}", "0A".repeat(32));
        for text in ["", "sha1", "sha1:", "md5:00", &long, &upper] {
            assert!(text.parse::<CodeDigest>().is_err(), "{text}");
        }
    }
}
