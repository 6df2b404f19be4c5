// SPDX-License-Identifier: Apache-2.0
//! By what mechanism the members of a chain follow each other.

use std::fmt;

use serde::{Deserialize, Serialize};

/// By what mechanism the members of a chain follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// Each member tail-calls the next one, by what is put into it while it is loaded.
    #[default]
    Splice,
    /// A generated program calls one function for each member, which the member's unchanged program replaces.
    #[doc(alias = "BPF_PROG_TYPE_EXT")]
    Dispatcher,
    /// They do not: one program, unchanged, holds the hook by itself.
    Alone,
}

impl Mechanism {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Splice => "splice",
            Self::Dispatcher => "dispatcher",
            Self::Alone => "alone",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
