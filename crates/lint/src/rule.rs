// SPDX-License-Identifier: Apache-2.0
//! What a rule is.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::Severity;

/// Something that every package is held against.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which never changes.
    pub name: &'static str,
    /// What it is about.
    pub area: Area,
    /// How bad it is to break it.
    pub severity: Severity,
    /// Why it is one.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// What rules are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// What the oldest kernel that is asked for can do.
    Kernel,
    /// What the licences permit.
    Licence,
    /// What maps and parameters say of themselves.
    Interface,
    /// What maps take.
    Sizes,
    /// How memory of the kernel is read.
    Reads,
    /// What people read.
    Documents,
    /// What the program for user space asks for.
    Privileges,
    /// How objects are made.
    Object,
    /// What is said of these rules themselves.
    Lint,
}

impl Rule {
    /// The rule of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        crate::RULES.iter().copied().find(|rule| rule.name == name)
    }
}

/// Its name alone: what else is known of it, findings repeat.
impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name)
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kernel => "kernel",
            Self::Licence => "licence",
            Self::Interface => "interface",
            Self::Sizes => "sizes",
            Self::Reads => "reads",
            Self::Documents => "documents",
            Self::Privileges => "privileges",
            Self::Object => "object",
            Self::Lint => "lint",
        })
    }
}
