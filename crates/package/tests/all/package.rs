// SPDX-License-Identifier: Apache-2.0
//! Whole packages: packed, read, and attacked.

use std::collections::BTreeMap;

use package::{
    Blob, BlobError, Blobs, Digest, File, Limits, PackFile, PackSource, Package, Packed, Platform, pack,
    read_layer, write_layer,
};
use serde_json::Value;

use crate::manifest::MANIFEST;
use crate::object::SMALL;

/// Blobs in memory.
#[derive(Default)]
struct Memory(BTreeMap<Digest, Vec<u8>>);

impl Memory {
    fn of(packed: &Packed) -> Self {
        Self(packed.blobs.iter().map(|blob| (blob.digest(), blob.bytes.clone())).collect())
    }

    fn put(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.0.insert(digest, bytes);
        digest
    }
}

impl Blobs for Memory {
    fn blob(&self, digest: &Digest, _: u64) -> Result<Vec<u8>, BlobError> {
        self.0.get(digest).cloned().ok_or(BlobError::Missing)
    }
}

fn source() -> PackSource {
    let file = |bytes: &[u8]| PackFile { bytes: bytes.to_vec(), executable: false };
    let files = [("small.bpf.o", file(SMALL)), ("README.md", file(b"# small")), ("a-file", file(b"1"))];
    let files = files.map(|(path, file)| (path.to_owned(), file));
    PackSource { manifest: MANIFEST.to_owned(), files: files.into() }
}

fn index(packed: &Packed) -> Value {
    serde_json::from_slice(&packed.blobs.last().unwrap().bytes).unwrap()
}

/// Packs, changes the index, and reads.
fn refusal(change: impl FnOnce(&mut Value, &mut Memory)) -> String {
    let packed = pack(&source(), 0).unwrap();
    let mut blobs = Memory::of(&packed);
    let mut document = index(&packed);
    change(&mut document, &mut blobs);
    let digest = blobs.put(serde_json::to_vec(&document).unwrap());
    Package::read(&blobs, &digest).unwrap_err().to_string()
}

fn without_digests(text: &str) -> String {
    text.split(' ')
        .map(|word| if word.starts_with("sha256:") { "<digest>" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn what_is_packed_is_read() {
    let packed = pack(&source(), 0).unwrap();
    let package = Package::read(&Memory::of(&packed), &packed.index.digest).unwrap();
    let platforms: Vec<String> = package.platforms.iter().map(|read| read.platform.to_string()).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let linux = package.for_platform(&Platform::new("linux", "amd64").unwrap()).unwrap();
    let paths: Vec<&str> = linux.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["small.bpf.o", "package.toml", "README.md", "a-file"]);
    assert_eq!(linux.object(&package.manifest.programs[0]), SMALL);
}

#[test]
fn the_same_files_make_the_same_package() {
    assert_eq!(pack(&source(), 7).unwrap(), pack(&source(), 7).unwrap());
    assert_ne!(pack(&source(), 7).unwrap().index, pack(&source(), 8).unwrap().index);
}

#[test]
fn the_labels_are_those_that_bpfman_reads() {
    let packed = pack(&source(), 0).unwrap();
    let config = packed.blobs.iter().find(|blob| blob.media_type.contains("config")).unwrap();
    let config: Value = serde_json::from_slice(&config.bytes).unwrap();
    assert_eq!(config["config"]["Labels"]["io.ebpf.programs"], r#"{"first":"xdp","outgoing":"tc"}"#);
    assert_eq!(config["config"]["Labels"]["io.ebpf.maps"], r#"{"seen":"hash"}"#);
    let platforms = index(&packed)["manifests"].as_array().unwrap().clone();
    assert!(platforms.iter().all(|entry| entry["platform"]["os"] == "linux"));
}

#[test]
fn a_package_that_does_not_hold_what_it_says_is_not_made() {
    let refusal = |change: &dyn Fn(&mut PackSource)| {
        let mut source = source();
        change(&mut source);
        pack(&source, 0).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refusal(&|source| drop(source.files.remove("README.md"))), @"`package.toml` names `README.md` as its documentation, but there is no such file");
    insta::assert_snapshot!(refusal(&|source| drop(source.files.remove("small.bpf.o"))), @"`package.toml` names `small.bpf.o` as an object, but there is no such file");
    insta::assert_snapshot!(refusal(&|source| source.files.get_mut("small.bpf.o").unwrap().bytes.clear()), @"`small.bpf.o` is not an eBPF object");
    insta::assert_snapshot!(refusal(&|source| source.manifest = source.manifest.replace("\"first\"", "\"third\"")), @"`small.bpf.o` has no program `third`; it has `first`, `outgoing`, `second`");
    insta::assert_snapshot!(refusal(&|source| drop(source.files.insert("../x".to_owned(), PackFile::default()))), @"the files do not fit into an archive");
}

#[test]
fn wrong_digests_are_refused() {
    let packed = pack(&source(), 0).unwrap();
    for Blob { bytes, .. } in &packed.blobs {
        let mut blobs = Memory::of(&packed);
        let mut wrong = bytes.clone();
        wrong.push(b' ');
        blobs.0.insert(Digest::of(bytes), wrong);
        let refused = Package::read(&blobs, &packed.index.digest).unwrap_err().to_string();
        assert!(refused.contains("has other bytes"), "{refused}");
    }
}

#[test]
fn missing_blobs_are_told() {
    let packed = pack(&source(), 0).unwrap();
    for blob in &packed.blobs {
        let mut blobs = Memory::of(&packed);
        blobs.0.remove(&blob.digest());
        let refused = Package::read(&blobs, &packed.index.digest).unwrap_err().to_string();
        assert!(refused.starts_with("cannot read the "), "{refused}");
    }
}

#[test]
fn an_index_that_is_not_one_of_a_package_is_refused() {
    let text = refusal(|index, _| index["artifactType"] = "application/x".into());
    insta::assert_snapshot!(without_digests(&text), @"the index <digest> is not one of a package: its artifact type is `application/x`");
    let text = refusal(|index, _| drop(index["manifests"][0].as_object_mut().unwrap().remove("platform")));
    insta::assert_snapshot!(without_digests(&text), @"the index lists <digest> without a platform");
    let text = refusal(|index, _| index["manifests"][0]["size"] = 1.into());
    assert!(text.contains("bytes, not 1 as its descriptor says"), "{text}");
    let text = refusal(|index, _| drop(index["manifests"].as_array_mut().unwrap().pop()));
    insta::assert_snapshot!(text, @"the index is for linux/amd64, but the manifest for linux/amd64, linux/arm64");
    let text = refusal(|index, _| index["manifests"] = Value::Array(Vec::new()));
    insta::assert_snapshot!(text, @"the index is for none, but the manifest for unknown");
    let text = refusal(|index, _| index["manifests"] = 5.into());
    insta::assert_snapshot!(without_digests(&text), @"the index <digest> is not the document it should be");
}

#[test]
fn a_platform_with_two_layers_is_refused() {
    let text = refusal(|index, blobs| {
        let entry = &mut index["manifests"][0];
        let digest: Digest = entry["digest"].as_str().unwrap().parse().unwrap();
        let mut image: Value = serde_json::from_slice(&blobs.0[&digest]).unwrap();
        let layer = image["layers"][0].clone();
        image["layers"].as_array_mut().unwrap().push(layer);
        let image = serde_json::to_vec(&image).unwrap();
        entry["size"] = image.len().into();
        entry["digest"] = blobs.put(image).to_string().into();
    });
    insta::assert_snapshot!(text, @"linux/amd64 has 2 layers; a package has one, of type `application/vnd.oci.image.layer.v1.tar+gzip`");
}

#[test]
fn a_package_whose_maps_are_not_what_it_says_is_refused() {
    let text = refusal(|index, blobs| {
        let entry = &mut index["manifests"][0];
        let digest: Digest = entry["digest"].as_str().unwrap().parse().unwrap();
        let mut image: Value = serde_json::from_slice(&blobs.0[&digest]).unwrap();
        let layer: Digest = image["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
        let files = read_layer(&blobs.0[&layer], &Limits::default()).unwrap();
        let change = |file: &File| {
            let mut file = file.clone();
            if file.path == "package.toml" {
                file.bytes.extend(b"[[map]]\nname = \"unseen\"\nrole = \"state\"\n");
            }
            file
        };
        let layer = write_layer(&files.iter().map(change).collect(), 0).unwrap();
        image["layers"][0]["size"] = layer.len().into();
        image["layers"][0]["digest"] = blobs.put(layer).to_string().into();
        let image = serde_json::to_vec(&image).unwrap();
        entry["size"] = image.len().into();
        entry["digest"] = blobs.put(image).to_string().into();
    });
    insta::assert_snapshot!(text, @"the maps for linux/amd64 are not what the manifest says");
}
