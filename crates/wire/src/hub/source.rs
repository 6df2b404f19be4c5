// SPDX-License-Identifier: Apache-2.0
//! What another hub asks a hub from which it takes packages.

use reqwest::Method;

use super::client::named;
use super::{Advisory, HubClient, HubError, ReleaseView};
use crate::Repository;

impl HubClient {
    /// All versions of a package that whoever asks may know of, the greatest first.
    ///
    /// # Errors
    /// When there is none, or the hub cannot be asked.
    pub async fn versions(&self, repository: &Repository) -> Result<Vec<ReleaseView>, HubError> {
        let (publisher, name) = named(repository)?;
        self.read(self.request(Method::GET, &["packages", publisher, name, "versions"])).await
    }

    /// What is known to be wrong with versions of a package, the latest first.
    ///
    /// # Errors
    /// When there is no such package, or the hub cannot be asked.
    pub async fn advisories(&self, repository: &Repository) -> Result<Vec<Advisory>, HubError> {
        let (publisher, name) = named(repository)?;
        self.read(self.request(Method::GET, &["packages", publisher, name, "advisories"])).await
    }
}
