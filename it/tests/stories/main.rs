// SPDX-License-Identifier: Apache-2.0
//! Whole stories over the real kernel, each in namespaces of its own. They need root.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use std::sync::OnceLock;

use it::Packages;

mod chain;
mod daemon;
mod demo;
mod package;
mod plan;
mod tc;

/// The packages of this repository, built once for all stories.
fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| Packages::build().expect("the packages build; stories need root and clang 19"))
}
