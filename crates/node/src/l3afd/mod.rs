// SPDX-License-Identifier: Apache-2.0
//! What callers, programs and dashboards of l3afd v1 find here: its API, its files, its places, its metrics.
//!
//! A payload becomes a document, and from there on all is as for any other: it is verified, planned and applied whole, or not at
//! all. What stays of l3afd v1 is how things are spelled (`wire::l3afd`), and what surrounds its programs.

mod api;
mod change_over;
mod config;
mod exposed;
mod gate;
mod metrics;
mod probes;
mod process;
mod release;
mod restart;
mod serve;
mod store;
mod surroundings;
mod swagger;
mod unfit;

pub use config::{BadL3afdConfig, L3afdConfig};

pub(crate) use api::Old;
pub use change_over::{NotEnded, end_for_l3afd_v1, end_l3afd_v1};
pub(crate) use exposed::Exposed;
pub(crate) use probes::probes_beside;
pub use process::{NoPidFile, as_spelled_today, lock, write_pid_file};
pub(crate) use restart::Successor;
pub(crate) use serve::Sockets;
pub(crate) use surroundings::{Places, fills};
pub use unfit::Unfit;
pub(crate) use unfit::check;
