// SPDX-License-Identifier: Apache-2.0
//! The documents of an OCI image (image-spec 1.1), as far as packages use them.
//!
//! They are written with their keys in a fixed order, so that the same package has the same digests everywhere. When
//! they are read, keys that are not known here are passed over, as the specification asks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, Platform};

/// Marks an index or a manifest as a package.
pub const ARTIFACT_TYPE: &str = "application/vnd.l3af.package.v1";
/// Marks a manifest as a signed statement about a package.
pub const STATEMENT_ARTIFACT_TYPE: &str = "application/vnd.l3af.statement.v1+json";
/// The media type of a DSSE envelope.
pub const ENVELOPE_MEDIA_TYPE: &str = "application/vnd.dsse.envelope.v1+json";
/// The media type of a sigstore bundle (`sigstore_bundle.proto`), and the artifact type of a referrer that holds one.
pub const BUNDLE_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What cosign calls a statement that says no more than what was signed (its `pkg/types/predicate.go`).
pub const COSIGN_PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";
/// The media type of a version of a publisher's root (TUF), and the artifact type of a referrer that holds one.
pub const ROOT_MEDIA_TYPE: &str = "application/vnd.l3af.root.v1+json";
/// The media type of an image index.
pub const INDEX_MEDIA_TYPE: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an image manifest.
pub const MANIFEST_MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG_MEDIA_TYPE: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER_MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY_MEDIA_TYPE: &str = "application/vnd.oci.empty.v1+json";

/// A digest with what it is the digest of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: String,
    /// What a document's own artifact type is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The digest of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// Whom the document is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Words about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image index: the manifests of a package, or of a layout folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// [`INDEX_MEDIA_TYPE`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// [`ARTIFACT_TYPE`] for a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The documents that it lists.
    pub manifests: Vec<Descriptor>,
    /// Words about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image manifest: one platform of a package, or a statement about one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ImageManifest {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// The configuration of an image. Its labels are what bpfman reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageConfig {
    pub(crate) architecture: String,
    pub(crate) os: String,
    pub(crate) config: Labelled,
    pub(crate) rootfs: RootFs,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Labelled {
    #[serde(rename = "Labels")]
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RootFs {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) diff_ids: Vec<Digest>,
}

/// Bytes under their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What the bytes are.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn json(media_type: &'static str, document: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(document).expect("these documents have text keys only");
        Self { media_type, bytes }
    }

    /// The digest of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// A descriptor of the bytes.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.to_owned(),
            artifact_type: None,
            digest: self.digest(),
            size: self.bytes.len() as u64,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }
}

/// A signed statement as a referrer of the package it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementManifest {
    /// The descriptor of the manifest.
    pub descriptor: Descriptor,
    /// All that has to be stored, the manifest last.
    pub blobs: Vec<Blob>,
}

/// Makes the manifest that attaches a signed statement to a package.
pub fn statement_manifest(subject: &Descriptor, envelope: &[u8]) -> StatementManifest {
    let envelope = Blob { media_type: ENVELOPE_MEDIA_TYPE, bytes: envelope.to_vec() };
    referrer(subject, STATEMENT_ARTIFACT_TYPE, envelope, BTreeMap::new())
}

/// Makes the manifest that attaches a sigstore bundle to a package (cosign, `specs/BUNDLE_SPEC.md`).
pub fn bundle_manifest(subject: &Descriptor, bundle: &[u8]) -> StatementManifest {
    let bundle = Blob { media_type: BUNDLE_MEDIA_TYPE, bytes: bundle.to_vec() };
    let annotations = [
        ("dev.sigstore.bundle.content", "dsse-envelope"),
        ("dev.sigstore.bundle.predicateType", COSIGN_PREDICATE_TYPE),
    ];
    let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
    referrer(subject, BUNDLE_MEDIA_TYPE, bundle, annotations.into())
}

/// Makes the manifest that attaches a version of its publisher's root to a package.
pub fn root_manifest(subject: &Descriptor, root: &[u8]) -> StatementManifest {
    let root = Blob { media_type: ROOT_MEDIA_TYPE, bytes: root.to_vec() };
    referrer(subject, ROOT_MEDIA_TYPE, root, BTreeMap::new())
}

fn referrer(
    subject: &Descriptor,
    artifact_type: &str,
    layer: Blob,
    annotations: BTreeMap<String, String>,
) -> StatementManifest {
    let empty = Blob { media_type: EMPTY_MEDIA_TYPE, bytes: b"{}".to_vec() };
    let manifest = ImageManifest {
        schema_version: 2,
        media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
        artifact_type: Some(artifact_type.to_owned()),
        config: empty.descriptor(),
        layers: vec![layer.descriptor()],
        subject: Some(Descriptor { platform: None, annotations: BTreeMap::new(), ..subject.clone() }),
        annotations: annotations.clone(),
    };
    let manifest = Blob::json(MANIFEST_MEDIA_TYPE, &manifest);
    // A list of referrers repeats the annotations of their manifests (distribution-spec 1.1, "Listing Referrers").
    let descriptor =
        Descriptor { artifact_type: Some(artifact_type.to_owned()), annotations, ..manifest.descriptor() };
    StatementManifest { descriptor, blobs: vec![empty, layer, manifest] }
}

impl StatementManifest {
    /// Reads a referrer: the index that it speaks of and the descriptor of its envelope; `None` when the document is
    /// not a statement.
    pub fn parse(document: &[u8]) -> Option<(Digest, Descriptor)> {
        Self::parse_as(document, STATEMENT_ARTIFACT_TYPE, ENVELOPE_MEDIA_TYPE)
    }

    /// The same for a version of a root.
    pub fn parse_root(document: &[u8]) -> Option<(Digest, Descriptor)> {
        Self::parse_as(document, ROOT_MEDIA_TYPE, ROOT_MEDIA_TYPE)
    }

    fn parse_as(document: &[u8], artifact_type: &str, media_type: &str) -> Option<(Digest, Descriptor)> {
        let manifest: ImageManifest = serde_json::from_slice(document).ok()?;
        if manifest.artifact_type.as_deref() != Some(artifact_type) {
            return None;
        }
        let layer = manifest.layers.into_iter().find(|layer| layer.media_type == media_type)?;
        Some((manifest.subject?.digest, layer))
    }
}
