// SPDX-License-Identifier: Apache-2.0
//! The promise of planning on a real kernel: plans that are cut at any step arrive when they are made again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use kernel::{Kernel, Linux, apply};
use package::{HookPoint, Mechanism, Package};
use plan::{Desired, Hook, Member, MemberSpec, MemberWish, Plan, reconcile};
use trust::Verified;
use wire::Layout;

use crate::hooks::mechanism::has_dispatchers;
use crate::packages;
use it::Dice;

fn verified(name: &str) -> Arc<Verified> {
    let layout = Layout::open(Path::new(&packages().path(name))).unwrap();
    let package = Package::read(&layout, &layout.index().unwrap()).unwrap();
    it::unverified(package).unwrap()
}

fn desired(dice: &mut Dice, hook: &Hook, packages: &[Arc<Verified>; 2]) -> Desired {
    let mut names = BTreeSet::new();
    let mut members = Vec::new();
    for _ in 0..dice.below(6) {
        let (name, limit) = (dice.below(4), dice.below(2));
        if names.insert(name) {
            let package = &packages[usize::try_from(name % 2).unwrap()];
            let parameter = if name % 2 == 0 { "burst" } else { "check_land" };
            let value = if name % 2 == 0 {
                serde_json::Value::from(i64::try_from(limit).unwrap())
            } else {
                serde_json::Value::from(limit == 0)
            };
            let wish = MemberWish {
                config: BTreeMap::from([(parameter.to_owned(), value)]),
                ..MemberWish::default()
            };
            members
                .push(Member::new(format!("m{name}").parse().unwrap(), hook.point, package, wish).unwrap());
        }
    }
    let mut desired = Desired::default();
    let mechanisms = [Mechanism::Splice, Mechanism::Alone, Mechanism::Dispatcher];
    let known = if has_dispatchers() { 3 } else { 2 };
    let mechanism = mechanisms[dice.index(known)];
    if mechanism == Mechanism::Alone {
        members.truncate(1);
    }
    desired.set_mechanism(hook.clone(), mechanism);
    desired.chain(hook.clone(), members).unwrap();
    desired
}

fn met(kernel: &Linux, hook: &Hook) -> Vec<MemberSpec> {
    let observed = kernel.observe(&BTreeSet::new()).unwrap();
    let Some(found) = observed.hooks.get(hook) else { return Vec::new() };
    found.order().iter().map(|instance| found.instances[instance].spec.clone().unwrap()).collect()
}

fn wanted(desired: &Desired, hook: &Hook) -> Vec<MemberSpec> {
    let mechanism = desired.mechanism(hook).unwrap_or_default();
    let spec = |member: &Member| MemberSpec { mechanism, ..member.spec().clone() };
    desired.chains().get(hook).into_iter().flatten().map(spec).collect()
}

#[test]
fn fifty_random_plans_that_are_cut_at_any_step_arrive() {
    let pair = it::Pair::new().unwrap();
    let packages = [verified("ratelimit"), verified("sanity")];
    let pins = Path::new("/sys/fs/bpf").join(it::unique("l3af-plan-"));
    let folder = pins.clone();
    let rounds = crate::rounds(50, 5);
    pair.right
        .inside(move || {
            let hook = Hook { interface: "right0".parse().unwrap(), point: HookPoint::Xdp };
            let mut kernel = Linux::open(&folder).unwrap();
            let mut dice = Dice::new();
            for round in 0..rounds {
                let desired = desired(&mut dice, &hook, &packages);
                let before = met(&kernel, &hook);
                let plan = reconcile(&desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap();
                let cut = usize::try_from(dice.below(plan.steps.len() as u64 + 1)).unwrap();
                for planned in &plan.steps[..cut] {
                    kernel.execute(&planned.step, &desired).unwrap();
                    let now = met(&kernel, &hook);
                    assert!(
                        now == before || now == wanted(&desired, &hook),
                        "round {round}, after {planned}"
                    );
                }
                let again = reconcile(&desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap();
                apply(&mut kernel, &again, &desired).unwrap();
                assert_eq!(met(&kernel, &hook), wanted(&desired, &hook), "round {round}");
                assert_eq!(
                    reconcile(&desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap(),
                    Plan::default()
                );
            }
            let nothing = Desired::default();
            let plan = reconcile(&nothing, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap();
            apply(&mut kernel, &plan, &nothing).unwrap();
        })
        .unwrap();
    // Nothing is left: the folder of pins is empty.
    std::fs::remove_dir(&pins).unwrap();
}
