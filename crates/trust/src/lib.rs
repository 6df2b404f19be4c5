// SPDX-License-Identifier: Apache-2.0
//! Whom a machine trusts, for what, and the one door through which packages become runnable.
//!
//! A publisher signs a [`Statement`] about a release in a DSSE [`Envelope`]. A machine's [`Policy`] names publishers and
//! their keys; the default names nobody, so that nothing verifies. [`verify()`] is the only way to a [`Verified`].
//!
//! Nothing here does I/O or reads a clock: bytes, times and seeds are arguments, and a verification explains itself.

mod algorithm;
mod dsse;
mod keys;
mod pem;
mod policy;
mod private;
mod quorum;
mod sign;
mod statement;
mod verify;

pub use algorithm::{Algorithm, Family, UnknownAlgorithm};
pub use dsse::{BadEnvelope, Envelope, MAX_ENVELOPE_BYTES, PAYLOAD_TYPE, Unsigned, VerifiedPayload};
pub use keys::{BadKey, KeyId, PublicKey};
pub use pem::BadPem;
pub use policy::{Mode, Policy, PolicyDocument, PolicyError, Publisher};
pub use private::{PrivateKey, Salt};
pub use quorum::{BadQuorum, MAX_SIGNERS, Quorum, Signer};
pub use sign::{Sign, SignError};
pub use statement::{PREDICATE_TYPE, Release, Statement, StatementError};
pub use verify::{Assurance, Mismatch, Refused, Verified, verify};
