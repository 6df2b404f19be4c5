// SPDX-License-Identifier: Apache-2.0
//! Why a caller is not let in, or may not do what it asked for.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use door::BadToken;
use thiserror::Error;

use super::rules::Denial;
use super::thing::Action;

/// What policies deny a caller.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{caller}` may not {action}")]
pub struct Denied {
    /// Who.
    pub(crate) caller: String,
    pub(crate) action: Action,
    #[source]
    pub(crate) denials: Denials,
}

/// Each thing that is denied, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denials(pub(crate) Vec<(String, Denial)>);

impl Error for Denials {}

impl fmt::Display for Denials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let denials: Vec<String> = self.0.iter().map(|(what, why)| format!("{what}: {why}")).collect();
        f.write_str(&denials.join("; "))
    }
}

impl Denied {
    /// What can be done about it.
    pub(crate) fn hint(&self) -> String {
        format!(
            "whoever looks after this node may name `{}` in `[access]` of its configuration, or permit it in a policy; docs/access.md \
             tells how",
            self.caller
        )
    }
}

/// A call that does not reach the engine.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("this node must know who calls, and nothing tells it")]
    Anonymous { takes_tokens: bool },
    #[error("the certificate of this connection has expired")]
    Expired,
    #[error("the certificate of this connection is of nobody whom this node lets in")]
    Name { names: BTreeSet<String> },
    #[error("a token counts over TLS only")]
    TokenInTheOpen,
    #[error("this node takes no tokens")]
    NoTokens,
    #[error(transparent)]
    Token(#[from] BadToken),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("`{caller}` asked for too many changes")]
    TooMany { caller: String, wait: Duration },
}

impl Refusal {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Anonymous { .. } | Self::Expired | Self::NoTokens | Self::Token(BadToken::Invalid(_)) => {
                401
            }
            Self::TokenInTheOpen => 400,
            Self::Name { .. } | Self::Denied(_) => 403,
            Self::Token(BadToken::Unknown(_)) => 503,
            Self::TooMany { .. } => 429,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Anonymous { .. } => "anonymous",
            Self::Expired | Self::Name { .. } => "certificate",
            Self::TokenInTheOpen | Self::NoTokens | Self::Token(_) => "token",
            Self::Denied(_) => "denied",
            Self::TooMany { .. } => "too-many",
        }
    }

    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Anonymous { takes_tokens: true } => {
                "show a certificate (`--tls-cert`, `--tls-key`) or a token (`--token-file`)".to_owned()
            }
            Self::Anonymous { takes_tokens: false } => {
                "show a certificate (`--tls-cert`, `--tls-key`)".to_owned()
            }
            Self::Expired => "get another, and connect again".to_owned(),
            Self::Name { names } if names.is_empty() => {
                "it has no name (subject alternative name)".to_owned()
            }
            Self::Name { names } => {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                format!(
                    "it has the names {}; `client_names` in the daemon's configuration says which count",
                    names.join(", ")
                )
            }
            Self::TokenInTheOpen => "over the socket the daemon knows who calls without".to_owned(),
            Self::NoTokens => "`[remote.oidc]` in the daemon's configuration says whose it takes".to_owned(),
            Self::Token(BadToken::Invalid(_)) => "get another from the issuer".to_owned(),
            Self::Token(BadToken::Unknown(_)) => {
                "the issuer does not answer the daemon; try again later".to_owned()
            }
            Self::Denied(denied) => denied.hint(),
            Self::TooMany { wait, .. } => {
                format!(
                    "wait {} s; `changes_per_minute` in `[limits]` of the daemon's configuration says how many",
                    seconds(*wait)
                )
            }
        }
    }

    /// What the answer says besides (RFC 6750, section 3; RFC 9110, 10.2.3).
    pub(crate) fn header(&self) -> Option<(&'static str, String)> {
        let challenge = |rest: &str| Some(("www-authenticate", format!("Bearer realm=\"l3afd\"{rest}")));
        match self {
            Self::Anonymous { takes_tokens: true } => challenge(""),
            Self::Token(BadToken::Invalid(problem)) => {
                // What may stand between quotes there.
                let fits = |letter: &char| matches!(letter, ' ' | '!' | '#'..='[' | ']'..='~');
                let problem: String = problem.chars().filter(fits).collect();
                challenge(&format!(", error=\"invalid_token\", error_description=\"{problem}\""))
            }
            Self::TooMany { wait, .. } => Some(("retry-after", seconds(*wait).to_string())),
            Self::Token(BadToken::Unknown(_)) => Some(("retry-after", "10".to_owned())),
            Self::Anonymous { takes_tokens: false }
            | Self::Expired
            | Self::Name { .. }
            | Self::TokenInTheOpen
            | Self::NoTokens
            | Self::Denied(_) => None,
        }
    }
}

/// Rounded up.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
