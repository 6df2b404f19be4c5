// SPDX-License-Identifier: Apache-2.0
//! What callers may be permitted to do, and with what.

use std::fmt;

use plan::Hooks;

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Look at something.
    Read,
    /// Have the steps of a document told, for which its packages are fetched.
    Plan,
    /// Make a document the desired state.
    Apply,
    /// Bring a generation back.
    Rollback,
    /// Keep a generation that is on trial.
    Confirm,
    /// Take members out.
    Stop,
    /// Measure run times.
    Profile,
    /// Change what is in a map.
    Set,
    /// Whatever else changes something.
    Other,
}

impl Action {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 9] = [
        Self::Read,
        Self::Plan,
        Self::Apply,
        Self::Rollback,
        Self::Confirm,
        Self::Stop,
        Self::Profile,
        Self::Set,
        Self::Other,
    ];

    /// Whether it is about the things that it touches, each for itself.
    pub(crate) fn touches(self) -> bool {
        matches!(self, Self::Apply | Self::Rollback | Self::Stop)
    }

    /// Whether something is different afterwards.
    pub(crate) fn changes(self) -> bool {
        !matches!(self, Self::Read | Self::Plan)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Rollback => "rollback",
            Self::Confirm => "confirm",
            Self::Stop => "stop",
            Self::Profile => "profile",
            Self::Set => "set",
            Self::Other => "other",
        })
    }
}

/// A package, as far as it matters who may run it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ware {
    pub(crate) publisher: String,
    pub(crate) name: String,
    pub(crate) version: String,
}

/// Something that a change touches, or the node as a whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    Node,
    /// How a chain is attached, and by what mechanism it runs.
    Chain(Hooks),
    /// A member of a chain.
    Member {
        hook: Hooks,
        name: String,
        /// From 1.
        position: usize,
        /// None where the package cannot be read any more.
        ware: Option<Ware>,
    },
    /// A program outside of chains.
    Probe {
        name: String,
        ware: Option<Ware>,
    },
    /// A health check, for which the node connects somewhere or runs a command.
    Check(String),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let package = |ware: &Option<Ware>| {
            let told = ware.as_ref().map(|ware| format!(" of package `{}/{}`", ware.publisher, ware.name));
            told.unwrap_or_default()
        };
        match self {
            Self::Node => f.write_str("the node"),
            Self::Chain(hook) => write!(f, "how the chain on `{hook}` is attached"),
            Self::Member { hook, name, position, ware } => {
                write!(f, "member `{name}`{} at position {position} of `{hook}`", package(ware))
            }
            Self::Probe { name, ware } => write!(f, "probe `{name}`{}", package(ware)),
            Self::Check(name) => write!(f, "check `{name}`"),
        }
    }
}

impl Thing {
    /// Whether it is at whichever interfaces match, and not at one that is named.
    pub(crate) fn is_wherever(&self) -> bool {
        match self {
            Self::Chain(hook) | Self::Member { hook, .. } => hook.only().is_none(),
            Self::Node | Self::Probe { .. } | Self::Check(_) => false,
        }
    }
}

/// What becomes of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    Add,
    Alter,
    Remove,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Add => "add",
            Self::Alter => "change",
            Self::Remove => "remove",
        })
    }
}

/// A thing that a change touches, and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Touch {
    pub(crate) change: Change,
    pub(crate) thing: Thing,
}

impl fmt::Display for Touch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.change, self.thing)
    }
}
