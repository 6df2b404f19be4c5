// SPDX-License-Identifier: Apache-2.0
//! Names that were parsed once and cannot be wrong afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A text is not a name of the kind it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a {kind}: {rule}")]
pub struct BadName {
    /// What it should be.
    pub kind: &'static str,
    /// What was given.
    pub given: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

const DASHED: &str =
    "it must be 1 to 63 lower-case letters, digits and dashes, and neither begin nor end with a dash";
const SYMBOL: &str = "it must be 1 to 127 letters, digits and underscores, and not begin with a digit";
const EVENT: &str = "it must be 1 to 127 letters, digits, underscores and dashes";
const SYMBOL_OF_ANY: &str = "it must be 1 to 255 bytes without `/` and blanks";
const PATH: &str = "it must be an absolute path of at most 4095 bytes";
const INTERFACE: &str = "it must be 1 to 15 bytes without `/`, `:` or blanks, and not `.` or `..`";

fn is_dashed(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_symbol(text: &str) -> bool {
    (1..=127).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

fn is_event(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=127).contains(&text.len()) && text.bytes().all(allowed)
}

/// Compilers and other languages put more into symbols than C allows.
fn is_any_symbol(text: &str) -> bool {
    let refused = |letter: char| letter == '/' || letter.is_whitespace() || letter.is_control();
    (1..=255).contains(&text.len()) && !text.contains(refused)
}

fn is_absolute(text: &str) -> bool {
    text.starts_with('/') && text.len() <= 4095 && !text.contains(char::is_control)
}

/// The rule of `dev_valid_name` in `net/core/dev.c`.
fn is_interface(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text != "."
        && text != ".."
        && !text
            .chars()
            .any(|letter| letter == '/' || letter == ':' || letter.is_whitespace() || letter == '\0')
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if $check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadName { kind: $kind, given: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// Who publishes packages: the first half of a repository name.
    PublisherName, "publisher name", is_dashed, DASHED
}
name! {
    /// A package of a publisher: the second half of a repository name.
    PackageName, "package name", is_dashed, DASHED
}
name! {
    /// A member of a chain, unique in it, or a probe, unique on its node.
    MemberName, "member name", is_dashed, DASHED
}
name! {
    /// A function of an object: the symbol of its ELF.
    ProgramName, "program name", is_symbol, SYMBOL
}
name! {
    /// A function of the kernel, of an executable or of a library.
    SymbolName, "symbol", is_any_symbol, SYMBOL_OF_ANY
}
name! {
    /// A tracepoint, its category, or a static probe of an executable.
    EventName, "name of an event", is_event, EVENT
}
name! {
    /// A path from the root of the file system.
    AbsolutePath, "path", is_absolute, PATH
}
name! {
    /// A network interface, by the rule of Linux.
    InterfaceName, "interface name", is_interface, INTERFACE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_rule_was_broken() {
        let error = "Rate Limit".parse::<PackageName>().unwrap_err();
        insta::assert_snapshot!(error, @"`Rate Limit` is not a package name: it must be 1 to 63 lower-case letters, digits and dashes, and neither begin nor end with a dash");
    }

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for text in ["", ".", "..", "a/b", "-a", "a-", "a.b", "A", &"a".repeat(64)] {
            assert!(text.parse::<MemberName>().is_err(), "{text}");
        }
        for text in ["", "1a", "a-b", "a.b", "a b"] {
            assert!(text.parse::<ProgramName>().is_err(), "{text}");
        }
        for text in ["", ".", "..", "a/b", "a:b", "a b", "sixteen-letters-"] {
            assert!(text.parse::<InterfaceName>().is_err(), "{text}");
        }
        assert!("eth0.100".parse::<InterfaceName>().is_ok());
        assert!("_rate_limit2".parse::<ProgramName>().is_ok());
        assert!("r".parse::<MemberName>().is_ok());
    }
}
