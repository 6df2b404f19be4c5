// SPDX-License-Identifier: Apache-2.0
//! Callers who show a token of an `OpenID` Connect issuer (RFC 9068): what it says of who they are.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use door::{BadToken, Claims, Verifier};
use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;
use wire::IssuerError;

use super::caller::Token;
use crate::config::OidcConfig;

/// An issuer whose tokens count.
pub(crate) struct Oidc {
    config: OidcConfig,
    verifier: Verifier,
}

/// An issuer cannot be used.
#[derive(Debug, Error)]
pub enum BadIssuer {
    /// Its authorities cannot be read.
    #[error("cannot read the authorities of the issuer from `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be asked.
    #[error(transparent)]
    Unusable(#[from] IssuerError),
}

impl Oidc {
    pub(crate) fn new(config: &OidcConfig) -> Result<Self, BadIssuer> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| BadIssuer::Unreadable { path: path.clone(), source })
        };
        let roots = config.roots.as_ref().map(read).transpose()?;
        let verifier = Verifier::new(&config.issuer, roots.as_deref())?;
        Ok(Self { config: config.clone(), verifier })
    }

    /// What a token says, if it counts.
    pub(crate) async fn verify(&self, token: &str, now: Timestamp) -> Result<Token, BadToken> {
        let claims = self.verifier.verify(token, &self.config.audience, now).await?;
        said(&claims, &self.config)
    }
}

fn said(claims: &Claims, config: &OidcConfig) -> Result<Token, BadToken> {
    let text = |claim: &str| {
        let missing = || BadToken::Invalid(format!("it has no claim `{claim}` that is a plain text"));
        claims.get(claim).and_then(plain).ok_or_else(missing)
    };
    let groups: BTreeSet<String> = match claims.get(&config.groups_claim) {
        Some(Value::Array(groups)) => groups.iter().filter_map(plain).collect(),
        one => one.and_then(plain).into_iter().collect(),
    };
    Ok(Token { issuer: text("iss")?, subject: text("sub")?, name: text(&config.name_claim)?, groups })
}

/// A text that does nothing to a terminal.
fn plain(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(claims: &Value) -> Result<Token, String> {
        let config = json!({ "issuer": "https://a.example", "audience": "l3afd", "name_claim": "email" });
        let config = serde_json::from_value(config).unwrap();
        said(claims.as_object().unwrap(), &config).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_token_says_who_it_is() {
        let mut claims = json!({
            "iss": "https://a.example", "sub": "1", "email": "alice@example.org", "groups": ["ops", 5, "a\u{1b}"],
        });
        let token = read(&claims).unwrap();
        assert_eq!((token.subject.as_str(), token.name.as_str()), ("1", "alice@example.org"));
        assert_eq!(token.groups, ["ops".to_owned()].into());
        claims["email"] = json!("a\u{7}");
        assert!(read(&claims).unwrap_err().contains("it has no claim `email` that is a plain text"));
    }
}
