// SPDX-License-Identifier: Apache-2.0
//! Whole stories over the real kernel, each in namespaces of its own. They need root.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use std::sync::OnceLock;

use it::Packages;

mod access;
mod access_rules;
mod begun;
mod bindings;
mod code;
mod daemon;
mod demo;
mod deployment;
mod fuzz_api;
mod history;
mod hooks;
mod hub;
mod images;
mod l3afd;
mod lint;
mod logs;
mod otlp;
mod package;
mod page;
mod plan;
mod programs;
mod registry;
mod service;
mod tested;
mod top;
mod trust;
mod user;

/// The packages of this repository, built once for all stories.
fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| Packages::build().expect("the packages build; stories need root and clang 19"))
}

/// How often to do something: emulated, verifying and running take a hundred times as long.
fn rounds(native: usize, emulated: usize) -> usize {
    if is_emulated() { emulated } else { native }
}

/// Two namespaces with a cable, and a daemon on the right that trusts the packages.
fn scene() -> (it::Pair, it::Node) {
    let pair = it::Pair::new().unwrap();
    let node = it::Node::start(&pair.right, &packages().policy()).unwrap();
    (pair, node)
}

/// The same with a chain of two members on the cable.
fn running() -> (it::Pair, it::Node) {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity", "ratelimit"])).unwrap().success().unwrap();
    (pair, node)
}

/// Whether this is a guest of `cargo xtask vm`.
#[expect(clippy::disallowed_methods, reason = "the one place that reads this variable")]
fn is_emulated() -> bool {
    std::env::var("L3AF_VM").is_ok()
}

/// The running kernel.
fn kernel() -> ::package::KernelVersion {
    it::run("uname -r").unwrap().trim().parse().unwrap()
}
