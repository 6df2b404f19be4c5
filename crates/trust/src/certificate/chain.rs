// SPDX-License-Identifier: Apache-2.0
//! Chains of certificates, and what RFC 5280, section 6, asks of them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pkcs8::ObjectIdentifier;

use super::signature::Forged;
use super::{BadCertificate, Certificate};
use crate::pem::{self, Block};
use crate::{Pen, PublicKey};

/// The longest chain: a signer, its authorities, and a root.
pub const MAX_CHAIN: usize = 6;
/// RFC 5280, section 4.2.1.12.
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const ANY_PURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// Certificates of which each was issued by the next, beginning with the one of a signer. Nothing of it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(Vec<Certificate>);

/// What an authority that is trusted says of a key. Only [`Chain::check`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    subject: String,
    authority: String,
    until: Timestamp,
    pens: BTreeSet<Pen>,
}

impl Chain {
    /// Reads a PEM text with the certificates of a chain, the signer's first.
    ///
    /// # Errors
    /// When the text holds anything else, or more certificates than [`MAX_CHAIN`].
    pub fn from_pem(text: &str) -> Result<Self, BadCertificate> {
        Self::from_blocks(&pem::blocks(text)?)
    }

    pub(crate) fn from_blocks(blocks: &[Block]) -> Result<Self, BadCertificate> {
        let certificates = Certificate::all_from_blocks(blocks)?;
        match certificates.len() {
            1..=MAX_CHAIN => Ok(Self(certificates)),
            count => Err(BadCertificate::Count { count }),
        }
    }

    /// The certificates as a PEM text.
    pub fn to_pem(&self) -> String {
        self.0.iter().map(Certificate::to_pem).collect()
    }

    /// The certificates, the signer's first.
    pub fn certificates(&self) -> &[Certificate] {
        &self.0
    }

    /// The certificate of the signer.
    pub fn signer(&self) -> &Certificate {
        self.0.first().expect("a chain has one certificate or more")
    }

    /// Holds the chain against a key, authorities that are trusted (anchors) and a time.
    ///
    /// The first certificate must be for the key and for code signing; `anyExtendedKeyUsage` is not enough, since nobody
    /// was asked then. Each must be in its time, and signed by the next, which must be an authority that may sign
    /// certificates. The last must be an anchor or be issued by one. It is stricter than RFC 5280 where that costs
    /// nobody anything: anchors are held to all of this too (6.1.1 leaves that open), an authority that is limited to
    /// purposes must have code signing among them, and authorities below one count also where they issue to themselves.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub fn check(
        &self,
        key: &PublicKey,
        anchors: &[Certificate],
        now: Timestamp,
    ) -> Result<Certified, BadCertificate> {
        self.hold(key, anchors, |_| now)
    }

    /// The same for what was accepted before: a chain that has run out since is taken for the last moment at which it held.
    ///
    /// # Errors
    /// When something else than its time does not hold.
    pub fn check_continued(
        &self,
        key: &PublicKey,
        anchors: &[Certificate],
        now: Timestamp,
    ) -> Result<Certified, BadCertificate> {
        self.hold(key, anchors, |until| now.min(until))
    }

    fn hold(
        &self,
        key: &PublicKey,
        anchors: &[Certificate],
        time: impl Fn(Timestamp) -> Timestamp,
    ) -> Result<Certified, BadCertificate> {
        let signer = self.signer();
        signer.is_for(key)?;
        signer.signs_code()?;
        let path = self.path(anchors)?;
        let until = path.iter().map(|certificate| certificate.not_after).min().unwrap_or(Timestamp::MIN);
        for (below, certificate) in path.iter().enumerate() {
            certificate.is_in_its_time(time(until))?;
            let Some(issuer) = path.get(below + 1) else { break };
            issuer.may_issue(below)?;
            certificate.issued_by(issuer)?;
        }
        let anchor = path.last().expect("a path begins with the signer");
        let (subject, authority) = (signer.subject(), anchor.subject());
        Ok(Certified { subject, authority, until, pens: signer.pens() })
    }

    /// The certificates up to an anchor, with it.
    fn path<'a>(&'a self, anchors: &'a [Certificate]) -> Result<Vec<&'a Certificate>, BadCertificate> {
        if let Some(end) = self.0.iter().position(|certificate| anchors.contains(certificate)) {
            return Ok(self.0[..=end].iter().collect());
        }
        let last = self.0.last().expect("a chain has one certificate or more");
        // Several authorities may bear one name, so it is the signature that tells.
        let mut named = anchors.iter().filter(|anchor| last.names_issuer(anchor)).peekable();
        let first = *named.peek().ok_or_else(|| BadCertificate::Foreign { subject: last.subject() })?;
        let issuer = named.find(|anchor| last.issued_by(anchor).is_ok()).unwrap_or(first);
        Ok(self.0.iter().chain([issuer]).collect())
    }
}

impl Certified {
    /// Whom the authority knows as the holder of the key.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The authority of the policy that the chain leads to.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The last moment at which the whole chain holds.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Checks that the signer's certificate has a policy or purpose below the arc of a Private Enterprise Number.
    ///
    /// # Errors
    /// When it has none.
    pub fn demand(&self, pen: Pen) -> Result<(), BadCertificate> {
        if self.pens.contains(&pen) {
            return Ok(());
        }
        let found = self.pens.iter().copied().collect();
        Err(BadCertificate::Pen { subject: self.subject.clone(), claimed: pen, found })
    }
}

impl Certificate {
    fn is_for(&self, key: &PublicKey) -> Result<(), BadCertificate> {
        let certified = self.key()?;
        if certified == *key {
            Ok(())
        } else {
            let (certified, signing) = (certified.id(), key.id());
            Err(BadCertificate::OtherKey { subject: self.subject(), certified, signing })
        }
    }

    /// RFC 5280, sections 4.2.1.3 and 4.2.1.12.
    fn signs_code(&self) -> Result<(), BadCertificate> {
        let subject = || self.subject();
        if !self.extensions.purposes.as_ref().is_some_and(|purposes| purposes.contains(&CODE_SIGNING)) {
            return Err(BadCertificate::Purpose { subject: subject() });
        }
        match &self.extensions.usage {
            Some(usage) if !usage.digital_signature() => {
                Err(BadCertificate::MayNotSign { subject: subject() })
            }
            _ => Ok(()),
        }
    }

    fn is_in_its_time(&self, now: Timestamp) -> Result<(), BadCertificate> {
        if now < self.not_before {
            return Err(BadCertificate::NotYetValid { subject: self.subject(), from: self.not_before });
        }
        // Both ends belong to the time (RFC 5280, section 4.1.2.5), to the second.
        if now.as_second() > self.not_after.as_second() {
            return Err(BadCertificate::Expired { subject: self.subject(), until: self.not_after });
        }
        Ok(())
    }

    /// Whether it may issue certificates with so many authorities below it (RFC 5280, sections 4.2.1.9 and 6.1.4).
    fn may_issue(&self, below: usize) -> Result<(), BadCertificate> {
        let subject = || self.subject();
        let Some(constraints) = &self.extensions.authority else {
            return Err(BadCertificate::NotAnAuthority { subject: subject() });
        };
        if let Some(max) = constraints.path_len_constraint.filter(|max| below > usize::from(*max)) {
            return Err(BadCertificate::PathLength { subject: subject(), below, max });
        }
        if self.extensions.usage.as_ref().is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(BadCertificate::MayNotCertify { subject: subject() });
        }
        let fits = |purposes: &Vec<ObjectIdentifier>| {
            purposes.contains(&CODE_SIGNING) || purposes.contains(&ANY_PURPOSE)
        };
        if self.extensions.purposes.as_ref().is_none_or(fits) {
            Ok(())
        } else {
            Err(BadCertificate::Purpose { subject: subject() })
        }
    }

    /// Checks that an authority signed it.
    pub(crate) fn issued_by(&self, issuer: &Self) -> Result<(), BadCertificate> {
        let subject = || self.subject();
        if !self.names_issuer(issuer) {
            let (named, next) = (super::named(&self.issuer), issuer.subject());
            return Err(BadCertificate::Order { subject: subject(), issuer: named, next });
        }
        self.signature.check(&issuer.spki, &self.signed).map_err(|forged| match forged {
            Forged::Algorithm(oid) => BadCertificate::Algorithm { subject: subject(), oid: oid.to_string() },
            Forged::Signature => BadCertificate::Signature { subject: subject(), issuer: issuer.subject() },
        })
    }

    /// Whose arcs its policies and purposes are below.
    pub fn pens(&self) -> BTreeSet<Pen> {
        let purposes = self.extensions.purposes.iter().flatten();
        self.extensions.policies.iter().chain(purposes).filter_map(Pen::above).collect()
    }
}
