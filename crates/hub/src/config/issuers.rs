// SPDX-License-Identifier: Apache-2.0
//! `[[access.issuers]]`: who else says who somebody is (`OpenID` Connect), people by way of a browser and machines by a token.

use std::path::PathBuf;

use serde::Deserialize;

/// An issuer of identities.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// What it is called in addresses: `corp` makes `/login/corp`.
    pub name: String,
    /// What people are shown. The name.
    pub title: Option<String>,
    /// Its URL, as `iss` in its tokens has it.
    pub url: String,
    /// The authorities that sign its certificate (PEM). Those of this machine.
    pub roots: Option<PathBuf>,
    /// What the hub is there. None: nobody logs in by it.
    pub client: Option<IssuerClientConfig>,
    /// What becomes of somebody who comes for the first time. `new`.
    #[serde(default)]
    pub first_login: FirstLogin,
    /// What a new account may do. `reader`.
    #[serde(default)]
    pub role: FirstRole,
    /// Whether publishers may let its tokens publish: it is one of machines. No.
    #[serde(default)]
    pub publishing: bool,
}

/// What the hub is at an issuer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerClientConfig {
    /// Its id.
    pub id: String,
    /// The file with its secret. None: the issuer gives it none.
    pub secret_file: Option<PathBuf>,
    /// What is asked for. `openid` and `profile`.
    #[serde(default = "openid_and_profile")]
    pub scopes: Vec<String>,
}

/// What becomes of somebody who comes for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstLogin {
    /// There is a new account.
    #[default]
    New,
    /// Nothing, unless the login was linked to an account before.
    Linked,
}

/// What a new account may do at the hub. Nobody becomes an administrator so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstRole {
    /// To fetch what is public, and what publishers let it fetch.
    #[default]
    Reader,
    /// Also to found publishers.
    Contributor,
    /// Also to review what anybody publishes.
    Reviewer,
}

fn openid_and_profile() -> Vec<String> {
    ["openid", "profile"].map(str::to_owned).into()
}
