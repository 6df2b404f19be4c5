// SPDX-License-Identifier: Apache-2.0
//! What the description of the API says of who may call: over the socket the kernel tells who does, over TCP a certificate or a
//! token.

use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

/// Adds how callers say who they are.
pub(super) struct Schemes;

impl Modify for Schemes {
    fn modify(&self, description: &mut OpenApi) {
        let components = description.components.get_or_insert_default();
        let certificate = SecurityScheme::MutualTls {
            description: Some("a certificate that an authority of `client_roots` signed".to_owned()),
            deprecated: None,
            extensions: None,
        };
        let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
        let token =
            token.description(Some("a token of the OpenID Connect issuer in `[remote.oidc]`")).build();
        components.add_security_scheme("certificate", certificate);
        components.add_security_scheme("token", SecurityScheme::Http(token));
    }
}
