// SPDX-License-Identifier: Apache-2.0
//! What is there of a release, for whoever passes it on: documents of any kind by their digest, and what refers to them. Nothing is
//! converted, so that digests and signatures stay what they are.

use package::{Digest, MAX_MANIFEST_BYTES};
use reqwest::Method;
use serde::Deserialize;

use super::http::Call;
use super::login::Access;
use super::pull::Kind;
use super::{Registry, RegistryError, Repository, Tag, url};

/// The most tags that a repository may list.
const MAX_TAGS: usize = 10_000;

/// The tags of a repository (distribution 1.1, "Listing Tags").
#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// Something that refers to a document.
#[derive(Deserialize)]
struct Referring {
    digest: String,
}

impl Registry {
    /// The tags of a repository; none where there is no such repository.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        self.in_time(repository, self.all_tags(repository)).await
    }

    async fn all_tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        let mut tags: Vec<Tag> = Vec::new();
        while tags.len() < MAX_TAGS {
            let mut page = url(repository, "tags/list");
            if let Some(last) = tags.last() {
                page.query_pairs_mut().append_pair("last", &last.to_string());
            }
            let call = Call {
                repository,
                access: Access::Pull,
                method: Method::GET,
                url: page,
                accept: "application/json",
                body: None,
                max_bytes: MAX_MANIFEST_BYTES,
                what: "the list of tags",
            };
            let Some(reply) = self.call(&call).await? else { break };
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

    /// The bytes of a manifest or an index, whatever it is of.
    ///
    /// # Errors
    /// When it is not there, too large, or other than its digest says.
    pub async fn document(&self, repository: &Repository, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        self.in_time(repository, self.fetch(repository, Kind::Manifest, digest, MAX_MANIFEST_BYTES)).await
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    /// When it is not there, has more bytes than it may, or others than its digest says.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        max_bytes: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        self.in_time(repository, self.fetch(repository, Kind::Blob, digest, max_bytes)).await
    }

    /// The digests of what refers to a document, of any kind, as they are written: they may be of another algorithm.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub async fn referring(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Vec<String>, RegistryError> {
        let listed = self.in_time(repository, self.listed(repository, digest)).await?;
        let read = |entry| Referring::deserialize(entry).map(|referring: Referring| referring.digest);
        listed.into_iter().map(read).collect::<Result<_, _>>().map_err(|error| unfit(repository, &error))
    }
}

fn unfit(repository: &Repository, error: &serde_json::Error) -> RegistryError {
    RegistryError::NotAPackage { repository: repository.clone(), problem: error.to_string() }
}
