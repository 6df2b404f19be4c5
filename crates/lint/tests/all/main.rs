// SPDX-License-Identifier: Apache-2.0
//! Packages that break rules, each in one way, and one that breaks none.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

mod code;
mod document;
mod package;
mod scene;
