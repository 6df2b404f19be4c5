// SPDX-License-Identifier: Apache-2.0
//! Images of byte code without a manifest of this project, as bpfman takes them: one layer, whose first file is an object.
//!
//! They say nothing of publisher, name and version: whoever fetches or signs them does ([`Named`]), and as a package under that name
//! they are then verified and loaded. Nothing of them is believed; sizes and digests are checked as those of packages are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::oci::{Descriptor, LAYER_MEDIA_TYPE};
use crate::read::{MANIFEST_FILE, fetch, fetch_described, parse};
use crate::{
    Blobs, Digest, Files, HookPoint, Limits, MAX_LAYER_BYTES, MAX_MANIFEST_BYTES, Manifest, ManifestError,
    Object, ObjectProgram, Package, PackageName, PackagePlatform, Platform, ProbeKind, ProgramKind,
    PublisherName, ReadError, Version, read_layer,
};

/// The most platforms that are read of an image.
const MAX_PLATFORMS: usize = 64;
/// What Docker calls such a layer (Image Manifest V2, Schema 2).
const DOCKER_LAYER_MEDIA_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The label of the configuration that tells the kinds of programs by their functions.
const PROGRAMS_LABEL: &str = "io.ebpf.programs";

/// What somebody calls an image that says nothing of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Who publishes it.
    pub publisher: PublisherName,
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: Version,
}

/// An image for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytecode {
    /// What it is.
    pub image: PackagePlatform,
    /// The kinds of its programs by their functions, in the words of bpfman.
    kinds: BTreeMap<String, String>,
}

/// An index or an image manifest: what of either is needed here. Entries for systems that packages do not know are those of others,
/// such as attestations.
#[derive(Deserialize)]
struct Document {
    manifests: Option<Vec<Entry>>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Entry {
    digest: Digest,
    size: u64,
    platform: Option<Spelled>,
}

/// A platform as others spell it, perhaps with more to it.
#[derive(Deserialize)]
struct Spelled {
    os: String,
    architecture: String,
}

/// What of the configuration of an image is needed.
#[derive(Deserialize)]
struct Configuration {
    os: String,
    architecture: String,
    #[serde(default)]
    config: Settings,
}

#[derive(Default, Deserialize)]
struct Settings {
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Package {
    /// Reads an image of byte code as the package that it is under a name. Its programs are those that its label `io.ebpf.programs`
    /// lists, or whose sections begin as libbpf has it. A program for TC is one for both directions.
    ///
    /// # Errors
    /// When anything is missing, damaged or too large, the first file of a layer is no object, or no program is known.
    pub fn of_image(blobs: &dyn Blobs, image: &Digest, named: &Named) -> Result<Self, ReadError> {
        let images = Bytecode::read(blobs, image)?;
        let Some(first) = images.first() else {
            return Err(ReadError::Platforms { listed: "none".to_owned(), declared: "unknown".to_owned() });
        };
        if first.image.files.bytes(MANIFEST_FILE).is_some() {
            return Err(ReadError::LostType { image: *image });
        }
        let platform = || first.image.platform.clone();
        let manifest = manifest(&images, named)
            .map_err(|source| ReadError::Manifest { platform: platform(), source })?;
        let lacks = |image: &PackagePlatform| {
            let mut programs = manifest.programs.iter();
            programs.any(|program| {
                let object = image.files.bytes(&program.object).and_then(|bytes| Object::parse(bytes).ok());
                object.is_none_or(|object| object.program(&program.function).is_none())
            })
        };
        if let Some(Bytecode { image, .. }) = images.iter().find(|found| lacks(&found.image)) {
            return Err(ReadError::Disagree { platform: image.platform.clone(), other: platform() });
        }
        Ok(Self { index: *image, manifest, platforms: images.into_iter().map(|found| found.image).collect() })
    }
}

impl Bytecode {
    /// Reads an image, or all that an index lists, in the order of their platforms.
    ///
    /// # Errors
    /// When anything is missing, damaged or too large, or the first file of a layer is no object.
    pub fn read(blobs: &dyn Blobs, image: &Digest) -> Result<Vec<Self>, ReadError> {
        let bytes = fetch(blobs, "the image", image, MAX_MANIFEST_BYTES)?;
        let document: Document = parse("the image", image, &bytes)?;
        let Some(listed) = document.manifests else {
            return Ok(vec![Self::read_one(blobs, image, document, None)?]);
        };
        let mut all: Vec<Self> = Vec::new();
        for Entry { digest, size, platform } in listed {
            let platform = match platform.map(|spelled| Platform::new(&spelled.os, &spelled.architecture)) {
                Some(Err(_)) => continue,
                other => other.and_then(Result::ok),
            };
            let is_seen = |image: &Self| platform.as_ref() == Some(&image.image.platform);
            // Variants of an architecture are one platform here; the first counts.
            if all.len() == MAX_PLATFORMS || all.iter().any(is_seen) {
                continue;
            }
            let bytes = fetch(blobs, "the image manifest", &digest, MAX_MANIFEST_BYTES)?;
            let found = bytes.len() as u64;
            if found != size {
                let what = "the image manifest";
                return Err(ReadError::WrongSize { what, digest, wanted: size, found });
            }
            let document = parse("the image manifest", &digest, &bytes)?;
            all.push(Self::read_one(blobs, &digest, document, platform)?);
        }
        all.sort_by(|one, other| one.image.platform.cmp(&other.image.platform));
        Ok(all)
    }

    fn read_one(
        blobs: &dyn Blobs,
        manifest: &Digest,
        document: Document,
        listed: Option<Platform>,
    ) -> Result<Self, ReadError> {
        let unknown = || ReadError::NoPlatform { manifest: *manifest };
        let config = document.config.ok_or_else(unknown)?;
        let text = fetch_described(blobs, "the configuration", &config, MAX_MANIFEST_BYTES)?;
        let said: Configuration = parse("the configuration", &config.digest, &text)?;
        // Readers of an index go by its entries, those of a single image by its configuration.
        let platform = listed.or_else(|| Platform::new(&said.os, &said.architecture).ok());
        let platform = platform.ok_or_else(unknown)?;
        let [layer] = document.layers.as_slice() else {
            return Err(ReadError::Layers { platform, count: document.layers.len() });
        };
        if ![LAYER_MEDIA_TYPE, DOCKER_LAYER_MEDIA_TYPE].contains(&layer.media_type.as_str()) {
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
        let label = said.config.labels.unwrap_or_default().remove(PROGRAMS_LABEL);
        let kinds = label.and_then(|label| serde_json::from_str(&label).ok()).unwrap_or_default();
        let image = PackagePlatform { platform, manifest: *manifest, layer: layer.digest, files };
        Ok(Self { image, kinds })
    }
}

/// What a manifest would say of images, all for different platforms.
fn manifest(images: &[Bytecode], named: &Named) -> Result<Manifest, ManifestError> {
    let Named { publisher, name, version } = named;
    let mut text = format!(
        "[package]\nname = \"{name}\"\npublisher = \"{publisher}\"\nversion = \"{version}\"\n\
         description = \"An image of byte code\"\ncategory = \"bpfman\"\nsubcategory = \"image\"\n\
         license = \"LicenseRef-unknown\"\ndocumentation = {}\n[kernel]\nmin = \"5.10\"\n",
        quoted(images.first().and_then(|first| first.image.files.first()).map_or("", |file| &file.path))
    );
    for Bytecode { image: PackagePlatform { platform, .. }, .. } in images {
        let (os, architecture) = (platform.os(), platform.architecture());
        text.extend(["[[platform]]\nos = \"", os, "\"\narchitecture = \"", architecture, "\"\n"]);
    }
    for Bytecode { image, kinds } in images.iter().take(1) {
        text.extend(programs(&image.files, kinds));
    }
    let mut manifest = Manifest::parse(&text)?;
    for program in &mut manifest.programs {
        program.both_directions = program.hook == ProgramKind::Chain(HookPoint::TcIngress);
    }
    Ok(manifest)
}

/// The programs of all objects, as a manifest tells of them.
fn programs(files: &Files, kinds: &BTreeMap<String, String>) -> Vec<String> {
    let mut told = Vec::new();
    for file in files.iter() {
        let found = Object::parse(&file.bytes).map(|object| object.programs).unwrap_or_default();
        for ObjectProgram { function, section, .. } in &found {
            let label = kinds.get(function.as_ref()).map(String::as_str);
            let Some(kind) = kind(label.unwrap_or_else(|| section.split('/').next().unwrap_or_default()))
            else {
                continue;
            };
            let object = quoted(&file.path);
            told.push(format!(
                "[[program]]\nfunction = \"{function}\"\nobject = {object}\nhook = \"{kind}\"\n"
            ));
        }
    }
    told
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// The kind of a program by its label, or by the beginning of its section.
fn kind(word: &str) -> Option<ProgramKind> {
    match word {
        "xdp" | "xdp.frags" => return Some(ProgramKind::Chain(HookPoint::Xdp)),
        "tc" | "tcx" | "classifier" | "action" => return Some(ProgramKind::Chain(HookPoint::TcIngress)),
        _ => {}
    }
    let is_it = |kind: &&ProbeKind| kind.label() == word || kind.sections().contains(&word);
    ProbeKind::ALL.iter().find(is_it).copied().map(ProgramKind::Probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_label_and_by_section() {
        let told = |word| kind(word).map(|kind| kind.to_string()).unwrap_or_default();
        let words = ["xdp", "tcx", "classifier", "kprobe", "fentry.s", "raw_tp", "sk_skb", ""];
        let kinds = ["xdp", "tc-ingress", "tc-ingress", "kprobe", "fentry", "raw-tracepoint", "", ""];
        assert_eq!(words.map(told), kinds);
    }
}
