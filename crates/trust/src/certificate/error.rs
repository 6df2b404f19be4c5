// SPDX-License-Identifier: Apache-2.0
//! Why a certificate, or a chain of them, is refused.

use jiff::Timestamp;
use pkcs8::der;
use thiserror::Error;

use super::MAX_CHAIN;
use crate::{BadKey, BadPem, KeyId, Pen};

/// A certificate that is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadCertificate {
    /// The text is no PEM.
    #[error(transparent)]
    Pem(#[from] BadPem),
    /// The text holds something else.
    #[error("it holds `{found}`, not `CERTIFICATE`")]
    Label {
        /// What it holds.
        found: String,
    },
    /// There is none, or there are too many.
    #[error("it holds {count} certificates, and must hold 1 to {MAX_CHAIN}")]
    Count {
        /// How many.
        count: usize,
    },
    /// The bytes are not those of a certificate.
    #[error("its bytes are not those of a certificate (X.509 in DER)")]
    Der(#[source] der::Error),
    /// What was signed names another signature algorithm than the signature.
    #[error("the certificate of `{subject}` names two different signature algorithms")]
    Algorithms {
        /// Whose.
        subject: String,
    },
    /// It is signed with an algorithm that is not supported.
    #[error("the certificate of `{subject}` is signed with {oid}, which is not supported")]
    Algorithm {
        /// Whose.
        subject: String,
        /// The algorithm's object identifier.
        oid: String,
    },
    /// An extension is there twice.
    #[error("the certificate of `{subject}` has the extension {oid} twice")]
    ExtensionTwice {
        /// Whose.
        subject: String,
        /// The extension.
        oid: String,
    },
    /// An extension is critical and not understood.
    #[error("the certificate of `{subject}` has the critical extension {oid}, which is not understood here")]
    CriticalExtension {
        /// Whose.
        subject: String,
        /// The extension.
        oid: String,
    },
    /// The key of the certificate cannot be used.
    #[error("the certificate of `{subject}` is for a key that cannot be used")]
    Key {
        /// Whose.
        subject: String,
        /// Why not.
        #[source]
        source: BadKey,
    },
    /// The certificate is for another key than the one that signed.
    #[error("the certificate of `{subject}` is for the key {certified}, not for {signing}")]
    OtherKey {
        /// Whose.
        subject: String,
        /// The key that it is for.
        certified: KeyId,
        /// The key that it should be for.
        signing: KeyId,
    },
    /// It is used before its time.
    #[error("the certificate of `{subject}` holds from {from} on only")]
    NotYetValid {
        /// Whose.
        subject: String,
        /// The first moment.
        from: Timestamp,
    },
    /// It is used after its time.
    #[error("the certificate of `{subject}` expired at {until}")]
    Expired {
        /// Whose.
        subject: String,
        /// The last moment.
        until: Timestamp,
    },
    /// The next certificate is not the issuer's.
    #[error("the certificate of `{subject}` was issued by `{issuer}`, and the next one is that of `{next}`")]
    Order {
        /// Whose.
        subject: String,
        /// Who issued it.
        issuer: String,
        /// Whose is the next.
        next: String,
    },
    /// The issuer did not sign it.
    #[error("`{issuer}` did not sign the certificate of `{subject}`")]
    Signature {
        /// Whose.
        subject: String,
        /// Who should have signed it.
        issuer: String,
    },
    /// The chain does not lead to an authority that is trusted.
    #[error("the chain ends with the certificate of `{subject}`, which no authority of the policy issued")]
    Foreign {
        /// Whose is the last.
        subject: String,
    },
    /// An issuer is no authority.
    #[error("`{subject}` is no authority (`cA` of its basic constraints), and may issue nothing")]
    NotAnAuthority {
        /// Who.
        subject: String,
    },
    /// An issuer may not sign certificates.
    #[error("the key of `{subject}` may not sign certificates (`keyCertSign` of its key usage)")]
    MayNotCertify {
        /// Who.
        subject: String,
    },
    /// There are more authorities below one than it may have.
    #[error("there are {below} authorities below `{subject}`, and there may be {max}")]
    PathLength {
        /// Who.
        subject: String,
        /// How many there are.
        below: usize,
        /// How many there may be.
        max: u8,
    },
    /// It is for another purpose.
    #[error(
        "the certificate of `{subject}` is not for code signing (`codeSigning` of its extended key usage)"
    )]
    Purpose {
        /// Whose.
        subject: String,
    },
    /// The key may not sign.
    #[error("the key of `{subject}` may not sign (`digitalSignature` of its key usage)")]
    MayNotSign {
        /// Whose.
        subject: String,
    },
    /// The number that is claimed is not in the certificate.
    #[error(
        "the certificate of `{subject}` has no policy or purpose below {claimed}{}", others(.found)
    )]
    Pen {
        /// Whose.
        subject: String,
        /// The number that is claimed.
        claimed: Pen,
        /// The numbers that are there.
        found: Vec<Pen>,
    },
}

fn others(found: &[Pen]) -> String {
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    if found.is_empty() { String::new() } else { format!(", but below {}", found.join(", ")) }
}
