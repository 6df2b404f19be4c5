// SPDX-License-Identifier: Apache-2.0
//! What a manifest says of maps and does not fit the object, all of it at once, each with the path it is about.

use std::fmt;

use thiserror::Error;

use super::{Format, MapKind};
use crate::{BadGrammar, BadType, Faults, Unclear};

/// One thing that a manifest says and that does not fit the object.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Misfit {
    /// The map.
    pub map: String,
    /// The part of it, where it is about one.
    pub path: Option<String>,
    /// What does not fit.
    #[source]
    pub problem: Problem,
}

/// What does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// There is no such map.
    #[error("the object has no such map; it has {known}")]
    NoMap {
        /// The maps that there are.
        known: String,
    },
    /// It is no path.
    #[error("it is no path; write `value.rate` or `value.rates[]`, beginning with `key`, `value` or `event`")]
    Path,
    /// The path leads nowhere.
    #[error("there is no `{step}` in {within}")]
    NoPart {
        /// The step that leads nowhere.
        step: String,
        /// What it should be a part of.
        within: String,
    },
    /// The same path comes twice.
    #[error("the path comes twice")]
    Twice,
    /// A type is said that is none.
    #[error("`{key}`, `{given}`, is no type")]
    Type {
        /// The key of the manifest.
        key: &'static str,
        /// What was given.
        given: String,
        /// Why it is none.
        #[source]
        reason: NoType,
    },
    /// A type is said that has another size than what is there.
    #[error("`{key}` has {given} bytes, and what is there {found}")]
    Size {
        /// The key of the manifest.
        key: &'static str,
        /// The size of the type that was given.
        given: usize,
        /// The size in the object.
        found: usize,
    },
    /// The map does not hand over events.
    #[error("`event` is for maps of events, `ringbuf` and `perf_event_array`; this is a `{kind}`")]
    NotOfEvents {
        /// The kind of the map.
        kind: MapKind,
    },
    /// A format does not fit the type.
    #[error("the format `{format}` takes {takes}, and this is {is}")]
    Format {
        /// The format.
        format: Format,
        /// What it takes.
        takes: &'static str,
        /// What is there.
        is: String,
    },
    /// A key is said that this part cannot have.
    #[error("`{key}` is for {of}, and this is {is}")]
    Key {
        /// The key of the manifest.
        key: &'static str,
        /// What the key is for.
        of: &'static str,
        /// What is there.
        is: String,
    },
    /// A time does not say which clock it is of.
    #[error("the format `time` goes with `clock`: `unix`, `monotonic` or `boot`")]
    NoClock,
    /// Names come from an enumeration that is not there.
    #[error("the object has no enumeration `{name}`")]
    NoEnum {
        /// Its name.
        name: String,
    },
    /// A bound is no number that the type can hold.
    #[error("`{key}`, `{given}`, is not {expected}")]
    Bound {
        /// `min` or `max`.
        key: &'static str,
        /// What was given.
        given: String,
        /// What the type holds.
        expected: String,
    },
    /// There is nothing between the bounds.
    #[error("`min` is greater than `max`")]
    Empty,
    /// The default is no value.
    #[error("`default` cannot be written")]
    Default(#[source] Faults),
    /// What comes out does not fit together.
    #[error(transparent)]
    Bad(#[from] BadType),
}

/// Why a word is no type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoType {
    /// The object has none of this name.
    #[error("the object has no such type")]
    NotThere,
    /// It is none in words.
    #[error(transparent)]
    Grammar(#[from] BadGrammar),
    /// The one of this name cannot be told.
    #[error(transparent)]
    Unclear(#[from] Unclear),
}

/// All that does not fit; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct Misfits(pub Vec<Misfit>);

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map `{}`", self.map)?;
        if let Some(path) = &self.path {
            write!(f, ", `{path}`")?;
        }
        write!(f, ": {}", self.problem)?;
        let mut cause = std::error::Error::source(&self.problem);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Display for Misfits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, misfit) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "\n" };
            write!(f, "{between}{misfit}")?;
        }
        Ok(())
    }
}
