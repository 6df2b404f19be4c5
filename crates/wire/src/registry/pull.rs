// SPDX-License-Identifier: Apache-2.0
//! Pulling a package: from a tag to a digest, and from a digest to all that it stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use package::{
    ARTIFACT_TYPE, Blobs, Descriptor, Digest, INDEX_MEDIA_TYPE, Index, MANIFEST_MEDIA_TYPE, MAX_LAYER_BYTES,
    MAX_MANIFEST_BYTES, Platform,
};
use reqwest::Method;
use serde::Deserialize;

use super::http::{Call, Reply};
use super::login::Access;
use super::{Progress, Reference, Registry, RegistryError, Repository, url};

/// The most platforms that a package is pulled for.
const MAX_PLATFORMS: usize = 64;
/// The most layers of an image that are pulled. A package has one; what is wrong with others is told when it is read.
const MAX_LAYERS: usize = 4;

/// A place where blobs are kept by digest. What it holds already is not fetched again.
pub trait Shelf: Blobs {
    /// Keeps bytes under their digest.
    ///
    /// # Errors
    /// When they cannot be written.
    fn keep(&self, bytes: &[u8]) -> io::Result<()>;
}

/// What an image consists of, as far as pulling and pushing it needs.
#[derive(Deserialize)]
pub(super) struct Image {
    pub(super) config: Descriptor,
    #[serde(default)]
    pub(super) layers: Vec<Descriptor>,
}

/// What a package consists of beside its documents.
struct Survey {
    descriptor: Descriptor,
    /// What is not on the shelf.
    missing: Vec<Part>,
}

/// What a tag or digest stands for.
enum Listed {
    /// The index of a package, or of an image of byte code for several platforms: the digests and sizes of what it lists.
    Index { artifact_type: Option<String>, manifests: Vec<(Digest, u64)> },
    /// An image of byte code.
    Image(Image),
}

/// An index of anybody's. Systems that packages do not know are those of others, such as attestations.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyIndex {
    artifact_type: Option<String>,
    manifests: Vec<AnyEntry>,
}

#[derive(Deserialize)]
struct AnyEntry {
    digest: Digest,
    size: u64,
    platform: Option<AnyPlatform>,
}

#[derive(Deserialize)]
struct AnyPlatform {
    os: String,
    architecture: String,
}

impl Listed {
    fn read(repository: &Repository, bytes: &[u8]) -> Result<Self, RegistryError> {
        let unfit = |problem: String| RegistryError::NotAPackage { repository: repository.clone(), problem };
        let AnyIndex { artifact_type, manifests } = match serde_json::from_slice(bytes) {
            Ok(index) => index,
            Err(error) => {
                let neither = |_| {
                    unfit(format!("its manifest is neither an image index nor one of an image ({error})"))
                };
                return image(repository, bytes).map_err(neither).map(Self::Image);
            }
        };
        if artifact_type.as_deref().is_some_and(|kind| kind != ARTIFACT_TYPE) {
            return Err(unfit(format!("its artifact type is `{}`", artifact_type.unwrap_or_default())));
        }
        let is_known = |entry: &AnyEntry| {
            let platform = entry.platform.as_ref();
            platform.is_none_or(|platform| Platform::new(&platform.os, &platform.architecture).is_ok())
        };
        let known = manifests.into_iter().filter(is_known);
        let manifests: Vec<_> = known.map(|entry| (entry.digest, entry.size)).collect();
        if manifests.is_empty() {
            return Err(unfit("it lists nothing for a system that packages know".to_owned()));
        }
        if manifests.len() > MAX_PLATFORMS {
            return Err(unfit(format!("it lists more than {MAX_PLATFORMS} platforms")));
        }
        Ok(Self::Index { artifact_type, manifests })
    }

    fn descriptor(&self, digest: Digest, size: u64) -> Descriptor {
        let (media_type, artifact_type) = match self {
            Self::Index { artifact_type, .. } => (INDEX_MEDIA_TYPE, artifact_type.clone()),
            Self::Image(_) => (MANIFEST_MEDIA_TYPE, None),
        };
        let (media_type, annotations) = (media_type.to_owned(), BTreeMap::new());
        Descriptor { media_type, artifact_type, digest, size, platform: None, annotations }
    }
}

/// A configuration or a layer.
struct Part {
    digest: Digest,
    /// The most that it may have.
    max_bytes: u64,
}

/// Where something is found in a repository.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Blob,
}

impl Registry {
    /// The digest that a reference stands for now. One that has a digest is not asked for.
    ///
    /// # Errors
    /// When the registry cannot be asked, or has no package by that name.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, RegistryError> {
        if let Some(digest) = reference.digest {
            return Ok(digest);
        }
        let repository = &reference.repository;
        let tag = reference.tag.as_ref().ok_or_else(|| RegistryError::NoRelease(reference.clone()))?;
        let what = format!("tag `{tag}`");
        let found = self.in_time(repository, self.manifest(repository, &tag.to_string(), &what)).await?;
        let Reply { bytes, .. } =
            found.ok_or_else(|| RegistryError::Missing { what, repository: repository.clone() })?;
        Listed::read(repository, &bytes)?;
        Ok(Digest::of(&bytes))
    }

    /// Pulls a package by digest, and returns the descriptor of its index. Nothing that the shelf holds is fetched.
    ///
    /// # Errors
    /// When anything of it is not there, too large, or other than its digest says.
    pub async fn pull(
        &self,
        repository: &Repository,
        package: &Digest,
        into: &dyn Shelf,
    ) -> Result<Descriptor, RegistryError> {
        self.in_time(repository, self.pull_all(repository, package, into)).await
    }

    /// What of a package is not on the shelf, with the most bytes that each part may have. Its documents are put there.
    ///
    /// # Errors
    /// When its documents are not there, too large, or other than their digests say.
    pub async fn missing(
        &self,
        repository: &Repository,
        package: &Digest,
        into: &dyn Shelf,
    ) -> Result<BTreeMap<Digest, u64>, RegistryError> {
        let Survey { missing, .. } = self.in_time(repository, self.survey(repository, package, into)).await?;
        Ok(missing.into_iter().map(|part| (part.digest, part.max_bytes)).collect())
    }

    async fn pull_all(
        &self,
        repository: &Repository,
        package: &Digest,
        into: &dyn Shelf,
    ) -> Result<Descriptor, RegistryError> {
        let Survey { descriptor, missing } = self.survey(repository, package, into).await?;
        self.progress.expect(missing.iter().map(|part| part.max_bytes).sum());
        let mut lacks = Ok(());
        for Part { digest, max_bytes } in &missing {
            match self.fetch(repository, Kind::Blob, digest, *max_bytes).await {
                Ok(bytes) => into.keep(&bytes).map_err(RegistryError::Unkept)?,
                // A mirror may have it, and lack what is here.
                Err(error @ RegistryError::Missing { .. }) => lacks = lacks.and(Err(error)),
                Err(error) => return Err(error),
            }
        }
        lacks?;
        Ok(descriptor)
    }

    /// Looks at what a package consists of, and at what of that is not on the shelf. Its index and manifests are put there.
    async fn survey(
        &self,
        repository: &Repository,
        package: &Digest,
        into: &dyn Shelf,
    ) -> Result<Survey, RegistryError> {
        let bytes = self.shelve(repository, (Kind::Manifest, package, MAX_MANIFEST_BYTES), into).await?;
        let listed = Listed::read(repository, &bytes)?;
        let (descriptor, mut missing) = (listed.descriptor(*package, bytes.len() as u64), Vec::new());
        let mut images = Vec::new();
        match listed {
            Listed::Index { manifests, .. } => {
                for (digest, size) in manifests {
                    let at_most = size.min(MAX_MANIFEST_BYTES);
                    let bytes = self.shelve(repository, (Kind::Manifest, &digest, at_most), into).await?;
                    images.push(image(repository, &bytes)?);
                }
            }
            Listed::Image(image) => images.push(image),
        }
        for Image { config, layers } in images {
            let layers = layers.iter().map(|layer| part(layer, MAX_LAYER_BYTES));
            missing.extend(std::iter::once(part(&config, MAX_MANIFEST_BYTES)).chain(layers));
        }
        let mut seen = BTreeSet::new();
        missing.retain(|Part { digest, max_bytes }| {
            seen.insert(*digest) && held(into, digest, *max_bytes).is_none()
        });
        Ok(Survey { descriptor, missing })
    }

    /// The bytes under a digest: from the shelf, or fetched, checked and put there.
    pub(super) async fn shelve(
        &self,
        repository: &Repository,
        (kind, digest, max_bytes): (Kind, &Digest, u64),
        into: &dyn Shelf,
    ) -> Result<Vec<u8>, RegistryError> {
        if let Some(bytes) = held(into, digest, max_bytes) {
            return Ok(bytes);
        }
        let bytes = self.fetch(repository, kind, digest, max_bytes).await?;
        into.keep(&bytes).map_err(RegistryError::Unkept)?;
        Ok(bytes)
    }

    /// Fetches what has a digest.
    pub(super) async fn fetch(
        &self,
        repository: &Repository,
        kind: Kind,
        digest: &Digest,
        max_bytes: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let what = digest.to_string();
        let (folder, accept) = match kind {
            Kind::Manifest => ("manifests", ANY_MANIFEST),
            Kind::Blob => ("blobs", "*/*"),
        };
        let call = Call {
            repository,
            access: Access::Pull,
            method: Method::GET,
            url: url(repository, &format!("{folder}/{what}")),
            accept,
            body: None,
            max_bytes,
            what: &what,
        };
        let missing = || RegistryError::Missing { what: what.clone(), repository: repository.clone() };
        // Documents are small, and nobody knows beforehand how many there are.
        let uncounted = Progress::default();
        let progress = if kind == Kind::Blob { &*self.progress } else { &uncounted };
        self.download(&call, digest, progress).await?.ok_or_else(missing)
    }

    /// Fetches a manifest or index by tag or digest; `None` when there is none.
    pub(super) async fn manifest(
        &self,
        repository: &Repository,
        name: &str,
        what: &str,
    ) -> Result<Option<Reply>, RegistryError> {
        let call = Call {
            repository,
            access: Access::Pull,
            method: Method::GET,
            url: url(repository, &format!("manifests/{name}")),
            accept: ANY_MANIFEST,
            body: None,
            max_bytes: MAX_MANIFEST_BYTES,
            what,
        };
        self.call(&call).await
    }
}

/// What packages, their statements and images of byte code are made of, in the words of OCI and of Docker.
const ANY_MANIFEST: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                            application/vnd.docker.distribution.manifest.list.v2+json, \
                            application/vnd.docker.distribution.manifest.v2+json";

fn part(descriptor: &Descriptor, max_bytes: u64) -> Part {
    Part { digest: descriptor.digest, max_bytes: descriptor.size.min(max_bytes) }
}

/// What the shelf holds under a digest. What cannot be read or is damaged is not held.
fn held(shelf: &dyn Shelf, digest: &Digest, max_bytes: u64) -> Option<Vec<u8>> {
    shelf.blob(digest, max_bytes).ok().filter(|bytes| Digest::of(bytes) == *digest)
}

/// Reads the index of a package.
pub(super) fn index(repository: &Repository, bytes: &[u8]) -> Result<Index, RegistryError> {
    let unfit = |problem: String| RegistryError::NotAPackage { repository: repository.clone(), problem };
    let index: Index = serde_json::from_slice(bytes)
        .map_err(|error| unfit(format!("its manifest is not an image index ({error})")))?;
    match index.artifact_type.as_deref() {
        Some(ARTIFACT_TYPE) if index.manifests.len() <= MAX_PLATFORMS => Ok(index),
        Some(ARTIFACT_TYPE) => Err(unfit(format!("it lists more than {MAX_PLATFORMS} platforms"))),
        Some(other) => Err(unfit(format!("its artifact type is `{other}`"))),
        None => Err(unfit("it has no artifact type".to_owned())),
    }
}

/// Reads the manifest of an image.
pub(super) fn image(repository: &Repository, bytes: &[u8]) -> Result<Image, RegistryError> {
    let unfit = |problem: String| RegistryError::NotAPackage { repository: repository.clone(), problem };
    let image: Image = serde_json::from_slice(bytes)
        .map_err(|error| unfit(format!("it lists something that is not an image manifest ({error})")))?;
    if image.layers.len() > MAX_LAYERS {
        return Err(unfit(format!("an image of it has more than {MAX_LAYERS} layers")));
    }
    Ok(image)
}
