// SPDX-License-Identifier: Apache-2.0
//! What the daemon and the hub both have at their doors: so many connections at most, none of which waits for ever, TLS, and how
//! often somebody may ask for something; the policies that they ask; and whether an issuer gave out a token.
//!
//! Who somebody is, and what can be done, is said behind it.

mod admit;
mod pace;
mod policies;
mod tls;
mod tokens;

pub use self::admit::{Guest, Listen, admit};
pub use self::pace::Pace;
pub use self::policies::{BadRules, Cause, Policies, Question, Verdict};
pub use self::tls::{BadTls, TlsStream, certificates, private_key, server, shake};
pub use self::tokens::{BadToken, Claims, Verifier};
