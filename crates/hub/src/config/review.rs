// SPDX-License-Identifier: Apache-2.0
//! What a hub is told of packages: what it is called, and what must be so before a release.

use serde::Deserialize;

/// What a hub is called, and what people must know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Instance {
    /// What it is called. `l3af-hub`.
    pub name: String,
    /// What everybody who publishes, or pulls with a login, must have accepted. Nothing.
    pub notice: Option<String>,
}

/// What must be so before a package is released, where no policy of its publisher or category says otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Review {
    /// How many reviewers must approve. With 0, what passes the checks is released. 1.
    pub approvals: u32,
    /// Whether the publisher's own people, and whoever pushed it, count as reviewers. No.
    pub own: bool,
    /// What becomes of packages that are not CO-RE. `warn`.
    pub not_co_re: OnFixed,
    /// The largest package, unpacked, for one platform. 64 MiB.
    pub max_package_bytes: u64,
}

/// What becomes of packages that read structures of the kernel at fixed places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFixed {
    /// Reviewers are told.
    #[default]
    Warn,
    /// They are not released.
    Refuse,
}

impl Default for Instance {
    fn default() -> Self {
        Self { name: "l3af-hub".to_owned(), notice: None }
    }
}

impl Default for Review {
    fn default() -> Self {
        Self { approvals: 1, own: false, not_co_re: OnFixed::Warn, max_package_bytes: 64 * 1024 * 1024 }
    }
}
