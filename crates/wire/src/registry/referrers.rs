// SPDX-License-Identifier: Apache-2.0
//! What refers to a package (distribution 1.1, "Listing Referrers"): statements about it, and versions of roots.
//!
//! Where a registry has no such API, they are listed in an index under a tag made of the package's digest ("Referrers Tag
//! Schema"). A list that cannot be had is an error, and never an empty list: nobody shall take a signed package for an unsigned
//! one.

use package::{
    Descriptor, Digest, INDEX_MEDIA_TYPE, MAX_MANIFEST_BYTES, Referrer, ReferrerKind, ReferrerManifest,
};
use reqwest::header::LINK;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;

use super::http::{Call, Reply};
use super::login::Access;
use super::pull::{Kind, Shelf};
use super::{Registry, RegistryError, Repository, Tag, url};

/// The most referrers that are read.
const MAX_REFERRERS: usize = 256;
/// The most pages of a list that are read.
const MAX_PAGES: usize = 16;

/// An index of anything: what is in it may be for others, and goes back as it came.
#[derive(Deserialize)]
struct Listed {
    manifests: Vec<Value>,
}

impl Registry {
    /// What refers to a package, of these kinds. Nothing of it is believed here. Nothing that the shelf holds is fetched.
    ///
    /// # Errors
    /// When the registry cannot be asked, or sends other bytes than those it lists.
    pub async fn referrers(
        &self,
        repository: &Repository,
        package: &Digest,
        kinds: &[ReferrerKind],
        into: &dyn Shelf,
    ) -> Result<Vec<Referrer>, RegistryError> {
        self.in_time(repository, self.all_referrers(repository, package, kinds, into)).await
    }

    async fn all_referrers(
        &self,
        repository: &Repository,
        package: &Digest,
        kinds: &[ReferrerKind],
        into: &dyn Shelf,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let mut found = Vec::new();
        let listed = self.listed(repository, package).await?;
        for digest in listed.iter().filter_map(|entry| wanted(entry, kinds)).take(MAX_REFERRERS) {
            match self.referrer(repository, package, &digest, into).await {
                Ok(referrer) => found.extend(referrer.filter(|referrer| kinds.contains(&referrer.kind))),
                // Whoever may push there may list what is not there or too large; that must not hide the others.
                Err(RegistryError::Missing { .. } | RegistryError::TooLarge { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The document in a referrer's manifest; none where it speaks of something else.
    async fn referrer(
        &self,
        repository: &Repository,
        package: &Digest,
        manifest: &Digest,
        into: &dyn Shelf,
    ) -> Result<Option<Referrer>, RegistryError> {
        let manifest = self.shelve(repository, (Kind::Manifest, manifest, MAX_MANIFEST_BYTES), into).await?;
        match ReferrerManifest::parse(&manifest) {
            Some((kind, subject, document)) if subject == *package => {
                let at_most = document.size.min(MAX_MANIFEST_BYTES);
                let bytes = self.shelve(repository, (Kind::Blob, &document.digest, at_most), into).await?;
                Ok(Some(Referrer { kind, bytes }))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// The list of what refers to a package, as far as the registry tells it.
    pub(super) async fn listed(
        &self,
        repository: &Repository,
        package: &Digest,
    ) -> Result<Vec<Value>, RegistryError> {
        let url = url(repository, &format!("referrers/{package}"));
        let Some(mut page) = self.page(repository, &url).await? else {
            return self.tagged(repository, package).await;
        };
        let mut listed = list(repository, &page.bytes)?;
        for _ in 1..MAX_PAGES {
            let Some(next) = next(&url, &page) else { break };
            let Some(following) = self.page(repository, &next).await? else { break };
            listed.extend(list(repository, &following.bytes)?);
            page = following;
        }
        Ok(listed)
    }

    async fn page(&self, repository: &Repository, url: &Url) -> Result<Option<Reply>, RegistryError> {
        let call = Call {
            repository,
            access: Access::Pull,
            method: Method::GET,
            url: url.clone(),
            accept: INDEX_MEDIA_TYPE,
            body: None,
            max_bytes: MAX_MANIFEST_BYTES,
            what: "the list of statements",
        };
        self.call(&call).await
    }

    /// What is listed under the tag for referrers.
    pub(super) async fn tagged(
        &self,
        repository: &Repository,
        package: &Digest,
    ) -> Result<Vec<Value>, RegistryError> {
        let tag = Tag::of_referrers(package).to_string();
        match self.manifest(repository, &tag, "the list of statements").await? {
            Some(reply) => list(repository, &reply.bytes),
            None => Ok(Vec::new()),
        }
    }
}

/// The digest of what may be of these kinds in a list. What is there for others is passed over; an entry that says nothing
/// of its type is looked at, since older tools leave that out when they copy a list.
fn wanted(listed: &Value, kinds: &[ReferrerKind]) -> Option<Digest> {
    let descriptor = Descriptor::deserialize(listed).ok()?;
    let kind = descriptor.artifact_type.as_deref();
    kind.is_none_or(|kind| kinds.iter().any(|wanted| wanted.artifact_type() == kind))
        .then_some(descriptor.digest)
}

fn list(repository: &Repository, bytes: &[u8]) -> Result<Vec<Value>, RegistryError> {
    let listed = serde_json::from_slice::<Listed>(bytes).map_err(|error| RegistryError::NotAPackage {
        repository: repository.clone(),
        problem: format!("its list of statements is not an image index ({error})"),
    })?;
    Ok(listed.manifests)
}

/// The next page of a list (RFC 8288), if it is at the same place: logins go nowhere else.
fn next(url: &Url, reply: &Reply) -> Option<Url> {
    let link = reply.headers.get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.split_once('<')?.1.split_once('>')?;
    let next = url.join(target).ok()?;
    (parameters.contains("next") && next.origin() == url.origin()).then_some(next)
}
