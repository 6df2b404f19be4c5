// SPDX-License-Identifier: Apache-2.0
//! Output for others: a sigstore bundle (v0.3), as `cosign sign` makes it for an image. Nothing here is read back.
//!
//! A bundle bears one signature and states one thing, the digest of a package's index; policies of this project rest on
//! release statements and take no bundle for one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use package::{BUNDLE_MEDIA_TYPE, COSIGN_PREDICATE_TYPE, Digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{Algorithm, Envelope, PAYLOAD_TYPE, Predicate, Sign, SignError, Statement, Subject};

/// No more than that it was signed.
#[derive(Debug, Serialize, Deserialize)]
struct Signed {}

impl Predicate for Signed {
    const TYPE: &'static str = COSIGN_PREDICATE_TYPE;
    const WHAT: &'static str = "a statement of cosign";
}

/// No bundle was made.
#[derive(Debug, Error)]
pub enum CosignError {
    /// None of the keys makes signatures that all of cosign's kin read.
    #[error("a sigstore bundle needs an `{}` key, and there is none among the keys", Algorithm::EcdsaP256)]
    NoKey,
    /// The key does not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// A bundle that says with the first ECDSA key that the package with this index is signed; JSON.
///
/// # Errors
/// When there is no such key, or it does not sign.
pub fn cosign_bundle(index: &Digest, keys: &[&dyn Sign]) -> Result<Vec<u8>, CosignError> {
    let of_cosign = |key: &&&dyn Sign| key.public().algorithm() == Algorithm::EcdsaP256;
    let key = *keys.iter().find(of_cosign).ok_or(CosignError::NoKey)?;
    // Inspektor Gadget reads the first subject and no other (`pkg/signature/verifier/cosign`).
    let statement = Statement::new(vec![Subject::new("", index)], Signed {}).to_json();
    // The DSSE library of cosign passes over signatures that bear another name than its own for the key
    // (go-securesystemslib, `dsse/verify.go`), so that ours bears none.
    let envelope = Envelope::sign(PAYLOAD_TYPE, statement, &[key])?.anonymous();
    let envelope: Value = serde_json::from_slice(&envelope.to_json()).expect("an envelope is JSON");
    // `pkg/cosign/bundle/sign.go` hints at a key in this way.
    let hint = STANDARD.encode(Digest::of(key.public().spki()).bytes());
    Ok(to_bytes(json!({
        "mediaType": BUNDLE_MEDIA_TYPE,
        "verificationMaterial": { "publicKey": { "hint": hint } },
        "dsseEnvelope": envelope,
    })))
}

/// Sorted, also where another crate has `serde_json` keep the order in which keys came.
fn to_bytes(mut document: Value) -> Vec<u8> {
    document.sort_all_objects();
    serde_json::to_vec(&document).expect("it has text keys only")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrivateKey, Quorum};

    #[test]
    fn a_bundle_bears_one_signature_and_no_name_of_a_key() {
        let [other, key] = [Algorithm::Ed25519, Algorithm::EcdsaP256].map(PrivateKey::generate);
        let bundle = cosign_bundle(&Digest::of(b"index"), &[&other, &key]).unwrap();
        let bundle: Value = serde_json::from_slice(&bundle).unwrap();
        let signatures = bundle["dsseEnvelope"]["signatures"].as_array().unwrap();
        assert_eq!(signatures.len(), 1);
        assert_eq!(signatures[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["sig"]);

        let envelope = Envelope::parse(&to_bytes(bundle["dsseEnvelope"].clone())).unwrap();
        let quorum = Quorum::new(vec![key.public().clone().into()], 1).unwrap();
        let verified = envelope.verify(&quorum, |_| Ok(())).unwrap();
        insta::assert_snapshot!(String::from_utf8_lossy(verified.payload()), @r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"","digest":{"sha256":"1bc04b5291c26a46d918139138b992d2de976d6851d0893b0476b85bfbdfc6e6"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#);
    }

    #[test]
    fn a_bundle_needs_a_key_that_cosign_reads() {
        let key = PrivateKey::generate(Algorithm::MlDsa65);
        insta::assert_snapshot!(cosign_bundle(&Digest::of(b"index"), &[&key]).unwrap_err(), @"a sigstore bundle needs an `ecdsa-sha2-nistp256` key, and there is none among the keys");
    }
}
