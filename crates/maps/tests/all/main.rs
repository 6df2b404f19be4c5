// SPDX-License-Identifier: Apache-2.0
//! The map interface as whoever uses it sees it.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod codec;
mod compare;
mod made;
mod schema;
mod vectors;
