// SPDX-License-Identifier: Apache-2.0
//! The door: what passes, and every way in which something does not.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]
#![expect(clippy::disallowed_methods, reason = "what is tested lies in files")]

mod case;
mod fixtures;
mod properties;
mod recipe;
mod roots;
mod rules;
