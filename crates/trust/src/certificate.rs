// SPDX-License-Identifier: Apache-2.0
//! X.509 certificates for code signing (RFC 5280): that a key belongs to somebody whom an authority knows.
//!
//! A publisher's key may carry a [`Chain`]; [`Chain::check`] holds it against the authorities of a policy at a time.
//! What of RFC 5280 is checked is written there. What is not: revocation lists and OCSP (a revoked key is named in the
//! policy, or replaced in the publisher's root), constraints on names and policies (a certificate that has them, critical,
//! is refused when it is read), alternative names. Certificates are compared byte by byte, as authorities write them.

mod chain;
mod error;
#[cfg(test)]
pub(crate) mod forge;
mod signature;

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use package::Digest;
use pkcs8::der::asn1::BitStringRef;
use pkcs8::der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

pub use chain::{Certified, Chain, MAX_CHAIN};
pub use error::BadCertificate;
pub(crate) use signature::Signature;

use crate::PublicKey;
use crate::pem::{self, Block};

const LABEL: &str = "CERTIFICATE";
/// RFC 5280, section 4.2.1: the extensions that are understood, whether critical or not.
const CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const PURPOSES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");

/// A certificate that was read. Nothing of it is believed.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    /// What was signed, as it was signed: bytes are not written anew before they are checked.
    signed: Vec<u8>,
    signature: Signature,
    serial: SerialNumber,
    issuer: Name,
    subject: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    /// `SubjectPublicKeyInfo`.
    spki: Vec<u8>,
    extensions: Extensions,
}

/// What the extensions say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Extensions {
    /// There are constraints if it is an authority.
    authority: Option<BasicConstraints>,
    usage: Option<KeyUsage>,
    purposes: Option<Vec<ObjectIdentifier>>,
    policies: Vec<ObjectIdentifier>,
}

impl Certificate {
    /// Reads a PEM text with one or more certificates, in their order.
    ///
    /// # Errors
    /// When the text holds anything else, or a certificate that cannot be used.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, BadCertificate> {
        Self::all_from_blocks(&pem::blocks(text)?)
    }

    fn all_from_blocks(blocks: &[Block]) -> Result<Vec<Self>, BadCertificate> {
        if let Some(other) = blocks.iter().find(|block| block.label != LABEL) {
            return Err(BadCertificate::Label { found: other.label.clone() });
        }
        blocks.iter().map(|block| Self::from_der(&block.der)).collect()
    }

    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// When the bytes are something else, or it has a critical extension that is not understood (RFC 5280, section 4.2).
    pub fn from_der(der: &[u8]) -> Result<Self, BadCertificate> {
        let read = x509_cert::Certificate::from_der(der).map_err(BadCertificate::Der)?;
        let (signed, signature) = envelope(der).map_err(BadCertificate::Der)?;
        let body = read.tbs_certificate();
        let subject = named(body.subject());
        // RFC 5280, section 4.1.1.2: the algorithm is there twice, so that it is signed as well.
        if read.signature_algorithm() != body.signature() {
            return Err(BadCertificate::Algorithms { subject });
        }
        Ok(Self {
            der: der.to_vec(),
            signed,
            signature,
            serial: body.serial_number().clone(),
            issuer: body.issuer().clone(),
            subject: body.subject().clone(),
            not_before: time(body.validity().not_before),
            not_after: time(body.validity().not_after),
            spki: body.subject_public_key_info().to_der().map_err(BadCertificate::Der)?,
            extensions: Extensions::read(&subject, body.extensions().map_or(&[], Vec::as_slice))?,
        })
    }

    /// The certificate as a PEM text.
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.der)
    }

    /// Whom it is about (RFC 4514), fit to be shown.
    pub fn subject(&self) -> String {
        named(&self.subject)
    }

    /// The key that it is for.
    ///
    /// # Errors
    /// When the key is not one that signs statements.
    pub fn key(&self) -> Result<PublicKey, BadCertificate> {
        PublicKey::from_spki(&self.spki)
            .map_err(|source| BadCertificate::Key { subject: self.subject(), source })
    }

    /// Whether it is the one that an issuer gave this number.
    pub(crate) fn is_named(&self, issuer: &Name, serial: &SerialNumber) -> bool {
        self.issuer == *issuer && self.serial == *serial
    }

    /// Whether its issuer has the name of this one's subject.
    pub(crate) fn names_issuer(&self, other: &Self) -> bool {
        self.issuer == other.subject
    }

    /// Whether its key made a signature over a message.
    pub(crate) fn signed(&self, signature: &Signature, message: &[u8]) -> bool {
        signature.check(&self.spki, message).is_ok()
    }

    /// The digest of its bytes.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(&self.der)
    }
}

impl Extensions {
    fn read(subject: &str, extensions: &[Extension]) -> Result<Self, BadCertificate> {
        let mut seen = BTreeSet::new();
        let mut found = Self::default();
        for Extension { extn_id: oid, critical, extn_value } in extensions {
            let value = extn_value.as_bytes();
            let damaged = BadCertificate::Der;
            if !seen.insert(*oid) {
                return Err(BadCertificate::ExtensionTwice {
                    subject: subject.to_owned(),
                    oid: oid.to_string(),
                });
            }
            match *oid {
                CONSTRAINTS => {
                    let read = BasicConstraints::from_der(value).map_err(damaged)?;
                    found.authority = Some(read).filter(|read| read.ca);
                }
                USAGE => found.usage = Some(KeyUsage::from_der(value).map_err(damaged)?),
                PURPOSES => found.purposes = Some(ExtendedKeyUsage::from_der(value).map_err(damaged)?.0),
                POLICIES => {
                    let read = CertificatePolicies::from_der(value).map_err(damaged)?;
                    found.policies = read.0.into_iter().map(|policy| policy.policy_identifier).collect();
                }
                _ if *critical => {
                    let (subject, oid) = (subject.to_owned(), oid.to_string());
                    return Err(BadCertificate::CriticalExtension { subject, oid });
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate").field(&self.subject()).field(&self.fingerprint()).finish()
    }
}

/// The bytes that were signed, and the signature (RFC 5280, section 4.1).
fn envelope(der: &[u8]) -> pkcs8::der::Result<(Vec<u8>, Signature)> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|certificate| {
        let signed = certificate.tlv_bytes()?.to_vec();
        let algorithm = AlgorithmIdentifierRef::decode(certificate)?;
        let signature = BitStringRef::decode(certificate)?;
        let bytes = signature.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
        Ok((signed, Signature::new(&algorithm, bytes)))
    })
}

/// A name as people read it; it may hold anything, so what a terminal would obey is left out.
fn named(name: &Name) -> String {
    const MAX_LETTERS: usize = 200;
    name.to_string().chars().filter(|letter| !letter.is_control()).take(MAX_LETTERS).collect()
}

/// A time of a certificate. The last days of the year 9999, which mean "never" (RFC 5280, section 4.1.2.5), are the end
/// of time here.
fn time(time: Time) -> Timestamp {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok();
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
