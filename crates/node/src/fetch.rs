// SPDX-License-Identifier: Apache-2.0
//! Fetching packages from registries into the store, from the repositories that the policy lists and from nowhere else.
//!
//! It happens before the engine is asked, so that the engine never waits for a network. What a reference stood for is kept with
//! the generation. One that is in force is not asked for again: a tag that moved changes nothing that runs when somebody
//! changes a parameter, and neither does a registry that is down. What is said about it later is looked for all the same.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::PathBuf;

use package::{Digest, Referrer, ReferrerKind};
use tokio::sync::Notify;
use wire::{Document, Reference, Registry, Shelf};

use crate::evidence::{Documents, Found};
use crate::generation::Pinned;
use crate::policy::PolicyFiles;
use crate::store::Store;
use crate::{Config, Rejected};

/// What references into registries stand for, with everything that they stand for in the store.
#[derive(Debug, Clone, Default)]
pub struct Fetched(pub(crate) BTreeMap<String, Pinned>);

impl Fetched {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Fetches from registries.
#[derive(Debug)]
pub struct Fetcher {
    registry: Registry,
    store: Store,
    policy: PathBuf,
    /// Told when it is time to look for what was said since.
    look: Notify,
}

impl Fetcher {
    /// A fetcher into the daemon's store, under its policy.
    pub fn new(registry: Registry, config: &Config) -> Self {
        let (store, policy, look) = (Store::new(&config.state), config.policy.clone(), Notify::new());
        Self { registry, store, policy, look }
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
            let pinned = if let Some(pinned) = in_force.0.get(reference) {
                pinned.clone()
            } else {
                // The network is there: a good time to hear about the others.
                self.look_soon();
                self.fetch_one(reference).await?
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
        let Documents { statements, roots } = self.referrers(&reference, name, &index).await?;
        tracing::info!(package.reference = name, package.index = %index, "fetched");
        let (statements, roots) = (statements.into_iter().collect(), roots.into_iter().collect());
        Ok(Pinned { index, statements, roots })
    }

    /// Has somebody look for what was said about the packages in force.
    pub(crate) fn look_soon(&self) {
        self.look.notify_one();
    }

    /// Waits until somebody should look.
    pub(crate) async fn told_to_look(&self) {
        self.look.notified().await;
    }

    /// Looks for what was said about the packages in force since they were fetched. A repository that does not answer does not
    /// keep the others from being asked.
    ///
    /// # Errors
    /// Beside what was found, why the first of those that gave no answer did not.
    pub async fn look(&self, in_force: &Fetched) -> (Found, Result<(), Rejected>) {
        let (mut found, mut outcome) = (Found::default(), Ok(()));
        for (name, pinned) in &in_force.0 {
            match self.look_at(name, &pinned.index).await {
                Ok(documents) => found.add(pinned.index, documents),
                // What lies in no repository of the policy is trusted no longer, and not asked for.
                Err(Rejected::Unlisted { .. }) => {}
                Err(rejected) => outcome = outcome.and(Err(rejected)),
            }
        }
        (found, outcome)
    }

    async fn look_at(&self, name: &str, index: &Digest) -> Result<Documents, Rejected> {
        let reference = self.listed(name)?;
        self.referrers(&reference, name, index).await
    }

    async fn referrers(
        &self,
        reference: &Reference,
        name: &str,
        index: &Digest,
    ) -> Result<Documents, Rejected> {
        let kinds = [ReferrerKind::Statement, ReferrerKind::Root];
        let found = self.registry.referrers(&reference.repository, index, &kinds, &self.store).await;
        let mut documents = Documents::default();
        for Referrer { kind, bytes } in found.map_err(|error| unfetched(name, error))? {
            let kept = self.store.keep(&bytes);
            let digest = kept.map_err(|source| Rejected::State { action: "keep a statement", source })?;
            match kind {
                ReferrerKind::Statement => documents.statements.insert(digest),
                ReferrerKind::Root => documents.roots.insert(digest),
                ReferrerKind::Bundle => continue,
            };
        }
        Ok(documents)
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
