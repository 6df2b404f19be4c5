// SPDX-License-Identifier: Apache-2.0
//! The steps for probes. A change loads a new instance beside the running one, attaches it, and then removes the old one:
//! for a moment both see the events, and none goes unseen. Only where the kernel has room for one, at a place of
//! netfilter, the old one leaves first.

use std::collections::BTreeSet;

use package::MemberName;

use super::admit::{admit, sole_place};
use crate::carry::keep;
use crate::reconcile::Phases;
use crate::refusals::Found;
use crate::{
    Desired, Instance, Observed, ObservedProbes, Planned, Probe, ProbeRefusal, ProbeSpec, ProbeStep, State,
    Step,
};

/// Plans for all probes.
pub(crate) fn plan(desired: &Desired, observed: &Observed, phases: &mut Phases, refusals: &mut Found) {
    admit(desired, observed, refusals);
    let found = &observed.probes;
    let enabled = || desired.probes().values().filter(|probe| probe.is_enabled());
    let kept: BTreeSet<&Instance> =
        enabled().filter_map(|probe| Some(found.running(probe.spec())?.0)).collect();
    for probe in desired.probes().values() {
        refusals.take(carry(found, probe, phases));
    }
    for probe in enabled() {
        reach(found, probe, &kept, phases);
    }
    for instance in found.instances.keys().filter(|instance| !kept.contains(instance)) {
        let step = ProbeStep::Remove { instance: instance.clone() };
        phases.clean.push(planned(step, "another one is in its place, or none is wanted"));
    }
    let states: BTreeSet<State> = desired.probes().values().map(Probe::state).collect();
    for state in found.states.keys().filter(|state| !states.contains(state)) {
        let step = ProbeStep::Forget { state: state.clone() };
        phases.clean.push(planned(step, "no probe uses them"));
    }
}

/// Brings one probe to where it should be.
fn reach(found: &ObservedProbes, probe: &Probe, kept: &BTreeSet<&Instance>, phases: &mut Phases) {
    let spec = || Box::new(probe.spec().clone());
    let (instance, reason) = match found.running(probe.spec()) {
        Some((_, running)) if running.attached => return,
        Some((instance, _)) => (instance.clone(), "it is loaded, and no events reach it"),
        None => {
            let instance = fresh(found, &probe.spec().name);
            let step = ProbeStep::Load { instance: instance.clone(), spec: spec() };
            phases.prepare.push(planned(step, "no instance runs this"));
            (instance, "events reach it from here on")
        }
    };
    if let Some(place) = sole_place(&probe.spec().attach) {
        let there = |instance: &Instance| {
            let spec = found.instances.get(instance).and_then(|found| found.spec.as_ref());
            spec.and_then(|spec| sole_place(&spec.attach)).as_ref() == Some(&place)
        };
        for old in found.instances.keys().filter(|old| !kept.contains(old) && there(old)) {
            let step = ProbeStep::Detach { instance: old.clone() };
            phases.switch.push(planned(step, "the place has room for one"));
        }
    }
    phases.switch.push(planned(ProbeStep::Attach { instance, spec: spec() }, reason));
}

/// Lets a probe that gets another object begin with the maps of the one before.
fn carry(found: &ObservedProbes, probe: &Probe, phases: &mut Phases) -> Result<(), ProbeRefusal> {
    let to = probe.state();
    if found.states.get(&to).is_some_and(Option::is_some) {
        return Ok(());
    }
    let complete = found.states.iter().filter(|(state, _)| state.member == to.member && **state != to);
    let complete = complete.filter_map(|(state, layout)| Some((state, layout.as_ref()?)));
    let specs = |attached| {
        let instances = found.instances.values().filter(move |found| found.attached == attached);
        instances.filter_map(|found| found.spec.as_ref())
    };
    let running = specs(true).chain(specs(false)).find(|spec| spec.name == to.member);
    let is_running = |state: &State| running.is_some_and(|spec| spec.object == state.object);
    // The maps of the instance that is attached, else any that are complete.
    let Some((from, layout)) = complete.max_by_key(|(state, _)| is_running(state)) else { return Ok(()) };
    let ProbeSpec { shares, contents, .. } = probe.spec();
    let is_own = |map: &str| !shares.contains_key(map) && !contents.contains_key(map);
    let begins_fresh = |map: &str| probe.begins_fresh(map);
    let maps = keep(layout, probe.layout(), (is_own, begins_fresh)).map_err(|(map, difference)| {
        let told = |line: Option<String>| line.unwrap_or_else(|| "nothing more".to_owned());
        let (was, becomes) = (told(difference.was), told(difference.becomes));
        ProbeRefusal::Layout { probe: to.member.clone(), map, was, becomes }
    })?;
    if !maps.is_empty() {
        let step = ProbeStep::Carry { from: from.clone(), to, maps };
        phases.prepare.push(planned(step, "the new release goes on where the old one was"));
    }
    Ok(())
}

/// A name that no instance has yet.
fn fresh(found: &ObservedProbes, probe: &MemberName) -> Instance {
    let serials = found.instances.keys().filter(|instance| instance.member == *probe);
    let highest = serials.map(|instance| instance.serial).max().unwrap_or_default();
    Instance { member: probe.clone(), serial: highest + 1 }
}

fn planned(step: ProbeStep, reason: &'static str) -> Planned {
    Planned { step: Step::Probe(step), reason }
}
