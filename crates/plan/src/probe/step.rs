// SPDX-License-Identifier: Apache-2.0
//! The steps of a plan that are about probes.

use std::fmt;

use crate::{Instance, ProbeSpec, State};

/// One thing to do with one probe. Every step may be repeated after it was cut off half-way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeStep {
    /// Let a new set of maps begin with maps of another, which goes on using them.
    Carry {
        /// The maps that there are.
        from: State,
        /// The set that gets them.
        to: State,
        /// Which of them, by name.
        maps: Vec<String>,
    },
    /// Load an instance, attached to nothing.
    Load {
        /// Under which name.
        instance: Instance,
        /// What it runs.
        spec: Box<ProbeSpec>,
    },
    /// Attach an instance, anew where it was attached before.
    Attach {
        /// Which.
        instance: Instance,
        /// What it runs.
        spec: Box<ProbeSpec>,
    },
    /// Detach an instance, which stays loaded.
    Detach {
        /// Which.
        instance: Instance,
    },
    /// Detach and unload an instance.
    Remove {
        /// Which.
        instance: Instance,
    },
    /// Delete maps that no probe uses any more.
    Forget {
        /// Whose.
        state: State,
    },
}

impl fmt::Display for ProbeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Carry { from, to, maps } => {
                write!(f, "probe: carry {} of {from} over to object {}", maps.join(", "), to.object)
            }
            Self::Load { instance, spec } => {
                let ProbeSpec { package, function, .. } = &**spec;
                write!(f, "probe: load {instance} = {} {} `{function}`", package.name, package.version)
            }
            Self::Attach { instance, spec } => {
                write!(f, "probe: attach {instance} to {} `{}`", spec.attach.kind(), spec.attach)
            }
            Self::Detach { instance } => write!(f, "probe: detach {instance}"),
            Self::Remove { instance } => write!(f, "probe: remove {instance}"),
            Self::Forget { state } => write!(f, "probe: delete {state}"),
        }
    }
}
