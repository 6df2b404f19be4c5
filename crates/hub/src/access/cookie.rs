// SPDX-License-Identifier: Apache-2.0
//! Cookies that hold a secret, and that no script can read.

use axum::http::{HeaderMap, HeaderValue, header};

use super::secret::Secret;

/// A cookie of this hub.
pub(super) struct Cookie {
    /// Its name over HTTP.
    name: &'static str,
    /// Its name over TLS, with a prefix that keeps other hosts of a domain from setting it (RFC 6265bis, 4.1.3.2).
    tls_name: &'static str,
    lifetime_s: i64,
}

impl Cookie {
    /// The secret that a browser shows by it.
    pub(super) fn shown(&self, headers: &HeaderMap) -> Option<Secret> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|cookies| cookies.split(';'));
        let pairs: Vec<_> = pairs.filter_map(|pair| pair.trim().split_once('=')).collect();
        // The one that others cannot set comes first.
        let found = [self.tls_name, self.name]
            .into_iter()
            .find_map(|wanted| pairs.iter().find_map(|(name, value)| (*name == wanted).then_some(*value)));
        found.and_then(Secret::read)
    }

    /// What makes a browser show a secret.
    pub(super) fn with(&self, secret: &Secret, is_tls: bool) -> HeaderValue {
        self.set(secret.reveal(), self.lifetime_s, is_tls)
    }

    /// What makes a browser forget it.
    pub(super) fn without(&self, is_tls: bool) -> HeaderValue {
        self.set("", 0, is_tls)
    }

    /// `Lax`: a link from elsewhere brings it, as that of an issuer which leads a browser back; a form from elsewhere does not.
    fn set(&self, value: &str, max_age_s: i64, is_tls: bool) -> HeaderValue {
        let (name, secure) = if is_tls { (self.tls_name, "; Secure") } else { (self.name, "") };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
        HeaderValue::try_from(text).expect("it is ASCII")
    }
}

/// For how long a browser is logged in, in seconds.
pub(super) const SESSION_S: i64 = 12 * 60 * 60;
/// For how long a browser may be away at an issuer, in seconds.
pub(super) const AWAY_S: i64 = 10 * 60;
/// That of a browser that is logged in.
pub(super) const SESSION: Cookie =
    Cookie { name: "l3af_session", tls_name: "__Host-l3af_session", lifetime_s: SESSION_S };
/// That of a browser that is at an issuer.
pub(super) const JOURNEY: Cookie =
    Cookie { name: "l3af_journey", tls_name: "__Host-l3af_journey", lifetime_s: AWAY_S };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_kept_from_scripts() {
        let secret = Secret::random();
        let mut headers = HeaderMap::new();
        let cookies = format!("theme=dark; __Host-l3af_session={}; l3af_session2=x", secret.reveal());
        headers.insert(header::COOKIE, cookies.parse().unwrap());
        assert_eq!(SESSION.shown(&headers), Some(secret.clone()));
        assert_eq!(JOURNEY.shown(&headers), None);
        headers.insert(header::COOKIE, HeaderValue::from_static("l3af_session=l3af_nonsense"));
        assert_eq!(SESSION.shown(&headers), None);
        let cookie = SESSION.with(&secret, true);
        let cookie = cookie.to_str().unwrap();
        for part in ["__Host-", "HttpOnly", "SameSite=Lax", "Secure", "Path=/;"] {
            assert!(cookie.contains(part), "{cookie}");
        }
    }

    #[test]
    fn what_another_host_of_the_domain_could_set_does_not_come_first() {
        let (ours, theirs) = (Secret::random(), Secret::random());
        let mut headers = HeaderMap::new();
        let cookies = format!("l3af_session={}; __Host-l3af_session={}", theirs.reveal(), ours.reveal());
        headers.insert(header::COOKIE, cookies.parse().unwrap());
        assert_eq!(SESSION.shown(&headers), Some(ours));
    }
}
