// SPDX-License-Identifier: Apache-2.0
//! What a request shows of who makes it.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cookie::SESSION;
use super::secret::{PREFIX, Secret};

/// What a request shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// The cookie of a browser.
    Session(Secret),
    /// A token of our own.
    Token(Secret),
    /// A short-lived token that the hub signed.
    Signed(String),
    Password {
        user: String,
        password: String,
    },
    /// Something else; why it is nothing.
    Unreadable(&'static str),
}

impl Shown {
    /// Reads the headers. What is in `Authorization` counts before a cookie.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return SESSION.shown(headers).map_or(Self::Nothing, Self::Session);
        };
        let Some((scheme, rest)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
            return Self::Unreadable("`Authorization` is neither `Basic` nor `Bearer`");
        };
        // Schemes are of no case (RFC 9110, 11.1).
        if scheme.eq_ignore_ascii_case("bearer") {
            Self::bearer(rest.trim())
        } else if scheme.eq_ignore_ascii_case("basic") {
            Self::basic(rest.trim())
        } else {
            Self::Unreadable("`Authorization` is neither `Basic` nor `Bearer`")
        }
    }

    /// A token of our own, or one that the hub signed.
    pub(super) fn bearer(text: &str) -> Self {
        match Secret::read(text) {
            Some(secret) => Self::Token(secret),
            None if text.starts_with(PREFIX) => Self::Unreadable("it is no whole token"),
            None => Self::Signed(text.to_owned()),
        }
    }

    /// A token in place of the password counts whatever the user is; so does one in place of the user where there is no password.
    pub(super) fn pair(user: &str, password: &str) -> Self {
        match Secret::read(if password.is_empty() { user } else { password }) {
            Some(secret) => Self::Token(secret),
            None if password.starts_with(PREFIX) => Self::Unreadable("it is no whole token"),
            None => Self::Password { user: user.to_owned(), password: password.to_owned() },
        }
    }

    fn basic(text: &str) -> Self {
        let pair = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((user, password)) => Self::pair(user, password),
            None => Self::Unreadable("`Basic` is not base64 of `user:password`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(authorization: &str) -> Shown {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization.parse().unwrap());
        Shown::read(&headers)
    }

    fn basic(pair: &str) -> Shown {
        shown(&format!("BASIC {}", STANDARD.encode(pair)))
    }

    #[test]
    fn a_token_counts_wherever_a_client_can_put_it() {
        let secret = Secret::random();
        let text = secret.reveal();
        let token = Shown::Token(secret.clone());
        assert_eq!(shown(&format!("bearer {text}")), token);
        assert_eq!(basic(&format!("alice:{text}")), token);
        assert_eq!(basic(&format!("{text}:")), token);
        assert_eq!(shown("Bearer a.b.c"), Shown::Signed("a.b.c".to_owned()));
        let (user, password) = ("alice".to_owned(), "open:sesame".to_owned());
        assert_eq!(basic("alice:open:sesame"), Shown::Password { user, password });
    }

    #[test]
    fn what_cannot_be_read_is_not_nothing() {
        for text in ["Basic", "Basic !", "Basic YQ==", "Digest a", "Bearer l3af_abc", "Bearer"] {
            assert!(matches!(shown(text), Shown::Unreadable(_)), "{text}");
        }
        assert_eq!(Shown::read(&HeaderMap::new()), Shown::Nothing);
    }
}
