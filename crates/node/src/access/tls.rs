// SPDX-License-Identifier: Apache-2.0
//! TLS of the API: the certificate of the node, and the authorities whose clients may come in.
//!
//! No authority of this machine counts, only those that are configured.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use door::{BadTls, certificates, private_key};
use jiff::Timestamp;
use package::Digest;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use super::certificate;
use crate::config::{RemoteConfig, TlsVersion};

/// What the files said when they were read.
pub(crate) struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    /// When the certificate of the node, and those of the authorities, end.
    pub(crate) ends: Vec<End>,
    /// A digest of all files.
    pub(crate) digest: Digest,
}

/// When a certificate ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) file: PathBuf,
    /// Whether it is that of the node itself.
    pub(crate) is_own: bool,
    pub(crate) at: Timestamp,
}

/// The authorities of clients, where there are some.
type Roots = Option<Vec<u8>>;

/// The files that are read.
struct Files<'a> {
    certificate: &'a Path,
    key: &'a Path,
    client_roots: Option<&'a Path>,
}

impl<'a> Files<'a> {
    fn of(config: &'a RemoteConfig) -> Self {
        // Without them the configuration is refused.
        let path = |path: &'a Option<PathBuf>| path.as_deref().unwrap_or(Path::new("/"));
        Self {
            certificate: path(&config.certificate),
            key: path(&config.key),
            client_roots: config.client_roots.as_deref(),
        }
    }

    /// What the certificate, the key and the authorities are now.
    fn read(&self) -> Result<(Vec<u8>, Vec<u8>, Roots), BadTls> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| BadTls::Unreadable { path: path.to_owned(), source })
        };
        Ok((read(self.certificate)?, read(self.key)?, self.client_roots.map(read).transpose()?))
    }
}

/// A digest of what the files have now.
pub(crate) fn digest(config: &RemoteConfig) -> Result<Digest, BadTls> {
    let (certificate, key, roots) = Files::of(config).read()?;
    Ok(digest_of(&certificate, &key, roots.as_deref()))
}

fn digest_of(certificate: &[u8], key: &[u8], roots: Option<&[u8]>) -> Digest {
    // Digests have one length, so that no file looks like the beginning of the next.
    let parts = [certificate, key, roots.unwrap_or_default()].map(|part| Digest::of(part).to_string());
    Digest::of(parts.concat().as_bytes())
}

impl Tls {
    /// Reads the files.
    pub(crate) fn read(config: &RemoteConfig) -> Result<Self, BadTls> {
        let files = Files::of(config);
        let (certificate, key, roots) = files.read()?;
        let digest = digest_of(&certificate, &key, roots.as_deref());
        let chain = certificates(files.certificate, &certificate)?;
        let key = private_key(files.key, &key)?;
        let mut ends = vec![end(files.certificate, &chain[0], true)?];
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier: Arc<dyn ClientCertVerifier> = match (files.client_roots, &roots) {
            (Some(path), Some(roots)) => {
                let mut store = RootCertStore::empty();
                for root in certificates(path, roots)? {
                    ends.push(end(path, &root, false)?);
                    store.add(root).map_err(|error| BadTls::invalid(path, error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider));
                // Who has no certificate may have a token, and is refused else.
                let verifier =
                    if config.oidc.is_some() { verifier.allow_unauthenticated() } else { verifier };
                verifier.build().map_err(|error| BadTls::invalid(path, error))?
            }
            _ => WebPkiClientVerifier::no_client_auth(),
        };
        let versions: &[_] = match config.min_tls {
            TlsVersion::Tls12 => &[&TLS12, &TLS13],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let server = door::server(chain, key, verifier, versions)?;
        Ok(Self { server: Arc::new(server), ends, digest })
    }
}

fn end(path: &Path, certificate: &CertificateDer<'_>, is_own: bool) -> Result<End, BadTls> {
    let read = certificate::read(certificate).map_err(|error| BadTls::invalid(path, error))?;
    Ok(End { file: path.to_owned(), is_own, at: read.expires })
}
