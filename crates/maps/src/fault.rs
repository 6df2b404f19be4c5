// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a value that somebody wants written, all of it at once, each with the place it is in.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The place in the value (RFC 6901); empty where it is the whole.
    pub pointer: String,
    /// What kind of fault it is.
    pub kind: FaultKind,
    /// What was given, as JSON; empty where nothing was.
    pub given: String,
    /// What is expected in its place, in words.
    pub expected: String,
}

/// Kinds of faults, by which programs tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultKind {
    /// It is of another kind: text where a number should be, or text that is no address.
    Kind,
    /// A number is too small or too great.
    Range,
    /// Text has another unit.
    Unit,
    /// It would have to be rounded.
    Inexact,
    /// A name is unknown, or a number has none.
    Name,
    /// There is too much or too little: text, elements, bytes.
    Length,
    /// A field is not given.
    Missing,
    /// A field is given that does not exist.
    Extra,
    /// Two fields of a union want the same bytes to be different.
    Contradiction,
}

/// All that is wrong with a value; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Faults(pub(crate) Vec<Fault>);

impl Faults {
    /// What is wrong, in the order of the type.
    pub fn all(&self) -> &[Fault] {
        &self.0
    }

    /// These faults, and others behind them.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The same faults, of the value that an object has under a name.
    #[must_use]
    pub fn under(self, name: &str) -> Self {
        self.within(&format!("/{}", crate::write::escaped(name)))
    }

    /// The same faults, of a value that lies deeper: each pointer has this in front.
    #[must_use]
    pub fn within(self, pointer: &str) -> Self {
        let deeper = |fault: Fault| Fault { pointer: format!("{pointer}{}", fault.pointer), ..fault };
        Self(self.0.into_iter().map(deeper).collect())
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl Fault {
    /// A fault at a place; of what was given the beginning is kept.
    pub fn new(pointer: &str, kind: FaultKind, given: Option<&Value>, expected: String) -> Self {
        let given = crate::write::shortened(given.map(ToString::to_string).unwrap_or_default());
        Self { pointer: pointer.to_owned(), kind, given, expected }
    }

    /// What is wrong, beside the place and what was given there.
    pub fn detail(&self) -> String {
        let Self { expected, .. } = self;
        self.kind
            .absence()
            .map_or_else(|| format!("expected {expected}"), |what| format!("{what}; expected {expected}"))
    }
}

impl FaultKind {
    /// In words, where it is that something is there or not.
    fn absence(self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("is missing"),
            Self::Extra => Some("does not exist"),
            Self::Kind
            | Self::Range
            | Self::Unit
            | Self::Inexact
            | Self::Name
            | Self::Length
            | Self::Contradiction => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => f.write_str("the value")?,
            pointer => write!(f, "`{pointer}`")?,
        }
        match self.kind.absence() {
            Some(_) => write!(f, " {}", self.detail()),
            None => write!(f, " is `{}`; {}", self.given, self.detail()),
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "\n" };
            write!(f, "{between}{fault}")?;
        }
        Ok(())
    }
}
