// SPDX-License-Identifier: Apache-2.0
//! Admission: whether this machine can run a chain on a hook, and by what means.

use package::{HookPoint, Occupied};

use crate::refusals::Found;
use crate::{Facts, Hook, Instance, Means, Member, Needs, Observed, Placement, Refusal, bound};

/// How a hook's entry is attached on this kernel.
pub(crate) fn means(hook: &Hook, facts: &Facts) -> Means {
    if hook.point == HookPoint::Xdp || facts.tcx { Means::Link } else { Means::Filter }
}

/// Says what cannot run on a hook, before anything is planned.
pub(crate) fn admit(
    hook: &Hook,
    members: &[Member],
    placement: &Placement,
    observed: &Observed,
    refusals: &mut Found,
) {
    let Facts { kernel, .. } = &observed.facts;
    if !observed.interfaces.contains_key(&hook.interface) {
        refusals.note(Refusal::NoInterface { hook: hook.clone() });
    }
    refusals.take(placement.admit(hook, &observed.facts));
    refusals.take(admit_incumbent(hook, members, placement, observed));
    refusals.take(bound::admit(hook, members, placement, observed));
    for member in members {
        let manifest = &member.verified().package().manifest;
        let needs = manifest.kernel.min;
        if *kernel < needs {
            let package = manifest.package.name.clone();
            refusals.note(Refusal::KernelTooOld { hook: hook.clone(), package, needs, kernel: *kernel });
        }
    }
}

/// An interface has room for one XDP program: somebody else's must be refused, or have a place.
fn admit_incumbent(
    hook: &Hook,
    members: &[Member],
    placement: &Placement,
    observed: &Observed,
) -> Result<(), Refusal> {
    let named = |member: &Member| member.spec().name == Instance::incumbent().member;
    match (placement.occupied, observed.foreign.get(hook)) {
        (Occupied::Refuse, Some(program)) => {
            Err(Refusal::Occupied { hook: hook.clone(), program: program.clone() })
        }
        (Occupied::Keep, _) if members.iter().any(named) => {
            Err(Refusal::NamedIncumbent { hook: hook.clone() })
        }
        (Occupied::Refuse | Occupied::Keep | Occupied::Replace, _) => Ok(()),
    }
}

/// A packet never falls out of a chain half-way: one tail call for each member, and the members' own where they count.
pub(crate) fn admit_splice(
    hook: &Hook,
    enabled: &[&Member],
    others: usize,
    facts: &Facts,
) -> Result<(), Refusal> {
    bound::admit_splice(hook, enabled)?;
    // One call leads to what counts for somebody else's program, and one more to the program itself.
    let mut own = others;
    // A packet that is sampled leaves by one more.
    own += usize::from(enabled.iter().any(|member| member.spec().sampled.is_some()));
    for member in enabled {
        let name = || member.spec().name.clone();
        let Needs { tail_calls, throws, .. } = member.needs();
        if throws {
            return Err(Refusal::Throws { hook: hook.clone(), member: name() });
        }
        if facts.tail_calls_shared {
            let (hook, kernel) = (hook.clone(), facts.kernel);
            own += tail_calls.ok_or_else(|| Refusal::UncountedTailCalls { hook, member: name(), kernel })?;
        }
    }
    let (members, limit) = (enabled.len() + others, facts.tail_calls);
    // No call leads to a member that holds the hook itself.
    let called = members - usize::from(bound::is_headed(enabled));
    if called + own > limit {
        return Err(Refusal::TooLong { hook: hook.clone(), members, own, limit });
    }
    Ok(())
}
