// SPDX-License-Identifier: Apache-2.0
//! What is pushed becomes a package here: pending, checked, reviewed, released, yanked.
//!
//! [`arrive`] takes notice of what the registry stores, [`work`] checks what waits, people review it through the API, and what they
//! approve is revealed in one transaction with its place in the index. Where a release may go, [`state`] says.

mod advisories;
mod api;
mod arrival;
mod beside;
mod blobs;
mod checks;
mod departure;
mod facts;
mod line;
pub(crate) mod mirrored;
mod notice;
mod policies;
pub(crate) mod prices;
mod pulls;
mod queue;
pub(crate) mod ratings;
mod release;
mod reports;
mod resolve;
mod reviews;
mod roots;
mod state;
mod takedown;
#[cfg(test)]
pub(crate) mod tests;
mod transfer;
mod untransferred;
mod withdrawal;

pub(crate) use self::api::routes as api;
pub(crate) use self::arrival::{Arrival, Turned, arrive};
pub(crate) use self::blobs::Unread;
pub(crate) use self::departure::{Departing, Departure, depart};
pub(crate) use self::notice::accepted;
pub(crate) use self::pulls::Pulls;
pub(crate) use self::queue::work;
pub(crate) use self::release::{Release, undecodable};
pub(crate) use self::resolve::{is_in, latest};
pub(crate) use self::takedown::withheld::Withheld;
pub(crate) use self::takedown::{erase, withheld};
