// SPDX-License-Identifier: Apache-2.0
//! `l3af sign --cosign`, verified by others, offline and with the key alone: by the sigstore project's own crates and by
//! OpenSSL.
//!
//! The crates are those that read bundles, and that check a signature with a key. What puts them together,
//! `sigstore-verify` 0.15, refuses bundles without an entry of a log or a timestamp, whatever its policy; sigstore-python
//! 4.5 refuses those without a certificate. `docs/keys.md` tells who else was asked.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sigstore_crypto::{SigningScheme, verify_signature};
use sigstore_types::bundle::VerificationMaterialContent;
use sigstore_types::{Bundle, DerPublicKey, SignatureContent, Statement};

use crate::place::Place;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn signed() -> Place {
    let place = Place::built();
    assert!(place.l3af("key new ec.key --algorithm ecdsa --no-passphrase").success);
    let signed =
        place.l3af("sign sanity.oci --key 1.key --key ec.key --cosign --cosign-bundle sanity.sigstore.json");
    assert!(signed.success, "{}", signed.stderr);
    place
}

fn json(place: &Place, name: &str) -> Value {
    serde_json::from_slice(&fs::read(place.path(name)).unwrap()).unwrap()
}

fn blob(digest: &Value) -> String {
    format!("sanity.oci/blobs/{}", digest.as_str().unwrap().replace(':', "/"))
}

/// The bytes that were signed: the index of the package.
fn index(place: &Place) -> Vec<u8> {
    fs::read(place.path(&blob(&json(place, "sanity.oci/index.json")["manifests"][0]["digest"]))).unwrap()
}

/// What the crates say: whether the key signed the bundle, and whether it speaks of these bytes.
fn verified(place: &Place, artifact: &[u8], key: &str) -> Result<bool, String> {
    let bundle = Bundle::from_json(&fs::read_to_string(place.path("sanity.sigstore.json")).unwrap()).unwrap();
    assert!(matches!(bundle.verification_material.content, VerificationMaterialContent::PublicKey(_)));
    let SignatureContent::DsseEnvelope(envelope) = &bundle.content else { panic!("it bears no envelope") };
    let key = DerPublicKey::from_pem(&fs::read_to_string(place.path(key)).unwrap()).unwrap();
    verify_signature(&key, &envelope.pae(), &envelope.signature.sig, SigningScheme::EcdsaP256Sha256)
        .map_err(|error| error.to_string())?;
    let statement: Statement = serde_json::from_slice(envelope.payload.as_bytes()).unwrap();
    Ok(statement.matches_sha256(&sigstore_crypto::sha256(artifact)))
}

#[test]
fn sigstore_verifies_a_bundle_with_the_key() {
    let place = signed();
    assert_eq!(verified(&place, &index(&place), "ec.key.pub"), Ok(true));
    assert_eq!(verified(&place, b"another index", "ec.key.pub"), Ok(false));
    assert!(place.l3af("key new other.key --algorithm ecdsa --no-passphrase").success);
    insta::assert_snapshot!(verified(&place, &index(&place), "other.key.pub").unwrap_err(), @"Verification error: ECDSA_P256_SHA256 signature invalid");
}

#[test]
fn openssl_verifies_the_signature_in_a_bundle() {
    let place = signed();
    let envelope = &json(&place, "sanity.sigstore.json")["dsseEnvelope"];
    let decoded = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
    let payload = decoded(&envelope["payload"]);
    // `PAE` of the DSSE protocol.
    let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
    place.write("message", [head.as_bytes(), &payload].concat());
    place.write("signature", decoded(&envelope["signatures"][0]["sig"]));
    let options = ["dgst", "-sha256", "-verify", "ec.key.pub", "-signature", "signature", "message"];
    insta::assert_snapshot!(place.run("openssl", &options).stdout, @"Verified OK");
}

#[test]
fn a_bundle_is_a_referrer_of_the_package() {
    let place = signed();
    let listed = json(&place, "sanity.oci/index.json");
    let of_kind = |kind: &str| {
        let found =
            listed["manifests"].as_array().unwrap().iter().find(|entry| entry["artifactType"] == kind);
        found.cloned().unwrap()
    };
    let referrer = of_kind(BUNDLE);
    insta::assert_snapshot!(referrer["annotations"], @r#"{"dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"https://sigstore.dev/cosign/sign/v1"}"#);
    let manifest = json(&place, &blob(&referrer["digest"]));
    assert_eq!(manifest["artifactType"], BUNDLE);
    assert_eq!(manifest["annotations"], referrer["annotations"]);
    assert_eq!(manifest["subject"]["digest"], of_kind("application/vnd.l3af.package.v1")["digest"]);
    assert_eq!(manifest["layers"][0]["mediaType"], BUNDLE);
    let stored = fs::read(place.path(&blob(&manifest["layers"][0]["digest"]))).unwrap();
    assert_eq!(stored, fs::read(place.path("sanity.sigstore.json")).unwrap());
    // It says nothing to our own policies.
    assert!(place.l3af("verify sanity.oci --key 1.pub").success);
}

#[test]
fn a_bundle_needs_an_ecdsa_key() {
    let place = Place::built();
    let before = fs::read(place.path("sanity.oci/index.json")).unwrap();
    insta::assert_snapshot!(place.refusal("sign sanity.oci --key 1.key --cosign"), @"
    error: a sigstore bundle needs an `ecdsa-sha2-nistp256` key, and there is none among the keys
    hint: add one by `--key`; `l3af key new FILE --algorithm ecdsa` makes one
    ");
    assert_eq!(fs::read(place.path("sanity.oci/index.json")).unwrap(), before);
}

#[test]
fn a_bundle_about_a_single_object_is_a_file() {
    let place = Place::new();
    let object = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../package/testdata/small.bpf.o")).unwrap();
    place.write("filter.o", &object);
    assert!(place.l3af("key new ec.key --algorithm ecdsa --no-passphrase").success);
    let line = "sign filter.o --key ec.key --publisher l3af --name filter --version 1.0.0";
    insta::assert_snapshot!(place.refusal(&format!("{line} --cosign")), @"
    error: a file that is no package has no place for a sigstore bundle
    hint: `--cosign-bundle FILE` writes it into a file of its own
    ");
    assert!(!place.path("filter.o.l3af.json").exists(), "a refusal leaves a statement behind");
    let signed = place.l3af(&format!("{line} --cosign-bundle sanity.sigstore.json"));
    assert!(signed.success, "{}", signed.stderr);
    assert_eq!(verified(&place, &object, "ec.key.pub"), Ok(true));
}
