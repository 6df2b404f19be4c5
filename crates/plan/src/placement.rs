// SPDX-License-Identifier: Apache-2.0
//! How a chain is attached to its hook: what was asked for, what was seen, and whether one is the other.

use package::{HookPoint, Occupied, OnDrift, Position, XdpMode};

use crate::{Facts, Hook, ObservedHook, Refusal};

/// How a chain is to be attached. What is left open is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// Where in the kernel an XDP chain runs; where it is left open, in the driver if that can do it.
    pub mode: Option<XdpMode>,
    /// Where a TC chain stands among the programs of others; where it is left open, behind those that were there.
    pub position: Option<Position>,
    /// What becomes of somebody else's XDP program.
    pub occupied: Occupied,
    /// What becomes of the chain when somebody else changes it.
    pub drift: OnDrift,
}

/// The programs of others at a TC hook, by name, in the order in which packets meet them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Neighbours {
    /// Before our chain.
    pub before: Vec<String>,
    /// Behind it.
    pub behind: Vec<String>,
}

/// What there is of a program of somebody else that had the packets of a hook before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Incumbent {
    /// There was none.
    #[default]
    Absent,
    /// It is held, so that it can have the packets again.
    Held,
    /// It is held, and chains can end in it.
    Member,
}

impl Placement {
    /// Whether a hook is attached as was asked for.
    pub(crate) fn is_that_of(&self, found: &ObservedHook) -> bool {
        // An interface that was taken over keeps the mode that it had: the kernel has no way to change it.
        let mode_is_free = found.incumbent != Incumbent::Absent || found.mode.is_none();
        let mode = mode_is_free || self.mode.is_none_or(|wanted| found.mode == Some(wanted));
        mode && self.position.as_ref().is_none_or(|position| found.neighbours.fit(position))
    }

    /// Says what of it cannot be on a hook.
    pub(crate) fn admit(&self, hook: &Hook, facts: &Facts) -> Result<(), Refusal> {
        let is_xdp = hook.point == HookPoint::Xdp;
        let misplaced = |option| Refusal::Misplaced { hook: hook.clone(), option };
        if self.mode.is_some() && !is_xdp {
            return Err(misplaced("mode"));
        }
        if self.occupied != Occupied::Refuse && !is_xdp {
            return Err(misplaced("occupied"));
        }
        match &self.position {
            Some(_) if is_xdp => Err(misplaced("position")),
            Some(_) if !facts.tcx => Err(Refusal::NoPositions { hook: hook.clone(), kernel: facts.kernel }),
            Some(_) | None => Ok(()),
        }
    }
}

impl Neighbours {
    fn fit(&self, position: &Position) -> bool {
        match position {
            Position::First => self.before.is_empty(),
            Position::Last => self.behind.is_empty(),
            Position::Before(name) => !self.before.iter().any(|found| name_in_kernel(name.as_ref()) == found),
            Position::After(name) => !self.behind.iter().any(|found| name_in_kernel(name.as_ref()) == found),
        }
    }
}

/// A program's name as the kernel keeps it (`BPF_OBJ_NAME_LEN`, 16 bytes with the end).
pub fn name_in_kernel(name: &str) -> &str {
    name.get(..15).unwrap_or(name)
}
