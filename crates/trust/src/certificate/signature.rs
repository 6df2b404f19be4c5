// SPDX-License-Identifier: Apache-2.0
//! Signatures of certificates: which algorithms there are, and that one is by a key.
//!
//! A certificate names its algorithm where the issuer's key does not say all of it (which hash, which padding). A name that
//! does not fit the key verifies nothing.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519,
    ML_DSA_65, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use pkcs8::der::{Decode as _, Encode as _};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};

/// A signature with the name of its algorithm. Nobody checks that of an anchor, so it may be any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    oid: ObjectIdentifier,
    scheme: Option<Scheme>,
    bytes: Vec<u8>,
}

/// A signature is not by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Forged {
    /// Its algorithm is not supported.
    Algorithm(ObjectIdentifier),
    /// The key did not make it.
    Signature,
}

/// The schemes of RFC 8410, RFC 5758, RFC 4055 and RFC 9881.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Ed25519,
    EcdsaSha256,
    EcdsaSha384,
    RsaSha256,
    RsaSha384,
    RsaSha512,
    PssSha256,
    PssSha384,
    PssSha512,
    MlDsa65,
}

const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const RSA_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const NAMED: [(ObjectIdentifier, Scheme); 7] = [
    (ObjectIdentifier::new_unwrap("1.3.101.112"), Scheme::Ed25519),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"), Scheme::EcdsaSha256),
    (ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"), Scheme::EcdsaSha384),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"), Scheme::RsaSha256),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"), Scheme::RsaSha384),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"), Scheme::RsaSha512),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.3.18"), Scheme::MlDsa65),
];

impl Signature {
    pub(super) fn new(algorithm: &AlgorithmIdentifierRef<'_>, bytes: &[u8]) -> Self {
        Self { oid: algorithm.oid, scheme: Scheme::of(algorithm), bytes: bytes.to_vec() }
    }

    /// A signature of CMS over a SHA-256 digest, whose algorithm may be named by the kind of key alone (RFC 5754, section
    /// 3.2; RFC 5753, section 2.1.1).
    pub(crate) fn over_sha256(algorithm: &AlgorithmIdentifierRef<'_>, bytes: &[u8]) -> Self {
        let by_key = [(RSA_KEY, Scheme::RsaSha256), (EC_KEY, Scheme::EcdsaSha256)];
        let by_key = by_key.into_iter().find(|(oid, _)| *oid == algorithm.oid).map(|(_, scheme)| scheme);
        let scheme = by_key.or_else(|| Scheme::of(algorithm));
        Self { oid: algorithm.oid, scheme, bytes: bytes.to_vec() }
    }

    /// Checks that the key of this `SubjectPublicKeyInfo` made it over the message.
    pub(super) fn check(&self, spki: &[u8], message: &[u8]) -> Result<(), Forged> {
        let scheme = self.scheme.ok_or(Forged::Algorithm(self.oid))?;
        let info = SubjectPublicKeyInfoRef::from_der(spki).or(Err(Forged::Signature))?;
        let is_p384 = info.algorithm.parameters_oid().is_ok_and(|curve| curve == P384);
        let key = UnparsedPublicKey::new(scheme.backend(is_p384), spki);
        key.verify(message, &self.bytes).or(Err(Forged::Signature))
    }
}

impl Scheme {
    fn of(algorithm: &AlgorithmIdentifierRef<'_>) -> Option<Self> {
        if algorithm.oid == PSS {
            return pss(&algorithm.parameters?.to_der().ok()?);
        }
        // RFC 4055, section 5, wants NULL parameters of RSA; the others have none. Neither says anything.
        let parameters = algorithm.parameters.filter(|parameters| !parameters.is_null());
        let named = NAMED.iter().find(|(oid, _)| *oid == algorithm.oid && parameters.is_none());
        named.map(|(_, scheme)| *scheme)
    }

    fn backend(self, is_p384: bool) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Ed25519 => &ED25519,
            Self::EcdsaSha256 if is_p384 => &ECDSA_P384_SHA256_ASN1,
            Self::EcdsaSha256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaSha384 if is_p384 => &ECDSA_P384_SHA384_ASN1,
            Self::EcdsaSha384 => &ECDSA_P256_SHA384_ASN1,
            Self::RsaSha256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::RsaSha384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::RsaSha512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::PssSha256 => &RSA_PSS_2048_8192_SHA256,
            Self::PssSha384 => &RSA_PSS_2048_8192_SHA384,
            Self::PssSha512 => &RSA_PSS_2048_8192_SHA512,
            Self::MlDsa65 => &ML_DSA_65,
        }
    }
}

/// The hash of `RSASSA-PSS-params` (RFC 4055, section 3.1), in the only form that is accepted: MGF1 with the same hash,
/// and a salt as long as it.
fn pss(parameters: &[u8]) -> Option<Scheme> {
    // The last arc of the hash below 2.16.840.1.101.3.4.2, and the length of the salt.
    let hashes = [(1, 32, Scheme::PssSha256), (2, 48, Scheme::PssSha384), (3, 64, Scheme::PssSha512)];
    hashes.into_iter().find(|(hash, salt, _)| parameters == written(*hash, *salt)).map(|(.., scheme)| scheme)
}

/// `SEQUENCE { [0] { hash, NULL }, [1] { mgf1, { hash, NULL } }, [2] salt }` in DER.
fn written(hash: u8, salt: u8) -> Vec<u8> {
    let hash = [&[0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash][..], &[5, 0]]
        .concat();
    let mgf1 = [0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];
    [&[0x30, 0x34, 0xa0, 0x0f][..], &hash, &[0xa1, 0x1c], &mgf1, &hash, &[0xa2, 0x03, 0x02, 0x01, salt]]
        .concat()
}
