// SPDX-License-Identifier: Apache-2.0
//! What a registry reads in a manifest: what it is, what it names, what it is about. All else in it is its author's, and its
//! bytes are kept as they came.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::refused::Refused;
use crate::ContentDigest;

/// The most bytes of a manifest, as the specification asks registries to take.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

const IMAGES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const INDEXES: [&str; 2] = [INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"];

/// What is known of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    /// What must be there before it: blobs and manifests.
    pub(crate) needs: BTreeSet<ContentDigest>,
    /// The manifest that it is about.
    pub(super) subject: Option<ContentDigest>,
    /// What kind of thing it is, as lists of what is about a manifest have it.
    pub(super) artifact_type: Option<String>,
    /// JSON.
    pub(super) annotations: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u64,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    #[expect(dead_code, reason = "a descriptor without a size is none")]
    size: u64,
}

impl Manifest {
    /// Reads a manifest that is said to be of a media type, or says so itself.
    pub(crate) fn read(bytes: &[u8], content_type: Option<&str>) -> Result<Self, Refused> {
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| invalid(format!("that is no manifest of an image and no index: {error}")))?;
        if document.schema_version != 2 {
            return Err(invalid(format!("`schemaVersion` must be 2 and not {}", document.schema_version)));
        }
        let media_type = document.media_type(content_type)?;
        let is_index = INDEXES.contains(&media_type.as_str());
        let mut needs = BTreeSet::new();
        let (entries, config) = if is_index {
            (document.manifests.ok_or_else(|| invalid("an index has `manifests`".to_owned()))?, None)
        } else {
            let config =
                document.config.ok_or_else(|| invalid("a manifest of an image has `config`".to_owned()))?;
            (document.layers.unwrap_or_default(), Some(config))
        };
        for descriptor in entries.iter().chain(&config) {
            if !descriptor.is_elsewhere() {
                needs.insert(descriptor.digest()?);
            }
        }
        let subject = document.subject.map(|subject| subject.digest()).transpose()?;
        let stated = document.artifact_type.filter(|stated| !stated.is_empty());
        let artifact_type = stated.or_else(|| config.map(|config| config.media_type));
        let annotations = document.annotations.map(|annotations| serde_json::json!(annotations).to_string());
        Ok(Self { media_type, needs, subject, artifact_type, annotations })
    }
}

impl Document {
    /// What it is: as the client says, which must be what it says itself.
    fn media_type(&self, content_type: Option<&str>) -> Result<String, Refused> {
        let said = content_type.and_then(|said| said.split(';').next()).map(str::trim);
        let own = self.media_type.as_deref().filter(|own| !own.is_empty());
        let media_type = match (said, own) {
            (Some(said), Some(own)) if said != own => {
                return Err(invalid(format!("it is sent as `{said}` and says of itself that it is `{own}`")));
            }
            (Some(said), _) => said,
            (None, Some(own)) => own,
            (None, None) if self.manifests.is_some() => INDEX,
            (None, None) => IMAGES[0],
        };
        if !IMAGES.iter().chain(&INDEXES).any(|known| *known == media_type) {
            let known = [IMAGES, INDEXES].concat().join("`, `");
            return Err(invalid(format!("`{media_type}` is no manifest here; there are `{known}`")));
        }
        Ok(media_type.to_owned())
    }
}

impl Descriptor {
    fn digest(&self) -> Result<ContentDigest, Refused> {
        let parsed = self.digest.parse();
        parsed.map_err(|error: crate::BadDigest| invalid(format!("it names a blob wrongly: {error}")))
    }

    /// Whether it is a layer that its author does not let others distribute, and that lies elsewhere.
    fn is_elsewhere(&self) -> bool {
        self.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
            || self.media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
    }
}

fn invalid(why: String) -> Refused {
    Refused::NoManifestAtAll { why }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{IMAGES, INDEX, Manifest};
    use crate::{Algorithm, ContentDigest};

    fn descriptor(media_type: &str, content: &str) -> Value {
        let digest = ContentDigest::of(Algorithm::Sha512, content.as_bytes()).to_string();
        json!({ "mediaType": media_type, "digest": digest, "size": content.len() })
    }

    fn read(document: &Value, content_type: Option<&str>) -> Option<Manifest> {
        Manifest::read(document.to_string().as_bytes(), content_type).ok()
    }

    #[test]
    fn an_image_needs_what_it_names_but_for_layers_that_lie_elsewhere() {
        let elsewhere = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
        let document = json!({
            "schemaVersion": 2, "config": descriptor("application/x", "c"),
            "layers": [descriptor("application/y", "l"), descriptor(elsewhere, "e")], "subject": descriptor(INDEX, "s"),
            "annotations": { "a": "b" }, "what.is.not.known": [1],
        });
        let manifest =
            read(&document, Some("application/vnd.oci.image.manifest.v1+json; charset=utf-8")).expect("one");
        let digest = |content: &str| ContentDigest::of(Algorithm::Sha512, content.as_bytes());
        assert_eq!(manifest.needs, [digest("c"), digest("l")].into());
        assert_eq!(manifest.subject, Some(digest("s")));
        assert_eq!(manifest.artifact_type.as_deref(), Some("application/x"));
        assert_eq!(manifest.annotations.as_deref(), Some(r#"{"a":"b"}"#));
        assert_eq!(manifest.media_type, IMAGES[0]);
    }

    #[test]
    fn an_index_has_no_kind_but_the_one_that_it_states() {
        let bare = json!({ "schemaVersion": 2, "manifests": [] });
        assert_eq!(read(&bare, None).expect("an index").artifact_type, None);
        let stated = json!({ "schemaVersion": 2, "manifests": [], "artifactType": "application/x" });
        assert_eq!(
            read(&stated, Some(INDEX)).expect("an index").artifact_type.as_deref(),
            Some("application/x")
        );
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let image = json!({ "schemaVersion": 2, "mediaType": IMAGES[0], "config": descriptor("x/y", "c") });
        assert!(read(&image, Some(INDEX)).is_none(), "it says that it is something else");
        assert!(read(&image, Some("text/plain")).is_none());
        let mut other = image.clone();
        other["schemaVersion"] = json!(1);
        assert!(read(&other, None).is_none());
        for digest in ["", "sha256:x", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            let mut other = image.clone();
            other["config"]["digest"] = json!(digest);
            assert!(read(&other, None).is_none(), "{digest}");
        }
        assert!(read(&json!({ "schemaVersion": 2 }), None).is_none());
        assert!(read(&json!([]), None).is_none());
    }
}
