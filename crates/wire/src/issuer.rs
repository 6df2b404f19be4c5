// SPDX-License-Identifier: Apache-2.0
//! Asking an issuer of tokens for its keys (`OpenID` Connect Discovery 1.0). What comes is bounded and not believed: whoever asks
//! for it decides what a key may do.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::client::deepest;

/// What a document of an issuer may have.
const MAX_BYTES: usize = 1024 * 1024;
/// How long it may take to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// An issuer of tokens.
#[derive(Debug)]
pub struct Issuer {
    http: Client,
    issuer: String,
}

/// An issuer did not tell its keys.
#[derive(Debug, Error)]
pub enum IssuerError {
    /// Nothing can be asked.
    #[error("no client for the issuer `{issuer}` can be made: {problem}")]
    NoClient {
        /// The issuer.
        issuer: String,
        /// Why not.
        problem: String,
    },
    /// It gives no answer, or none that can be understood.
    #[error("the issuer gives no answer at `{url}`: {problem}")]
    Silent {
        /// What was asked.
        url: String,
        /// Why not.
        problem: String,
    },
    /// It says that it is somebody else (section 4.3).
    #[error("the issuer says that it is `{told}`, and not `{issuer}`")]
    Other {
        /// Who was asked.
        issuer: String,
        /// Who it says it is.
        told: String,
    },
    /// Its keys are where anybody can exchange them.
    #[error("the issuer has its keys at `{url}`, which is no `https://` URL")]
    Unsafe {
        /// Where.
        url: String,
    },
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// Whether a URL is one that nobody on the way can answer: with TLS, or on this machine.
pub fn is_safe_issuer(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

impl Issuer {
    /// An issuer, and the authorities of its certificate (PEM), in place of those of this machine. Nothing is sent yet.
    ///
    /// # Errors
    /// When the authorities cannot be read.
    pub fn new(issuer: &str, roots: Option<&[u8]>) -> Result<Self, IssuerError> {
        let failed = |error: reqwest::Error| IssuerError::NoClient {
            issuer: issuer.to_owned(),
            problem: deepest(&error),
        };
        let builder = Client::builder().timeout(PATIENCE).redirect(Policy::none());
        let builder = match roots {
            Some(roots) => builder.tls_certs_only(Certificate::from_pem_bundle(roots).map_err(failed)?),
            None => builder,
        };
        let http = builder.build().map_err(failed)?;
        Ok(Self { http, issuer: issuer.to_owned() })
    }

    /// The keys with which it signs, as JSON (RFC 7517).
    ///
    /// # Errors
    /// When it does not answer in time, or with what is no set of keys.
    pub async fn keys(&self) -> Result<Vec<Value>, IssuerError> {
        let place = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let Discovered { issuer, jwks_uri } = self.document(&place).await?;
        if issuer != self.issuer {
            return Err(IssuerError::Other { issuer: self.issuer.clone(), told: issuer });
        }
        if !is_safe_issuer(&jwks_uri) {
            return Err(IssuerError::Unsafe { url: jwks_uri });
        }
        let KeySet { keys } = self.document(&jwks_uri).await?;
        Ok(keys)
    }

    async fn document<T: DeserializeOwned>(&self, url: &str) -> Result<T, IssuerError> {
        let silent = |problem| IssuerError::Silent { url: url.to_owned(), problem };
        let answered = self.http.get(url).send().await.and_then(reqwest::Response::error_for_status);
        let mut response = answered.map_err(|error| silent(deepest(&error)))?;
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| silent(deepest(&error)))? {
            if bytes.len() + piece.len() > MAX_BYTES {
                return Err(silent(format!("it has more than {MAX_BYTES} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        serde_json::from_slice(&bytes).map_err(|error| silent(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::is_safe_issuer;

    #[test]
    fn keys_come_with_tls_or_from_this_machine() {
        for url in ["https://a.example", "http://127.0.0.1:9400", "http://localhost", "http://[::1]:1"] {
            assert!(is_safe_issuer(url), "{url}");
        }
        for url in ["http://a.example", "http://localhost.evil.example", "ftp://127.0.0.1", "a.example"] {
            assert!(!is_safe_issuer(url), "{url}");
        }
    }
}
