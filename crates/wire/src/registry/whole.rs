// SPDX-License-Identifier: Apache-2.0
//! A release with all that is there of it, for whoever passes it on: documents of any kind, what refers to them, and what refers to
//! that. Nothing is converted, so that digests and signatures stay what they are.

use std::collections::BTreeSet;

use package::{Descriptor, Digest, MAX_LAYER_BYTES, MAX_MANIFEST_BYTES};
use serde::Deserialize;

use super::http::Call;
use super::login::Access;
use super::pull::Kind;
use super::{Reference, Registry, RegistryError, Repository, Tag, url};
use crate::Layout;

/// The most documents that a release may consist of.
const MAX_DOCUMENTS: usize = 1024;
/// The most tags that a repository may list.
const MAX_TAGS: usize = 10_000;

/// A manifest or index of anybody's, as far as it names others.
#[derive(Deserialize)]
struct Document {
    config: Option<Named>,
    #[serde(default)]
    layers: Vec<Named>,
    #[serde(default)]
    manifests: Vec<Named>,
}

/// Something that a document names.
#[derive(Deserialize)]
struct Named {
    digest: Digest,
    size: u64,
}

/// The tags of a repository (distribution 1.1, "Listing Tags").
#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Registry {
    /// The tags of a repository; none where there is no such repository.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        let mut tags: Vec<Tag> = Vec::new();
        while tags.len() < MAX_TAGS {
            let mut page = url(repository, "tags/list");
            if let Some(last) = tags.last() {
                page.query_pairs_mut().append_pair("last", &last.to_string());
            }
            let call = Call {
                repository,
                access: Access::Pull,
                method: reqwest::Method::GET,
                url: page,
                accept: "application/json",
                body: None,
                max_bytes: MAX_MANIFEST_BYTES,
                what: "the list of tags",
            };
            let Some(reply) = self.in_time(repository, self.call(&call)).await? else { break };
            let listed: Tags =
                serde_json::from_slice(&reply.bytes).map_err(|error| unfit(repository, &error))?;
            let more: Vec<Tag> =
                listed.tags.unwrap_or_default().iter().filter_map(|tag| tag.parse().ok()).collect();
            // One that says the same again would do so for ever.
            if more.last().is_none_or(|last| tags.contains(last)) {
                break;
            }
            tags.extend(more);
        }
        Ok(tags)
    }

    /// Fetches a release with everything that refers to it, into a layout that then lists all of it. What is there already is not
    /// fetched again.
    ///
    /// # Errors
    /// When the registry cannot be asked, something is not there, too large, or other than its digest says.
    pub async fn pull_whole(
        &self,
        reference: &Reference,
        into: &Layout,
    ) -> Result<Descriptor, RegistryError> {
        let repository = &reference.repository;
        let release = self.resolve(reference).await?;
        self.in_time(repository, self.all_of(repository, release, into)).await
    }

    async fn all_of(
        &self,
        repository: &Repository,
        release: Digest,
        into: &Layout,
    ) -> Result<Descriptor, RegistryError> {
        let package = self.pull_all(repository, &release, into).await?;
        let (mut seen, mut waiting, mut referrers) = (BTreeSet::new(), vec![release], Vec::new());
        while let Some(digest) = waiting.pop() {
            if !seen.insert(digest) {
                continue;
            }
            if seen.len() > MAX_DOCUMENTS {
                let problem = format!("it consists of more than {MAX_DOCUMENTS} documents");
                return Err(RegistryError::NotAPackage { repository: repository.clone(), problem });
            }
            let document = self.document(repository, &digest, into).await?;
            waiting.extend(document.manifests.iter().map(|named| named.digest));
            for entry in self.listed(repository, &digest).await? {
                let descriptor = Descriptor::deserialize(entry).map_err(|error| unfit(repository, &error))?;
                waiting.push(descriptor.digest);
                referrers.push(descriptor);
            }
        }
        let unkept = |error| RegistryError::Unkept(std::io::Error::other(error));
        into.complete_with(package.clone(), referrers).map_err(unkept)?;
        Ok(package)
    }

    /// A document, with the blobs that it names.
    async fn document(
        &self,
        repository: &Repository,
        digest: &Digest,
        into: &Layout,
    ) -> Result<Document, RegistryError> {
        let bytes = self.shelve(repository, (Kind::Manifest, digest, MAX_MANIFEST_BYTES), into).await?;
        let document: Document = serde_json::from_slice(&bytes).map_err(|error| unfit(repository, &error))?;
        for named in document.config.iter().chain(&document.layers) {
            let at_most = named.size.min(MAX_LAYER_BYTES);
            self.shelve(repository, (Kind::Blob, &named.digest, at_most), into).await?;
        }
        Ok(document)
    }
}

fn unfit(repository: &Repository, error: &serde_json::Error) -> RegistryError {
    RegistryError::NotAPackage { repository: repository.clone(), problem: error.to_string() }
}
