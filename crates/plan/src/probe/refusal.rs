// SPDX-License-Identifier: Apache-2.0
//! Why a machine cannot run a probe, and what can be done about it.

use package::{KernelVersion, MemberName, ProbeKind};
use thiserror::Error;

/// Why a probe cannot run on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProbeRefusal {
    /// The kernel is too old for it.
    #[error("{what} of the probe `{probe}` needs Linux {needs}; this is Linux {kernel}")]
    TooOld {
        /// The probe.
        probe: MemberName,
        /// What needs it.
        what: String,
        /// The oldest kernel that has it.
        needs: KernelVersion,
        /// The running kernel.
        kernel: KernelVersion,
    },
    /// The kernel was built or started without it.
    #[error("the probe `{probe}` is of the kind `{kind}`, which this kernel does not have: {lacks}")]
    Lacking {
        /// The probe.
        probe: MemberName,
        /// Its kind.
        kind: ProbeKind,
        /// What is missing.
        lacks: String,
    },
    /// There is nothing to attach to.
    #[error("the probe `{probe}` has no target: {missing}")]
    NoTarget {
        /// The probe.
        probe: MemberName,
        /// What is missing.
        missing: String,
    },
    /// Two probes are at a place that has room for one.
    #[error("the probes `{probe}` and `{other}` are both at `{place}` of netfilter, which has room for one")]
    SamePlace {
        /// One of them.
        probe: MemberName,
        /// The other.
        other: MemberName,
        /// The place.
        place: String,
    },
    /// A map of a new release is laid out in another way than the one that is in use.
    #[error(
        "map `{map}` of the probe `{probe}` holds state that the new release cannot read: it had `{was}`, and wants \
         `{becomes}`"
    )]
    Layout {
        /// The probe.
        probe: MemberName,
        /// The map.
        map: String,
        /// The first field that differs, as it is.
        was: String,
        /// The same as it would be.
        becomes: String,
    },
}

impl ProbeRefusal {
    /// The probe that it is about.
    pub fn probe(&self) -> &MemberName {
        match self {
            Self::TooOld { probe, .. }
            | Self::Lacking { probe, .. }
            | Self::NoTarget { probe, .. }
            | Self::SamePlace { probe, .. }
            | Self::Layout { probe, .. } => probe,
        }
    }

    /// What can be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooOld { .. } => "`docs/probes.md` lists what each kind of probe needs",
            Self::Lacking { .. } => "use another kind of probe, or another kernel",
            Self::NoTarget { .. } => "correct `attach` of the probe, or begin with `enabled = false`",
            Self::SamePlace { .. } => "give one of them another `priority`",
            Self::Layout { .. } => {
                "to begin with an empty map, say `upgrade = \"fresh\"` in a `[[map]]` of `package.toml`, or run the release \
                 under another name"
            }
        }
    }
}
