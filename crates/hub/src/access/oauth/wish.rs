// SPDX-License-Identifier: Apache-2.0
//! What a program asks for: what its token is to be for, and until when.

use std::net::IpAddr;

use reqwest::Url;

use super::super::scope::Scope;
use super::refused::NoGrant;

/// The most scopes of a token.
const MOST: usize = 50;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) scopes: Vec<Scope>,
    /// From when on the token does not count; none, never.
    pub(super) expires_ms: Option<i64>,
}

impl Wish {
    /// Reads scopes with spaces between them, and a time or nothing.
    pub(super) fn read(scope: &str, expires_ms: &str, now_ms: i64) -> Result<Self, NoGrant> {
        let scopes: Result<Vec<Scope>, _> =
            scope.split(' ').filter(|text| !text.is_empty()).map(str::parse).collect();
        let mut scopes =
            scopes.map_err(|bad: super::super::scope::BadScope| NoGrant::Scope(bad.to_string()))?;
        scopes.sort_unstable();
        scopes.dedup();
        if !(1..=MOST).contains(&scopes.len()) {
            return Err(NoGrant::Scope(format!("a token has 1 to {MOST} scopes")));
        }
        let expires_ms = match expires_ms {
            "" => None,
            text => {
                let bad = || NoGrant::Request("`expires_ms` is no time to come".to_owned());
                Some(text.parse().ok().filter(|end| *end > now_ms).ok_or_else(bad)?)
            }
        };
        Ok(Self { scopes, expires_ms })
    }
}

/// Scopes, as OAuth writes them.
pub(super) fn written(scopes: &[Scope]) -> String {
    scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")
}

/// The address of a program on the machine of the browser, as RFC 8252 (7.3, 8.3) has it: a number and no name, which could be made to
/// lead elsewhere.
pub(super) fn loopback(redirect_uri: &str) -> Option<Url> {
    let url = Url::parse(redirect_uri).ok()?;
    let host: IpAddr = url.host_str()?.trim_matches(['[', ']']).parse().ok()?;
    let is_plain = url.scheme() == "http"
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.port().is_some();
    (is_plain && host.is_loopback()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_to_this_machine_only() {
        for uri in ["http://127.0.0.1:4711/", "http://127.0.0.1:4711/callback?a=b", "http://[::1]:4711/x"] {
            assert!(loopback(uri).is_some(), "{uri}");
        }
        for uri in [
            "https://127.0.0.1:4711/",
            "http://localhost:4711/",
            "http://127.0.0.1/",
            "http://127.0.0.1:4711/#a",
            "http://user@127.0.0.1:4711/",
            "http://127.0.0.1@evil.example:80/",
            "http://127.0.0.1.evil.example:4711/",
            "http://192.0.2.1:4711/",
            "javascript:1",
            "",
        ] {
            assert!(loopback(uri).is_none(), "{uri}");
        }
    }

    #[test]
    fn a_wish_is_for_something_and_not_over() {
        let wish = Wish::read("api:read  repository:a/*:pull api:read", "1001", 1000).unwrap();
        assert_eq!(
            (written(&wish.scopes).as_str(), wish.expires_ms),
            ("repository:a/*:pull api:read", Some(1001))
        );
        for (scope, expires, code) in [
            ("", "", "scopes"),
            ("api", "", "is no scope"),
            ("admin", "1000", "no time"),
            ("admin", "x", "no time"),
        ] {
            let refused = Wish::read(scope, expires, 1000).unwrap_err().to_string();
            assert!(refused.contains(code), "{refused}");
        }
    }
}
