// SPDX-License-Identifier: Apache-2.0
//! That a publisher's root is an organisation's: somebody with a certificate of the organisation's arc says so.
//!
//! The root may have keys of any algorithm, and none of them needs a certificate. What is certified is the digest of
//! `root.json`, in a statement that the key of the certificate signs; the chain goes with the signature.
//!
//! Which version counts is for who verifies to say: [`SignedCertification::check`] takes the digests of those that do.

use std::fmt;

use jiff::Timestamp;
use package::{Digest, PublisherName};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::in_toto::{Predicate, Statement, Subject};
use crate::verify::CLOCK_SKEW;
use crate::{
    BadCertificate, BadEnvelope, Certificate, Certified, Chain, Discount, Envelope, PAYLOAD_TYPE, Pen,
    Quorum, Sign, SignError, Signer, StatementError, Unsigned,
};

/// What is stated about a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootCertification {
    /// Whose root it is.
    pub publisher: PublisherName,
    /// The organisation's number.
    pub pen: Pen,
    /// The digest of `root.json`.
    pub root: Digest,
    /// When the statement was made.
    pub created: Timestamp,
    /// From when on it holds no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

/// A certification as it is carried: an envelope with the chain of the key that signed it. Nothing of it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCertification {
    envelope: Envelope,
    chain: Chain,
}

/// A root that an authority's certificate ties to an organisation. Only [`SignedCertification::check`] and
/// [`SignedCertification::check_continued`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertifiedRoot {
    stated: RootCertification,
    certified: Certified,
}

/// A certification does not hold.
#[derive(Debug, Error)]
pub enum BadCertification {
    /// The chain cannot be read, or no authority of the policy vouches for its key now.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// The envelope cannot be read.
    #[error(transparent)]
    Envelope(#[from] BadEnvelope),
    /// No chain came with the signature.
    #[error("no certificate came with the certification")]
    NoCertificate,
    /// The policy does not let the key of the certificate count.
    #[error("the key of its certificate does not count: {0}")]
    Discounted(Discount),
    /// The key of the certificate did not sign it.
    #[error("the certification is not signed with the key of its certificate")]
    Unsigned(#[source] Unsigned),
    /// What was signed is something else.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// It is about another root.
    #[error("it certifies the root {stated} of `{publisher}`, not {}", any(.roots))]
    Root {
        /// Whose root it says it is.
        publisher: PublisherName,
        /// The root that it is about.
        stated: Digest,
        /// The versions of which it should be about one.
        roots: Vec<Digest>,
    },
    /// It is for another organisation.
    #[error("it certifies the root for the Private Enterprise Number {}, not {}", .stated.number(), .wanted.number())]
    Pen {
        /// The number that is stated.
        stated: Pen,
        /// The number that is to be proven.
        wanted: Pen,
    },
    /// It is about another publisher.
    #[error("it certifies a root of `{stated}`, not of `{publisher}`")]
    Publisher {
        /// The publisher that it is about.
        stated: PublisherName,
        /// The publisher that it should be about.
        publisher: PublisherName,
    },
    /// It holds no longer.
    #[error("the certification expired at {expired}")]
    Expired {
        /// When.
        expired: Timestamp,
    },
    /// It was made in the future.
    #[error("the certification was made at {created}, which is in the future")]
    Future {
        /// When.
        created: Timestamp,
    },
}

fn any(roots: &[Digest]) -> String {
    roots.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

impl Predicate for RootCertification {
    const TYPE: &'static str = "https://l3af.io/root-certification/v1";
    const WHAT: &'static str = "a certification of a root";
}

impl From<RootCertification> for Statement<RootCertification> {
    fn from(stated: RootCertification) -> Self {
        Self::new(vec![Subject::new(format!("root of {}", stated.publisher), &stated.root)], stated)
    }
}

impl RootCertification {
    /// Signs it with the key of a certificate.
    ///
    /// # Errors
    /// When the key does not sign.
    pub fn sign(self, key: &dyn Sign, chain: Chain) -> Result<SignedCertification, SignError> {
        let envelope = Envelope::sign(PAYLOAD_TYPE, Statement::from(self).to_json(), &[key])?;
        Ok(SignedCertification { envelope: envelope.with_chain(&chain), chain })
    }

    fn is_made(&self, now: Timestamp) -> Result<(), BadCertification> {
        let soon = now.saturating_add(CLOCK_SKEW).expect("adding a time of fixed length is never ambiguous");
        if self.created > soon {
            return Err(BadCertification::Future { created: self.created });
        }
        Ok(())
    }

    fn is_in_its_time(&self, now: Timestamp) -> Result<(), BadCertification> {
        match self.expires.filter(|expires| *expires <= now) {
            Some(expired) => Err(BadCertification::Expired { expired }),
            None => Ok(()),
        }
    }
}

impl SignedCertification {
    /// Whether an envelope says that it holds one.
    pub(crate) fn is_one(envelope: &[u8]) -> bool {
        let kind = Envelope::parse(envelope).ok().and_then(|envelope| envelope.claimed_predicate_type());
        kind.as_deref() == Some(RootCertification::TYPE)
    }

    /// Reads an envelope, with the chain in it.
    ///
    /// # Errors
    /// When it is something else, or there is no chain.
    pub fn parse(envelope: &[u8]) -> Result<Self, BadCertification> {
        let envelope = Envelope::parse(envelope)?;
        let chain = Chain::from_pem(envelope.certificates().ok_or(BadCertification::NoCertificate)?)?;
        Ok(Self { envelope, chain })
    }

    /// The envelope as JSON, with the chain in it.
    pub fn to_json(&self) -> Vec<u8> {
        self.envelope.to_json()
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Holds it against a publisher, those versions of their root that it may be about, the authorities that are trusted and a
    /// time. The certificate must have an identifier below the arc of the number that is stated.
    ///
    /// # Errors
    /// When it is not signed with the key of the certificate, no authority vouches for that now, the arc is another, it has
    /// expired, or is about something else.
    pub fn check(
        &self,
        publisher: &PublisherName,
        roots: &[Digest],
        anchors: &[Certificate],
        now: Timestamp,
    ) -> Result<CertifiedRoot, BadCertification> {
        let certified = self.chain.check(&self.chain.signer().key()?, anchors, now)?;
        let stated = self.stated(publisher, roots)?;
        stated.is_in_its_time(now)?;
        CertifiedRoot::new(stated, certified, now)
    }

    /// The same for what was accepted before: certificate and certification may have run out since.
    ///
    /// # Errors
    /// When something else than its time does not hold.
    pub fn check_continued(
        &self,
        publisher: &PublisherName,
        roots: &[Digest],
        anchors: &[Certificate],
        now: Timestamp,
    ) -> Result<CertifiedRoot, BadCertification> {
        let certified = self.chain.check_continued(&self.chain.signer().key()?, anchors, now)?;
        CertifiedRoot::new(self.stated(publisher, roots)?, certified, now)
    }

    /// What the key of the certificate signed, if it is about one of these roots.
    fn stated(
        &self,
        publisher: &PublisherName,
        roots: &[Digest],
    ) -> Result<RootCertification, BadCertification> {
        let key = self.chain.signer().key()?;
        let only = Quorum::new(vec![Signer::single(key)], 1).expect("one of one");
        let verified = self.envelope.verify(&only, |_| Ok(())).map_err(BadCertification::Unsigned)?;
        let statement = Statement::<RootCertification>::parse(&verified)?;
        // The subject is what other tools look at: it must not say anything else.
        let is_about = statement.is_about(&statement.predicate.root);
        let stated = statement.predicate;
        if stated.publisher != *publisher {
            let (stated, publisher) = (stated.publisher, publisher.clone());
            return Err(BadCertification::Publisher { stated, publisher });
        }
        if !is_about || !roots.contains(&stated.root) {
            let (publisher, stated) = (stated.publisher, stated.root);
            return Err(BadCertification::Root { publisher, stated, roots: roots.to_vec() });
        }
        Ok(stated)
    }
}

impl CertifiedRoot {
    fn new(
        stated: RootCertification,
        certified: Certified,
        now: Timestamp,
    ) -> Result<Self, BadCertification> {
        stated.is_made(now)?;
        certified.demand(stated.pen)?;
        Ok(Self { stated, certified })
    }

    /// The organisation's number.
    pub fn pen(&self) -> Pen {
        self.stated.pen
    }

    /// What was stated.
    pub fn stated(&self) -> &RootCertification {
        &self.stated
    }

    /// Who stated it, and which authority knows them.
    pub fn certified(&self) -> &Certified {
        &self.certified
    }

    /// Checks that it is for this number.
    ///
    /// # Errors
    /// When it is for another.
    pub(crate) fn demand(&self, wanted: Pen) -> Result<(), BadCertification> {
        let stated = self.pen();
        if stated == wanted { Ok(()) } else { Err(BadCertification::Pen { stated, wanted }) }
    }
}

/// The root, for whom, and who says so.
impl fmt::Display for CertifiedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} by `{}`", self.stated.root, self.stated.pen, self.certified.subject())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::forge::{Body, policies};
    use crate::{Algorithm, PrivateKey, pem};

    const NOW: &str = "2030-01-01T00:00:00Z";
    const ROOT: &[u8] = b"{\"signed\":{}}";

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed([seed; 32])
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn publisher(name: &str) -> PublisherName {
        name.parse().unwrap()
    }

    /// A chain for a key, with a policy of this arc, and the authority that it leads to.
    fn chain(holder: &PrivateKey, policy: &str) -> (Chain, Certificate) {
        let authority = Body::authority("CN=authority", key(8).public(), "CN=authority", None).sign(&key(8));
        let mut signer = Body::signer(holder.public(), "CN=authority");
        signer.extensions.push(policies(&[policy]));
        let chain = Chain::from_pem(&pem::encode("CERTIFICATE", &signer.sign(&key(8)))).unwrap();
        (chain, Certificate::from_der(&authority).unwrap())
    }

    fn stated() -> RootCertification {
        RootCertification {
            publisher: publisher("example"),
            pen: Pen::try_from(32473).unwrap(),
            root: Digest::of(ROOT),
            created: at(NOW),
            expires: None,
        }
    }

    fn check(stated: RootCertification) -> Result<CertifiedRoot, BadCertification> {
        let (chain, authority) = chain(&key(1), "1.3.6.1.4.1.32473.1");
        let signed = stated.sign(&key(1), chain).unwrap();
        signed.check(&publisher("example"), &[Digest::of(ROOT)], &[authority], at(NOW))
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut RootCertification)) -> String {
        let mut stated = stated();
        change(&mut stated);
        let words = check(stated).unwrap_err().to_string();
        words
            .replace(&Digest::of(ROOT).to_string(), "<root>")
            .replace(&Digest::of(b"").to_string(), "<other>")
    }

    #[test]
    fn a_certificate_of_the_arc_certifies_a_root() {
        let certified = check(stated()).unwrap();
        assert_eq!((certified.pen().number(), certified.stated()), (32473, &stated()));
        assert_eq!(certified.certified().authority(), "CN=authority");
        let ecdsa = PrivateKey::generate(Algorithm::EcdsaP256);
        let (chain, authority) = chain(&ecdsa, "1.3.6.1.4.1.32473.1");
        let signed = stated().sign(&ecdsa, chain).unwrap();
        let read = SignedCertification::parse(&signed.to_json()).unwrap();
        assert_eq!(read, signed);
        assert!(SignedCertification::is_one(&signed.to_json()));
        let versions = [Digest::of(b""), Digest::of(ROOT)];
        assert!(read.check(&publisher("example"), &versions, &[authority], at(NOW)).is_ok());
    }

    #[test]
    fn a_certification_is_about_one_root_of_one_publisher() {
        insta::assert_snapshot!(refused(|stated| stated.root = Digest::of(b"")), @"it certifies the root <other> of `example`, not <root>");
        insta::assert_snapshot!(refused(|stated| stated.publisher = publisher("other")), @"it certifies a root of `other`, not of `example`");
    }

    #[test]
    fn a_certificate_of_another_arc_certifies_nothing() {
        insta::assert_snapshot!(refused(|stated| stated.pen = Pen::try_from(1).unwrap()), @"the certificate of `CN=signer,O=example` has no policy or purpose below 1.3.6.1.4.1.1, but below 1.3.6.1.4.1.32473");
    }

    #[test]
    fn a_certification_holds_in_its_time() {
        insta::assert_snapshot!(refused(|stated| stated.expires = Some(at(NOW))), @"the certification expired at 2030-01-01T00:00:00Z");
        insta::assert_snapshot!(refused(|stated| stated.created = at("2030-01-01T00:05:01Z")), @"the certification was made at 2030-01-01T00:05:01Z, which is in the future");
        let (chain, authority) = chain(&key(1), "1.3.6.1.4.1.32473.1");
        let signed = stated().sign(&key(1), chain).unwrap();
        let (anchors, roots, later) = ([authority], [Digest::of(ROOT)], at("2031-06-01T00:00:00Z"));
        assert!(signed.check_continued(&publisher("example"), &roots, &anchors, later).is_ok());
        let later = signed.check(&publisher("example"), &roots, &anchors, later);
        insta::assert_snapshot!(later.unwrap_err(), @"the certificate of `CN=signer,O=example` expired at 2031-01-01T00:00:00Z");
    }

    #[test]
    fn another_key_than_the_certified_one_certifies_nothing() {
        let (chain, authority) = chain(&key(1), "1.3.6.1.4.1.32473.1");
        let signed = stated().sign(&key(2), chain).unwrap();
        let check = |anchors: &[Certificate]| {
            signed
                .check(&publisher("example"), &[Digest::of(ROOT)], anchors, at(NOW))
                .unwrap_err()
                .to_string()
        };
        insta::assert_snapshot!(check(&[authority]), @"the certification is not signed with the key of its certificate");
        insta::assert_snapshot!(check(&[]), @"the chain ends with the certificate of `CN=signer,O=example`, which no authority of the policy issued");
    }

    #[test]
    fn another_kind_of_statement_is_no_certification() {
        let (chain, authority) = chain(&key(1), "1.3.6.1.4.1.32473.1");
        let payload = br#"{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://l3af.io/endorsement/v1"}"#;
        let envelope = Envelope::sign(PAYLOAD_TYPE, payload.to_vec(), &[&key(1)]).unwrap();
        assert!(!SignedCertification::is_one(&envelope.to_json()));
        insta::assert_snapshot!(SignedCertification::parse(&envelope.to_json()).unwrap_err(), @"no certificate came with the certification");
        let signed = SignedCertification { envelope, chain };
        let refused = signed.check(&publisher("example"), &[Digest::of(ROOT)], &[authority], at(NOW));
        insta::assert_snapshot!(refused.unwrap_err(), @"what was signed is a statement of type `https://l3af.io/endorsement/v1`, not `https://l3af.io/root-certification/v1`");
    }
}
