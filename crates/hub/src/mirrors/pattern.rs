// SPDX-License-Identifier: Apache-2.0
//! Which packages: `publisher/name`, where `*` stands for any letters of one of the two.

use std::fmt;
use std::str::FromStr;

use package::Glob;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// The longest pattern, in bytes.
const MOST_BYTES: usize = 255;

/// Which packages are meant, as `l3af/*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9._*-]+/[a-z0-9._*-]+$", max_length = 255)]
pub struct Pattern(String);

/// A text says no packages.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` says no packages; packages are `publisher/name` in small letters, and `*` stands for any letters of one of the two"
)]
pub struct BadPattern {
    /// What was given.
    pub given: String,
}

impl Pattern {
    fn parts(&self) -> (&str, &str) {
        self.0.split_once('/').expect("it was looked at when it was read")
    }

    /// Whether it means that package.
    pub(crate) fn matches(&self, publisher: &str, name: &str) -> bool {
        let (publishers, names) = self.parts();
        Glob::from(publishers).matches(publisher) && Glob::from(names).matches(name)
    }

    /// The one package that it means, where it has no star.
    pub(super) fn exact(&self) -> Option<(&str, &str)> {
        (!self.0.contains('*')).then(|| self.parts())
    }

    /// The one publisher whose packages it means.
    pub(super) fn publisher(&self) -> Option<&str> {
        Some(self.parts().0).filter(|publisher| !publisher.contains('*'))
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern { given: text.to_owned() };
        let (publisher, name) = text.split_once('/').ok_or_else(bad)?;
        let is_letter =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._*-".contains(&byte);
        let is_good = |part: &str| !part.is_empty() && part.bytes().all(is_letter);
        if text.len() > MOST_BYTES || !is_good(publisher) || !is_good(name) {
            return Err(bad());
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Pattern {
    type Error = BadPattern;

    fn try_from(text: String) -> Result<Self, BadPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stays_on_its_side_of_the_slash() {
        let matches = |pattern: &str, package: (&str, &str)| {
            pattern.parse::<Pattern>().expect("a pattern").matches(package.0, package.1)
        };
        assert!(matches("l3af/*", ("l3af", "ratelimit")));
        assert!(matches("*/rate*", ("l3af", "ratelimit")));
        assert!(!matches("l3af/*", ("l3af-other", "ratelimit")));
        assert!(!matches("*/rate*", ("rate", "l3af")));
        assert!(!matches("l3af/rate", ("l3af", "ratelimit")));
    }

    #[test]
    fn what_could_name_no_package_is_no_pattern() {
        for text in ["", "*", "l3af", "l3af/", "/x", "l3af/a/b", "L3af/x", "l3af/ä", "l3af/x y", "l3af/[ab]"]
        {
            assert!(text.parse::<Pattern>().is_err(), "`{text}`");
        }
    }
}
