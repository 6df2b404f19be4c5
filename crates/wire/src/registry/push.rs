// SPDX-License-Identifier: Apache-2.0
//! Pushing a package, or what refers to it: what is referred to first, what refers to it last, so that nobody meets half of it.
//!
//! Uploads of blobs are those of `oci-client`.

use bytes::Bytes;
use futures_util::{Stream, stream};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::{Client, Reference as OciReference};
use package::{
    Blob, Blobs, Descriptor, Digest, INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, MAX_LAYER_BYTES,
    MAX_MANIFEST_BYTES, Referrer, ReferrerManifest,
};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::http::{Call, Fault, broken};
use super::login::{Access, Grant};
use super::pull::{Image, image, index};
use super::{Registry, RegistryError, Repository, Tag, url};

/// The longest answer to a push that is read.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
/// How much of a blob goes at once.
const PART_BYTES: usize = 4 * 1024 * 1024;
/// How often a list of referrers is written when others write it at the same time.
const MAX_REWRITES: usize = 5;

impl Registry {
    /// Pushes a package under a tag. What is there already is not sent again.
    ///
    /// # Errors
    /// When something of it is missing, or the registry does not take it.
    pub async fn push(
        &self,
        repository: &Repository,
        tag: &Tag,
        package: &Digest,
        blobs: &dyn Blobs,
    ) -> Result<(), RegistryError> {
        self.in_time(repository, self.push_all(repository, tag, package, blobs)).await
    }

    async fn push_all(
        &self,
        repository: &Repository,
        tag: &Tag,
        package: &Digest,
        blobs: &dyn Blobs,
    ) -> Result<(), RegistryError> {
        let uploads = self.uploads(repository).await?;
        let listed = read(blobs, package, MAX_MANIFEST_BYTES)?;
        let mut images = Vec::new();
        for entry in index(repository, &listed)?.manifests {
            let document = read(blobs, &entry.digest, MAX_MANIFEST_BYTES)?;
            let Image { config, mut layers } = image(repository, &document)?;
            layers.insert(0, config);
            self.progress.expect(layers.iter().map(|part| part.size).sum());
            images.push((entry.digest, document, layers));
        }
        for (digest, document, parts) in images {
            for part in parts {
                let bytes = read(blobs, &part.digest, MAX_LAYER_BYTES)?;
                self.upload(&uploads, repository, bytes).await?;
            }
            let name = digest.to_string();
            self.put_manifest(repository, &name, (MANIFEST_MEDIA_TYPE, &document)).await?;
        }
        self.put_manifest(repository, &tag.to_string(), (INDEX_MEDIA_TYPE, &listed)).await.map(drop)
    }

    /// Pushes what refers to a package that is there.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn push_referrer(
        &self,
        repository: &Repository,
        package: &Descriptor,
        referrer: &Referrer,
    ) -> Result<(), RegistryError> {
        self.in_time(repository, async {
            let uploads = self.uploads(repository).await?;
            let ReferrerManifest { descriptor, mut blobs } = referrer.manifest(package);
            let Blob { media_type, bytes } = blobs.pop().expect("a referrer has its manifest last");
            self.progress.expect(blobs.iter().map(|blob| blob.bytes.len() as u64).sum());
            for blob in blobs {
                self.upload(&uploads, repository, blob.bytes).await?;
            }
            let name = descriptor.digest.to_string();
            let answer = self.put_manifest(repository, &name, (media_type, &bytes)).await?;
            // Distribution 1.1, "Pushing Manifests with Subject": without this header the list is the client's to keep.
            if answer.contains_key("oci-subject") {
                return Ok(());
            }
            self.list_under_tag(repository, &package.digest, &descriptor).await
        })
        .await
    }

    /// Adds to the list that stands in for the referrers API. Others may write it at the same time, and the last one wins: so
    /// it is read again after.
    async fn list_under_tag(
        &self,
        repository: &Repository,
        package: &Digest,
        referrer: &Descriptor,
    ) -> Result<(), RegistryError> {
        let tag = Tag::of_referrers(package).to_string();
        let digest = referrer.digest.to_string();
        for _ in 0..MAX_REWRITES {
            let mut manifests = self.tagged(repository, package).await?;
            if manifests.iter().any(|listed| listed["digest"].as_str() == Some(&digest)) {
                return Ok(());
            }
            manifests.push(serde_json::to_value(referrer).expect("a descriptor has text keys only"));
            let list: Value =
                json!({"schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": manifests});
            let bytes = list.to_string().into_bytes();
            self.put_manifest(repository, &tag, (INDEX_MEDIA_TYPE, &bytes)).await?;
        }
        let message = format!("others change `{tag}` all the time");
        Err(RegistryError::Status { repository: repository.clone(), status: 409, message })
    }

    /// Puts a manifest under a tag or its digest.
    async fn put_manifest(
        &self,
        repository: &Repository,
        name: &str,
        document: (&'static str, &[u8]),
    ) -> Result<HeaderMap, RegistryError> {
        let what = format!("`{name}`");
        let call = Call {
            repository,
            access: Access::Push,
            method: Method::PUT,
            url: url(repository, &format!("manifests/{name}")),
            accept: "*/*",
            body: Some(document),
            max_bytes: MAX_ANSWER_BYTES,
            what: &what,
        };
        let reply = self.call(&call).await?;
        let missing = || RegistryError::Missing { what: what.clone(), repository: repository.clone() };
        Ok(reply.ok_or_else(missing)?.headers)
    }

    /// A client for uploads, logged in if the registry asks for that.
    async fn uploads(&self, repository: &Repository) -> Result<Client, RegistryError> {
        let grant = self.persist(async || self.permission(repository).await).await?;
        let is_plain = repository.is_loopback();
        let config = ClientConfig {
            protocol: if is_plain { ClientProtocol::Http } else { ClientProtocol::Https },
            read_timeout: Some(self.patience.silence),
            connect_timeout: Some(self.patience.silence),
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(RegistryError::NoUploads)?;
        client.store_auth_if_needed(repository.endpoint(), &Grant::for_uploads(grant)).await;
        Ok(client)
    }

    /// What the registry gives for a push; none where it wants no login.
    async fn permission(&self, repository: &Repository) -> Result<Option<Grant>, Fault> {
        let mut base = url(repository, "");
        base.set_path("/v2/");
        let asked = self.client(repository)?.get(base).send().await;
        let asked = asked.map_err(|source| broken(repository, source))?;
        if asked.status() != StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let grant = self.log_in(repository, Access::Push, asked.headers()).await?;
        self.grant(repository, Access::Push, grant.clone());
        Ok(Some(grant))
    }

    /// Uploads a blob, unless it is there.
    async fn upload(
        &self,
        uploads: &Client,
        repository: &Repository,
        bytes: Vec<u8>,
    ) -> Result<(), RegistryError> {
        let (digest, bytes) = (Digest::of(&bytes), Bytes::from(bytes));
        let name = digest.to_string();
        let (host, path) = (repository.endpoint().to_owned(), repository.path().to_owned());
        let place = OciReference::with_digest(host, path, name.clone());
        self.persist(async || {
            let failed = |source| self.not_uploaded(repository, digest, source);
            if !uploads.blob_exists(&place, &name).await.map_err(failed)? {
                self.send_blob(uploads, &place, &bytes, &name).await.map_err(failed)?;
            }
            self.progress.advance(bytes.len() as u64);
            Ok(())
        })
        .await
    }

    async fn send_blob(
        &self,
        uploads: &Client,
        place: &OciReference,
        bytes: &Bytes,
        name: &str,
    ) -> Result<(), OciDistributionError> {
        let before = self.progress.done_bytes();
        let sent = match uploads.push_blob_stream(place, self.counted(bytes), name, None).await {
            // It takes no parts.
            Err(OciDistributionError::SpecViolationError(_)) => {
                uploads.push_blob(place, bytes.clone(), name).await
            }
            sent => sent,
        };
        // Parts that went say nothing; what counts is that the blob is there.
        self.progress.retreat(self.progress.done_bytes() - before);
        sent.map(drop)
    }

    /// Bytes in parts, each of which counts when it goes.
    fn counted(
        &self,
        bytes: &Bytes,
    ) -> impl Stream<Item = Result<Bytes, OciDistributionError>> + Send + use<> {
        let begins = (0..bytes.len()).step_by(PART_BYTES);
        let parts: Vec<Bytes> =
            begins.map(|begin| bytes.slice(begin..bytes.len().min(begin + PART_BYTES))).collect();
        let progress = self.progress();
        stream::iter(parts.into_iter().map(move |part| {
            progress.advance(part.len() as u64);
            Ok(part)
        }))
    }

    fn not_uploaded(&self, repository: &Repository, digest: Digest, source: OciDistributionError) -> Fault {
        let status = status(&source);
        if matches!(status, Some(401 | 403)) {
            return Fault::Lasting(self.unwelcome(repository));
        }
        let is_broken = matches!(source, OciDistributionError::RequestError(_));
        let is_passing = status.map_or(is_broken, |status| status == 429 || status >= 500);
        let (repository, source) = (repository.clone(), Box::new(source));
        let error = RegistryError::Upload { repository, digest, source };
        if is_passing { Fault::Passing(error, None) } else { Fault::Lasting(error) }
    }
}

/// The HTTP status behind an error, where there was one.
fn status(error: &OciDistributionError) -> Option<u16> {
    if let OciDistributionError::ServerError { code, .. } = error {
        Some(*code)
    } else if let OciDistributionError::RequestError(error) = error {
        error.status().map(|status| status.as_u16())
    } else {
        matches!(error, OciDistributionError::UnauthorizedError { .. }).then_some(401)
    }
}

fn read(blobs: &dyn Blobs, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, RegistryError> {
    blobs.blob(digest, max_bytes).map_err(|source| RegistryError::Unread { digest: *digest, source })
}
