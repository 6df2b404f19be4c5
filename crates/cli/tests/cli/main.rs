// SPDX-License-Identifier: Apache-2.0
//! `l3af` from the outside: what goes in, what comes out, what is refused and how that is told.
#![expect(clippy::unwrap_used, reason = "test crate")]

mod certification;
mod cosign;
mod key_commands;
mod keys;
mod objects;
mod packages;
mod place;
mod publisher;
mod signing;
mod tokens;
mod tuf;
