// SPDX-License-Identifier: Apache-2.0
//! The part of the configuration about connections: TLS, proxies in front of the hub, and how much anybody may ask for.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

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
    /// Their addresses or networks, `192.0.2.0/24`. What others say in `X-Forwarded-For` does not count. None.
    pub trusted: Vec<IpNet>,
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

impl ProxyConfig {
    /// From where a request comes that came over a connection from `peer`: of what `X-Forwarded-For` lists, each proxy
    /// added whom it heard it from, so that the last one that is no trusted proxy is whom a trusted one heard.
    pub(crate) fn origin<'a>(&self, peer: IpAddr, forwarded: impl Iterator<Item = &'a str>) -> IpAddr {
        let peer = peer.to_canonical();
        let is_trusted = |address: &IpAddr| self.trusted.iter().any(|net| net.contains(address));
        if !is_trusted(&peer) {
            return peer;
        }
        let listed: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        let mut nearest = peer;
        for text in listed.into_iter().rev() {
            let Ok(address) = text.trim().parse::<IpAddr>() else { break };
            nearest = address.to_canonical();
            if !is_trusted(&nearest) {
                break;
            }
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
        let config = ProxyConfig { trusted };
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
            let found = config.origin(peer.parse().unwrap(), forwarded.iter().copied());
            assert_eq!(found, origin.parse::<IpAddr>().unwrap(), "{peer} {forwarded:?}");
        }
    }
}
