// SPDX-License-Identifier: Apache-2.0
//! Signed envelopes (Dead Simple Signing Envelope 1.0.2).
//!
//! Signatures are over the exact bytes of the payload. A key id in an envelope is a hint and decides nothing. What was
//! verified is what is parsed: the payload comes out of an envelope through [`Envelope::verify`] only.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::json::{self, BadJson};
use crate::{Chain, Discount, KeyId, Quorum, Sign, SignError, Signer};

/// The type of the payloads of this project: in-toto statements.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// The largest envelope that is read.
pub const MAX_ENVELOPE_BYTES: usize = 4 * 1024 * 1024;
const MAX_SIGNATURES: usize = 64;

/// A payload with signatures. Nothing of it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    payload_type: String,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// A signature, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    /// The key that it says it is of.
    key: String,
    bytes: Vec<u8>,
    /// Certificates of that key, as PEM.
    certificates: Option<String>,
}

/// The payload of an envelope that enough keys signed. It cannot be made but by [`Envelope::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPayload<'a> {
    payload: &'a [u8],
    keys: BTreeSet<KeyId>,
}

/// Bytes that are not an envelope.
#[derive(Debug, Error)]
pub enum BadEnvelope {
    /// There are too many bytes.
    #[error("the envelope has {bytes} bytes, more than {MAX_ENVELOPE_BYTES}")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// It is not JSON, or it is ambiguous.
    #[error("it is no envelope: {0}")]
    Json(BadJson),
    /// It is not the JSON of an envelope.
    #[error("it is no envelope of DSSE: {0}")]
    Shape(serde_json::Error),
    /// A field is not base64.
    #[error("`{field}` in the envelope is not base64")]
    Base64 {
        /// The field.
        field: &'static str,
    },
    /// There are too many signatures.
    #[error("the envelope has {count} signatures, more than {MAX_SIGNATURES}")]
    TooManySignatures {
        /// How many.
        count: usize,
    },
}

/// Not enough trusted keys signed an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unsigned {
    /// The payload is of another type.
    #[error("the payload is a `{}`, not a `{PAYLOAD_TYPE}`", short_type(.found))]
    PayloadType {
        /// What it is.
        found: String,
    },
    /// Too few keys signed.
    #[error(
        "{valid} of the trusted signers signed it, {threshold} must; it names the keys {}{}",
        named(.claimed),
        without(.discounted)
    )]
    Threshold {
        /// How many trusted signers signed.
        valid: usize,
        /// How many must.
        threshold: usize,
        /// The keys that the envelope says signed it, each once.
        claimed: Vec<String>,
        /// Those who signed as well and do not count, and why.
        discounted: Vec<(String, Discount)>,
    },
}

fn without(discounted: &[(String, Discount)]) -> String {
    let each =
        discounted.iter().map(|(signer, why)| format!("; that of {} does not count: {why}", short(signer)));
    each.collect()
}

/// The beginning of what an envelope says. Anybody wrote it, so it tells terminals nothing.
fn short(key: &str) -> String {
    key.chars().take(16).flat_map(char::escape_debug).collect()
}

fn short_type(found: &str) -> String {
    found.chars().take(64).flat_map(char::escape_debug).collect()
}

fn named(keys: &[String]) -> String {
    let short: Vec<String> = keys.iter().map(|key| short(key)).collect();
    if short.is_empty() { "none".to_owned() } else { short.join(", ") }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    payload: String,
    payload_type: String,
    signatures: Vec<WrittenSignature>,
}

#[derive(Serialize, Deserialize)]
struct WrittenSignature {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    keyid: String,
    sig: String,
    /// The certificates of the key, where in-toto has them (ITE-7). Readers of DSSE pass over what they do not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cert: Option<String>,
}

/// The bytes that are signed (`PAEv1` of the DSSE protocol).
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// DSSE allows both alphabets.
fn decode(field: &'static str, text: &str) -> Result<Vec<u8>, BadEnvelope> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok().ok_or(BadEnvelope::Base64 { field })
}

impl<'a> VerifiedPayload<'a> {
    /// The bytes that were signed.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The keys that signed them, each once.
    pub fn keys(&self) -> &BTreeSet<KeyId> {
        &self.keys
    }
}

impl Envelope {
    /// Signs a payload with each of the keys.
    ///
    /// # Errors
    /// When one of them does not sign.
    pub fn sign(payload_type: &str, payload: Vec<u8>, keys: &[&dyn Sign]) -> Result<Self, SignError> {
        let message = signed_bytes(payload_type, &payload);
        let signature = |key: &&dyn Sign| {
            let bytes = key.sign(&message)?;
            Ok(Signature { key: key.public().id().to_string(), bytes, certificates: None })
        };
        let signatures = keys.iter().map(signature).collect::<Result<_, SignError>>()?;
        Ok(Self { payload_type: payload_type.to_owned(), payload, signatures })
    }

    /// Reads an envelope.
    ///
    /// # Errors
    /// When the bytes are too many, or not an envelope.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadEnvelope> {
        if bytes.len() > MAX_ENVELOPE_BYTES {
            return Err(BadEnvelope::TooLarge { bytes: bytes.len() });
        }
        let written = serde_json::from_value(json::read(bytes).map_err(BadEnvelope::Json)?);
        let written: Written = written.map_err(BadEnvelope::Shape)?;
        if written.signatures.len() > MAX_SIGNATURES {
            return Err(BadEnvelope::TooManySignatures { count: written.signatures.len() });
        }
        let payload = decode("payload", &written.payload)?;
        let signature = |WrittenSignature { keyid, sig, cert }| {
            Ok(Signature { key: keyid, bytes: decode("sig", &sig)?, certificates: cert })
        };
        let signatures = written.signatures.into_iter().map(signature);
        let signatures = signatures.collect::<Result<_, BadEnvelope>>()?;
        Ok(Self { payload_type: written.payload_type, payload, signatures })
    }

    /// The envelope as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let signatures = self.signatures.iter().map(|signature| WrittenSignature {
            keyid: signature.key.clone(),
            sig: STANDARD.encode(&signature.bytes),
            cert: signature.certificates.clone(),
        });
        let written = Written {
            payload: STANDARD.encode(&self.payload),
            payload_type: self.payload_type.clone(),
            signatures: signatures.collect(),
        };
        serde_json::to_vec(&written).expect("an envelope has text keys only")
    }

    /// The envelope without the names of its keys.
    pub(crate) fn anonymous(mut self) -> Self {
        self.signatures.iter_mut().for_each(|signature| signature.key.clear());
        self
    }

    /// The names of the keys that the envelope says signed it. They are claims, to be shown and not to be believed.
    pub fn claimed_keys(&self) -> Vec<&str> {
        self.signatures.iter().map(|signature| signature.key.as_str()).collect()
    }

    /// The envelope with the certificates of the key that signed it first.
    #[must_use]
    pub(crate) fn with_chain(mut self, chain: &Chain) -> Self {
        if let Some(first) = self.signatures.first_mut() {
            first.certificates = Some(chain.to_pem());
        }
        self
    }

    /// The certificates that came with a signature, as PEM. They are to be checked.
    pub(crate) fn certificates(&self) -> Option<&str> {
        self.signatures.iter().find_map(|signature| signature.certificates.as_deref())
    }

    /// What kind of statement it says it holds. It decides no more than which rule looks at it.
    pub(crate) fn claimed_predicate_type(&self) -> Option<String> {
        match json::read(&self.payload).ok()?.get_mut("predicateType")?.take() {
            Value::String(kind) => Some(kind),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The payload, when as many of these signers signed it as must. `eligible` says why one of them does not count.
    ///
    /// # Errors
    /// When fewer did, or the payload is of another type than this project's.
    pub fn verify(
        &self,
        quorum: &Quorum,
        eligible: impl Fn(&Signer) -> Result<(), Discount>,
    ) -> Result<VerifiedPayload<'_>, Unsigned> {
        if self.payload_type != PAYLOAD_TYPE {
            return Err(Unsigned::PayloadType { found: self.payload_type.clone() });
        }
        let message = signed_bytes(&self.payload_type, &self.payload);
        let signatures: Vec<&[u8]> =
            self.signatures.iter().map(|signature| signature.bytes.as_slice()).collect();
        let (mut keys, mut valid, mut discounted) = (BTreeSet::new(), 0, Vec::new());
        for signer in quorum.signed(&message, &signatures) {
            match eligible(signer) {
                Ok(()) => {
                    valid += 1;
                    keys.extend(signer.ids());
                }
                Err(why) => discounted.push((signer.to_string(), why)),
            }
        }
        if valid < quorum.threshold() {
            let mut told = BTreeSet::new();
            let claimed = self.claimed_keys().into_iter().filter(|key| told.insert(*key));
            let claimed = claimed.map(str::to_owned).collect();
            return Err(Unsigned::Threshold { valid, threshold: quorum.threshold(), claimed, discounted });
        }
        Ok(VerifiedPayload { payload: &self.payload, keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed([seed; 32])
    }

    fn quorum(keys: &[&PrivateKey], threshold: usize) -> Quorum {
        let signers = keys.iter().map(|key| key.public().clone().into());
        Quorum::new(signers.collect(), threshold).unwrap()
    }

    fn sign(payload: &[u8], keys: &[&dyn Sign]) -> Envelope {
        Envelope::sign(PAYLOAD_TYPE, payload.to_vec(), keys).unwrap()
    }

    #[test]
    fn the_signed_bytes_are_those_of_the_protocol() {
        // The example of the DSSE protocol, "PAE".
        let bytes = signed_bytes("http://example.com/HelloWorld", b"hello world");
        assert_eq!(bytes, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn two_signatures_of_one_key_count_once() {
        let (one, two) = (key(1), key(2));
        let envelope = sign(b"{}", &[&one, &one]);
        assert_eq!(envelope.verify(&quorum(&[&one, &two], 1), |_| Ok(())).unwrap().keys.len(), 1);
        let refused = envelope.verify(&quorum(&[&one, &two], 2), |_| Ok(()));
        assert!(matches!(refused, Err(Unsigned::Threshold { valid: 1, threshold: 2, .. })));
    }

    #[test]
    fn a_key_id_decides_nothing() {
        let mut envelope = sign(b"{}", &[&key(1)]);
        envelope.signatures[0].key = key(2).public().id().to_string();
        assert!(envelope.verify(&quorum(&[&key(2)], 1), |_| Ok(())).is_err());
        assert!(envelope.verify(&quorum(&[&key(1)], 1), |_| Ok(())).is_ok());
    }

    #[test]
    fn a_payload_of_another_type_is_refused() {
        let envelope = Envelope::sign("text/plain", b"{}".to_vec(), &[&key(1)]).unwrap();
        let refused = envelope.verify(&quorum(&[&key(1)], 1), |_| Ok(())).unwrap_err();
        insta::assert_snapshot!(refused, @"the payload is a `text/plain`, not a `application/vnd.in-toto+json`");
    }

    #[test]
    fn damaged_envelopes_are_told_apart() {
        let text = |bytes: &[u8]| Envelope::parse(bytes).unwrap_err().to_string();
        insta::assert_snapshot!(text(b"{"), @"it is no envelope: it is not JSON, or means several things: EOF while parsing an object at line 1 column 1");
        insta::assert_snapshot!(text(br#"{"payload":"!","payloadType":"x","signatures":[]}"#), @"`payload` in the envelope is not base64");
        insta::assert_snapshot!(text(br#"{"payload":"","payloadType":"x","signatures":[{"sig":"!"}]}"#), @"`sig` in the envelope is not base64");
        let many = vec![r#"{"sig":""}"#; 65].join(",");
        let many = format!(r#"{{"payload":"","payloadType":"x","signatures":[{many}]}}"#);
        insta::assert_snapshot!(text(many.as_bytes()), @"the envelope has 65 signatures, more than 64");
        insta::assert_snapshot!(text(&vec![b' '; MAX_ENVELOPE_BYTES + 1]), @"the envelope has 4194305 bytes, more than 4194304");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            drop(Envelope::parse(&bytes));
        }

        #[test]
        fn what_is_signed_verifies_and_nothing_else(payload: Vec<u8>, flip: usize) {
            let envelope = sign(&payload, &[&key(1)]);
            let mut read = Envelope::parse(&envelope.to_json()).unwrap();
            assert_eq!(read, envelope);
            assert!(read.verify(&quorum(&[&key(1)], 1), |_| Ok(())).is_ok());
            read.payload.push(0);
            let at = flip % read.payload.len();
            read.payload[at] ^= 1;
            assert!(read.verify(&quorum(&[&key(1)], 1), |_| Ok(())).is_err());
        }
    }
}
