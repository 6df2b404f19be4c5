// SPDX-License-Identifier: Apache-2.0
//! Whom a machine trusts, for what: `trust.toml`. The default trusts nobody.
//!
//! ```toml
//! mode = "trusted"               # or "normal": verify nothing, and say so
//!
//! [[publisher]]
//! name = "example"
//! packages = ["rate*", "sanity"] # what they may publish; `*` stands for any letters
//! threshold = 1                  # how many of the keys must sign
//! key_files = ["example.pub"]    # PEM files, relative to this one
//! keys = ["-----BEGIN PUBLIC KEY-----..."]
//! ```

use std::collections::BTreeMap;
use std::fmt;

use package::{PackageName, PublisherName};
use serde::Deserialize;
use thiserror::Error;

use crate::{BadKey, BadQuorum, Quorum, Signer};

/// Whom a machine trusts, for what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    mode: Mode,
    publishers: Vec<Publisher>,
}

/// Whether packages are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Only what a trusted publisher signed for this machine is accepted.
    #[default]
    Trusted,
    /// Everything is accepted.
    Normal,
}

/// A publisher whom a machine trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The name.
    pub name: PublisherName,
    /// What they may publish: names in which `*` stands for any letters.
    pub packages: Vec<String>,
    /// Who signs for them, and how many must.
    pub quorum: Quorum,
}

/// A policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// A key is unknown, missing, or has a value of the wrong kind.
    #[error("it is not a policy: {problem}")]
    Toml {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// A file of a key was not handed over.
    #[error("the key file `{path}` of publisher `{publisher}` is not there")]
    MissingKeyFile {
        /// The publisher.
        publisher: PublisherName,
        /// The file.
        path: String,
    },
    /// A key cannot be used.
    #[error("a key of publisher `{publisher}` cannot be used{}: {bad}", place(.file.as_deref()))]
    Key {
        /// The publisher.
        publisher: PublisherName,
        /// The file it is in, if it is in one.
        file: Option<String>,
        /// Why not.
        bad: BadKey,
    },
    /// The keys and the threshold do not fit.
    #[error("the keys of publisher `{publisher}` cannot be used: {bad}")]
    Quorum {
        /// The publisher.
        publisher: PublisherName,
        /// Why not.
        bad: BadQuorum,
    },
    /// A publisher may publish nothing.
    #[error("publisher `{publisher}` has an empty list of `packages`; `[\"*\"]` means all")]
    NoPackages {
        /// The publisher.
        publisher: PublisherName,
    },
    /// A publisher is named twice.
    #[error("publisher `{publisher}` is named twice")]
    Duplicate {
        /// The publisher.
        publisher: PublisherName,
    },
}

fn place(file: Option<&str>) -> String {
    file.map(|file| format!(" (`{file}`)")).unwrap_or_default()
}

/// A policy as it is written, with the files it names not yet read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    #[serde(default)]
    mode: Mode,
    #[serde(default, rename = "publisher")]
    publishers: Vec<WrittenPublisher>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPublisher {
    name: PublisherName,
    packages: Vec<String>,
    #[serde(default = "one")]
    threshold: usize,
    #[serde(default)]
    keys: Vec<String>,
    #[serde(default)]
    key_files: Vec<String>,
}

fn one() -> usize {
    1
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trusted => "trusted",
            Self::Normal => "normal",
        })
    }
}

impl PolicyDocument {
    /// Reads the text of a policy.
    ///
    /// # Errors
    /// When it is not TOML, or has keys that a policy has not.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| PolicyError::Toml { problem: error.to_string() })
    }

    /// The files that it names, to be read by the caller.
    pub fn key_files(&self) -> impl Iterator<Item = &str> {
        self.publishers.iter().flat_map(|publisher| publisher.key_files.iter().map(String::as_str))
    }

    /// The policy, with the texts of the files that it names.
    ///
    /// # Errors
    /// When a key cannot be used, or the parts contradict each other.
    pub fn resolve(self, files: &BTreeMap<String, String>) -> Result<Policy, PolicyError> {
        let mut publishers: Vec<Publisher> = Vec::new();
        for written in self.publishers {
            if publishers.iter().any(|publisher| publisher.name == written.name) {
                return Err(PolicyError::Duplicate { publisher: written.name });
            }
            publishers.push(written.resolve(files)?);
        }
        Ok(Policy { mode: self.mode, publishers })
    }
}

impl WrittenPublisher {
    fn resolve(self, files: &BTreeMap<String, String>) -> Result<Publisher, PolicyError> {
        let publisher = self.name;
        let refuse = |file: Option<&String>, bad| PolicyError::Key {
            publisher: publisher.clone(),
            file: file.cloned(),
            bad,
        };
        let mut signers = Vec::new();
        for text in &self.keys {
            signers.push(Signer::from_pem(text).map_err(|bad| refuse(None, bad))?);
        }
        for path in &self.key_files {
            let missing = || PolicyError::MissingKeyFile { publisher: publisher.clone(), path: path.clone() };
            let text = files.get(path).ok_or_else(missing)?;
            signers.push(Signer::from_pem(text).map_err(|bad| refuse(Some(path), bad))?);
        }
        if self.packages.is_empty() {
            return Err(PolicyError::NoPackages { publisher });
        }
        let quorum = Quorum::new(signers, self.threshold)
            .map_err(|bad| PolicyError::Quorum { publisher: publisher.clone(), bad })?;
        Ok(Publisher { name: publisher, packages: self.packages, quorum })
    }
}

impl Policy {
    /// A policy that trusts one signer for all packages of a publisher.
    pub fn trusting(name: PublisherName, signer: Signer) -> Self {
        let quorum = Quorum::new(vec![signer], 1).expect("one of one");
        let publisher = Publisher { name, packages: vec!["*".to_owned()], quorum };
        Self { mode: Mode::Trusted, publishers: vec![publisher] }
    }

    /// Whether packages are verified.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The publisher of that name, if the machine trusts one.
    pub fn publisher(&self, name: &PublisherName) -> Option<&Publisher> {
        self.publishers.iter().find(|publisher| publisher.name == *name)
    }

    /// The names of the publishers that the machine trusts.
    pub fn publishers(&self) -> impl Iterator<Item = &PublisherName> {
        self.publishers.iter().map(|publisher| &publisher.name)
    }
}

impl Publisher {
    /// Whether they may publish a package of this name.
    pub fn may_publish(&self, package: &PackageName) -> bool {
        self.packages.iter().any(|pattern| matches(pattern, package.as_ref()))
    }
}

/// Whether a text is one that the pattern describes. `*` stands for any letters, also none.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().expect("a split has a first part");
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    fn refusal(text: &str) -> String {
        let document = PolicyDocument::parse(text);
        document.and_then(|document| document.resolve(&BTreeMap::new())).unwrap_err().to_string()
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, text) in
            [("*", "a"), ("a*", "a"), ("a*", "ab"), ("*b", "ab"), ("a*c*e", "abcde"), ("a", "a")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("a", "ab"), ("b", "ab"), ("a*c", "ab"), ("a*a", "a"), ("", "a"), ("*bc*bc", "abc")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn the_default_trusts_nobody() {
        let policy = PolicyDocument::parse("").unwrap().resolve(&BTreeMap::new()).unwrap();
        assert_eq!(policy, Policy::default());
        assert_eq!(policy.mode(), Mode::Trusted);
        assert_eq!(policy.publishers().count(), 0);
    }

    #[test]
    fn a_policy_that_cannot_be_used_says_why() {
        let key = PrivateKey::from_seed([1; 32]).public().to_pem();
        let publisher = "[[publisher]]\nname = \"example\"\npackages = [\"*\"]\n";
        insta::assert_snapshot!(refusal(publisher), @"the keys of publisher `example` cannot be used: there are 0 different signers, so the threshold must be 1 to 0, not 1");
        insta::assert_snapshot!(refusal(&format!("{publisher}key_files = [\"x.pub\"]")), @"the key file `x.pub` of publisher `example` is not there");
        insta::assert_snapshot!(refusal(&format!("{publisher}keys = [\"x\"]")), @"a key of publisher `example` cannot be used: it is not PEM (`-----BEGIN ...-----`): a block does not end");
        insta::assert_snapshot!(refusal(&format!("{publisher}threshold = 2\nkeys = ['''{key}''']")), @"the keys of publisher `example` cannot be used: there are 1 different signers, so the threshold must be 1 to 1, not 2");
        assert!(
            refusal(&format!("{publisher}keys = ['''{key}''', '''{key}''']")).ends_with("is there twice")
        );
        insta::assert_snapshot!(refusal("[[publisher]]\nname = \"example\"\npackages = []"), @r#"publisher `example` has an empty list of `packages`; `["*"]` means all"#);
        assert!(refusal("mode = \"off\"").contains("unknown variant `off`, expected `trusted` or `normal`"));
        assert!(refusal("publishers = []").contains("unknown field `publishers`"));
        let twice = format!("{publisher}keys = ['''{key}''']\n").repeat(2);
        insta::assert_snapshot!(refusal(&twice), @"publisher `example` is named twice");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String) {
            drop(PolicyDocument::parse(&text));
        }
    }
}
