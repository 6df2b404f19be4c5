// SPDX-License-Identifier: Apache-2.0
//! Whom a machine trusts, for what, and the one door through which packages become runnable.
//!
//! A publisher signs a [`Statement`] about a release in a DSSE [`Envelope`]. A machine's [`Policy`] names publishers and
//! their keys; the default names nobody, so that nothing verifies. [`verify()`] is the way to a [`Verified`]; what ran
//! before and lost its trust may stay one by [`keep()`], where the policy says so.
//!
//! Nothing here does I/O or reads a clock: bytes, times and seeds are arguments, and a verification explains itself.

mod algorithm;
mod authenticode;
mod canonical;
mod certificate;
mod certification;
mod dsse;
mod endorsement;
mod explain;
mod found;
mod in_toto;
mod json;
mod keys;
mod memory;
mod pem;
mod pen;
mod policy;
mod private;
mod quorum;
mod raw;
mod release;
mod review;
mod root;
mod sign;
mod sigstore;
mod verify;

pub use algorithm::{Algorithm, Family, UnknownAlgorithm};
pub use authenticode::{Authenticode, BadAuthenticode};
pub use canonical::{Fraction, NotCanonical, canonical_json};
pub use certificate::{BadCertificate, Certificate, Certified, Chain, MAX_CHAIN};
pub use certification::{BadCertification, CertifiedRoot, RootCertification, SignedCertification};
pub use dsse::{BadEnvelope, Envelope, MAX_ENVELOPE_BYTES, PAYLOAD_TYPE, Unsigned, VerifiedPayload};
pub use endorsement::{Endorsed, Endorsement};
pub use explain::{Explanation, Outcome, Rule, Ruling};
pub use found::{Found, FoundPlatform};
pub use in_toto::{Predicate, Statement, StatementError, Subject};
pub use json::{BadJson, MAX_JSON_BYTES, MAX_JSON_DEPTH};
pub use keys::{BadKey, BadKeyId, KeyId, PublicKey};
pub use memory::Memory;
pub use pem::BadPem;
pub use pen::{BadPen, Pen};
pub use policy::{
    Anchor, BadReleases, Endorser, Exception, Mode, OnRevoked, Policy, PolicyDocument, PolicyError,
    Publisher, Releases, Repository, Revocation, Revoked,
};
pub use private::{PrivateKey, Salt};
pub use quorum::{BadQuorum, MAX_SIGNERS, Quorum, Signer};
pub use raw::ecdsa_from_raw;
pub use release::{Release, ReleasePlatform, Terms};
pub use review::{Review, ReviewDecision};
pub use root::{BadEdit, BadRoot, Draft, Missing, Role, Root, UnknownRole, Whose};
pub use sign::{Checked, NotASignature, Sign, SignError};
pub use sigstore::{CosignError, cosign_bundle};
pub use verify::{
    Assurance, Circumstances, Discount, Evidence, Judgement, Mismatch, Occasion, Refused, Verified, judge,
    keep, verify,
};
