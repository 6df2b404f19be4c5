// SPDX-License-Identifier: Apache-2.0
//! What the kernel in memory knows of probes. The stories of `probes` show the same rules on a real one.

use package::{Attachment, Object};
use plan::{Desired, Instance, ObservedProbe, ObservedProbes, ProbeSpec, ProbeStep, State};

/// Carries out one step.
pub(super) fn execute(
    probes: &mut ObservedProbes,
    step: &ProbeStep,
    desired: &Desired,
) -> Result<(), &'static str> {
    match step {
        ProbeStep::Carry { from, to, .. } => {
            if !probes.states.get(from).is_some_and(Option::is_some) {
                return Err("there are no such maps");
            }
            probes.states.entry(to.clone()).or_default();
        }
        ProbeStep::Load { instance, spec } => {
            let object = desired.object(&spec.object).ok_or("no package holds the object")?;
            let layout = Object::parse(object).ok().map(|object| object.layout);
            probes.states.insert(state(spec), layout);
            let loaded = ObservedProbe { spec: Some((**spec).clone()), code: None, attached: false };
            probes.instances.insert(instance.clone(), loaded);
        }
        ProbeStep::Attach { instance, spec } => attach(probes, instance, spec)?,
        ProbeStep::Detach { instance } => {
            probes.instances.get_mut(instance).ok_or("there is no such instance")?.attached = false;
        }
        ProbeStep::Remove { instance } => drop(probes.instances.remove(instance)),
        ProbeStep::Forget { state } => drop(probes.states.remove(state)),
    }
    Ok(())
}

/// Does half of a step.
pub(super) fn tear(probes: &mut ObservedProbes, step: &ProbeStep) {
    match step {
        ProbeStep::Carry { to, .. } => drop(probes.states.entry(to.clone()).or_default()),
        ProbeStep::Load { instance, spec } => {
            probes.states.entry(state(spec)).or_default();
            probes
                .instances
                .insert(instance.clone(), ObservedProbe { spec: None, code: None, attached: false });
        }
        // The links go before the record.
        ProbeStep::Attach { instance, .. } | ProbeStep::Remove { instance } => {
            if let Some(found) = probes.instances.get_mut(instance) {
                found.attached = false;
            }
        }
        ProbeStep::Detach { .. } | ProbeStep::Forget { .. } => {}
    }
}

/// A place of netfilter has room for one.
fn attach(probes: &mut ObservedProbes, instance: &Instance, spec: &ProbeSpec) -> Result<(), &'static str> {
    let is_taken = probes.instances.iter().any(|(other, found)| {
        let there = found.spec.as_ref().is_some_and(|other| other.attach == spec.attach);
        other != instance && found.attached && there
    });
    if is_taken && matches!(spec.attach, Attachment::Netfilter { .. }) {
        return Err("the place is taken");
    }
    let found = probes.instances.get_mut(instance).ok_or("there is no such instance")?;
    if found.spec.as_ref() != Some(spec) {
        return Err("the instance runs something else");
    }
    found.attached = true;
    Ok(())
}

fn state(spec: &ProbeSpec) -> State {
    State { member: spec.name.clone(), object: spec.object }
}
