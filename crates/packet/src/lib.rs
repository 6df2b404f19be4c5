// SPDX-License-Identifier: Apache-2.0
//! Packets as one line of text: `eth / ipv4(src=192.0.2.1) / tcp(dport=443, flags=syn)`, and back.
//!
//! What a field of a header would be anyway (a length, a checksum, the number of the next header) need not be said, and every field
//! can be, so that wrong packets can be written as well. Any bytes have such a text, and reading it gives those bytes again.
//! `docs/testing.md` is the specification. This crate does no I/O.

mod bits;
mod build;
mod bytes;
mod capture;
mod checksum;
mod difference;
mod dissect;
mod fault;
mod field;
mod kind;
mod layer;
mod options;
mod pattern;
mod read;
mod tables;

pub use capture::{BadCapture, read_capture};
pub use difference::Difference;
pub use fault::{BadPacket, Problem};
pub use kind::Kind;
pub use layer::{Layer, Packet};
pub use pattern::Pattern;

/// The longest packet that is made: what the length of an IP header can tell.
pub const MAX_BYTES: usize = 65_535;

#[cfg(test)]
mod tests;
