// SPDX-License-Identifier: Apache-2.0
//! A small registry with the referrers API of distribution 1.1, and a package for it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use package::{
    ARTIFACT_TYPE, BlobError, Blobs, Descriptor, Digest, INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, ReferrerKind,
};
use serde_json::{Value, json};

use crate::server::{Answer, Request};

/// Bytes by digest.
#[derive(Default, Clone)]
pub(crate) struct Heap(pub(crate) BTreeMap<Digest, Vec<u8>>);

impl Heap {
    pub(crate) fn put(&mut self, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::of(&bytes);
        self.0.insert(digest, bytes);
        digest
    }

    /// Puts a document and describes it.
    fn describe(&mut self, media_type: &str, bytes: impl Into<Vec<u8>>) -> Value {
        let bytes = bytes.into();
        let size = bytes.len();
        json!({"mediaType": media_type, "digest": self.put(bytes), "size": size})
    }
}

impl Blobs for Heap {
    fn blob(&self, digest: &Digest, _: u64) -> Result<Vec<u8>, BlobError> {
        self.0.get(digest).cloned().ok_or(BlobError::Missing)
    }
}

/// A package as far as registries look into it, and the descriptor of its index.
pub(crate) fn package() -> (Heap, Descriptor) {
    let mut heap = Heap::default();
    let layer = heap.describe("application/vnd.oci.image.layer.v1.tar+gzip", "the layer".repeat(99));
    let config = heap.describe("application/vnd.oci.image.config.v1+json", "{}");
    let image = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let mut entry = heap.describe(MANIFEST_MEDIA_TYPE, image.to_string());
    entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
    let index = json!({"schemaVersion": 2, "artifactType": ARTIFACT_TYPE, "manifests": [entry]});
    let mut descriptor = heap.describe(INDEX_MEDIA_TYPE, index.to_string());
    descriptor["artifactType"] = json!(ARTIFACT_TYPE);
    (heap, serde_json::from_value(descriptor).unwrap())
}

/// What a registry holds.
#[derive(Default)]
pub(crate) struct Memory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    heap: Heap,
    tags: BTreeMap<String, Digest>,
    upload: Vec<u8>,
}

impl Memory {
    /// Answers as distribution 1.1 says.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let mut state = self.state.lock().unwrap();
        let path = request.path.split('?').next().unwrap();
        let mut parts = path.rsplit('/');
        let (name, folder) = (parts.next().unwrap(), parts.next().unwrap());
        let location = |to: &str| vec![("Location", format!("/v2/a/{to}"))];
        match (request.method.as_str(), folder) {
            ("GET", "v2") => Answer::ok("{}"),
            ("POST", "uploads") => Answer::Whole(202, location("blobs/uploads/1"), Vec::new()),
            ("PATCH", "uploads") => {
                state.upload.extend(&request.body);
                Answer::Whole(202, location("blobs/uploads/1"), Vec::new())
            }
            ("PUT", "uploads") => {
                let bytes = std::mem::take(&mut state.upload);
                let digest = state.heap.put(bytes);
                assert!(request.path.contains(&digest.hex()), "it was not what was named");
                Answer::Whole(201, location(&format!("blobs/{digest}")), Vec::new())
            }
            ("PUT", "manifests") => {
                let digest = state.heap.put(request.body.clone());
                state.tags.insert(name.to_owned(), digest);
                let document: Value = serde_json::from_slice(&request.body).unwrap();
                let subject = document["subject"]["digest"].as_str();
                let subject = subject.map(|subject| ("OCI-Subject", subject.to_owned()));
                let headers = location(&format!("manifests/{digest}")).into_iter().chain(subject);
                Answer::Whole(201, headers.collect(), Vec::new())
            }
            ("GET" | "HEAD", "manifests" | "blobs") => {
                let digest = state.tags.get(name).copied().or_else(|| name.parse().ok());
                let found = digest.and_then(|digest| state.heap.0.get(&digest));
                found.map_or(Answer::status(404), |bytes| Answer::ok(bytes.clone()))
            }
            ("GET", "referrers") => Answer::ok(list(&state.heap.referrers(name))),
            other => panic!("nobody asks {other:?}"),
        }
    }
}

impl Heap {
    /// What refers to a digest.
    fn referrers(&self, subject: &str) -> Vec<Value> {
        let documents = self.0.iter().filter_map(|(digest, bytes)| {
            let document: Value = serde_json::from_slice(bytes).ok()?;
            (document["subject"]["digest"] == subject).then(|| {
                let mut entry = entry(digest, bytes.len());
                entry["artifactType"] = document["artifactType"].clone();
                entry
            })
        });
        documents.collect()
    }
}

/// An entry for a statement in a list.
pub(crate) fn entry(digest: &Digest, size: usize) -> Value {
    json!({
        "mediaType": MANIFEST_MEDIA_TYPE, "artifactType": ReferrerKind::Statement.artifact_type(), "digest": digest, "size": size
    })
}

/// A list of referrers.
pub(crate) fn list(manifests: &[Value]) -> String {
    json!({"schemaVersion": 2, "mediaType": INDEX_MEDIA_TYPE, "manifests": manifests}).to_string()
}
