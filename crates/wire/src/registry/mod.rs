// SPDX-License-Identifier: Apache-2.0
//! Packages in registries (OCI distribution 1.1): resolving, pulling and pushing them and the statements about them.
//!
//! A registry is believed nothing: every size has a bound, every digest is computed, every wait ends. What a package is worth is
//! decided elsewhere, by its statements.

mod credentials;
mod download;
mod error;
mod http;
mod login;
mod places;
mod progress;
mod pull;
mod push;
mod reference;
mod referrers;
mod whole;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Client, Url};

pub use credentials::{BadCredentials, Credentials};
pub use error::RegistryError;
use http::Fault;
pub use http::Patience;
pub(crate) use http::retry_after;
use login::{Access, Grant};
pub use places::Places;
pub use progress::Progress;
pub use pull::Shelf;
pub use reference::{BadReference, Reference, Repository, Tag};

/// How often a registry may send one elsewhere for a blob.
const MAX_REDIRECTS: usize = 5;

/// A client of registries.
pub struct Registry {
    /// For hosts elsewhere: through a proxy where the environment names one.
    remote: OnceLock<Client>,
    /// For this machine.
    local: OnceLock<Client>,
    credentials: Credentials,
    patience: Patience,
    grants: Mutex<BTreeMap<(Repository, Access), Grant>>,
    progress: Arc<Progress>,
}

impl Registry {
    /// A client with these logins, which waits so long and no longer. Nothing is read or sent yet.
    pub fn new(credentials: Credentials, patience: Patience) -> Self {
        let (remote, local, grants, progress) = Default::default();
        Self { remote, local, credentials, patience, grants, progress }
    }

    /// How far what goes on is, of all that this client pulls and pushes.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// The client for a repository. The first one reads the certificates of this machine, which takes longer than starting a
    /// program does: who never fetches does not wait for it.
    fn client(&self, repository: &Repository) -> Result<&Client, Fault> {
        let is_local = repository.is_loopback();
        let made = if is_local { &self.local } else { &self.remote };
        if let Some(client) = made.get() {
            return Ok(client);
        }
        let agent = concat!("l3af/", env!("CARGO_PKG_VERSION"));
        let silence = self.patience.silence;
        let builder = Client::builder().user_agent(agent).connect_timeout(silence).read_timeout(silence);
        let builder = if is_local {
            builder.redirect(Policy::none()).no_proxy()
        } else {
            builder.redirect(Policy::custom(follow))
        };
        let client = builder.build().map_err(|error| Fault::Lasting(RegistryError::NoClient(error)))?;
        Ok(made.get_or_init(|| client))
    }

    fn granted(&self, repository: &Repository, access: Access) -> Option<Grant> {
        let grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.get(&(repository.clone(), access)).cloned()
    }

    fn grant(&self, repository: &Repository, access: Access, grant: Grant) {
        let mut grants = self.grants.lock().unwrap_or_else(PoisonError::into_inner);
        grants.insert((repository.clone(), access), grant);
    }

    /// Bounds the time of something that may take several calls.
    async fn in_time<T>(
        &self,
        repository: &Repository,
        work: impl Future<Output = Result<T, RegistryError>>,
    ) -> Result<T, RegistryError> {
        let limit = self.patience.whole;
        let slow = || RegistryError::TooSlow { repository: repository.clone(), limit };
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_elapsed| Err(slow()))
    }
}

/// The address of something in a repository. TLS, but for this machine.
fn url(repository: &Repository, rest: &str) -> Url {
    let scheme = if repository.is_loopback() { "http" } else { "https" };
    let text = format!("{scheme}://{}/v2/{}/{rest}", repository.endpoint(), repository.path());
    Url::parse(&text).expect("hosts, names, tags and digests are made of letters that addresses take")
}

/// Follows a registry elsewhere: not often, and never to where others could read along.
fn follow(attempt: Attempt<'_>) -> Action {
    if attempt.previous().len() > MAX_REDIRECTS || !is_private(attempt.url()) {
        attempt.stop()
    } else {
        attempt.follow()
    }
}

/// Whether nobody on the way reads what goes there.
fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || url.host_str().is_some_and(reference::is_loopback)
}

/// Logins and grants are not shown.
impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}
