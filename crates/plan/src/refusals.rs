// SPDX-License-Identifier: Apache-2.0
//! All reasons together why a desired state cannot be reached.

use std::error::Error;
use std::fmt;

use crate::Refusal;

/// Why a desired state cannot be reached on this machine: each reason once, in the order of its hooks. There is one at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

/// Reasons that were found so far.
#[derive(Debug, Default)]
pub(crate) struct Found(Vec<Refusal>);

impl Refusals {
    /// The reasons.
    pub fn into_each(self) -> Vec<Refusal> {
        self.0
    }
}

impl Found {
    /// The value, unless it is refused; that is noted.
    pub(crate) fn take<T>(&mut self, result: Result<T, impl Into<Refusal>>) -> Option<T> {
        result.map_err(|refusal| self.note(refusal)).ok()
    }

    pub(crate) fn note(&mut self, refusal: impl Into<Refusal>) {
        let refusal = refusal.into();
        if !self.0.contains(&refusal) {
            self.0.push(refusal);
        }
    }

    /// Refuses where anything was noted.
    pub(crate) fn refuse(self) -> Result<(), Refusals> {
        if self.0.is_empty() { Ok(()) } else { Err(Refusals(self.0)) }
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl Error for Refusals {}
