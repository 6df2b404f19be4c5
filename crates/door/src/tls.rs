// SPDX-License-Identifier: Apache-2.0
//! TLS of a server, from files in PEM. Sessions are not resumed: each connection is judged by what is in force when it begins.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ServerConfig, SupportedProtocolVersion};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A connection with TLS.
pub type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// Keys or certificates that cannot be used.
#[derive(Debug, Error)]
pub enum BadTls {
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file has no certificate or key.
    #[error("`{}` has no {what}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should have.
        what: &'static str,
    },
    /// A file has something else.
    #[error("`{}` cannot be used", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Cause,
    },
    /// They do not belong together.
    #[error("the certificate and its key cannot be used together")]
    Unfit(#[source] rustls::Error),
}

impl BadTls {
    /// A file has something else than it should.
    pub fn invalid(path: &Path, error: impl Into<Cause>) -> Self {
        Self::Invalid { path: path.to_owned(), source: error.into() }
    }
}

/// The certificates in what a file has: one at least.
///
/// # Errors
/// When there is none, or one cannot be read.
pub fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| BadTls::invalid(path, error))?;
    if read.is_empty() {
        return Err(BadTls::Empty { path: path.to_owned(), what: "certificate" });
    }
    Ok(read)
}

/// The private key in what a file has.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn private_key(path: &Path, pem: &[u8]) -> Result<PrivateKeyDer<'static>, BadTls> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            BadTls::Empty { path: path.to_owned(), what: "private key" }
        } else {
            BadTls::invalid(path, error)
        }
    })
}

/// How a server makes connections: with its certificate and what leads to its root, and with what it asks of clients.
///
/// # Errors
/// When the key is not that of the certificate.
pub fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    verifier: Arc<dyn ClientCertVerifier>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ServerConfig, BadTls> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let mut server = builder
        .map_err(BadTls::Unfit)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(BadTls::Unfit)?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(server)
}

/// Makes a connection with TLS, which may take as long as `patience`.
///
/// # Errors
/// When the client does not make one with it.
pub async fn shake(
    stream: TcpStream,
    server: Arc<ServerConfig>,
    patience: Duration,
) -> io::Result<TlsStream> {
    stream.set_nodelay(true)?;
    timeout(patience, TlsAcceptor::from(server).accept(stream)).await?
}
