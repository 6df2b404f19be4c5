// SPDX-License-Identifier: Apache-2.0
//! Makes certificates for tests, good ones and every other kind. It is no authority: it signs whatever it is told.

use jiff::Timestamp;
use pkcs8::der::asn1::{BitString, OctetString, UtcTime};
use pkcs8::der::{Encode as _, Length};
use pkcs8::spki::AlgorithmIdentifierOwned;
use pkcs8::{ObjectIdentifier, der};
use x509_cert::certificate::Rfc5280;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::PolicyInformation;
use x509_cert::ext::pkix::{BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use crate::{Algorithm, PrivateKey, PublicKey, Sign as _};

/// What goes into a certificate.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) subject: &'static str,
    pub(crate) issuer: &'static str,
    pub(crate) key: PublicKey,
    pub(crate) not_before: &'static str,
    pub(crate) not_after: &'static str,
    pub(crate) extensions: Vec<Extension>,
}

impl Body {
    /// A certificate for signing code.
    pub(crate) fn signer(key: &PublicKey, issuer: &'static str) -> Self {
        let extensions = vec![usage(KeyUsages::DigitalSignature), purposes(&["1.3.6.1.5.5.7.3.3"])];
        Self::new("CN=signer,O=example", issuer, key, extensions)
    }

    /// A certificate of an authority.
    pub(crate) fn authority(
        subject: &'static str,
        key: &PublicKey,
        issuer: &'static str,
        below: Option<u8>,
    ) -> Self {
        Self::new(subject, issuer, key, vec![constraints(true, below), usage(KeyUsages::KeyCertSign)])
    }

    fn new(subject: &'static str, issuer: &'static str, key: &PublicKey, extensions: Vec<Extension>) -> Self {
        let (not_before, not_after) = ("2029-01-01T00:00:00Z", "2031-01-01T00:00:00Z");
        Self { subject, issuer, key: key.clone(), not_before, not_after, extensions }
    }

    /// The certificate in DER, signed by this key.
    pub(crate) fn sign(&self, by: &PrivateKey) -> Vec<u8> {
        let oid = match by.public().algorithm() {
            Algorithm::Ed25519 => "1.3.101.112",
            Algorithm::EcdsaP256 => "1.2.840.10045.4.3.2",
            other @ (Algorithm::RsaPss | Algorithm::MlDsa65) => {
                panic!("`{other}` does not sign certificates as it signs statements")
            }
        };
        self.sign_as(oid, |body| by.sign(body).unwrap())
    }

    /// The certificate in DER, signed in any way.
    pub(crate) fn sign_as(&self, oid: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let algorithm = AlgorithmIdentifierOwned { oid: oid.parse().unwrap(), parameters: None };
        let algorithm = algorithm.to_der().unwrap();
        // `TBSCertificate` (RFC 5280, section 4.1) of version 3.
        let body = sequence(&[
            tagged(0xa0, &[2_u8.to_der().unwrap()]),
            SerialNumber::<Rfc5280>::new(&[1]).unwrap().to_der().unwrap(),
            algorithm.clone(),
            self.issuer.parse::<Name>().unwrap().to_der().unwrap(),
            Validity::<Rfc5280>::new(time(self.not_before), time(self.not_after)).to_der().unwrap(),
            self.subject.parse::<Name>().unwrap().to_der().unwrap(),
            self.key.spki().to_vec(),
            tagged(0xa3, &[self.extensions.to_der().unwrap()]),
        ]);
        let signature = BitString::from_bytes(&sign(&body)).unwrap().to_der().unwrap();
        sequence(&[body, algorithm, signature])
    }
}

fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, parts)
}

/// These parts, one behind the other, under a tag with their length.
fn tagged(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let value = parts.concat();
    let length = u32::try_from(value.len()).unwrap();
    [vec![tag], Length::new(length).to_der().unwrap(), value].concat()
}

fn time(text: &str) -> Time {
    let time: Timestamp = text.parse().unwrap();
    let since = std::time::Duration::from_secs(time.as_second().try_into().unwrap());
    Time::UtcTime(UtcTime::from_unix_duration(since).unwrap())
}

pub(crate) fn extension(oid: &str, critical: bool, value: &impl der::Encode) -> Extension {
    let value = OctetString::new(value.to_der().unwrap()).unwrap();
    Extension { extn_id: oid.parse().unwrap(), critical, extn_value: value }
}

pub(crate) fn constraints(ca: bool, path_len_constraint: Option<u8>) -> Extension {
    extension("2.5.29.19", true, &BasicConstraints { ca, path_len_constraint })
}

pub(crate) fn usage(usage: KeyUsages) -> Extension {
    extension("2.5.29.15", true, &KeyUsage(usage.into()))
}

pub(crate) fn purposes(oids: &[&str]) -> Extension {
    extension("2.5.29.37", false, &ExtendedKeyUsage(oids.iter().map(|oid| oid.parse().unwrap()).collect()))
}

pub(crate) fn policies(oids: &[&str]) -> Extension {
    let policy = |oid: &&str| PolicyInformation {
        policy_identifier: oid.parse::<ObjectIdentifier>().unwrap(),
        policy_qualifiers: None,
    };
    extension("2.5.29.32", false, &CertificatePolicies(oids.iter().map(policy).collect()))
}
