// SPDX-License-Identifier: Apache-2.0
//! Private Enterprise Numbers: the numbers that IANA gives to organisations.

use std::fmt;

use pkcs8::ObjectIdentifier;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// `iso.org.dod.internet.private.enterprise` (RFC 9371, section 2).
const ENTERPRISES: [u32; 6] = [1, 3, 6, 1, 4, 1];

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

    /// The number whose arc an object identifier lies below, if it is some organisation's own. The arc itself is what the
    /// organisation is named, not an identifier that it gave.
    pub(crate) fn above(oid: &ObjectIdentifier) -> Option<Self> {
        let mut arcs = oid.arcs();
        let of_an_enterprise = ENTERPRISES.iter().all(|wanted| arcs.next() == Some(*wanted));
        let number = arcs.next().filter(|number| of_an_enterprise && *number != 0);
        arcs.next().and(number).map(Self)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_below_one_arc_and_no_other() {
        let above = |oid: &str| Pen::above(&oid.parse().unwrap()).map(Pen::number);
        assert_eq!(above("1.3.6.1.4.1.32473.1"), Some(32473));
        assert_eq!(above("1.3.6.1.4.1.32473.1.2"), Some(32473));
        assert_eq!(above("1.3.6.1.4.1.324731.1"), Some(324_731));
        for oid in
            ["1.3.6.1.4.1.32473", "1.3.6.1.4.1", "1.3.6.1.4.2.32473.1", "2.5.29.32.0", "1.3.6.1.4.1.0.1"]
        {
            assert_eq!(above(oid), None, "{oid}");
        }
    }

    #[test]
    fn a_number_is_written_as_a_number() {
        let pen: Pen = serde_json::from_str("32473").unwrap();
        assert_eq!(serde_json::to_string(&pen).unwrap(), "32473");
        assert!(serde_json::from_str::<Pen>("0").is_err());
    }
}
