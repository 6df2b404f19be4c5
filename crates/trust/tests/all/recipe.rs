// SPDX-License-Identifier: Apache-2.0
//! Makes the envelopes of a case as its `case.toml` says. Nobody's secrets are here: names are the seeds of keys.

use std::fs;
use std::path::{Path, PathBuf};

use package::Digest;
use serde_json::Value;
use trust::{Algorithm, Envelope, PrivateKey, RootCertification, Signer, Statement, Terms};

use crate::case::{CertificationRecipe, Recipe, Replacement, SignatureRecipe, StatementRecipe};
use crate::roots::roots;

/// Those who sign, each with a key of Ed25519 and one of ML-DSA-65.
pub(crate) const PEOPLE: [&str; 4] = ["alice", "bob", "erin", "mallory"];
/// Keys that no seed makes; they were made once.
pub(crate) const CHANCE: [(&str, Algorithm); 2] =
    [("ecdsa", Algorithm::EcdsaP256), ("rsa", Algorithm::RsaPss)];

/// The envelopes of a case.
pub(crate) fn envelopes(recipe: &Recipe) -> Vec<String> {
    recipe.statements.iter().map(|statement| envelope(statement, recipe)).collect()
}

/// An envelope without those signatures that are never the same twice: all but those of Ed25519, whose base64 is 88 letters.
pub(crate) fn but_for_chance(text: &str) -> Value {
    let Ok(mut envelope) = serde_json::from_str::<Value>(text) else { return text.into() };
    for signature in envelope["signatures"].as_array_mut().into_iter().flatten() {
        if signature["sig"].as_str().is_some_and(|sig| sig.len() != 88) {
            signature["sig"] = Value::Null;
        }
    }
    envelope
}

fn envelope(recipe: &StatementRecipe, case: &Recipe) -> String {
    let payload = replaced(payload(recipe, case), &recipe.replace);
    let unsigned = Envelope::sign(&recipe.payload_type, payload.clone().into_bytes(), &[]).unwrap();
    let mut envelope: Value = serde_json::from_slice(&unsigned.to_json()).unwrap();
    let signatures = recipe.signatures.iter().flat_map(|signature| {
        let one = signature_of(signature, &recipe.payload_type, &payload);
        std::iter::repeat_n(one, signature.times)
    });
    envelope["signatures"] = signatures.collect();
    replaced(serde_json::to_string_pretty(&envelope).unwrap() + "\n", &recipe.envelope)
}

fn payload(recipe: &StatementRecipe, case: &Recipe) -> String {
    let terms = Terms { expires: recipe.expires, pen: recipe.pen, ..Terms::from(recipe.created) };
    let release = recipe.about.as_ref().unwrap_or(&case.release);
    let json = match (&recipe.endorsement, &recipe.certification) {
        (Some(endorsement), _) => Statement::from(endorsement.clone()).to_json(),
        (None, Some(certification)) => certified(certification, recipe, case),
        (None, None) if release.single => Statement::about_object(&release.object(), None, terms).to_json(),
        (None, None) => Statement::about(&release.package(), terms).to_json(),
    };
    String::from_utf8(json).unwrap()
}

fn certified(certification: &CertificationRecipe, recipe: &StatementRecipe, case: &Recipe) -> Vec<u8> {
    let text = &roots(&case.roots)[certification.root - 1];
    let stated = RootCertification {
        publisher: case.release.publisher.parse().unwrap(),
        pen: certification.pen,
        root: Digest::of(text.as_bytes()),
        created: recipe.created,
        expires: recipe.expires,
    };
    Statement::from(stated).to_json()
}

fn replaced(text: String, replacements: &[Replacement]) -> String {
    replacements.iter().fold(text, |text, Replacement { from, to }| {
        assert!(text.contains(from), "`{from}` is not in `{text}`");
        text.replacen(from, to, 1)
    })
}

fn signature_of(recipe: &SignatureRecipe, payload_type: &str, payload: &str) -> Value {
    let signer = key(&recipe.by);
    let envelope = Envelope::sign(payload_type, payload.as_bytes().to_vec(), &[&signer]).unwrap();
    let mut envelope: Value = serde_json::from_slice(&envelope.to_json()).unwrap();
    let mut signature = envelope["signatures"][0].take();
    if let Some(claimed) = &recipe.claims {
        signature["keyid"] = key(claimed).public().id().to_string().into();
    }
    if let Some(file) = &recipe.certificates {
        let signer = Signer::from_pem(&fs::read_to_string(keys().join(file)).unwrap()).unwrap();
        signature["cert"] = signer.chain().unwrap().to_pem().into();
    }
    if recipe.broken {
        let sig = signature["sig"].as_str().unwrap();
        let first = if sig.starts_with('A') { "B" } else { "A" };
        signature["sig"] = format!("{first}{}", &sig[1..]).into();
    }
    signature
}

/// The folder of the keys.
pub(crate) fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/keys")
}

/// The key of a name. Everybody knows it: the digest of the name is its seed.
pub(crate) fn key(name: &str) -> PrivateKey {
    if CHANCE.iter().any(|(chance, _)| *chance == name) {
        let text = fs::read_to_string(keys().join(name).with_extension("pem")).unwrap();
        return PrivateKey::from_pem(&text).unwrap();
    }
    let digits = Digest::of(name.as_bytes()).hex();
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    let seed = std::array::from_fn(byte);
    if name.ends_with("-quantum") {
        PrivateKey::post_quantum_from_seed(seed)
    } else {
        PrivateKey::from_seed(seed)
    }
}
