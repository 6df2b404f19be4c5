// SPDX-License-Identifier: Apache-2.0
//! What a kernel says of the instructions of a program: their digest, of which it tells the beginning as the tag; and who can
//! use the data that they read.

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

/// What is known of what an instance runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// Of what runs.
    pub digest: CodeDigest,
    /// Of what its author wrote, where that was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untouched: Option<CodeDigest>,
    /// Who can use its read-only data; none where it has no such data, or a daemon before this one loaded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_only_data: Option<ReadOnlyData>,
}

/// Who can use the read-only data of an instance: its program alone, or, for one of several reasons, any.
///
/// No kernel tells this of a map that is there, so it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadOnlyData {
    /// The kernel loads no other program with it.
    #[doc(alias = "excl_prog_hash")]
    Exclusive,
    /// The maps are made before the splice, for instructions that nobody runs.
    Spliced,
    /// An exclusive map is for one program.
    Several,
    /// The kernel cannot.
    Unsupported,
}

impl ReadOnlyData {
    /// Why others can use it, as the end of a sentence; none where they cannot.
    pub fn why_not(self) -> Option<&'static str> {
        match self {
            Self::Exclusive => None,
            Self::Spliced => Some("the splice changes the program after its maps are made"),
            Self::Several => Some("the programs that its tail calls lead to are loaded with it"),
            Self::Unsupported => Some("this kernel has no exclusive maps, which came with Linux 6.18"),
        }
    }
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
    use super::{Code, CodeDigest, ReadOnlyData};

    #[test]
    fn a_digest_is_written_as_it_is_read_and_its_tag_is_its_beginning() {
        for text in [format!("sha1:{}", "0a".repeat(20)), format!("sha256:{}", "0a".repeat(32))] {
            let digest: CodeDigest = text.parse().unwrap();
            assert_eq!((digest.to_string(), digest.tag()), (text, "0a0a0a0a0a0a0a0a"));
        }
    }

    #[test]
    fn who_can_use_data_is_recorded_and_records_without_it_are_read() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let before = format!("{{\"digest\":\"{digest}\"}}");
        let mut code: Code = serde_json::from_str(&before).unwrap();
        assert_eq!((code.read_only_data, serde_json::to_string(&code).unwrap()), (None, before));
        code.read_only_data = Some(ReadOnlyData::Exclusive);
        let text = serde_json::to_string(&code).unwrap();
        assert!(text.ends_with("\"read_only_data\":\"exclusive\"}"), "{text}");
        assert_eq!(serde_json::from_str::<Code>(&text).unwrap(), code);
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
