// SPDX-License-Identifier: Apache-2.0
//! Sending a browser to an issuer.

use axum::http::HeaderValue;
use futures_util::FutureExt as _;
use reqwest::Url;
use wire::is_safe_issuer;

use super::super::Access;
use super::NotLoggedIn;
use super::journeys::{self, Journey};

/// Where a browser goes, and what it keeps meanwhile.
pub(super) struct Departure {
    pub(super) url: String,
    pub(super) cookie: HeaderValue,
}

impl Access {
    /// Sends a browser to an issuer, by its name, and afterwards to a place of this hub.
    pub(super) async fn depart(&self, name: &str, next: &str) -> Result<Departure, NotLoggedIn> {
        let no_issuer = || NotLoggedIn::NoIssuer { name: name.to_owned() };
        let (issuer, client) = self.issuers.named(name).ok_or_else(no_issuer)?;
        let discovered = issuer.verifier.discovered().await;
        let discovered =
            discovered.map_err(|source| NotLoggedIn::Silent { issuer: issuer.title.clone(), source })?;
        let endpoint = discovered.authorization_endpoint.as_deref().filter(|url| is_safe_issuer(url));
        let unusable = || NotLoggedIn::Unproven {
            issuer: issuer.title.clone(),
            problem: "it tells nowhere to log in".to_owned(),
        };
        let mut url = endpoint.and_then(|url| Url::parse(url).ok()).ok_or_else(unusable)?;
        let journey = Journey::new();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.known.id)
            .append_pair("redirect_uri", &self.return_address(name))
            .append_pair("scope", &client.scope)
            .append_pair("state", journey.state.reveal())
            .append_pair("nonce", &journey.nonce())
            .append_pair("code_challenge", &journeys::challenge(&journey.verifier()))
            .append_pair("code_challenge_method", "S256");
        let cookie = journey.cookie(self.is_tls());
        let (now_ms, issuer, next) = (self.now_ms(), issuer.url.clone(), next.to_owned());
        let begun = self.database.write(move |connection| {
            async move { journeys::begin(connection, &journey, &issuer, &next, now_ms).await }.boxed()
        });
        begun.await?;
        Ok(Departure { url: url.into(), cookie })
    }

    /// Where an issuer sends browsers back to, as it must know it.
    pub(super) fn return_address(&self, name: &str) -> String {
        format!("{}/login/{name}/callback", self.url)
    }
}
