// SPDX-License-Identifier: Apache-2.0
//! What is wrong with the text of a packet, and where.

use thiserror::Error;

/// A text is no packet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {problem}")]
pub struct BadPacket {
    /// The letter at which it is wrong, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with the text of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// There is no such layer.
    #[error("there is no layer `{given}`; there are {}", known.join(", "))]
    NoLayer {
        /// What was given.
        given: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// A layer has no such field.
    #[error("`{layer}` has no field `{given}`; it has {}", known.join(", "))]
    NoField {
        /// The layer.
        layer: &'static str,
        /// What was given.
        given: String,
        /// Those that it has.
        known: Vec<&'static str>,
    },
    /// A field cannot be that.
    #[error("`{given}` cannot be `{field}`: it takes {expected}")]
    Value {
        /// The field.
        field: &'static str,
        /// What was given.
        given: String,
        /// What can be.
        expected: String,
    },
    /// A field is said twice.
    #[error("`{field}` is said twice")]
    Twice {
        /// The field.
        field: &'static str,
    },
    /// Something else should be there.
    #[error("expected {expected}, found {found}")]
    Unexpected {
        /// What should be there.
        expected: &'static str,
        /// What is.
        found: String,
    },
    /// It would be too long.
    #[error("the packet has more than {most} bytes")]
    TooLong {
        /// How many it may have.
        most: usize,
    },
}
