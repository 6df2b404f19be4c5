// SPDX-License-Identifier: Apache-2.0
//! Requests to addresses that others wrote down, which must not reach what only this machine or its network reaches: names are
//! resolved here, addresses that are not public are left out, and redirects are not followed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

/// How long the other side may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where requests may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To public addresses, by https.
    Public,
    /// Anywhere, as an administrator decided.
    Anywhere,
}

/// A client for such requests.
///
/// # Errors
/// When there is no TLS to be had.
pub(super) fn client(reach: Reach) -> reqwest::Result<Client> {
    let client = Client::builder().redirect(Policy::none()).timeout(PATIENCE).no_proxy();
    match reach {
        Reach::Public => client.dns_resolver(Arc::new(Public)).https_only(true).build(),
        Reach::Anywhere => client.build(),
    }
}

/// Whether requests may go there, as far as the address itself tells: a host that is a number is resolved by nobody.
pub(crate) fn may_ask(reach: Reach, url: &Url) -> bool {
    let number = || url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    match reach {
        Reach::Anywhere => matches!(url.scheme(), "http" | "https"),
        Reach::Public => url.scheme() == "https" && number().is_none_or(is_public),
    }
}

/// Resolves names to public addresses only.
struct Public;

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                let why = format!("`{}` has no public address", name.as_str());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address can be anywhere in the Internet, by the registries of special addresses (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped().or_else(|| carried(address)) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

/// The IPv4 address that is carried in one of NAT64 (RFC 6052) or 6to4 (RFC 3056).
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let number = address.to_bits();
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            Some(Ipv4Addr::from_bits(u32::try_from(number & 0xffff_ffff).ok()?))
        }
        [0x2002, ..] => Some(Ipv4Addr::from_bits(u32::try_from((number >> 80) & 0xffff_ffff).ok()?)),
        _ => None,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_special = match address.octets() {
        [0 | 240.., ..] | [192, 0, 0, _] | [198, 18 | 19, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        _ => {
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_multicast()
        }
    };
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Whatever is global is in 2000::/3; 2001:db8::/32 is for documents and 2001::/23 for protocols.
    let segments = address.segments();
    segments[0] & 0xe000 == 0x2000
        && !(segments[0] == 0x2001 && (segments[1] == 0xdb8 || segments[1] < 0x200))
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::{Reach, is_public, may_ask};

    #[test]
    fn special_addresses_are_not_public() {
        let special = [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
        ];
        for address in special {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
        for address in ["1.1.1.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101"] {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn numbers_in_addresses_are_seen_through() {
        // An address may be spelled as one number, in octal, or in brackets.
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0177.1/",
            "https://[::1]/",
            "http://example.org/",
        ] {
            assert!(!may_ask(Reach::Public, &Url::parse(url).expect("an address")), "{url}");
        }
        assert!(may_ask(Reach::Public, &Url::parse("https://example.org/").expect("an address")));
    }
}
