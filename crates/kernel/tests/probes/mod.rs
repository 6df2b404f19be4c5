// SPDX-License-Identifier: Apache-2.0
//! The promise of planning, for probes: a plan that is cut anywhere arrives when it is made again, and until then every
//! event is seen by the old instance or the new one, but where the kernel has room for one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use kernel::{Fake, Kernel, apply};
use package::{AttachKey, AttachOptions, AttachValue, KernelVersion, MemberName};
use plan::{Desired, Observed, Plan, Probe, ProbeSpec, ProbeWish, reconcile};
use proptest::prelude::*;
use trust::Verified;

use super::{plan_for, release_with};

const PROGRAMS: &str = "[[program]]\nfunction = \"first\"\nobject = \"small.bpf.o\"\nhook = \"tracepoint\"\n\
    attach = { tracepoint = \"sched:sched_switch\" }\n[[program]]\nfunction = \"outgoing\"\n\
    object = \"small.bpf.o\"\nhook = \"netfilter\"\nattach = { family = \"ipv4\", hook = \"input\" }\n";

fn releases() -> &'static [Arc<Verified>; 2] {
    static RELEASES: OnceLock<[Arc<Verified>; 2]> = OnceLock::new();
    RELEASES.get_or_init(|| ["1.0.0", "2.0.0"].map(|version| Arc::new(release_with(version, PROGRAMS))))
}

/// A probe by small numbers: its name, its release, a parameter, and a place of netfilter, or none for a tracepoint.
type Choice = (u8, usize, u8, Option<i8>);

fn probe((name, release, limit, place): Choice) -> Probe {
    let function = if place.is_some() { "outgoing" } else { "first" };
    let priority = place.map(|place| (AttachKey::Priority, AttachValue::from(place.to_string().as_str())));
    let wish = ProbeWish {
        program: Some(function.parse().unwrap()),
        attach: priority.into_iter().collect::<AttachOptions>(),
        disabled: limit == 2,
        config: BTreeMap::from([("limit".to_owned(), serde_json::Value::from(limit))]),
        ..ProbeWish::default()
    };
    Probe::new(format!("p{name}").parse().unwrap(), &releases()[release], wish).unwrap()
}

/// The probes of these names; of two at one place the second is left out.
fn desired(choices: &[Choice]) -> Desired {
    let (mut desired, mut places) = (Desired::default(), std::collections::BTreeSet::new());
    for choice in choices.iter().filter(|choice| choice.3.is_none() || places.insert(choice.3)) {
        drop(desired.probe(probe(*choice)));
    }
    desired
}

fn attached(observed: &Observed) -> BTreeMap<MemberName, Vec<ProbeSpec>> {
    let mut attached: BTreeMap<MemberName, Vec<ProbeSpec>> = BTreeMap::new();
    for found in observed.probes.instances.values().filter(|found| found.attached) {
        let spec = found.spec.clone().unwrap();
        attached.entry(spec.name.clone()).or_default().push(spec);
    }
    attached
}

fn wanted(desired: &Desired) -> BTreeMap<MemberName, Vec<ProbeSpec>> {
    let enabled = desired.probes().iter().filter(|(_, probe)| probe.is_enabled());
    enabled.map(|(name, probe)| (name.clone(), vec![probe.spec().clone()])).collect()
}

/// Carries out a plan up to a step, and half of that step when it is torn. A tracepoint that is wanted before and after
/// is watched at every step.
fn cut(kernel: &mut Fake, plan: &Plan, desired: &Desired, (steps, torn): (usize, bool)) {
    let (before, after) = (attached(&kernel.observe(&BTreeSet::new()).unwrap()), wanted(desired));
    let is_tracepoint = |spec: &ProbeSpec| spec.function.as_ref() == "first";
    for planned in plan.steps.iter().take(steps) {
        kernel.execute(&planned.step, desired).unwrap();
        let now = attached(&kernel.observe(&BTreeSet::new()).unwrap());
        for name in before.iter().filter(|(_, specs)| specs.iter().all(is_tracepoint)).map(|(name, _)| name) {
            assert!(now.contains_key(name) || !after.contains_key(name), "{name} after {planned}");
        }
    }
    if let Some(planned) = plan.steps.get(steps).filter(|_| torn) {
        kernel.tear(&planned.step);
    }
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let place = prop::option::of(0..2_i8);
    prop::collection::vec((0..4_u8, 0..2_usize, 0..3_u8, place), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn probes_arrive_after_every_cut(states in prop::collection::vec((choices(), 0..20_usize, any::<bool>()), 1..6)) {
        let mut kernel = Fake::new([]);
        let mut last = Desired::default();
        for (choices, steps, torn) in &states {
            last = desired(choices);
            let plan = plan_for(&kernel, &last);
            cut(&mut kernel, &plan, &last, (*steps, *torn));
        }
        let plan = plan_for(&kernel, &last);
        apply(&mut kernel, &plan, &last).unwrap();
        let observed = kernel.observe(&BTreeSet::new()).unwrap();
        prop_assert_eq!(attached(&observed), wanted(&last));
        prop_assert_eq!(observed.probes.instances.len(), wanted(&last).len());
        prop_assert_eq!(plan_for(&kernel, &last), Plan::default());
    }
}

#[test]
fn a_probe_that_was_detached_is_attached_again_and_not_loaded() {
    let mut kernel = Fake::new([]);
    let desired = desired(&[(0, 0, 0, None)]);
    let plan = plan_for(&kernel, &desired);
    insta::assert_snapshot!(plan.to_string(), @"
    1. probe: load p0#1 = small 1.0.0 `first` (no instance runs this)
    2. probe: attach p0#1 to tracepoint `sched:sched_switch` (events reach it from here on)
    ");
    apply(&mut kernel, &plan, &desired).unwrap();
    let instance = kernel.observe(&BTreeSet::new()).unwrap().probes.instances.into_keys().next().unwrap();
    kernel.sever_probe(&instance);
    insta::assert_snapshot!(plan_for(&kernel, &desired).to_string(), @"  1. probe: attach p0#1 to tracepoint `sched:sched_switch` (it is loaded, and no events reach it)");
}

#[test]
fn a_change_attaches_the_new_instance_before_the_old_one_goes_but_where_there_is_room_for_one() {
    let mut kernel = Fake::new([]);
    let before = desired(&[(0, 0, 0, None), (1, 0, 0, Some(7))]);
    let plan = plan_for(&kernel, &before);
    apply(&mut kernel, &plan, &before).unwrap();
    let plan = plan_for(&kernel, &desired(&[(0, 1, 0, None), (1, 1, 0, Some(7))])).to_string();
    let plan: Vec<&str> = plan.lines().map(|line| line.split("object sha256").next().unwrap()).collect();
    insta::assert_snapshot!(plan.join("\n"), @"
     1. probe: carry seen of maps of `p0` from 
     2. probe: carry seen of maps of `p1` from 
     3. probe: load p0#2 = small 2.0.0 `first` (no instance runs this)
     4. probe: load p1#2 = small 2.0.0 `outgoing` (no instance runs this)
     5. probe: attach p0#2 to tracepoint `sched:sched_switch` (events reach it from here on)
     6. probe: detach p1#1 (the place has room for one)
     7. probe: attach p1#2 to netfilter `ipv4:input:7` (events reach it from here on)
     8. probe: remove p0#1 (another one is in its place, or none is wanted)
     9. probe: remove p1#1 (another one is in its place, or none is wanted)
    10. probe: delete maps of `p0` from 
    11. probe: delete maps of `p1` from
    ");
}

#[test]
fn a_probe_without_a_target_is_refused_or_waits_and_what_is_attached_stays() {
    let mut kernel = Fake::new([]);
    let both = desired(&[(0, 0, 0, None), (1, 0, 0, None)]);
    let name = "p0".parse().unwrap();
    kernel.lose_target(&name);
    let observed = kernel.observe(&BTreeSet::new()).unwrap();
    let refused = reconcile(&both, &observed).unwrap_err();
    insta::assert_snapshot!(refused, @"the probe `p0` has no target: it is gone");
    let (rest, waiting) = both.clone().without_missing_targets(&observed);
    assert_eq!(waiting, [name]);
    let plan = plan_for(&kernel, &rest);
    apply(&mut kernel, &plan, &rest).unwrap();
    assert_eq!(attached(&kernel.observe(&BTreeSet::new()).unwrap()).len(), 1);
    kernel.lose_target(&"p1".parse().unwrap());
    let (_, waiting) = both.without_missing_targets(&kernel.observe(&BTreeSet::new()).unwrap());
    assert_eq!(waiting.len(), 1, "p1 is attached and needs its target no more");
}

#[test]
fn what_this_kernel_does_not_have_is_refused() {
    let observed = Fake::new([]).observe(&BTreeSet::new()).unwrap();
    let refused = |observed: &Observed, choices: &[Choice]| {
        reconcile(&desired(choices), observed).unwrap_err().to_string()
    };
    let mut old = observed.clone();
    old.facts.kernel = KernelVersion { major: 5, minor: 10 };
    insta::assert_snapshot!(refused(&old, &[(0, 0, 0, None)]), @"the kind `tracepoint` of the probe `p0` needs Linux 5.15; this is Linux 5.10");
    old.facts.kernel = KernelVersion { major: 6, minor: 1 };
    insta::assert_snapshot!(refused(&old, &[(0, 0, 0, Some(1))]), @"the kind `netfilter` of the probe `p0` needs Linux 6.4; this is Linux 6.1");
    let mut lacking = observed.clone();
    lacking.facts.lacks.insert(package::ProbeKind::Tracepoint, "there is no tracefs".to_owned());
    insta::assert_snapshot!(refused(&lacking, &[(0, 0, 0, None)]), @"the probe `p0` is of the kind `tracepoint`, which this kernel does not have: there is no tracefs");
    let mut twice = Desired::default();
    for name in 0..2 {
        twice.probe(probe((name, 0, 0, Some(3)))).unwrap();
    }
    insta::assert_snapshot!(reconcile(&twice, &observed).unwrap_err(), @"the probes `p1` and `p0` are both at `ipv4:input:3` of netfilter, which has room for one");
    insta::assert_snapshot!(twice.probe(probe((0, 0, 0, None))).unwrap_err(), @"there are two probes named `p0`");
}
