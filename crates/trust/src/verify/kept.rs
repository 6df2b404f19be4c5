// SPDX-License-Identifier: Apache-2.0
//! What runs on although it is no longer trusted, because the policy says so.

use package::Package;

use super::{Assurance, Circumstances, Occasion, Refused, Verified};
use crate::policy::OnRevoked;

/// Lets a package that was accepted before run on at a hook, such as `eth0/xdp`, where the policy says
/// `on_revoked = "keep"`. `refused` is why it is not trusted now: whoever has it has verified again.
///
/// Returns `None` where the policy wants it removed, where it is wanted for something else than to run on, and where it
/// holds nothing for the machine.
pub fn keep(package: Package, refused: &Refused, hook: &str, at: &Circumstances<'_>) -> Option<Verified> {
    if at.occasion != Occasion::Continuation || at.policy.on_revoked(hook) != OnRevoked::Keep {
        return None;
    }
    let machine = package.platforms.iter().position(|entry| entry.platform == *at.machine)?;
    Some(Verified { package, machine, assurance: Assurance::Kept { why: refused.to_string() } })
}
