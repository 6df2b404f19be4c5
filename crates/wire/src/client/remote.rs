// SPDX-License-Identifier: Apache-2.0
//! Nodes on other machines. They are asked with TLS, and never without.

use std::fmt;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity, Url};

use super::{CallError, NodeClient, deepest};

/// A node on another machine, and what is shown to it.
#[derive(Clone)]
pub struct RemoteNode {
    /// Its URL: `https://`, a host, and a port.
    pub url: String,
    /// The authorities that may have signed its certificate (PEM). Those of this machine where there are none.
    pub roots: Option<Vec<u8>>,
    /// A certificate and its private key (PEM).
    pub identity: Option<Vec<u8>>,
    /// A token.
    pub token: Option<String>,
}

/// Without what is secret.
impl fmt::Debug for RemoteNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteNode").field("url", &self.url).finish_non_exhaustive()
    }
}

impl NodeClient {
    /// A client for a node on another machine. Nothing is sent yet.
    ///
    /// # Errors
    /// When the URL or the keys cannot be used.
    pub fn remote(node: &RemoteNode) -> Result<Self, CallError> {
        let bad = |problem: &str| CallError::BadRemote { url: node.url.clone(), problem: problem.to_owned() };
        let unfit = |error: reqwest::Error| bad(&deepest(&error));
        let url = Url::parse(&node.url).map_err(|error| bad(&error.to_string()))?;
        if url.scheme() != "https" {
            return Err(bad("over TCP a node answers `https://` only"));
        }
        if url.path() != "/" || url.query().is_some() {
            return Err(bad("it is a host and a port, without a path"));
        }
        let mut builder = Client::builder().no_proxy().redirect(Policy::none());
        if let Some(roots) = &node.roots {
            let roots = Certificate::from_pem_bundle(roots).map_err(unfit)?;
            if roots.is_empty() {
                return Err(bad("there is no certificate in the file of its authorities"));
            }
            builder = builder.tls_certs_only(roots);
        }
        if let Some(identity) = &node.identity {
            builder = builder.identity(Identity::from_pem(identity).map_err(unfit)?);
        }
        if let Some(token) = &node.token {
            let value = HeaderValue::try_from(format!("Bearer {token}"));
            let mut value = value.map_err(|_odd| bad("the token has letters that no token has"))?;
            value.set_sensitive(true);
            builder = builder.default_headers(HeaderMap::from_iter([(AUTHORIZATION, value)]));
        }
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { http: builder.build().map_err(unfit)?, socket: None, place: base.clone(), base })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_elsewhere_is_asked_with_tls_only() {
        let told = |url: &str| {
            let node = RemoteNode { url: url.to_owned(), roots: None, identity: None, token: None };
            NodeClient::remote(&node).map_or_else(|error| error.to_string(), |client| client.place)
        };
        assert_eq!(told("https://a.example:7443/"), "https://a.example:7443");
        for (url, words) in [
            ("http://a.example:7443", "`https://` only"),
            ("a.example:7443", "`https://` only"),
            ("https://a.example/v1", "without a path"),
            ("a", "relative URL"),
        ] {
            assert!(told(url).contains(words), "{}", told(url));
        }
    }
}
