// SPDX-License-Identifier: Apache-2.0
//! Names in which a star stands for any letters.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern for names: `*` stands for any letters, also none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// The pattern that all names match.
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Whether a name is one that the pattern describes.
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().expect("a split has a first part");
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl From<&str> for Glob {
    fn from(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        let matches = |pattern: &str, name: &str| Glob(pattern.to_owned()).matches(name);
        for (pattern, name) in
            [("*", "a"), ("a*", "a"), ("a*", "ab"), ("*b", "ab"), ("a*c*e", "abcde"), ("a", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("a", "ab"), ("b", "ab"), ("a*c", "ab"), ("a*a", "a"), ("", "a"), ("*bc*bc", "abc")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
