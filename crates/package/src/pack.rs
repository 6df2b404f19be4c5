// SPDX-License-Identifier: Apache-2.0
//! Making a package: from files to the blobs of an OCI image, the same bytes for the same files.

use std::collections::BTreeMap;
use std::io;

use serde_json::json;
use thiserror::Error;

use crate::oci::{
    ARTIFACT_TYPE, Blob, CONFIG_MEDIA_TYPE, Descriptor, INDEX_MEDIA_TYPE, ImageConfig, ImageManifest, Index,
    LAYER_MEDIA_TYPE, Labelled, MANIFEST_MEDIA_TYPE, RootFs,
};
use crate::read::MANIFEST_FILE;
use crate::{
    BlobError, Blobs, Digest, File, Files, HookPoint, InterfaceError, Limits, Manifest, ManifestError,
    Object, ObjectError, ProgramKind, ProgramName, read_layer, write_layer,
};

/// What a package is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackSource {
    /// The text of `package.toml`.
    pub manifest: String,
    /// All other files, by path.
    pub files: BTreeMap<String, PackFile>,
}

/// A file that goes into a package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackFile {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it may be run.
    pub executable: bool,
}

/// A package as blobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    /// The descriptor of the index.
    pub index: Descriptor,
    /// All that has to be stored, the index last.
    pub blobs: Vec<Blob>,
}

/// What was just made can be read, as from anywhere.
impl Blobs for Packed {
    fn blob(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let found = self.blobs.iter().find(|blob| Digest::of(&blob.bytes) == *digest);
        let bytes = &found.ok_or(BlobError::Missing)?.bytes;
        if bytes.len() as u64 > max_bytes { Err(BlobError::TooLarge) } else { Ok(bytes.clone()) }
    }
}

/// A package cannot be made.
#[derive(Debug, Error)]
pub enum PackError {
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file that the manifest names is not there.
    #[error("`package.toml` names `{path}` as {role}, but there is no such file")]
    MissingFile {
        /// The file.
        path: String,
        /// What it is for.
        role: &'static str,
    },
    /// An object cannot be read.
    #[error("`{path}` is not an eBPF object")]
    Object {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: ObjectError,
    },
    /// An object lacks a function that the manifest names.
    #[error("`{path}` has no program `{function}`; it has {}", list(.known))]
    MissingFunction {
        /// The object.
        path: String,
        /// What was named.
        function: ProgramName,
        /// What it has.
        known: Vec<ProgramName>,
    },
    /// The maps of an object are not what the manifest says.
    #[error("the maps are not what `package.toml` says")]
    Interface(#[source] InterfaceError),
    /// The files cannot be written as an archive.
    #[error("the files do not fit into an archive")]
    Archive(#[source] io::Error),
    /// The archive would be refused when it is read.
    #[error("the package would be refused by those who read it")]
    Refused(#[source] crate::ArchiveError),
}

fn list(functions: &[ProgramName]) -> String {
    let names: Vec<String> = functions.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Makes a package. `created` is the time it bears, in seconds since 1970 (`SOURCE_DATE_EPOCH`).
///
/// # Errors
/// When a file is missing, an object does not hold what the manifest says, or a limit of readers is exceeded.
pub fn pack(source: &PackSource, created: u64) -> Result<Packed, PackError> {
    let manifest = Manifest::parse(&source.manifest)?;
    check(&manifest, source)?;
    let files = ordered(&manifest, source);
    let layer = write_layer(&files, created).map_err(PackError::Archive)?;
    read_layer(&layer, &Limits::default()).map_err(PackError::Refused)?;
    let layer = Blob { media_type: LAYER_MEDIA_TYPE, bytes: layer };
    let labels = labels(&manifest, source)?;
    let mut blobs = vec![layer.clone()];
    let mut manifests = Vec::new();
    for platform in &manifest.platforms {
        let config = ImageConfig {
            architecture: platform.architecture().to_owned(),
            os: platform.os().to_owned(),
            config: Labelled { labels: labels.clone() },
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![unpacked(&layer)] },
        };
        let config = Blob::json(CONFIG_MEDIA_TYPE, &config);
        let image = ImageManifest {
            schema_version: 2,
            media_type: Some(MANIFEST_MEDIA_TYPE.to_owned()),
            artifact_type: Some(ARTIFACT_TYPE.to_owned()),
            config: config.descriptor(),
            layers: vec![layer.descriptor()],
            subject: None,
            annotations: BTreeMap::new(),
        };
        let image = Blob::json(MANIFEST_MEDIA_TYPE, &image);
        manifests.push(Descriptor {
            artifact_type: Some(ARTIFACT_TYPE.to_owned()),
            platform: Some(platform.clone()),
            ..image.descriptor()
        });
        blobs.extend([config, image]);
    }
    let index = Index {
        schema_version: 2,
        media_type: Some(INDEX_MEDIA_TYPE.to_owned()),
        artifact_type: Some(ARTIFACT_TYPE.to_owned()),
        manifests,
        annotations: annotations(&manifest, created),
    };
    let index = Blob::json(INDEX_MEDIA_TYPE, &index);
    // Tools that keep several images in a folder tell them apart by this name. Tags have no `+`.
    let name = manifest.package.version.to_string().replace('+', "_");
    let descriptor = Descriptor {
        artifact_type: Some(ARTIFACT_TYPE.to_owned()),
        annotations: BTreeMap::from([("org.opencontainers.image.ref.name".to_owned(), name)]),
        ..index.descriptor()
    };
    blobs.push(index);
    Ok(Packed { index: descriptor, blobs })
}

fn check(manifest: &Manifest, source: &PackSource) -> Result<(), PackError> {
    let exists = |path: &str, role| match source.files.get(path) {
        Some(file) => Ok(file),
        None => Err(PackError::MissingFile { path: path.to_owned(), role }),
    };
    exists(&manifest.package.documentation, "its documentation")?;
    if let Some(user) = &manifest.user {
        exists(&user.command, "its user program")?;
    }
    for program in &manifest.programs {
        let file = exists(&program.object, "an object")?;
        let path = program.object.clone();
        let object =
            Object::parse(&file.bytes).map_err(|source| PackError::Object { path: path.clone(), source })?;
        if object.program(&program.function).is_none() {
            let known = object.programs.into_iter().map(|program| program.function).collect();
            return Err(PackError::MissingFunction { path, function: program.function.clone(), known });
        }
    }
    manifest.check_interfaces(|path| &source.files[path].bytes).map_err(PackError::Interface)
}

/// The first object comes first, as readers of single objects expect, then the manifest, then the rest by path.
fn ordered(manifest: &Manifest, source: &PackSource) -> Files {
    let first = manifest.programs[0].object.as_str();
    let manifest = PackFile { bytes: source.manifest.clone().into_bytes(), executable: false };
    let object = source.files.get_key_value(first).map(|(path, file)| (path.as_str(), file));
    let rest = source.files.iter().map(|(path, file)| (path.as_str(), file));
    let rest = rest.filter(|(path, _)| *path != first && *path != MANIFEST_FILE);
    let all = object.into_iter().chain([(MANIFEST_FILE, &manifest)]).chain(rest);
    all.map(|(path, file)| File {
        path: path.to_owned(),
        bytes: file.bytes.clone(),
        executable: file.executable,
    })
    .collect()
}

/// The labels that bpfman reads: programs and maps with their kinds, as JSON.
fn labels(manifest: &Manifest, source: &PackSource) -> Result<BTreeMap<String, String>, PackError> {
    // Sorted whatever other crates have serde_json do: the bytes of a package depend on its sources alone.
    let mut programs = BTreeMap::new();
    let mut maps = BTreeMap::new();
    for program in &manifest.programs {
        let kind = match program.hook {
            ProgramKind::Chain(HookPoint::Xdp) => "xdp".to_owned(),
            ProgramKind::Chain(HookPoint::TcIngress | HookPoint::TcEgress) => "tc".to_owned(),
            ProgramKind::Probe(kind) => kind.label(),
        };
        programs.insert(program.function.to_string(), kind);
    }
    for path in manifest.objects() {
        let object = Object::parse(&source.files[path].bytes)
            .map_err(|source| PackError::Object { path: path.to_owned(), source })?;
        maps.extend(object.maps.into_iter().map(|map| (map.name, map.kind)));
    }
    Ok(BTreeMap::from([
        ("io.ebpf.programs".to_owned(), json!(programs).to_string()),
        ("io.ebpf.maps".to_owned(), json!(maps).to_string()),
    ]))
}

fn annotations(manifest: &Manifest, created: u64) -> BTreeMap<String, String> {
    let info = &manifest.package;
    let words = [
        ("created", Some(rfc3339(created))),
        ("description", Some(info.description.clone())),
        ("licenses", Some(info.license.clone())),
        ("source", info.source.clone()),
        ("title", Some(info.name.to_string())),
        ("url", info.homepage.clone()),
        ("vendor", Some(info.publisher.to_string())),
        ("version", Some(info.version.to_string())),
    ];
    let said = words.into_iter().filter_map(|(key, value)| Some((key, value?)));
    said.map(|(key, value)| (format!("org.opencontainers.image.{key}"), value)).collect()
}

/// The digest of a layer before it was compressed, which image configurations name.
fn unpacked(layer: &Blob) -> Digest {
    let mut tar = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(layer.bytes.as_slice());
    io::Read::read_to_end(&mut reader, &mut tar).expect("the layer was read just before");
    Digest::of(&tar)
}

/// Seconds since 1970 as a date and time (RFC 3339), by the algorithm of Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", `civil_from_days`.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(super::rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::rfc3339(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(super::rfc3339(4_102_444_799), "2099-12-31T23:59:59Z");
    }
}
