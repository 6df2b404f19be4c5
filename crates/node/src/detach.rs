// SPDX-License-Identifier: Apache-2.0
//! Taking everything off without a daemon: what the kernel holds is all that has to be known for it.

use std::collections::BTreeSet;

use kernel::Kernel;
use plan::{Desired, Plan, reconcile};

use crate::l3afd::Exposed;
use crate::{Config, Rejected};

/// Takes off all that is pinned, gives back what was taken over, and returns what was done. What was pinned a second time for
/// programs of l3afd v1 goes as well, as the folder of state tells.
///
/// # Errors
/// When the kernel cannot be read, or refuses a step.
pub fn detach_all(kernel: &mut dyn Kernel, config: &Config) -> Result<Plan, Rejected> {
    let nothing = Desired::default();
    let plan = reconcile(&nothing, &kernel.observe(&BTreeSet::new())?)?;
    kernel::apply(kernel, &plan, &nothing).map_err(|halted| Rejected::Halted(Box::new(halted)))?;
    Exposed::new(&config.state).follow(kernel, &nothing);
    Ok(plan)
}
