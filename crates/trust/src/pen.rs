// SPDX-License-Identifier: Apache-2.0
//! Private Enterprise Numbers: the numbers that IANA gives to organisations.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A Private Enterprise Number: the arc `1.3.6.1.4.1.<number>` of object identifiers belongs to its holder (RFC 9371).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u32", try_from = "u32")]
pub struct Pen(u32);

/// Zero is reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("0 is no Private Enterprise Number: they begin with 1")]
pub struct BadPen;

impl Pen {
    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Pen {
    type Error = BadPen;

    fn try_from(number: u32) -> Result<Self, BadPen> {
        if number == 0 { Err(BadPen) } else { Ok(Self(number)) }
    }
}

impl From<Pen> for u32 {
    fn from(pen: Pen) -> Self {
        pen.0
    }
}

/// The arc of object identifiers that belongs to its holder.
impl fmt::Display for Pen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.3.6.1.4.1.{}", self.0)
    }
}
