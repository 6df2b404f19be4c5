// SPDX-License-Identifier: Apache-2.0
//! The package crate from outside: what is packed is read, and what attacks is refused.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod archive;
mod attach;
mod code;
mod manifest;
mod map_interface;
mod object;
mod package;
