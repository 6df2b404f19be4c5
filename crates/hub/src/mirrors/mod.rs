// SPDX-License-Identifier: Apache-2.0
//! Mirrors: chosen packages of other hubs, or of exported folders, that this hub has as well, by an administrator's [`rule`].
//!
//! [`work()`] carries out what is due, one hub at a time for each rule ([`lease`]). A [`run`] asks the [`source`] what there is,
//! fetches what is new into the storage, where nobody reaches it ([`fetch`]), holds it against the rule's trust policy and against
//! what this hub takes, and lists it in the transaction that releases it ([`keep`]). What happens to it at the source later follows
//! ([`follow`]). Bytes, digests, signatures and whatever else refers to a release stay as they are.

mod api;
mod fetch;
mod follow;
mod keep;
mod lease;
mod pattern;
mod rows;
mod rule;
mod run;
mod source;
mod tally;
mod work;

pub(crate) use self::api::routes as api;
pub(crate) use self::source::{EXPORT, PACKAGES, layout};
pub(crate) use self::tally::Tally;
pub(crate) use self::work::work;

pub use self::pattern::{BadPattern, Pattern};
pub use self::rows::{Mirror, MirrorResult, Outcome, Unset};
pub use self::rule::{Deletions, MirrorPolicy, MirrorRule, MirrorSource, RuleName, Unruly};
pub use self::work::{Ran, Unrun};
