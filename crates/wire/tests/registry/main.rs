// SPDX-License-Identifier: Apache-2.0
//! Registries that keep to distribution 1.1, and registries that do not.
#![expect(clippy::unwrap_used, reason = "test crate")]

mod hub;
mod login;
mod memory;
mod mirrors;
mod resume;
mod server;
mod well;
mod wrong;

use std::time::Duration;

use package::{Digest, Referrer, ReferrerKind};
use wire::{Credentials, Layout, Patience, Registry, RegistryError, Repository};

use crate::server::Server;

/// A client that soon loses its patience.
fn client() -> Registry {
    client_with(Credentials::default())
}

fn client_with(credentials: Credentials) -> Registry {
    let patience = Patience {
        attempts: 3,
        pause: Duration::from_millis(5),
        longest_pause: Duration::from_millis(50),
        silence: Duration::from_millis(1500),
        whole: Duration::from_secs(8),
    };
    Registry::new(credentials, patience)
}

/// Waits for something of a registry.
fn wait<T>(work: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// An error as people read it, with the causes left out, and a name for the server in place of its port.
fn told(server: &Server, error: &RegistryError) -> String {
    let host = server.reference("a").repository.host().to_owned();
    let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    format!("{error}{hint}").replace(&host, "HOST")
}

/// What a registry has about a package, for somebody who has nothing of it yet.
fn statements(repository: &Repository, package: &Digest) -> Result<Vec<Referrer>, RegistryError> {
    let folder = tempfile::tempdir().unwrap();
    let (registry, layout) = (client(), Layout::begin(folder.path()));
    wait(registry.referrers(repository, package, &[ReferrerKind::Statement], &layout))
}
