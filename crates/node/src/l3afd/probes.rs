// SPDX-License-Identifier: Apache-2.0
//! The programs in an object that are no members: l3afd v1 attaches them when it loads the object.

use plan::{Member, Part, Probe, ProbeWish, UnfitProbe};
use wire::l3afd::identifier;

/// The probes in the object of a member, as parts of its deployment, so that they use the same maps.
pub(crate) fn probes_beside(member: &Member, part: Option<Part>) -> Result<Vec<Probe>, UnfitProbe> {
    let manifest = &member.verified().package().manifest;
    let object = manifest.program(&member.spec().function).map(|program| &program.object);
    let Some((part, object)) = part.zip(object).filter(|_| member.is_enabled()) else {
        return Ok(Vec::new());
    };
    let beside = manifest.programs.iter().filter(|program| program.object == *object);
    let probes = beside.filter(|program| program.hook.probe().is_some()).map(|program| {
        let wish = ProbeWish {
            program: Some(program.function.clone()),
            deployment: Some(part.clone()),
            ..ProbeWish::default()
        };
        let name = identifier(&format!("{}-{}", part.deployment, program.function));
        Probe::new(name, member.verified(), wish)
    });
    probes.collect()
}
