// SPDX-License-Identifier: Apache-2.0
//! Reading a package from blobs that may come from anywhere.

use std::error::Error;

use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::oci::{ARTIFACT_TYPE, Descriptor, ImageManifest, Index, LAYER_MEDIA_TYPE};
use crate::{
    ArchiveError, Digest, Files, InterfaceError, Limits, Manifest, ManifestError, Object, ObjectError,
    Platform, ProgramName, ProgramSpec, read_layer,
};

/// The path of the manifest in a package.
pub(crate) const MANIFEST_FILE: &str = "package.toml";
/// The largest index, image manifest or configuration that is read.
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// The largest layer that is read, before it is unpacked.
pub const MAX_LAYER_BYTES: u64 = 128 * 1024 * 1024;

/// A place that blobs come from. It need not be trusted: whoever reads checks every digest.
pub trait Blobs {
    /// The bytes under a digest, at most `max_bytes` of them.
    ///
    /// # Errors
    /// When they are not there, are more, or cannot be read.
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError>;
}

/// A blob that cannot be had.
#[derive(Debug, Error)]
pub enum BlobError {
    /// It is not there.
    #[error("it is not there")]
    Missing,
    /// It is larger than it may be.
    #[error("it is larger than it may be")]
    TooLarge,
    /// It cannot be read.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}

/// A package that was read whole. Nothing of it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The digest of its index: the one name of a release.
    pub index: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What it holds for each platform, Linux first.
    pub platforms: Vec<PackagePlatform>,
}

/// What a package holds for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagePlatform {
    /// The platform.
    pub platform: Platform,
    /// The digest of the image manifest.
    pub manifest: Digest,
    /// The digest of the layer.
    pub layer: Digest,
    /// The files in the layer.
    pub files: Files,
}

/// Bytes that are not a package.
#[derive(Debug, Error)]
pub enum ReadError {
    /// A blob cannot be had.
    #[error("cannot read {what} {digest}")]
    Blob {
        /// What it is.
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// Why not.
        #[source]
        source: BlobError,
    },
    /// The bytes are not those that were named.
    #[error("{what} {wanted} has other bytes: their digest is {found}")]
    WrongDigest {
        /// What it is.
        what: &'static str,
        /// The digest that was named.
        wanted: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// The size is not the one that was named.
    #[error("{what} {digest} has {found} bytes, not {wanted} as its descriptor says")]
    WrongSize {
        /// What it is.
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// The size that was named.
        wanted: u64,
        /// The size of the bytes.
        found: u64,
    },
    /// A document is not JSON of the right shape.
    #[error("{what} {digest} is not the document it should be")]
    Json {
        /// What it is.
        what: &'static str,
        /// Its digest.
        digest: Digest,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The index is one of something else.
    #[error("the index {index} is not one of a package: its artifact type is `{found}`")]
    NotAPackage {
        /// The index.
        index: Digest,
        /// What it says it is.
        found: String,
    },
    /// It is a package that came as an image of somebody else.
    #[error(
        "the image {image} holds a package, whose index lost its artifact type `{ARTIFACT_TYPE}` on its way"
    )]
    LostType {
        /// The image.
        image: Digest,
    },
    /// An entry of the index does not say whom it is for.
    #[error("the index lists {manifest} without a platform")]
    NoPlatform {
        /// The entry.
        manifest: Digest,
    },
    /// A platform has not exactly one layer of the right kind.
    #[error("{platform} has {count} layers; a package has one, of type `{LAYER_MEDIA_TYPE}`")]
    Layers {
        /// The platform.
        platform: Platform,
        /// How many layers it has.
        count: usize,
    },
    /// The layer is refused.
    #[error("the layer for {platform} is refused")]
    Archive {
        /// The platform.
        platform: Platform,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// The first file is not an object.
    #[error("the first file of {platform} must be an object, not `{path}`")]
    FirstEntryNotObject {
        /// The platform.
        platform: Platform,
        /// The file.
        path: String,
    },
    /// A file that the manifest names is not there.
    #[error("the layer for {platform} has no `{path}`")]
    MissingFile {
        /// The platform.
        platform: Platform,
        /// The file.
        path: String,
    },
    /// The manifest cannot be used.
    #[error("the layer for {platform} has a manifest that cannot be used")]
    Manifest {
        /// The platform.
        platform: Platform,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// An object cannot be used.
    #[error("`{path}` for {platform} is not an eBPF object")]
    Object {
        /// The platform.
        platform: Platform,
        /// The object.
        path: String,
        /// Why not.
        #[source]
        source: ObjectError,
    },
    /// An object lacks a function that the manifest names.
    #[error("`{path}` for {platform} has no program `{function}`")]
    MissingFunction {
        /// The platform.
        platform: Platform,
        /// The object.
        path: String,
        /// The function.
        function: ProgramName,
    },
    /// The maps of an object are not what the manifest says.
    #[error("the maps for {platform} are not what the manifest says")]
    Interface {
        /// The platform.
        platform: Platform,
        /// What is not.
        #[source]
        source: InterfaceError,
    },
    /// The platforms do not agree on what the package is.
    #[error("the manifest for {platform} is not the one for {other}")]
    Disagree {
        /// A platform.
        platform: Platform,
        /// Another one.
        other: Platform,
    },
    /// The index lists other platforms than the manifest.
    #[error("the index is for {listed}, but the manifest for {declared}")]
    Platforms {
        /// What the index lists.
        listed: String,
        /// What the manifest names.
        declared: String,
    },
}

impl Package {
    /// Reads a package and checks all that can be checked without trusting anybody.
    ///
    /// # Errors
    /// When anything is missing, damaged, too large, or not what the manifest says.
    pub fn read(blobs: &dyn Blobs, index: &Digest) -> Result<Self, ReadError> {
        let document = fetch(blobs, "the index", index, MAX_MANIFEST_BYTES)?;
        let listed: Index = parse("the index", index, &document)?;
        if listed.artifact_type.as_deref() != Some(ARTIFACT_TYPE) {
            let found = listed.artifact_type.unwrap_or_else(|| "none".to_owned());
            return Err(ReadError::NotAPackage { index: *index, found });
        }
        let mut platforms = Vec::new();
        let mut manifest: Option<(Manifest, Platform)> = None;
        for descriptor in &listed.manifests {
            let (read, found) = PackagePlatform::read(blobs, descriptor)?;
            match &manifest {
                Some((first, other)) if *first != found => {
                    return Err(ReadError::Disagree { platform: read.platform, other: other.clone() });
                }
                Some(_) => {}
                None => manifest = Some((found, read.platform.clone())),
            }
            platforms.push(read);
        }
        platforms.sort_by(|one, other| one.platform.cmp(&other.platform));
        let Some((manifest, _)) = manifest else {
            return Err(ReadError::Platforms { listed: "none".to_owned(), declared: "unknown".to_owned() });
        };
        let names: Vec<&Platform> = platforms.iter().map(|read| &read.platform).collect();
        if !names.iter().copied().eq(&manifest.platforms) {
            let (listed, declared) = (list(names), list(&manifest.platforms));
            return Err(ReadError::Platforms { listed, declared });
        }
        Ok(Self { index: *index, manifest, platforms })
    }

    /// What it holds for a platform.
    pub fn for_platform(&self, platform: &Platform) -> Option<&PackagePlatform> {
        self.platforms.iter().find(|candidate| candidate.platform == *platform)
    }
}

impl PackagePlatform {
    fn read(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<(Self, Manifest), ReadError> {
        let Some(platform) = descriptor.platform.clone() else {
            return Err(ReadError::NoPlatform { manifest: descriptor.digest });
        };
        let document = fetch_described(blobs, "the image manifest", descriptor, MAX_MANIFEST_BYTES)?;
        let image: ImageManifest = parse("the image manifest", &descriptor.digest, &document)?;
        let [layer] = image.layers.as_slice() else {
            return Err(ReadError::Layers { platform, count: image.layers.len() });
        };
        if layer.media_type != LAYER_MEDIA_TYPE {
            return Err(ReadError::Layers { platform, count: 1 });
        }
        // The configuration is for other readers; it must be there, since it belongs to the image.
        fetch_described(blobs, "the configuration", &image.config, MAX_MANIFEST_BYTES)?;
        let bytes = fetch_described(blobs, "the layer", layer, MAX_LAYER_BYTES)?;
        let files = read_layer(&bytes, &Limits::default())
            .map_err(|source| ReadError::Archive { platform: platform.clone(), source })?;
        let read = Self { platform, manifest: descriptor.digest, layer: layer.digest, files };
        let manifest = read.check()?;
        Ok((read, manifest))
    }

    /// The bytes of a program's object.
    ///
    /// # Panics
    /// When the program is not one of the manifest of this package.
    pub fn object(&self, program: &ProgramSpec) -> &[u8] {
        self.files
            .bytes(&program.object)
            .expect("every object that the manifest names was found when it was read")
    }

    fn check(&self) -> Result<Manifest, ReadError> {
        let platform = || self.platform.clone();
        let missing = |path: &str| ReadError::MissingFile { platform: platform(), path: path.to_owned() };
        let text = self.files.bytes(MANIFEST_FILE).ok_or_else(|| missing(MANIFEST_FILE))?;
        let manifest = Manifest::parse(&String::from_utf8_lossy(text))
            .map_err(|source| ReadError::Manifest { platform: platform(), source })?;
        for program in &manifest.programs {
            let path = program.object.clone();
            let bytes = self.files.bytes(&path).ok_or_else(|| missing(&path))?;
            let object = Object::parse(bytes).map_err(|source| ReadError::Object {
                platform: platform(),
                path: path.clone(),
                source,
            })?;
            if object.program(&program.function).is_none() {
                let function = program.function.clone();
                return Err(ReadError::MissingFunction { platform: platform(), path, function });
            }
        }
        manifest
            .check_interfaces(|path| self.files.bytes(path).expect("every object was found just before"))
            .map_err(|source| ReadError::Interface { platform: platform(), source })?;
        let user = manifest.user.iter().map(|user| user.command.as_str());
        for path in user.chain([manifest.package.documentation.as_str()]) {
            self.files.bytes(path).ok_or_else(|| missing(path))?;
        }
        let first = self.files.first().map(|file| file.path.as_str()).unwrap_or_default();
        if !manifest.objects().contains(first) {
            return Err(ReadError::FirstEntryNotObject { platform: platform(), path: first.to_owned() });
        }
        Ok(manifest)
    }
}

fn list<'a>(platforms: impl IntoIterator<Item = &'a Platform>) -> String {
    let names: Vec<String> = platforms.into_iter().map(ToString::to_string).collect();
    names.join(", ")
}

pub(crate) fn fetch(
    blobs: &dyn Blobs,
    what: &'static str,
    digest: &Digest,
    max_bytes: u64,
) -> Result<Vec<u8>, ReadError> {
    let bytes =
        blobs.blob(digest, max_bytes).map_err(|source| ReadError::Blob { what, digest: *digest, source })?;
    if bytes.len() as u64 > max_bytes {
        return Err(ReadError::Blob { what, digest: *digest, source: BlobError::TooLarge });
    }
    match Digest::of(&bytes) {
        found if found == *digest => Ok(bytes),
        found => Err(ReadError::WrongDigest { what, wanted: *digest, found }),
    }
}

pub(crate) fn fetch_described(
    blobs: &dyn Blobs,
    what: &'static str,
    descriptor: &Descriptor,
    max_bytes: u64,
) -> Result<Vec<u8>, ReadError> {
    let Descriptor { digest, size, .. } = *descriptor;
    let bytes = fetch(blobs, what, &digest, max_bytes)?;
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(ReadError::WrongSize { what, digest, wanted: size, found: bytes.len() as u64 })
    }
}

pub(crate) fn parse<T: DeserializeOwned>(
    what: &'static str,
    digest: &Digest,
    document: &[u8],
) -> Result<T, ReadError> {
    serde_json::from_slice(document).map_err(|source| ReadError::Json { what, digest: *digest, source })
}
