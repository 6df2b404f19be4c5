// SPDX-License-Identifier: Apache-2.0
//! The part of the configuration that says who may do what, from where, and how much of it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use package::Size;
use serde::Deserialize;
use thiserror::Error;

use crate::access::{Handle, NameRule};

/// The API over TCP, which is served with TLS and never without.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteConfig {
    /// Address and port to listen at.
    pub listen: SocketAddr,
    /// The certificate of the node and what leads to its root (PEM).
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
    /// The authorities that sign certificates of clients (PEM); no others count. May be left out where `oidc` is there.
    pub client_roots: Option<PathBuf>,
    /// The oldest version of TLS that clients may speak. Default 1.3.
    #[serde(default)]
    pub min_tls: TlsVersion,
    /// Which names certificates of clients must bear, one of these at least. Default none: any that the authorities signed.
    #[serde(default)]
    pub client_names: Vec<NameRule>,
    /// How many days before a certificate expires that is told. Default 30.
    #[serde(default = "thirty")]
    pub warn_days: u16,
    /// Who issues tokens. Default nobody.
    pub oidc: Option<OidcConfig>,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246, with authenticated encryption only.
    #[serde(rename = "1.2")]
    Tls12,
    /// RFC 8446.
    #[default]
    #[serde(rename = "1.3")]
    Tls13,
}

/// An `OpenID` Connect issuer, whose tokens callers show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    /// Its URL, as `iss` in its tokens has it.
    pub issuer: String,
    /// Whom tokens must be meant for (`aud`).
    pub audience: String,
    /// The claim that names the caller. Default `sub`.
    #[serde(default = "subject")]
    pub name_claim: String,
    /// The claim that lists the groups of the caller. Default `groups`.
    #[serde(default = "groups")]
    pub groups_claim: String,
    /// The authorities that sign the certificate of the issuer (PEM). Default those of this machine.
    pub roots: Option<PathBuf>,
}

/// Who may do what, and where it is written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Files with policies (Cedar). Default none: the roles alone count.
    pub policies: Vec<PathBuf>,
    /// Who has the role `admin`, besides root. Default nobody.
    pub admin: BTreeSet<Handle>,
    /// Who has the role `read-only`. Default nobody.
    pub read_only: BTreeSet<Handle>,
    /// The file that each change is written to, also each that was refused. Default none: the log of the daemon has them.
    pub audit: Option<PathBuf>,
}

/// How much callers may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// The most bytes of what a call brings. Default `4MiB`.
    pub body: Size,
    /// The most connections at a time, by the socket and by TCP each. Default 256.
    pub connections: NonZeroUsize,
    /// How often each caller may ask for a change within a minute; root may always. Default 60.
    pub changes_per_minute: NonZeroU32,
    /// How long a TLS handshake may take. Default 10.
    pub handshake_seconds: NonZeroU32,
    /// How long the head of a call may take, and each pause within its body. Default 30.
    pub read_seconds: NonZeroU32,
}

/// The part about access cannot be so.
#[derive(Debug, Error)]
pub enum BadRemote {
    /// There is no certificate.
    #[error(
        "`[remote]` in the configuration needs `certificate` and `key`: over TCP the API is served with TLS, and there is no way to \
         serve it without"
    )]
    Plain,
    /// Nobody could say who they are.
    #[error(
        "`[remote]` in the configuration needs `client_roots`, so that callers show certificates, or `[remote.oidc]`, so that they \
         show tokens"
    )]
    Anybody,
    /// Certificates that nobody asks for cannot have names.
    #[error(
        "`client_names` in the configuration needs `client_roots`: without them no client shows a certificate"
    )]
    Nameless,
    /// Keys that anybody on the way can exchange are no keys.
    #[error(
        "the issuer `{issuer}` in the configuration must be an `https://` URL; `http://` counts on this machine only"
    )]
    PlainIssuer {
        /// What was given.
        issuer: String,
    },
}

impl RemoteConfig {
    /// Refuses what would let anybody in.
    ///
    /// # Errors
    /// When there is no TLS, or nothing by which callers say who they are.
    pub fn check(&self) -> Result<(), BadRemote> {
        if self.certificate.is_none() || self.key.is_none() {
            return Err(BadRemote::Plain);
        }
        if self.client_roots.is_none() && self.oidc.is_none() {
            return Err(BadRemote::Anybody);
        }
        if self.client_roots.is_none() && !self.client_names.is_empty() {
            return Err(BadRemote::Nameless);
        }
        match &self.oidc {
            Some(oidc) if !wire::is_safe_issuer(&oidc.issuer) => {
                Err(BadRemote::PlainIssuer { issuer: oidc.issuer.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body: Size::of(4 << 20),
            connections: const { NonZeroUsize::new(256).unwrap() },
            changes_per_minute: const { NonZeroU32::new(60).unwrap() },
            handshake_seconds: const { NonZeroU32::new(10).unwrap() },
            read_seconds: const { NonZeroU32::new(30).unwrap() },
        }
    }
}

fn thirty() -> u16 {
    30
}

fn subject() -> String {
    "sub".to_owned()
}

fn groups() -> String {
    "groups".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let read = toml::from_str::<RemoteConfig>(text).unwrap();
        read.check().map_or_else(|bad| bad.to_string(), |()| "accepted".to_owned())
    }

    #[test]
    fn without_tls_nothing_is_served_over_tcp() {
        let told = refused("listen = \"0.0.0.0:7443\"\nclient_roots = \"ca.pem\"");
        assert!(told.contains("there is no way to serve it without"), "{told}");
    }

    #[test]
    fn callers_must_be_able_to_say_who_they_are() {
        let tls = "listen = \"[::]:7443\"\ncertificate = \"a\"\nkey = \"b\"\n";
        assert!(refused(tls).contains("needs `client_roots`"));
        assert_eq!(refused(&format!("{tls}client_roots = \"c\"\nmin_tls = \"1.2\"")), "accepted");
        let oidc = |issuer: &str| format!("{tls}[oidc]\nissuer = \"{issuer}\"\naudience = \"l3afd\"");
        assert_eq!(refused(&oidc("https://issuer.example.org")), "accepted");
        assert_eq!(refused(&oidc("http://127.0.0.1:9400")), "accepted");
        assert!(refused(&oidc("http://issuer.example.org")).contains("must be an `https://` URL"));
        assert!(
            refused(&oidc("https://a.example").replace("[oidc]", "client_names = [\"a\"]\n[oidc]"))
                .contains("`client_names`")
        );
    }
}
