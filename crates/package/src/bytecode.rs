// SPDX-License-Identifier: Apache-2.0
//! Images of byte code without a manifest of this project, as bpfman takes them: one layer, whose first file is an object.
//!
//! They say nothing of publisher, name and version. Nothing of them is believed; sizes and digests are checked as those
//! of packages are.

use serde::Deserialize;

use crate::oci::{Descriptor, INDEX_MEDIA_TYPE, ImageManifest, Index, LAYER_MEDIA_TYPE};
use crate::read::{fetch_described, parse};
use crate::{
    Blobs, Digest, Files, Limits, MAX_LAYER_BYTES, MAX_MANIFEST_BYTES, Object, Platform, ReadError,
    read_layer,
};

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytecode {
    /// The digest of the index that lists it, where one does.
    pub index: Option<Digest>,
    /// The digest of its manifest.
    pub manifest: Digest,
    /// The platform that it is for.
    pub platform: Platform,
    /// The files in its layer.
    pub files: Files,
}

/// What of the configuration of an image says whom it is for.
#[derive(Deserialize)]
struct Configuration {
    os: String,
    architecture: String,
}

impl Bytecode {
    /// Reads an image, or all that an index lists, in the order of their platforms.
    ///
    /// # Errors
    /// When anything is missing, damaged or too large, or the first file of a layer is no object.
    pub fn read(blobs: &dyn Blobs, image: &Descriptor) -> Result<Vec<Self>, ReadError> {
        if image.media_type != INDEX_MEDIA_TYPE {
            return Ok(vec![Self::read_one(blobs, image, None)?]);
        }
        let document = fetch_described(blobs, "the index", image, MAX_MANIFEST_BYTES)?;
        let listed: Index = parse("the index", &image.digest, &document)?;
        let each = listed.manifests.iter().map(|entry| Self::read_one(blobs, entry, Some(image.digest)));
        let mut all = each.collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|one, other| one.platform.cmp(&other.platform));
        Ok(all)
    }

    fn read_one(blobs: &dyn Blobs, image: &Descriptor, index: Option<Digest>) -> Result<Self, ReadError> {
        let document = fetch_described(blobs, "the image manifest", image, MAX_MANIFEST_BYTES)?;
        let read: ImageManifest = parse("the image manifest", &image.digest, &document)?;
        let text = fetch_described(blobs, "the configuration", &read.config, MAX_MANIFEST_BYTES)?;
        let said: Configuration = parse("the configuration", &read.config.digest, &text)?;
        let said = Platform::new(&said.os, &said.architecture).ok();
        // Readers of an index go by its entries, those of a single image by its configuration.
        let platform =
            image.platform.clone().or(said).ok_or(ReadError::NoPlatform { manifest: image.digest })?;
        let [layer] = read.layers.as_slice() else {
            return Err(ReadError::Layers { platform, count: read.layers.len() });
        };
        if layer.media_type != LAYER_MEDIA_TYPE {
            return Err(ReadError::Layers { platform, count: 1 });
        }
        let bytes = fetch_described(blobs, "the layer", layer, MAX_LAYER_BYTES)?;
        let files = read_layer(&bytes, &Limits::default())
            .map_err(|source| ReadError::Archive { platform: platform.clone(), source })?;
        let Some(first) = files.first() else {
            return Err(ReadError::FirstEntryNotObject { platform, path: String::new() });
        };
        Object::parse(&first.bytes).map_err(|source| ReadError::Object {
            platform: platform.clone(),
            path: first.path.clone(),
            source,
        })?;
        Ok(Self { index, manifest: image.digest, platform, files })
    }
}
