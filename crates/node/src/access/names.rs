// SPDX-License-Identifier: Apache-2.0
//! How the configuration speaks of callers: rules for the names in their certificates, and handles for who they are.

use std::fmt;

use regex::Regex;
use serde::Deserialize;
use thiserror::Error;

/// A rule for a name in a certificate: the very text, or after `regex:` an expression that must match all of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct NameRule {
    text: String,
    /// None for a text that must be the same.
    expression: Option<Regex>,
}

/// An expression is none.
#[derive(Debug, Error)]
#[error("`{expression}` is not a regular expression")]
pub struct BadExpression {
    /// What was given.
    pub expression: String,
    /// What is wrong.
    #[source]
    pub source: Box<regex::Error>,
}

impl NameRule {
    /// Whether a name is as the rule says.
    pub fn admits(&self, name: &str) -> bool {
        // Names of hosts are of no case (RFC 5280, 7.2).
        self.expression
            .as_ref()
            .map_or_else(|| name.eq_ignore_ascii_case(&self.text), |expression| expression.is_match(name))
    }
}

impl TryFrom<String> for NameRule {
    type Error = BadExpression;

    fn try_from(text: String) -> Result<Self, BadExpression> {
        let expression = text.strip_prefix("regex:").map(|expression| {
            // All of the name, whatever alternatives the expression has.
            Regex::new(&format!("^(?:{expression})$")).map_err(|source| BadExpression {
                expression: expression.to_owned(),
                source: Box::new(source),
            })
        });
        Ok(Self { expression: expression.transpose()?, text })
    }
}

impl PartialEq for NameRule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for NameRule {}

impl fmt::Display for NameRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One of the ways to say who a caller is: `user:alice`, `uid:1000`, `group:wheel`, `certificate:NAME`, `token:NAME` or
/// `token-group:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Handle(String);

/// A text says nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` names no caller; say {} and what it is called", KINDS.map(|kind| format!("`{kind}:`")).join(", "))]
pub struct BadHandle {
    /// What was given.
    pub text: String,
}

const KINDS: [&str; 6] = ["user", "uid", "group", "certificate", "token", "token-group"];

impl Handle {
    /// The handle of a kind that is known and a name.
    pub(super) fn new(kind: &'static str, name: impl fmt::Display) -> Self {
        debug_assert!(KINDS.contains(&kind));
        Self(format!("{kind}:{name}"))
    }
}

impl TryFrom<String> for Handle {
    type Error = BadHandle;

    fn try_from(text: String) -> Result<Self, BadHandle> {
        match text.split_once(':') {
            Some((kind, name)) if KINDS.contains(&kind) && !name.is_empty() => Ok(Self(text)),
            Some(_) | None => Err(BadHandle { text }),
        }
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_all_of_a_name_or_nothing() {
        let rule = NameRule::try_from("regex:node-[0-9]+\\.example\\.org|spare".to_owned()).unwrap();
        assert!(rule.admits("node-7.example.org") && rule.admits("spare"));
        assert!(!rule.admits("node-7.example.org.evil") && !rule.admits("a-node-7.example.org"));
        assert!(!rule.admits("spare.evil") && !rule.admits("evil-spare"));
        assert!(NameRule::try_from("regex:(".to_owned()).is_err());
    }

    #[test]
    fn a_text_is_the_name_whatever_its_case() {
        let rule = NameRule::try_from("Controller.example.org".to_owned()).unwrap();
        assert!(rule.admits("controller.example.org") && !rule.admits("controllerXexample.org"));
    }

    #[test]
    fn a_handle_says_of_what_kind_it_is() {
        assert_eq!(Handle::try_from("user:alice".to_owned()).unwrap(), Handle::new("user", "alice"));
        for text in ["alice", "role:admin", "user:"] {
            assert!(Handle::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
