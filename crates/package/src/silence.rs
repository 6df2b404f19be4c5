// SPDX-License-Identifier: Apache-2.0
//! What a manifest says to those who look a package over: `[lint]`.

use serde::Deserialize;

/// What is said of the rules of `l3af lint`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lint {
    /// The rules that are broken on purpose.
    #[serde(default)]
    pub(crate) allow: Vec<Silence>,
}

/// A rule that the package breaks on purpose. Reviewers see which, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// The rule.
    pub rule: String,
    /// Why it does not hold here.
    pub why: String,
}
