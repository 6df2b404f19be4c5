// SPDX-License-Identifier: Apache-2.0
//! Asking an issuer of tokens for its keys and for where people log in (`OpenID` Connect Discovery 1.0), and for a token in place
//! of a code. What comes is bounded and not believed: whoever asks for it decides what a key may do, and verifies the token.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use thiserror::Error;
use zeroize::Zeroizing;

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
    /// Something of it is where anybody can exchange it.
    #[error("the issuer names `{url}`, which is no `https://` URL")]
    Unsafe {
        /// Where.
        url: String,
    },
    /// It gives no token for a code (RFC 6749, section 5.2).
    #[error("the issuer gives no token: it says `{error}`")]
    Refused {
        /// What it says: `invalid_grant`.
        error: String,
    },
}

/// What an issuer tells of itself.
#[derive(Debug, Clone, Deserialize)]
pub struct Discovered {
    issuer: String,
    jwks_uri: String,
    /// Where people are sent to log in.
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens.
    pub token_endpoint: Option<String>,
    /// Where an access token tells more of a person.
    pub userinfo_endpoint: Option<String>,
    /// How clients may show their secret there; where it says nothing, by HTTP Basic.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether each answer to a browser names the issuer (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

/// What a client shows in place of which it is given a token.
#[derive(Debug, Clone, Copy)]
pub struct Code<'a> {
    /// What a browser brought.
    pub code: &'a str,
    /// What only who began knows (RFC 7636).
    pub verifier: &'a str,
    /// Where the browser was sent back to.
    pub redirect_uri: &'a str,
}

/// A client that an issuer knows.
#[derive(Clone)]
pub struct IssuerClient {
    /// What the issuer calls it.
    pub id: String,
    /// What proves that it is this client; none where the issuer gives it none.
    pub secret: Option<Zeroizing<String>>,
}

/// What an issuer gives for a code, as it came.
#[derive(Deserialize)]
pub struct Given {
    /// Who came.
    pub id_token: String,
    /// What more may be asked with.
    pub access_token: Option<String>,
}

#[derive(Deserialize)]
struct No {
    error: String,
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

    /// What it tells of itself, and the keys with which it signs, as JSON (RFC 7517).
    ///
    /// # Errors
    /// When it does not answer in time, or with what is no set of keys.
    pub async fn ask(&self) -> Result<(Discovered, Vec<Value>), IssuerError> {
        let place = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let discovered: Discovered = self.document(&place).await?;
        if discovered.issuer != self.issuer {
            return Err(IssuerError::Other { issuer: self.issuer.clone(), told: discovered.issuer });
        }
        let KeySet { keys } = self.document(safe(&discovered.jwks_uri)?).await?;
        Ok((discovered, keys))
    }

    /// What it gives for a code (`OpenID` Connect Core 1.0, section 3.1.3).
    ///
    /// # Errors
    /// When it does not take the code or the client, or does not answer in time.
    pub async fn redeem(
        &self,
        discovered: &Discovered,
        client: &IssuerClient,
        code: Code<'_>,
    ) -> Result<Given, IssuerError> {
        let nowhere = || IssuerError::Silent {
            url: self.issuer.clone(),
            problem: "it tells nowhere to bring codes".to_owned(),
        };
        let url = safe(discovered.token_endpoint.as_deref().ok_or_else(nowhere)?)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code.code),
            ("code_verifier", code.verifier),
            ("redirect_uri", code.redirect_uri),
        ];
        let methods = discovered.token_endpoint_auth_methods_supported.as_deref();
        let is_basic = methods.is_none_or(|methods| methods.iter().any(|way| way == "client_secret_basic"));
        let request = self.http.post(url);
        let request = match &client.secret {
            Some(secret) if is_basic => request.basic_auth(escaped(&client.id), Some(escaped(secret))),
            Some(secret) => {
                form.extend([("client_id", client.id.as_str()), ("client_secret", secret.as_str())]);
                request
            }
            None => {
                form.push(("client_id", &client.id));
                request
            }
        };
        let silent = |problem| IssuerError::Silent { url: url.to_owned(), problem };
        let response = request.form(&form).send().await.map_err(|error| silent(deepest(&error)))?;
        let status = response.status();
        let bytes = bounded(response).await.map_err(silent)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| silent(error.to_string()));
        }
        let Ok(No { error }) = serde_json::from_slice(&bytes) else { return Err(silent(status.to_string())) };
        Err(IssuerError::Refused {
            error: error.chars().filter(|letter| !letter.is_control()).take(100).collect(),
        })
    }

    /// What it tells of the person for whom it gave an access token (section 5.3); nothing where it tells nowhere.
    ///
    /// # Errors
    /// When it does not answer in time, or with what is no JSON.
    pub async fn person(
        &self,
        discovered: &Discovered,
        token: &str,
    ) -> Result<Map<String, Value>, IssuerError> {
        match &discovered.userinfo_endpoint {
            Some(url) => self.read(safe(url)?, self.http.get(url).bearer_auth(token)).await,
            None => Ok(Map::new()),
        }
    }

    async fn document<T: DeserializeOwned>(&self, url: &str) -> Result<T, IssuerError> {
        self.read(url, self.http.get(url)).await
    }

    async fn read<T: DeserializeOwned>(&self, url: &str, request: RequestBuilder) -> Result<T, IssuerError> {
        let silent = |problem| IssuerError::Silent { url: url.to_owned(), problem };
        let answered = request.send().await.and_then(reqwest::Response::error_for_status);
        let bytes = bounded(answered.map_err(|error| silent(deepest(&error)))?).await.map_err(silent)?;
        serde_json::from_slice(&bytes).map_err(|error| silent(error.to_string()))
    }
}

/// What came, or why it cannot be had.
async fn bounded(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| deepest(&error))? {
        if bytes.len() + piece.len() > MAX_BYTES {
            return Err(format!("it has more than {MAX_BYTES} bytes"));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// As it stands in HTTP Basic there (RFC 6749, section 2.3.1).
fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn safe(url: &str) -> Result<&str, IssuerError> {
    is_safe_issuer(url).then_some(url).ok_or_else(|| IssuerError::Unsafe { url: url.to_owned() })
}

/// Says that there is a secret.
impl fmt::Debug for IssuerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client `{}`", self.id)
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
