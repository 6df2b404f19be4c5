// SPDX-License-Identifier: Apache-2.0
//! The part of the configuration about connections: TLS, proxies in front of the hub, and how much anybody may ask for.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use axum::http::{HeaderName, header};
use ipnet::IpNet;
use serde::Deserialize;

/// TLS of the hub itself, where no proxy in front of it does that.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and what leads to its root (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

/// How much anybody may ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The most connections at a time. 1024.
    pub connections: NonZeroUsize,
    /// How long a TLS handshake may take. 10.
    pub handshake_seconds: NonZeroU32,
    /// How long the head of a request may take, and each pause within its body. 30.
    pub read_seconds: NonZeroU32,
    /// How many requests an address, and a token, may make within a minute. No limit.
    pub requests_per_minute: Option<NonZeroU32>,
    /// How many of them may change something. No limit.
    pub changes_per_minute: Option<NonZeroU32>,
    /// The most bytes that the repositories of a publisher hold, where it is not given another quota. No limit.
    pub quota_bytes: Option<i64>,
}

/// Proxies in front of the hub.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyConfig {
    /// Their addresses or networks, `192.0.2.0/24`. What others say of whom they heard does not count. None.
    pub trusted: Vec<IpNet>,
    /// Where they say whom they heard; the other field anybody may have written. `x-forwarded-for`.
    pub header: ForwardedHeader,
}

/// The field of a request in which proxies say whom they heard it from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: addresses.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239): its `for`.
    Forwarded,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: const { NonZeroUsize::new(1024).unwrap() },
            handshake_seconds: const { NonZeroU32::new(10).unwrap() },
            read_seconds: const { NonZeroU32::new(30).unwrap() },
            requests_per_minute: None,
            changes_per_minute: None,
            quota_bytes: None,
        }
    }
}

impl ForwardedHeader {
    /// Its name.
    pub(crate) fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
            Self::Forwarded => header::FORWARDED,
        }
    }

    /// Whom the last proxies heard it from, the last one first, as far as they say so.
    fn heard(self, values: &[&str]) -> Vec<IpAddr> {
        let elements = values.iter().flat_map(|value| value.split(',')).map(str::trim).rev();
        let address = |element: &str| match self {
            Self::XForwardedFor => element.parse().ok(),
            Self::Forwarded => heard_from(element),
        };
        elements.map_while(address).collect()
    }
}

/// The address of `for` in an element of `Forwarded` (RFC 7239, sections 4 and 6); none where a proxy does not tell. No address has
/// a comma or a semicolon, so quotes need not be looked at to split.
fn heard_from(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let node = node.trim().trim_matches('"');
    if let Some(rest) = node.strip_prefix('[') {
        let (address, _port) = rest.split_once(']')?;
        return address.parse().map(IpAddr::V6).ok();
    }
    let address = node.split_once(':').map_or(node, |(address, _port)| address);
    address.parse().map(IpAddr::V4).ok()
}

impl ProxyConfig {
    /// From where a request comes that came over a connection from `peer`: of what the field lists, each proxy added whom it
    /// heard it from, so that the last one that is no trusted proxy is whom a trusted one heard.
    pub(crate) fn origin(&self, peer: IpAddr, forwarded: &[&str]) -> IpAddr {
        let is_trusted = |address: &IpAddr| self.trusted.iter().any(|net| net.contains(address));
        let mut nearest = peer.to_canonical();
        for address in self.header.heard(forwarded) {
            if !is_trusted(&nearest) {
                break;
            }
            nearest = address.to_canonical();
        }
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_say_where_a_request_comes_from() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|net| net.parse().unwrap()).to_vec();
        let config = ProxyConfig { trusted, header: ForwardedHeader::XForwardedFor };
        for (peer, forwarded, origin) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("2001:db8::1", &["2001:db9::1"], "2001:db9::1"),
        ] {
            let found = config.origin(peer.parse().unwrap(), forwarded);
            assert_eq!(found, origin.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }
    #[test]
    fn a_proxy_says_in_the_one_field_whom_it_heard() {
        let trusted = ["10.0.0.0/8"].map(|net| net.parse().unwrap()).to_vec();
        let config = ProxyConfig { trusted, header: ForwardedHeader::Forwarded };
        for (forwarded, origin) in [
            (&["for=198.51.100.7"][..], "198.51.100.7"),
            (&["for=203.0.113.9, For=\"198.51.100.7:47011\";proto=https;by=10.0.0.1"], "198.51.100.7"),
            (&["for=203.0.113.9", "proto=http; for=\"[2001:db8::17]:4711\""], "2001:db8::17"),
            (&["for=\"[2001:db8::17]\"", "for=10.0.0.2"], "2001:db8::17"),
            (&["for=203.0.113.9, for=_hidden"], "10.0.0.1"),
            (&["for=203.0.113.9, for=unknown"], "10.0.0.1"),
            (&["198.51.100.7"], "10.0.0.1"),
            (&["for=\"2001:db8::17\""], "10.0.0.1"),
        ] {
            let found = config.origin("10.0.0.1".parse().unwrap(), forwarded);
            assert_eq!(found, origin.parse::<IpAddr>().unwrap(), "{forwarded:?}");
        }
    }
}
