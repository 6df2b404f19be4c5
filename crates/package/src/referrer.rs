// SPDX-License-Identifier: Apache-2.0
//! What is kept beside a package and refers to it (image-spec 1.1, "subject"): a layout lists it, a registry tells it.

use std::collections::BTreeMap;

use crate::Digest;
use crate::oci::{Blob, Descriptor, EMPTY_MEDIA_TYPE, ImageManifest, MANIFEST_MEDIA_TYPE};

/// The media type of a sigstore bundle (`sigstore_bundle.proto`), and the artifact type of a referrer that holds one.
pub const BUNDLE_MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What cosign calls a statement that says no more than what was signed (its `pkg/types/predicate.go`).
pub const COSIGN_PREDICATE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

/// What a referrer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferrerKind {
    /// A signed statement about the package: a DSSE envelope.
    Statement,
    /// A version of the root of a publisher who signed (TUF).
    Root,
    /// A sigstore bundle. It is for others; nothing here believes it.
    Bundle,
}

/// Something that refers to a package. Nothing of it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Referrer {
    /// What it is.
    pub kind: ReferrerKind,
    /// The document: an envelope, a root, a bundle.
    pub bytes: Vec<u8>,
}

/// A referrer as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferrerManifest {
    /// The descriptor of the manifest.
    pub descriptor: Descriptor,
    /// All that has to be stored, the manifest last.
    pub blobs: Vec<Blob>,
}

impl ReferrerKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Statement, Self::Root, Self::Bundle];

    /// What the manifest of such a referrer says that it is.
    pub fn artifact_type(self) -> &'static str {
        match self {
            Self::Statement => "application/vnd.l3af.statement.v1+json",
            Self::Root => "application/vnd.l3af.root.v1+json",
            Self::Bundle => BUNDLE_MEDIA_TYPE,
        }
    }

    /// What its only layer is.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Statement => "application/vnd.dsse.envelope.v1+json",
            Self::Root | Self::Bundle => self.artifact_type(),
        }
    }

    /// The kind with an artifact type.
    pub fn of(artifact_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.artifact_type() == artifact_type)
    }

    /// What is written beside the manifest, for those who only read lists.
    fn annotations(self) -> BTreeMap<String, String> {
        // cosign, `specs/BUNDLE_SPEC.md`.
        let annotations: &[_] = match self {
            Self::Statement | Self::Root => &[],
            Self::Bundle => &[
                ("dev.sigstore.bundle.content", "dsse-envelope"),
                ("dev.sigstore.bundle.predicateType", COSIGN_PREDICATE_TYPE),
            ],
        };
        annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }
}

impl Referrer {
    /// Attaches it to a package.
    pub fn manifest(&self, subject: &Descriptor) -> ReferrerManifest {
        let layer = Blob { media_type: self.kind.media_type(), bytes: self.bytes.clone() };
        let empty = Blob { media_type: EMPTY_MEDIA_TYPE, bytes: b"{}".to_vec() };
        let (artifact_type, annotations) =
            (Some(self.kind.artifact_type().to_owned()), self.kind.annotations());
        let manifest = ImageManifest {
            schema_version: 2,
            media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
            artifact_type: artifact_type.clone(),
            config: empty.descriptor(),
            layers: vec![layer.descriptor()],
            subject: Some(Descriptor { platform: None, annotations: BTreeMap::new(), ..subject.clone() }),
            annotations: annotations.clone(),
        };
        let manifest = Blob::json(MANIFEST_MEDIA_TYPE, &manifest);
        // A list of referrers repeats the annotations of their manifests (distribution-spec 1.1, "Listing Referrers").
        let descriptor = Descriptor { artifact_type, annotations, ..manifest.descriptor() };
        ReferrerManifest { descriptor, blobs: vec![empty, layer, manifest] }
    }
}

impl ReferrerManifest {
    /// Reads a manifest: what kind of referrer it is, the digest that it speaks of and the descriptor of its document.
    /// `None` when it is something else.
    pub fn parse(document: &[u8]) -> Option<(ReferrerKind, Digest, Descriptor)> {
        let manifest: ImageManifest = serde_json::from_slice(document).ok()?;
        let kind = ReferrerKind::of(manifest.artifact_type.as_deref()?)?;
        let layer = manifest.layers.into_iter().find(|layer| layer.media_type == kind.media_type())?;
        Some((kind, manifest.subject?.digest, layer))
    }
}
