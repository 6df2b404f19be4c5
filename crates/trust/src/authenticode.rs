// SPDX-License-Identifier: Apache-2.0
//! What an embedded Authenticode signature says of a PE image ("Windows Authenticode Portable Executable Signature
//! Format"; CMS is RFC 5652).
//!
//! It is told, and decides nothing here: it is a signature for Windows, by whoever the file brings a certificate of. Whether
//! somebody vouches for that certificate is not looked at, nor is a timestamp.

use std::fmt;

use package::{Digest, Image};
use pkcs8::der::asn1::{AnyRef, OctetStringRef};
use pkcs8::der::{self, Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};
use pkcs8::{AlgorithmIdentifierRef, ObjectIdentifier};
use thiserror::Error;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;

use crate::Certificate;
use crate::certificate::Signature;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
/// `SPC_INDIRECT_DATA_OBJID`.
const INDIRECT_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// The tag of a SET.
const SET: u8 = 0x31;
const FIRST: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
const SECOND: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(1) };

/// An Authenticode signature, held against the image that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticode {
    /// Whose certificate the signature brings with it.
    pub signer: String,
    /// The digest of the image that was signed.
    pub stated: Digest,
    /// The digest of this image.
    pub computed: Digest,
    /// Whether the key of the certificate made the signature, and the certificates that the file holds issued each other.
    pub genuine: bool,
}

/// An embedded signature that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadAuthenticode {
    /// It is damaged, or no signature of an image.
    #[error("the embedded signature is not one of Authenticode")]
    Der(#[from] der::Error),
    /// It is something else.
    #[error("the embedded signature holds {found}, not {wanted}")]
    Other {
        /// What it holds.
        found: ObjectIdentifier,
        /// What it should hold.
        wanted: ObjectIdentifier,
    },
    /// The digests are of another algorithm.
    #[error("the embedded signature is over a digest by {oid}, which is not SHA-256")]
    Digest {
        /// The algorithm.
        oid: ObjectIdentifier,
    },
    /// The certificate of the signer is not there.
    #[error("the embedded signature holds no usable certificate of its signer")]
    NoCertificate,
}

impl Authenticode {
    /// Reads the signature of an image, if it has one.
    ///
    /// # Errors
    /// When there is one that cannot be read.
    pub fn of(image: &Image<'_>) -> Result<Option<Self>, BadAuthenticode> {
        let Some(bytes) = image.signature else { return Ok(None) };
        let data = SignedData::read(bytes)?;
        let signer = data.certificates.iter().find(|certificate| data.signer.is(certificate));
        let signer = signer.ok_or(BadAuthenticode::NoCertificate)?;
        Ok(Some(Self {
            signer: signer.subject(),
            stated: data.stated,
            computed: image.authenticode,
            genuine: data.is_by(signer) && data.is_intact(signer),
        }))
    }

    /// Whether the signature is genuine and one of this image.
    pub fn holds(&self) -> bool {
        self.genuine && self.stated == self.computed
    }
}

/// A sentence of whose it is, and whether it holds.
impl fmt::Display for Authenticode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signer, stated, computed, genuine } = self;
        if !genuine {
            write!(f, "broken: `{signer}` did not make this signature")
        } else if stated == computed {
            write!(f, "signed by `{signer}`")
        } else {
            write!(f, "broken: `{signer}` signed {stated}, and this image is {computed}")
        }
    }
}

/// `SignedData` (RFC 5652, section 5.1), as far as Authenticode uses it.
struct SignedData<'a> {
    /// The octets of the content, without its tag and length: these are what the message digest is of.
    content: &'a [u8],
    stated: Digest,
    certificates: Vec<Certificate>,
    signer: SignerInfo<'a>,
}

/// `SignerInfo` (RFC 5652, section 5.3).
struct SignerInfo<'a> {
    issuer: Name,
    serial: SerialNumber,
    /// The signed attributes, with the tag under which they are there.
    attributes: &'a [u8],
    signature: Signature,
}

impl<'a> SignedData<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, BadAuthenticode> {
        let mut reader = SliceReader::new(bytes)?;
        let mut info = inside(&mut reader, Tag::Sequence)?;
        expect(ObjectIdentifier::decode(&mut info)?, SIGNED_DATA)?;
        let mut explicit = inside(&mut info, FIRST)?;
        let mut data = inside(&mut explicit, Tag::Sequence)?;
        // The version, and the algorithms that the signers name again.
        AnyRef::decode(&mut data)?;
        AnyRef::decode(&mut data)?;
        let (content, stated) = content(&mut data)?;
        let mut certificates = Vec::new();
        if Tag::peek(&data)? == FIRST {
            let mut all = inside(&mut data, FIRST)?;
            while !all.is_finished() {
                certificates.extend(Certificate::from_der(all.tlv_bytes()?).ok());
            }
        }
        if Tag::peek(&data)? == SECOND {
            AnyRef::decode(&mut data)?;
        }
        let mut signers = inside(&mut data, Tag::Set)?;
        Ok(Self { content, stated, certificates, signer: SignerInfo::read(&mut signers)? })
    }

    /// Whether the key of a certificate signed attributes that are about this content.
    fn is_by(&self, signer: &Certificate) -> bool {
        let (kind, digest) = self.signer.attributes().unwrap_or_default();
        let about = kind == Some(INDIRECT_DATA) && digest == Some(Digest::of(self.content));
        // The attributes are signed as a SET, and are there under another tag (RFC 5652, section 5.4).
        let [_, rest @ ..] = self.signer.attributes else { return false };
        let message = [&[SET], rest].concat();
        about && signer.signed(&self.signer.signature, &message)
    }

    /// Whether each certificate above the signer's that is there issued the one below.
    fn is_intact(&self, signer: &Certificate) -> bool {
        let mut below = signer;
        for _ in &self.certificates {
            let Some(issuer) = self.certificates.iter().find(|above| below.names_issuer(above)) else {
                break;
            };
            if below.issued_by(issuer).is_err() {
                return false;
            }
            below = issuer;
        }
        true
    }
}

impl<'a> SignerInfo<'a> {
    fn read(signers: &mut SliceReader<'a>) -> Result<Self, BadAuthenticode> {
        let mut info = inside(signers, Tag::Sequence)?;
        AnyRef::decode(&mut info)?;
        let mut id = inside(&mut info, Tag::Sequence)?;
        let (issuer, serial) = (Name::decode(&mut id)?, SerialNumber::decode(&mut id)?);
        is_sha256(&AlgorithmIdentifierRef::decode(&mut info)?)?;
        let attributes = info.tlv_bytes()?;
        let algorithm = AlgorithmIdentifierRef::decode(&mut info)?;
        let bytes = <&OctetStringRef>::decode(&mut info)?;
        Ok(Self {
            issuer,
            serial,
            attributes,
            signature: Signature::over_sha256(&algorithm, bytes.as_bytes()),
        })
    }

    fn is(&self, certificate: &Certificate) -> bool {
        certificate.is_named(&self.issuer, &self.serial)
    }

    /// The type and the digest of what was signed.
    fn attributes(&self) -> der::Result<(Option<ObjectIdentifier>, Option<Digest>)> {
        let mut all = inside(&mut SliceReader::new(self.attributes)?, FIRST)?;
        let (mut kind, mut digest) = (None, None);
        while !all.is_finished() {
            let mut attribute = inside(&mut all, Tag::Sequence)?;
            let name = ObjectIdentifier::decode(&mut attribute)?;
            let mut values = inside(&mut attribute, Tag::Set)?;
            if name == CONTENT_TYPE {
                kind = Some(ObjectIdentifier::decode(&mut values)?);
            } else if name == MESSAGE_DIGEST {
                digest = Some(read_digest(&mut values)?);
            }
        }
        Ok((kind, digest))
    }
}

/// The octets of `SpcIndirectDataContent`, and the digest that it states.
fn content<'a>(data: &mut SliceReader<'a>) -> Result<(&'a [u8], Digest), BadAuthenticode> {
    let mut encapsulated = inside(data, Tag::Sequence)?;
    expect(ObjectIdentifier::decode(&mut encapsulated)?, INDIRECT_DATA)?;
    let octets = AnyRef::decode(&mut inside(&mut encapsulated, FIRST)?)?;
    octets.tag().assert_eq(Tag::Sequence)?;
    let octets = octets.value();
    let mut content = SliceReader::new(octets)?;
    AnyRef::decode(&mut content)?;
    let mut info = inside(&mut content, Tag::Sequence)?;
    is_sha256(&AlgorithmIdentifierRef::decode(&mut info)?)?;
    Ok((octets, read_digest(&mut info)?))
}

fn expect(found: ObjectIdentifier, wanted: ObjectIdentifier) -> Result<(), BadAuthenticode> {
    if found == wanted { Ok(()) } else { Err(BadAuthenticode::Other { found, wanted }) }
}

fn is_sha256(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<(), BadAuthenticode> {
    if algorithm.oid == SHA256 { Ok(()) } else { Err(BadAuthenticode::Digest { oid: algorithm.oid }) }
}

fn read_digest(reader: &mut SliceReader<'_>) -> der::Result<Digest> {
    let bytes = <&OctetStringRef>::decode(reader)?.as_bytes();
    <[u8; 32]>::try_from(bytes).map(Digest::from).or(Err(Tag::OctetString.length_error().into()))
}

/// What is inside the next value, which must have this tag.
fn inside<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<SliceReader<'a>> {
    let value = AnyRef::decode(reader)?;
    value.tag().assert_eq(tag)?;
    SliceReader::new(value.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRIVER: &[u8] = include_bytes!("../../package/testdata/driver.sys");
    const SIGNED: &[u8] = include_bytes!("../../package/testdata/signed.sys");

    fn read(bytes: &[u8]) -> Option<Authenticode> {
        Authenticode::of(&Image::parse(bytes).ok()?).ok()?
    }

    #[test]
    fn a_signature_says_whose_it_is_and_holds() {
        let signature = read(SIGNED).unwrap();
        assert!(signature.holds());
        insta::assert_snapshot!(signature, @"signed by `CN=driver signer,O=example`");
        assert_eq!(Authenticode::of(&Image::parse(DRIVER).unwrap()), Ok(None));
    }

    #[test]
    fn a_byte_that_was_changed_is_told() {
        let flipped = |at: usize| {
            let mut bytes = SIGNED.to_vec();
            bytes[at] ^= 1;
            bytes
        };
        insta::assert_snapshot!(read(&flipped(DRIVER.len() - 1)).unwrap(), @"broken: `CN=driver signer,O=example` signed sha256:a167f1b6a31928f639d2efb91fd2e23195cfde0afa16b0172cfba5de8877c64b, and this image is sha256:77f1d69970f6df1d14cd5586003618f90f57b3658a22f95fd8aa86d564db522b");
        insta::assert_snapshot!(read(&flipped(SIGNED.len() - 20)).unwrap(), @"broken: `CN=driver signer,O=example` did not make this signature");
        // The bytes that nobody signed: the checksum of the image, the revision of the entry in the table, lengths of what is
        // around, versions, algorithms that are named again, zeros at the end.
        let good = read(SIGNED);
        let silent: Vec<usize> = (0..SIGNED.len()).filter(|at| read(&flipped(*at)) == good).collect();
        let ranges = silent.chunk_by(|one, next| one + 1 == *next);
        let ranges: Vec<String> = ranges.map(|range| format!("{}+{}", range[0], range.len())).collect();
        insta::assert_snapshot!(ranges.join(" "), @"208+4 2052+2 2059+1 2079+1 2081+2 2084+15 3080+1 3082+1 3164+1 3318+1 3580+4");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(noise: Vec<u8>, at: proptest::sample::Index, byte: u8) {
            let mut image = Image::parse(SIGNED).unwrap();
            let mut damaged = image.signature.unwrap().to_vec();
            let at = at.index(damaged.len());
            damaged[at] = byte;
            for bytes in [&noise, &damaged] {
                image.signature = Some(bytes);
                drop(Authenticode::of(&image));
            }
        }
    }
}
