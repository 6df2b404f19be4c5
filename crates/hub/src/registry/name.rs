// SPDX-License-Identifier: Apache-2.0
//! Names of repositories and tags, by the grammar of the distribution specification (1.1, "Pulling manifests").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// The longest name of a repository, in bytes: what clients put before it must fit in 255 too, for some of them.
const MOST_BYTES: usize = 255;

/// The name of a publisher, which is the first component of the names of its repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*$", max_length = 254)]
pub struct PublisherName(String);

/// The name of a repository: a publisher, and one or more components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryName {
    pub(crate) publisher: PublisherName,
    /// What follows the first slash.
    pub(crate) rest: String,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag(String);

/// A text is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadName {
    /// Of a publisher.
    #[error(
        "`{given}` is no name of a publisher: small letters and digits, and between them `.`, `_`, `__` or any number of `-`"
    )]
    Publisher {
        /// What was given.
        given: String,
    },
    /// Of a repository.
    #[error(
        "`{given}` is no name of a repository: a publisher, `/`, and one or more components of small letters and digits, and \
         between them `.`, `_`, `__` or any number of `-`; {MOST_BYTES} bytes at most"
    )]
    Repository {
        /// What was given.
        given: String,
    },
    /// Of a tag.
    #[error("`{given}` is no tag: a letter, a digit or `_`, and up to 127 letters, digits, `.`, `_` and `-`")]
    Tag {
        /// What was given.
        given: String,
    },
}

impl PublisherName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublisherName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        if text.len() < MOST_BYTES && is_component(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName::Publisher { given: text.to_owned() })
        }
    }
}

impl TryFrom<String> for PublisherName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<PublisherName> for String {
    fn from(name: PublisherName) -> Self {
        name.0
    }
}

impl FromStr for RepositoryName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::Repository { given: text.to_owned() };
        let (publisher, rest) = text.split_once('/').ok_or_else(bad)?;
        if text.len() > MOST_BYTES || !is_component(publisher) || !rest.split('/').all(is_component) {
            return Err(bad());
        }
        Ok(Self { publisher: PublisherName(publisher.to_owned()), rest: rest.to_owned() })
    }
}

impl FromStr for Tag {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_tag = matches!(text.as_bytes(), [first, rest @ ..] if rest.len() <= 127
            && is_word(*first)
            && rest.iter().all(|byte| is_word(*byte) || matches!(byte, b'.' | b'-')));
        if is_tag { Ok(Self(text.to_owned())) } else { Err(BadName::Tag { given: text.to_owned() }) }
    }
}

impl Tag {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PublisherName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.publisher, self.rest)
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let between = text.split(|letter: char| u8::try_from(letter).is_ok_and(is_word));
    let is_separator =
        |part: &str| matches!(part, "" | "." | "_" | "__") || part.bytes().all(|byte| byte == b'-');
    let ends_are_words =
        [text.bytes().next(), text.bytes().next_back()].into_iter().all(|end| end.is_some_and(is_word));
    ends_are_words && between.into_iter().all(is_separator)
}

#[cfg(test)]
mod tests {
    use super::{PublisherName, RepositoryName, Tag};

    #[test]
    fn names_of_repositories_have_a_publisher_and_a_rest() {
        let name: RepositoryName = "l3af/tools/rate-limit__2.x---y".parse().expect("a name");
        assert_eq!((name.publisher.as_str(), name.rest.as_str()), ("l3af", "tools/rate-limit__2.x---y"));
        assert_eq!(name.to_string().parse(), Ok(name));
    }

    #[test]
    fn what_the_grammar_does_not_know_is_no_name() {
        let long = format!("l3af/{}", "a".repeat(251));
        for text in [
            "",
            "l3af",
            "l3af/",
            "/l3af",
            "l3af//a",
            "L3af/a",
            "l3af/a..b",
            "l3af/a___b",
            "l3af/-a",
            "l3af/a-",
            "l3af/.",
            "l3af/..",
            "l3af/a%2e",
            "l3af/ä",
            "l3af/a\0",
            "l3af/a._b",
            &long,
        ] {
            assert!(text.parse::<RepositoryName>().is_err(), "`{text}`");
        }
        assert!("a/b".parse::<PublisherName>().is_err());
    }

    #[test]
    fn tags_have_128_bytes_at_most() {
        let (long, longer) = ("a".repeat(128), "a".repeat(129));
        for (text, good) in [
            ("1.2.3", true),
            ("_", true),
            ("A-b_c.d", true),
            (&long, true),
            (&longer, false),
            ("", false),
            (".a", false),
            ("-a", false),
            ("a/b", false),
            ("a+b", false),
            ("ä", false),
        ] {
            assert_eq!(text.parse::<Tag>().is_ok(), good, "`{text}`");
        }
    }
}
