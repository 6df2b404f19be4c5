// SPDX-License-Identifier: Apache-2.0
//! Whether a comparison can be spared, because nothing in the kernel changed since the last one, which found nothing to do.

use jiff::{SignedDuration, Timestamp};
use kernel::Glance;

use super::Engine;

/// After so long all is compared again, whatever a short look says.
const HOLDS_FOR: SignedDuration = SignedDuration::from_mins(5);

/// What a short look saw before a comparison that found nothing to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calm {
    glance: Glance,
    compared: Timestamp,
}

impl Engine {
    /// What a short look sees; nothing where it cannot tell, or something is awaited that it does not see.
    pub(super) fn glance(&mut self) -> Option<Glance> {
        let sees_all = self.problem.is_none() && self.waiting.probes.is_empty();
        let sees_all = sees_all && self.profiled_until.is_none() && self.sampling.is_empty();
        let namespaces = self.desired.as_ref().filter(|_| sees_all)?.namespaces();
        // What cannot be looked at is found by the comparison.
        self.parts.kernel.glance(&namespaces).ok().flatten()
    }

    /// Whether nothing changed since a comparison found nothing to do.
    pub(super) fn is_calm(&self, glance: Option<Glance>) -> bool {
        let holds = |calm: &Calm| {
            let age = (self.parts.clock)().duration_since(calm.compared);
            // A clock that was put back must not spare comparisons for longer.
            Some(calm.glance) == glance && age.abs() < HOLDS_FOR
        };
        self.calm.as_ref().is_some_and(holds)
    }

    /// Notes what was seen before a comparison that found nothing to do.
    pub(super) fn note_calm(&mut self, glance: Option<Glance>) {
        let compared = (self.parts.clock)();
        self.calm = glance.map(|glance| Calm { glance, compared });
    }
}
