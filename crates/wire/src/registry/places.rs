// SPDX-License-Identifier: Apache-2.0
//! Mirrors: other places that may have what a repository has, for when that cannot be reached or has it no more.
//!
//! What has a digest may come from anywhere. A tag is the word of whoever is asked, so a mirror is asked for one only where the
//! original cannot be reached; that the original knows no such tag is an answer. That a mirror knows nothing about a package says
//! nothing either: what is said about packages is signed, and silence is not.

use std::collections::BTreeMap;

use package::{Descriptor, Digest, Referrer, ReferrerKind};

use super::pull::Shelf;
use super::{Reference, Registry, RegistryError, Repository};

/// A repository and its mirrors. One that does not answer is asked last from then on.
#[derive(Debug, Clone)]
pub struct Places {
    original: Repository,
    order: Vec<Repository>,
}

impl Places {
    /// A repository, and its mirrors in the order in which they are asked.
    pub fn new(original: Repository, mirrors: impl IntoIterator<Item = Repository>) -> Self {
        let order = std::iter::once(original.clone()).chain(mirrors).collect();
        Self { original, order }
    }

    fn mirrors(&self) -> Vec<Repository> {
        self.order.iter().filter(|place| **place != self.original).cloned().collect()
    }

    /// What the first place gives that gives anything. A failure that is not of the place is one everywhere.
    async fn first<T>(
        &mut self,
        places: Vec<Repository>,
        mut asked: Vec<RegistryError>,
        ask: impl AsyncFn(&Repository) -> Result<T, RegistryError>,
    ) -> Result<(T, Repository), RegistryError> {
        for place in places {
            match ask(&place).await {
                Ok(given) => return Ok((given, place)),
                Err(error) if error.is_of_place() => {
                    self.note(&place, &error);
                    asked.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(RegistryError::nowhere(asked))
    }

    /// Waiting for a place that does not answer is long: the others come first from then on.
    fn note(&mut self, place: &Repository, error: &RegistryError) {
        if error.is_silence() {
            self.order.retain(|other| other != place);
            self.order.push(place.clone());
        }
    }
}

impl Registry {
    /// The digest that a reference stands for, and who says so. Mirrors are asked for a tag only where the original cannot be
    /// reached.
    ///
    /// # Errors
    /// When nobody can be asked, or the original knows no such package.
    pub async fn resolve_from(
        &self,
        reference: &Reference,
        places: &mut Places,
    ) -> Result<(Digest, Repository), RegistryError> {
        let error = match self.resolve(reference).await {
            Ok(digest) => return Ok((digest, reference.repository.clone())),
            Err(error) if error.is_silence() => error,
            Err(error) => return Err(error),
        };
        places.note(&reference.repository, &error);
        let named = |mirror: &Repository| Reference { repository: mirror.clone(), ..reference.clone() };
        places.first(places.mirrors(), vec![error], async |mirror| self.resolve(&named(mirror)).await).await
    }

    /// What of a package is not on the shelf, as [`Registry::missing`] tells it.
    ///
    /// # Errors
    /// When its documents are nowhere, and why not in each place.
    pub async fn missing_from(
        &self,
        places: &mut Places,
        package: &Digest,
        into: &dyn Shelf,
    ) -> Result<BTreeMap<Digest, u64>, RegistryError> {
        let order = places.order.clone();
        let missing = async |place: &Repository| self.missing(place, package, into).await;
        places.first(order, Vec::new(), missing).await.map(|(missing, _)| missing)
    }

    /// Pulls a package by digest, as [`Registry::pull`] does. What one place lacks comes from the next.
    ///
    /// # Errors
    /// When something of it is nowhere, and why not in each place.
    pub async fn pull_from(
        &self,
        places: &mut Places,
        package: &Digest,
        into: &dyn Shelf,
    ) -> Result<(Descriptor, Repository), RegistryError> {
        let order = places.order.clone();
        places.first(order, Vec::new(), async |place| self.pull(place, package, into).await).await
    }

    /// What refers to a package, as [`Registry::referrers`] tells it, from the first place that knows anything.
    ///
    /// # Errors
    /// When nobody knows anything, and the original could not be asked.
    pub async fn referrers_from(
        &self,
        places: &mut Places,
        package: &Digest,
        kinds: &[ReferrerKind],
        into: &dyn Shelf,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let (mut asked, mut unknowing, mut is_original_known) = (Vec::new(), Vec::new(), false);
        for place in places.order.clone() {
            match self.referrers(&place, package, kinds, into).await {
                Ok(found) if !found.is_empty() => return Ok(found),
                Ok(_) if place == places.original => is_original_known = true,
                Ok(_) => unknowing.push(place),
                Err(error) if error.is_of_place() => {
                    places.note(&place, &error);
                    asked.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        match (is_original_known, unknowing.pop()) {
            (true, _) => Ok(Vec::new()),
            (false, None) => Err(RegistryError::nowhere(asked)),
            (false, Some(mirror)) => {
                let source = Box::new(RegistryError::nowhere(asked));
                Err(RegistryError::NothingSaid { mirror, source })
            }
        }
    }

    /// What the mirrors of a repository know about a package, all together; whom nobody can reach says nothing.
    pub async fn referrers_from_mirrors(
        &self,
        places: &Places,
        package: &Digest,
        kinds: &[ReferrerKind],
        into: &dyn Shelf,
    ) -> Vec<Referrer> {
        let mut found = Vec::new();
        for mirror in places.mirrors() {
            found.extend(self.referrers(&mirror, package, kinds, into).await.unwrap_or_default());
        }
        found
    }
}
