// SPDX-License-Identifier: Apache-2.0
//! Statements about a package, which are its referrers (distribution 1.1, "Listing Referrers").
//!
//! Where a registry has no such API, they are listed in an index under a tag made of the package's digest ("Referrers Tag
//! Schema"). A list that cannot be had is an error, and never an empty list: nobody shall take a signed package for an unsigned
//! one.

use package::{
    Descriptor, Digest, INDEX_MEDIA_TYPE, MAX_MANIFEST_BYTES, STATEMENT_ARTIFACT_TYPE, StatementManifest,
};
use reqwest::header::LINK;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;

use super::http::{Call, Reply};
use super::login::Access;
use super::pull::Kind;
use super::{Registry, RegistryError, Repository, Tag, url};

/// The most statements that are read.
const MAX_STATEMENTS: usize = 256;
/// The most pages of a list that are read.
const MAX_PAGES: usize = 16;

/// An index of anything: what is in it may be for others, and goes back as it came.
#[derive(Deserialize)]
struct Listed {
    manifests: Vec<Value>,
}

impl Registry {
    /// The signed statements about a package, as envelopes. Nothing of them is believed here.
    ///
    /// # Errors
    /// When the registry cannot be asked, or sends other bytes than those it lists.
    pub async fn statements(
        &self,
        repository: &Repository,
        package: &Digest,
    ) -> Result<Vec<Vec<u8>>, RegistryError> {
        self.in_time(repository, self.all_statements(repository, package)).await
    }

    async fn all_statements(
        &self,
        repository: &Repository,
        package: &Digest,
    ) -> Result<Vec<Vec<u8>>, RegistryError> {
        let mut envelopes = Vec::new();
        let listed = self.referrers(repository, package).await?;
        for digest in listed.iter().filter_map(statement).take(MAX_STATEMENTS) {
            match self.envelope(repository, package, &digest).await {
                Ok(envelope) => envelopes.extend(envelope),
                // Whoever may push there may list what is not there or too large; that must not hide the others.
                Err(RegistryError::Missing { .. } | RegistryError::TooLarge { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(envelopes)
    }

    /// The envelope in a statement's manifest; none where it speaks of something else.
    async fn envelope(
        &self,
        repository: &Repository,
        package: &Digest,
        statement: &Digest,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let manifest = self.fetch(repository, Kind::Manifest, statement, MAX_MANIFEST_BYTES).await?;
        match StatementManifest::parse(&manifest) {
            Some((subject, envelope)) if subject == *package => {
                let at_most = envelope.size.min(MAX_MANIFEST_BYTES);
                self.fetch(repository, Kind::Blob, &envelope.digest, at_most).await.map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }

    /// What refers to a package, as far as the registry tells it.
    async fn referrers(
        &self,
        repository: &Repository,
        package: &Digest,
    ) -> Result<Vec<Value>, RegistryError> {
        let mut url = url(repository, &format!("referrers/{package}"));
        // A registry may pass over the filter, so it is applied here as well.
        url.query_pairs_mut().append_pair("artifactType", STATEMENT_ARTIFACT_TYPE);
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

/// The digest of what may be a statement in a list. What is there for others is passed over; an entry that says nothing of
/// its type is looked at, since older tools leave that out when they copy a list.
fn statement(listed: &Value) -> Option<Digest> {
    let descriptor = Descriptor::deserialize(listed).ok()?;
    let kind = descriptor.artifact_type.as_deref();
    kind.is_none_or(|kind| kind == STATEMENT_ARTIFACT_TYPE).then_some(descriptor.digest)
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
