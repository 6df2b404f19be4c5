// SPDX-License-Identifier: Apache-2.0
//! Keys that verify, and their names. The algorithm comes from the key, never from a signature.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ML_DSA_65, ParsedPublicKey, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
    VerificationAlgorithm,
};
use package::Digest;
use pkcs8::der::asn1::UintRef;
use pkcs8::der::{Decode as _, Reader as _, SliceReader};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::pem::{self, BadPem};
use crate::{Algorithm, BadCertificate, Signer};

const LABEL: &str = "PUBLIC KEY";
/// RFC 8410, RFC 5480, RFC 8017, RFC 9881.
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const RSA_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ML_DSA_65_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18");
/// What the backend verifies with.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The name of a key: the SHA-256 of its canonical form in TUF (specification 1.0.34, section 4.2), in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct KeyId(String);

/// A text is not the name of a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not the name of a key: it must be 64 lower-case hexadecimal digits")]
pub struct BadKeyId {
    /// What was given.
    pub given: String,
}

/// A key that signatures are checked with. Two are equal when they are the same key, however they were written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// `SubjectPublicKeyInfo` in DER, as the backend writes it.
    spki: Vec<u8>,
}

/// A text or bytes that hold no usable key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadKey {
    /// It is no PEM.
    #[error(transparent)]
    Pem(#[from] BadPem),
    /// It holds something else than what was asked for.
    #[error("it holds {}, not {wanted}", held(.found))]
    Other {
        /// The labels of its blocks.
        found: Vec<String>,
        /// What it should hold.
        wanted: &'static str,
    },
    /// It is of an algorithm that is not supported.
    #[error(
        "its algorithm ({oid}) is none of Ed25519, ECDSA on P-256, RSA and ML-DSA-65, which are supported"
    )]
    Algorithm {
        /// The algorithm's object identifier.
        oid: String,
    },
    /// An RSA key is too small or too large.
    #[error("it is an RSA key of {bits} bits, and must have {} to {}", RSA_BITS.start(), RSA_BITS.end())]
    RsaBits {
        /// How large it is.
        bits: usize,
    },
    /// The bytes are not those of a key.
    #[error("its bytes are not those of a key{}", .of.map(|of| format!(" for `{of}`")).unwrap_or_default())]
    Damaged {
        /// The algorithm that they say they are for.
        of: Option<Algorithm>,
    },
    /// Certificates that stand behind it cannot be used.
    #[error("the certificates behind it cannot be used: {0}")]
    Certificate(Box<BadCertificate>),
    /// It is encrypted, and there is no passphrase.
    #[error("it is encrypted with a passphrase")]
    Encrypted,
    /// It cannot be decrypted.
    #[error("the passphrase does not open it, or it is damaged")]
    Passphrase,
    /// Two keys in one text do not make a hybrid signer.
    #[error("it holds `{first}` and `{second}`; a hybrid signer is one classical and one post-quantum key")]
    Pair {
        /// One key.
        first: Algorithm,
        /// The other.
        second: Algorithm,
    },
}

fn held(found: &[String]) -> String {
    let labels: Vec<String> = found.iter().map(|label| format!("`{label}`")).collect();
    if labels.is_empty() { "nothing".to_owned() } else { labels.join(", ") }
}

impl FromStr for KeyId {
    type Err = BadKeyId;

    // A name that is cut off or spelled otherwise would name no key, and what revokes it would revoke nothing.
    fn from_str(text: &str) -> Result<Self, BadKeyId> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadKeyId { given: text.to_owned() })
        }
    }
}

impl TryFrom<String> for KeyId {
    type Error = BadKeyId;

    fn try_from(text: String) -> Result<Self, BadKeyId> {
        text.parse()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl KeyId {
    /// The name of a key with this canonical form.
    pub(crate) fn of(canonical: &[u8]) -> Self {
        Self(Digest::of(canonical).hex())
    }
}

impl PublicKey {
    /// Reads a PEM text with one `PUBLIC KEY`, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// When the text holds anything else, or a key that is not supported.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let blocks = pem::blocks(text)?;
        match blocks.as_slice() {
            [only] if only.label == LABEL => Self::from_spki(&only.der),
            _ => Err(BadKey::Other {
                found: blocks.into_iter().map(|block| block.label).collect(),
                wanted: "one `PUBLIC KEY`",
            }),
        }
    }

    /// Reads a `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7) in DER.
    ///
    /// # Errors
    /// When the bytes are something else, or a key that is not supported.
    pub fn from_spki(der: &[u8]) -> Result<Self, BadKey> {
        let info = SubjectPublicKeyInfoRef::from_der(der).or(Err(BadKey::Damaged { of: None }))?;
        let algorithm = algorithm(&info.algorithm)?;
        let damaged = BadKey::Damaged { of: Some(algorithm) };
        if algorithm == Algorithm::RsaPss {
            let key = info.subject_public_key.as_bytes().and_then(modulus_bits).ok_or(damaged.clone())?;
            if !RSA_BITS.contains(&key) {
                return Err(BadKey::RsaBits { bits: key });
            }
        }
        // The backend writes a key in one way only, so that none counts twice because it was written in two.
        let parsed = ParsedPublicKey::new(backend(algorithm), der).or(Err(damaged.clone()))?;
        let spki = parsed.as_der().or(Err(damaged))?.as_ref().to_vec();
        Ok(Self { algorithm, spki })
    }

    /// Reads the 32 bytes of an Ed25519 key.
    ///
    /// # Errors
    /// When they are not those of a key.
    pub fn from_ed25519(key: &[u8; 32]) -> Result<Self, BadKey> {
        let damaged = || BadKey::Damaged { of: Some(Algorithm::Ed25519) };
        let parsed = ParsedPublicKey::new(&ED25519, key).ok().ok_or_else(damaged)?;
        let spki = parsed.as_der().ok().ok_or_else(damaged)?.as_ref().to_vec();
        Ok(Self { algorithm: Algorithm::Ed25519, spki })
    }

    /// The key as a PEM text.
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.spki)
    }

    /// The key as `SubjectPublicKeyInfo` in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// What it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as TUF writes it in `keyval.public` (specification 1.0.34, section 4.2): Ed25519 in hexadecimal, the
    /// others as PEM.
    pub fn tuf_value(&self) -> String {
        match self.algorithm {
            // A `SubjectPublicKeyInfo` of Ed25519 ends with the 32 bytes of the key (RFC 8410, section 4).
            Algorithm::Ed25519 => hex(&self.spki[self.spki.len() - 32..]),
            Algorithm::EcdsaP256 | Algorithm::RsaPss | Algorithm::MlDsa65 => self.to_pem(),
        }
    }

    /// The key's name.
    pub fn id(&self) -> KeyId {
        let (kind, scheme) = (self.algorithm.key_type(), self.algorithm.name());
        // Canonical JSON of TUF: keys sorted, no blanks, line ends as they are. Nothing here needs an escape.
        let canonical = format!(
            r#"{{"keytype":"{kind}","keyval":{{"public":"{}"}},"scheme":"{scheme}"}}"#,
            self.tuf_value()
        );
        KeyId::of(canonical.as_bytes())
    }

    /// Whether the signature is one of this key over the message.
    pub(crate) fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(backend(self.algorithm), &self.spki);
        key.verify(&self.algorithm.input(message), signature).is_ok()
    }
}

impl Algorithm {
    /// What is signed of a message: all of it, but with ML-DSA its SHA-512 behind a prefix, so that tokens need not see
    /// the rest (TAP 21 of TUF, version 1).
    pub fn input(self, message: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::MlDsa65 => [b"tuf\x01", digest::digest(&digest::SHA512, message).as_ref()].concat().into(),
            Self::Ed25519 | Self::EcdsaP256 | Self::RsaPss => message.into(),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublicKey").field(&self.algorithm).field(&self.id().0).finish()
    }
}

/// A key signs alone unless it is paired.
impl From<PublicKey> for Signer {
    fn from(key: PublicKey) -> Self {
        Self::single(key)
    }
}

/// What a key is for, by its object identifier and, on elliptic curves, that of its curve.
pub(crate) fn algorithm(identifier: &AlgorithmIdentifierRef<'_>) -> Result<Algorithm, BadKey> {
    let curve = identifier.parameters_oid().ok();
    match identifier.oid {
        ED25519_OID => Ok(Algorithm::Ed25519),
        EC_OID if curve == Some(P256_OID) => Ok(Algorithm::EcdsaP256),
        RSA_OID => Ok(Algorithm::RsaPss),
        ML_DSA_65_OID => Ok(Algorithm::MlDsa65),
        oid => {
            let curve = curve.map(|curve| format!(" {curve}")).unwrap_or_default();
            Err(BadKey::Algorithm { oid: format!("{oid}{curve}") })
        }
    }
}

fn backend(algorithm: Algorithm) -> &'static dyn VerificationAlgorithm {
    match algorithm {
        Algorithm::Ed25519 => &ED25519,
        Algorithm::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        Algorithm::RsaPss => &RSA_PSS_2048_8192_SHA256,
        Algorithm::MlDsa65 => &ML_DSA_65,
    }
}

/// The bits of the modulus of an `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn modulus_bits(key: &[u8]) -> Option<usize> {
    let mut reader = SliceReader::new(key).ok()?;
    let modulus = reader.sequence(|fields| {
        let modulus = UintRef::decode(fields)?;
        UintRef::decode(fields).map(|_| modulus)
    });
    let modulus: Result<_, pkcs8::der::Error> = modulus;
    let bytes = modulus.ok()?.as_bytes();
    Some(bytes.len() * 8 - bytes.first()?.leading_zeros() as usize)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    #[test]
    fn keys_read_as_they_are_written() {
        for algorithm in Algorithm::ALL {
            let key = PrivateKey::generate(algorithm).public().clone();
            assert_eq!(PublicKey::from_pem(&key.to_pem()).unwrap(), key);
            assert_eq!(key.algorithm(), algorithm);
        }
    }

    #[test]
    fn an_elliptic_point_that_was_compressed_is_the_same_key() {
        // openssl ecparam -name prime256v1 -genkey | openssl pkey -pubout, and with -ec_conv_form compressed
        let plain = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECtlR2sSqmC5YWfSIwGhiV8+GYwv7\nac+oRYceiRwkQPW2czv8kgRFRky7/NY5C7+drtSm2aZvCcfo7i6Br3EOtg==\n-----END PUBLIC KEY-----\n";
        let compressed = "-----BEGIN PUBLIC KEY-----\nMDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACCtlR2sSqmC5YWfSIwGhiV8+GYwv7\nac+oRYceiRwkQPU=\n-----END PUBLIC KEY-----\n";
        assert_eq!(PublicKey::from_pem(plain).unwrap(), PublicKey::from_pem(compressed).unwrap());
    }

    #[test]
    fn keys_that_are_not_supported_are_told_apart() {
        let refused = |text: &str| PublicKey::from_pem(text).unwrap_err().to_string();
        // openssl genpkey -algorithm x25519 | openssl pkey -pubout
        let x25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAkiPnwhJwtIey5Puz7pRDAmfavKFBzbxDhah33rSSuHw=\n-----END PUBLIC KEY-----\n";
        insta::assert_snapshot!(refused(x25519), @"its algorithm (1.3.101.110) is none of Ed25519, ECDSA on P-256, RSA and ML-DSA-65, which are supported");
        // openssl genrsa 1024 | openssl pkey -pubout
        let small = "-----BEGIN PUBLIC KEY-----\nMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCx7guqCxyqiNlG0mvlBB++ltSn\ncslYX4p1kP8Gqjwluc90MoEvuJEqMAbUM0dSYPipAqLZRXpljm8BAmogcm9jz0vK\nxD9szRCQhu85Tdmi7p9I+ctr1TGt7WsoVotNzPGiXXWPHCTd5e5PrX2QamWEUnTw\nZpYd31j2gYX3Qv41rQIDAQAB\n-----END PUBLIC KEY-----\n";
        insta::assert_snapshot!(refused(small), @"it is an RSA key of 1024 bits, and must have 2048 to 8192");
        let private = PrivateKey::from_seed([1; 32]).to_pem();
        insta::assert_snapshot!(refused(&private), @"it holds `PRIVATE KEY`, not one `PUBLIC KEY`");
        insta::assert_snapshot!(refused(""), @"it holds nothing, not one `PUBLIC KEY`");
        insta::assert_snapshot!(refused(&pem::encode(LABEL, b"x")), @"its bytes are not those of a key");
    }

    #[test]
    fn the_id_of_a_key_is_that_of_tuf() {
        // RFC 8032, section 7.1, test 1; securesystemslib computes the same.
        let key = PrivateKey::from_seed(crate::private::tests::SEED);
        insta::assert_snapshot!(key.public().id(), @"74c181c7ad8a0855d4b55e44d2ba87aabdddb196832571f15f92fece332e4916");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, text: String) {
            drop(PublicKey::from_spki(&bytes));
            drop(PublicKey::from_pem(&text));
        }

        #[test]
        fn a_key_has_one_form_however_it_was_written(at in 0_usize..91, bit in 0_u8..8) {
            // Some damage is another way to write the same point (X9.62 has three), some is another key.
            let mut der = PrivateKey::generate(Algorithm::EcdsaP256).public().spki().to_vec();
            der[at] ^= 1 << bit;
            if let Ok(read) = PublicKey::from_spki(&der) {
                proptest::prop_assert_eq!(PublicKey::from_spki(read.spki()), Ok(read.clone()));
                proptest::prop_assert_eq!(read.spki()[26], 4, "the point is not compressed");
            }
        }
    }
}
