// SPDX-License-Identifier: Apache-2.0
//! The hub as an OCI registry: what the distribution specification (1.1) asks of one, category by category, with both
//! algorithms of digests; and what breaks registries.

mod attacks;
mod blobs;
mod bucket;
mod check;
mod clients;
mod l3afd;
mod manifests;
mod model;
mod paths;
mod referrers;
mod replicas;
mod sweep;
mod tags;
mod uploads;

use it::{Ask, Hub, Reply};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// The algorithms of digests.
const ALGORITHMS: [&str; 2] = ["sha256", "sha512"];

/// The digest of bytes.
fn digest(algorithm: &str, bytes: &[u8]) -> String {
    let digits = match algorithm {
        "sha256" => Sha256::digest(bytes).to_vec(),
        _ => Sha512::digest(bytes).to_vec(),
    };
    format!("{algorithm}:{}", it::hex(&digits))
}

/// Bytes that are no others.
fn some_bytes(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| seed.wrapping_add(u8::try_from(at % 251).unwrap())).collect()
}

/// A hub where anybody may do anything, with one publisher, `free`, whose namespace is an ordinary registry.
fn registry() -> Hub {
    let hub = Hub::start().unwrap();
    hub.add_registry("free").unwrap();
    hub
}

/// A repository of a hub.
struct Repository<'h> {
    hub: &'h Hub,
    name: &'h str,
}

impl Repository<'_> {
    fn ask(&self, method: &str, rest: &str) -> Ask {
        self.hub.ask(method, &format!("/v2/{}/{rest}", self.name))
    }

    fn get(&self, rest: &str) -> Reply {
        self.ask("GET", rest).send().unwrap()
    }

    fn head(&self, rest: &str) -> Reply {
        self.ask("HEAD", rest).send().unwrap()
    }

    fn delete(&self, rest: &str) -> Reply {
        self.ask("DELETE", rest).send().unwrap()
    }

    /// Pushes a blob in one request, and returns its digest.
    fn push_blob(&self, algorithm: &str, bytes: &[u8]) -> String {
        let digest = digest(algorithm, bytes);
        let pushed = self.ask("POST", &format!("blobs/uploads/?digest={digest}")).body(bytes).send().unwrap();
        assert_eq!(pushed.status, 201, "{}", pushed.text());
        digest
    }

    /// Begins an upload, and returns where it goes on.
    fn begin(&self) -> Upload<'_> {
        let begun = self.ask("POST", "blobs/uploads/").body("").send().unwrap();
        assert_eq!(begun.status, 202, "{}", begun.text());
        Upload { hub: self.hub, location: begun.header("location").unwrap().to_owned() }
    }

    fn put_manifest(&self, reference: &str, media_type: &str, bytes: &[u8]) -> Reply {
        let put = self.ask("PUT", &format!("manifests/{reference}"));
        put.header("Content-Type", media_type).body(bytes).send().unwrap()
    }

    /// Pushes a manifest that must be taken, and returns its digest.
    fn push_manifest(&self, algorithm: &str, tag: Option<&str>, document: &Value) -> String {
        let bytes = document.to_string();
        let digest = digest(algorithm, bytes.as_bytes());
        let media_type = document["mediaType"].as_str().unwrap();
        let tag = tag.map(|tag| format!("?tag={tag}")).unwrap_or_default();
        let put = self.put_manifest(&format!("{digest}{tag}"), media_type, bytes.as_bytes());
        assert_eq!(put.status, 201, "{}", put.text());
        assert_eq!(put.header("docker-content-digest"), Some(digest.as_str()));
        digest
    }

    /// A manifest of an image whose configuration and only layer have been pushed.
    fn image(&self, algorithm: &str, seed: u8) -> Value {
        let (config, layer) = (some_bytes(seed, 40), some_bytes(seed, 500));
        self.push_blob(algorithm, &config);
        self.push_blob(algorithm, &layer);
        json!({
            "schemaVersion": 2, "mediaType": IMAGE,
            "config": descriptor(algorithm, "application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor(algorithm, "application/vnd.oci.image.layer.v1.tar+gzip", &layer)],
        })
    }

    /// A manifest about another one.
    fn about(&self, algorithm: &str, subject: &Value, artifact_type: &str) -> Value {
        self.push_blob(algorithm, b"{}");
        json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": artifact_type,
            "config": descriptor(algorithm, EMPTY, b"{}"), "layers": [descriptor(algorithm, EMPTY, b"{}")],
            "subject": subject, "annotations": { "org.example.kind": artifact_type },
        })
    }
}

/// An upload that was begun.
struct Upload<'h> {
    hub: &'h Hub,
    location: String,
}

impl Upload<'_> {
    fn ask(&self, method: &str) -> Ask {
        self.hub.ask(method, &self.location)
    }

    /// Sends a piece, with the range that it says to have.
    fn piece(&self, range: &str, bytes: &[u8]) -> Reply {
        self.ask("PATCH").header("Content-Range", range).body(bytes).send().unwrap()
    }

    /// Ends it.
    fn end(&self, digest: &str) -> Ask {
        self.hub.ask("PUT", &format!("{}?digest={digest}", self.location))
    }

    /// How far it is.
    fn range(&self) -> String {
        let status = self.ask("GET").send().unwrap();
        assert_eq!(status.status, 204, "{}", status.text());
        status.header("range").unwrap().to_owned()
    }
}

fn descriptor(algorithm: &str, media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(algorithm, bytes), "size": bytes.len() })
}

/// The descriptor of a manifest.
fn described(algorithm: &str, document: &Value) -> Value {
    descriptor(algorithm, document["mediaType"].as_str().unwrap(), document.to_string().as_bytes())
}
