// SPDX-License-Identifier: Apache-2.0
//! How people say which key: `FILE`, `pkcs11:…` or `command:PUBLIC PROGRAM ARGUMENT…`.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use thiserror::Error;

use super::token_uri::{BadTokenUri, TokenUri};

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// In a file.
    File(PathBuf),
    /// On a token.
    Token(TokenUri),
    /// Behind a command.
    Command(KeyCommand),
}

/// A program that signs. Nothing of it is given to a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyCommand {
    /// The file of the key that it signs with.
    pub(crate) public: PathBuf,
    /// The program.
    pub(crate) program: String,
    /// What it is called with.
    pub(crate) arguments: Vec<String>,
}

/// A text leads to no key. The text itself is left out: there may be a PIN in it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum BadReference {
    /// It is no usable URI of a token.
    #[error("the `pkcs11:` URI cannot be used: {0}")]
    Token(BadTokenUri),
    /// A command is not complete.
    #[error(
        "a command is `command:PUBLIC PROGRAM ARGUMENT...`: the file of the public key, then what to run"
    )]
    Command,
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        if let Some(rest) = text.strip_prefix("pkcs11:") {
            rest.parse().map(Self::Token).map_err(BadReference::Token)
        } else if let Some(words) = text.strip_prefix("command:") {
            let mut words = words.split_ascii_whitespace().map(str::to_owned);
            let (Some(public), Some(program)) = (words.next(), words.next()) else {
                return Err(BadReference::Command);
            };
            let arguments = words.collect();
            Ok(Self::Command(KeyCommand { public: public.into(), program, arguments }))
        } else {
            Ok(Self::File(text.into()))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Token(uri) => write!(f, "{uri}"),
            Self::Command(command) => write!(f, "{command}"),
        }
    }
}

impl fmt::Display for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command:{} {}", self.public.display(), self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

/// Reads references from the command line. Clap's own parsers would repeat what was given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReferenceParser;

impl TypedValueParser for ReferenceParser {
    type Value = Reference;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Reference, clap::Error> {
        // A name that is not UTF-8 can be that of a file only.
        let Some(text) = value.to_str() else { return Ok(Reference::File(value.into())) };
        text.parse().map_err(|bad: BadReference| {
            clap::Error::raw(ErrorKind::ValueValidation, format!("{bad}\n")).with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_words_and_no_shell() {
        let read: Reference = "command:kms.pub  aws-sign --key $X 'a b'".parse().unwrap();
        insta::assert_debug_snapshot!(read, @r#"
        Command(
            KeyCommand {
                public: "kms.pub",
                program: "aws-sign",
                arguments: [
                    "--key",
                    "$X",
                    "'a",
                    "b'",
                ],
            },
        )
        "#);
        insta::assert_snapshot!(read, @"command:kms.pub aws-sign --key $X 'a b'");
        insta::assert_snapshot!("command:kms.pub".parse::<Reference>().unwrap_err(), @"a command is `command:PUBLIC PROGRAM ARGUMENT...`: the file of the public key, then what to run");
    }

    #[test]
    fn any_file_can_be_named() {
        let file = |text: &str| text.parse() == Ok(Reference::File(text.into()));
        assert!(file("release.key") && file("./pkcs11:x") && file("./command:x y"));
    }

    #[test]
    fn what_is_wrong_is_told_without_what_was_given() {
        let given = OsStr::new("pkcs11:token=t;object=o?module-path=/m&pin-value=271828");
        let told = ReferenceParser.parse_ref(&clap::Command::new("x"), None, given).unwrap_err();
        insta::assert_snapshot!(told, @"error: the `pkcs11:` URI cannot be used: a PIN does not belong on a command line; put it into a file and name that by `pin-source`, or leave it out and be asked");
    }
}
