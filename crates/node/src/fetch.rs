// SPDX-License-Identifier: Apache-2.0
//! Fetching packages from registries into the store, from the repositories that the policy lists and from nowhere else.
//!
//! It happens before the engine is asked, so that the engine never waits for a network. What a reference stood for is kept with
//! the generation. One that is in force is not asked for again: a tag that moved changes nothing that runs when somebody
//! changes a parameter, and neither does a registry that is down.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use package::Digest;
use wire::{Document, Reference, Registry, Shelf};

use crate::generation::Pinned;
use crate::policy::PolicyFiles;
use crate::store::Store;
use crate::{Config, Rejected};

/// What references into registries stand for, with everything that they stand for in the store.
#[derive(Debug, Clone, Default)]
pub struct Fetched(pub(crate) BTreeMap<String, Pinned>);

/// Fetches from registries.
#[derive(Debug)]
pub struct Fetcher {
    registry: Registry,
    store: Store,
    policy: PathBuf,
}

impl Fetcher {
    /// A fetcher into the daemon's store, under its policy.
    pub fn new(registry: Registry, config: &Config) -> Self {
        Self { registry, store: Store::new(&config.state), policy: config.policy.clone() }
    }

    /// Fetches what a document names in registries, but for references that are in force.
    ///
    /// # Errors
    /// When a reference lies in no repository of the policy, or cannot be fetched.
    pub async fn fetch(&self, document: &Document, in_force: &Fetched) -> Result<Fetched, Rejected> {
        let mut fetched = BTreeMap::new();
        for reference in references(document).filter(|reference| is_remote(reference)) {
            if fetched.contains_key(reference) {
                continue;
            }
            let pinned = match in_force.0.get(reference) {
                Some(pinned) => pinned.clone(),
                None => self.fetch_one(reference).await?,
            };
            fetched.insert(reference.to_owned(), pinned);
        }
        Ok(Fetched(fetched))
    }

    async fn fetch_one(&self, name: &str) -> Result<Pinned, Rejected> {
        let reference = self.listed(name)?;
        let index = self.registry.resolve(&reference).await.map_err(|error| unfetched(name, error))?;
        let pulled = self.registry.pull(&reference.repository, &index, &self.store).await;
        pulled.map_err(|error| unfetched(name, error))?;
        let statements = self.statements(&reference, name, &index).await?;
        tracing::info!(package.reference = name, package.index = %index, "fetched");
        Ok(Pinned { index, statements, roots: Vec::new() })
    }

    async fn statements(
        &self,
        reference: &Reference,
        name: &str,
        index: &Digest,
    ) -> Result<Vec<Digest>, Rejected> {
        let envelopes = self.registry.statements(&reference.repository, index).await;
        let envelopes = envelopes.map_err(|error| unfetched(name, error))?;
        let kept: io::Result<Vec<Digest>> =
            envelopes.iter().map(|envelope| self.store.keep(envelope)).collect();
        kept.map_err(|source| Rejected::State { action: "keep a statement", source })
    }

    /// Reads a reference, and the policy as it is now: only what it lists is asked.
    fn listed(&self, name: &str) -> Result<Reference, Rejected> {
        let reference = name.parse::<Reference>().map_err(|source| Rejected::BadReference { source })?;
        let policy = PolicyFiles::read(&self.policy)?.policy()?;
        match policy.repository(&reference.to_string()) {
            Some(_) => Ok(reference),
            None => Err(Rejected::Unlisted {
                reference: name.to_owned(),
                repository: reference.repository.to_string(),
                policy: self.policy.clone(),
            }),
        }
    }
}

impl Shelf for Store {
    fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        Store::keep(self, bytes).map(drop)
    }
}

/// Whether a package is in a registry.
pub(crate) fn is_remote(reference: &str) -> bool {
    reference.starts_with("oci://")
}

/// The package references of a document.
fn references(document: &Document) -> impl Iterator<Item = &str> {
    let in_chains = document.chains.iter().flat_map(|chain| &chain.members);
    let in_chains = in_chains.map(|member| member.package.as_str());
    in_chains.chain(document.probes.iter().map(|probe| probe.package.as_str()))
}

fn unfetched(reference: &str, source: impl Error + Send + Sync + 'static) -> Rejected {
    Rejected::Unfetched { reference: reference.to_owned(), source: Box::new(source) }
}
