// SPDX-License-Identifier: Apache-2.0
//! The promise of planning: cut any plan at any step, observe, plan again, and it arrives and has nothing more to do.
//! While it does, packets meet the old chain or the new one, and nothing else.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use kernel::{Fake, Kernel, apply};
use package::{
    BlobError, Blobs, Digest, HookPoint, InterfaceName, PackFile, PackSource, Package, ParameterValue,
    Platform, pack,
};
use plan::{Desired, Hook, Member, MemberSpec, MemberWish, Plan, Slot, reconcile};
use proptest::prelude::*;
use trust::{PolicyDocument, Verified, verify};

mod probes;

const OBJECT: &[u8] = include_bytes!("../../package/testdata/small.bpf.o");

struct Memory(BTreeMap<Digest, Vec<u8>>);

impl Blobs for Memory {
    fn blob(&self, digest: &Digest, _: u64) -> Result<Vec<u8>, BlobError> {
        self.0.get(digest).cloned().ok_or(BlobError::Missing)
    }
}

/// Two releases of one package.
fn releases() -> &'static [Arc<Verified>; 2] {
    static RELEASES: OnceLock<[Arc<Verified>; 2]> = OnceLock::new();
    RELEASES.get_or_init(|| ["1.0.0", "2.0.0"].map(|version| Arc::new(release(version))))
}

fn release(version: &str) -> Verified {
    let programs = "[[program]]\nfunction = \"first\"\nobject = \"small.bpf.o\"\nhook = \"xdp\"\n[[program]]\n\
                    function = \"outgoing\"\nobject = \"small.bpf.o\"\nhook = \"tc-egress\"\n";
    release_with(version, programs)
}

fn release_with(version: &str, programs: &str) -> Verified {
    let manifest = format!(
        "[package]\nname = \"small\"\npublisher = \"example\"\nversion = \"{version}\"\ndescription = \"d\"\n\
         category = \"a\"\nsubcategory = \"b\"\nlicense = \"MIT\"\ndocumentation = \"README.md\"\n[kernel]\nmin = \
         \"5.10\"\n[[platform]]\nos = \"linux\"\narchitecture = \"amd64\"\n{programs}"
    );
    let file = |bytes: &[u8]| PackFile { bytes: bytes.to_vec(), executable: false };
    // The releases have different objects, so that they have different maps.
    let object = [OBJECT, version.as_bytes()].concat();
    let files = [("small.bpf.o", file(&object)), ("README.md", file(b"x"))];
    let files = files.map(|(path, file)| (path.to_owned(), file)).into();
    let packed = pack(&PackSource { manifest, files }, 0).unwrap();
    let blobs = Memory(packed.blobs.iter().map(|blob| (blob.digest(), blob.bytes.clone())).collect());
    let package = Package::read(&blobs, &packed.index.digest).unwrap();
    let policy = PolicyDocument::parse("mode = \"normal\"").unwrap().resolve(&BTreeMap::new()).unwrap();
    let machine = Platform::new("linux", "amd64").unwrap();
    verify(package, &[], &policy, &machine, "2030-01-01T00:00:00Z".parse().unwrap()).unwrap()
}

/// Four hooks on two interfaces.
fn hooks() -> Vec<Hook> {
    let interfaces = ["eth0", "eth0.100"].map(|name| name.parse::<InterfaceName>().unwrap());
    let points = [HookPoint::Xdp, HookPoint::TcEgress];
    interfaces.iter().flat_map(|name| points.map(|point| Hook { interface: name.clone(), point })).collect()
}

/// A member by three small numbers: its name, its release, a parameter.
type Choice = (u8, usize, u8);

fn member(point: HookPoint, (name, release, limit): Choice) -> Member {
    let name = format!("m{name}").parse().unwrap();
    let config = BTreeMap::from([("limit".to_owned(), ParameterValue::integer(limit))]);
    Member::new(name, point, &releases()[release], MemberWish { config, ..MemberWish::default() }).unwrap()
}

fn desired(chains: &[Vec<Choice>]) -> Desired {
    let mut desired = Desired::default();
    for (hook, choices) in hooks().into_iter().zip(chains) {
        let mut taken = std::collections::BTreeSet::new();
        let once = choices.iter().filter(|choice| taken.insert(choice.0));
        let members = once.map(|choice| member(hook.point, *choice)).collect();
        desired.chain(hook, members).unwrap();
    }
    desired
}

/// What packets meet at each hook.
fn met(kernel: &Fake) -> BTreeMap<Hook, Vec<MemberSpec>> {
    let observed = kernel.observe().unwrap();
    let chain = |(hook, found): (&Hook, &plan::ObservedHook)| {
        let specs =
            found.order().iter().map(|instance| found.instances[instance].spec.clone().unwrap()).collect();
        (hook.clone(), specs)
    };
    observed.hooks.iter().map(chain).filter(|(_, specs): &(_, Vec<_>)| !specs.is_empty()).collect()
}

fn wanted(desired: &Desired) -> BTreeMap<Hook, Vec<MemberSpec>> {
    let specs = |members: &[Member]| members.iter().map(|member| member.spec().clone()).collect();
    desired.chains().iter().map(|(hook, members)| (hook.clone(), specs(members))).collect()
}

fn plan_for(kernel: &Fake, desired: &Desired) -> Plan {
    reconcile(desired, &kernel.observe().unwrap()).unwrap()
}

/// Carries out a plan up to a step, and half of that step when it is torn. At every step each hook has its old chain or
/// its new one.
fn cut(kernel: &mut Fake, plan: &Plan, desired: &Desired, (steps, torn): (usize, bool)) {
    let before = met(kernel);
    let after = wanted(desired);
    for planned in plan.steps.iter().take(steps) {
        kernel.execute(&planned.step, desired).unwrap();
        let now = met(kernel);
        for hook in hooks() {
            let here = now.get(&hook);
            assert!(here == before.get(&hook) || here == after.get(&hook), "{hook} after {planned}");
        }
    }
    if let Some(planned) = plan.steps.get(steps).filter(|_| torn) {
        kernel.tear(&planned.step);
    }
}

fn chains() -> impl Strategy<Value = Vec<Vec<Choice>>> {
    prop::collection::vec(prop::collection::vec((0..5_u8, 0..2_usize, 0..2_u8), 0..6), 4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_that_is_cut_anywhere_arrives_when_it_is_made_again(
        states in prop::collection::vec((chains(), 0..60_usize, any::<bool>()), 1..5),
    ) {
        let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
        let mut last = Desired::default();
        for (chains, steps, torn) in &states {
            last = desired(chains);
            let plan = plan_for(&kernel, &last);
            cut(&mut kernel, &plan, &last, (*steps, *torn));
        }
        let plan = plan_for(&kernel, &last);
        apply(&mut kernel, &plan, &last).unwrap();
        prop_assert_eq!(met(&kernel), wanted(&last));
        prop_assert_eq!(plan_for(&kernel, &last), Plan::default());
        // Nothing is left over: what is pinned is in a chain.
        for found in kernel.observe().unwrap().hooks.values() {
            prop_assert_eq!(found.order().len(), found.instances.len());
            prop_assert_eq!(&found.accounted, &found.order());
        }
    }

    #[test]
    fn what_others_do_to_a_chain_is_repaired(chains in chains(), at in 0..4_usize, slot in 0..6_usize, gone: bool) {
        let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
        let desired = desired(&chains);
        let plan = plan_for(&kernel, &desired);
        apply(&mut kernel, &plan, &desired).unwrap();
        let hook = &hooks()[at];
        if let Some(found) = kernel.observe().unwrap().hooks.get(hook) {
            let slots: Vec<Slot> =
                std::iter::once(Slot::Root(plan::Buffers::One)).chain(found.order().into_iter().map(Slot::Instance)).collect();
            kernel.tamper(hook, &slots[slot % slots.len()]);
            if gone {
                kernel.sever(hook);
            }
        }
        let plan = plan_for(&kernel, &desired);
        apply(&mut kernel, &plan, &desired).unwrap();
        prop_assert_eq!(met(&kernel), wanted(&desired));
        prop_assert_eq!(plan_for(&kernel, &desired), Plan::default());
    }
}

#[test]
fn a_chain_on_a_missing_interface_is_refused_and_the_rest_can_run() {
    let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let desired = desired(&[vec![(0, 0, 0)], vec![], vec![(1, 0, 0)], vec![]]);
    let plan = plan_for(&kernel, &desired);
    apply(&mut kernel, &plan, &desired).unwrap();
    kernel.remove_interface(&"eth0.100".parse().unwrap());
    let observed = kernel.observe().unwrap();
    let refused = reconcile(&desired, &observed).unwrap_err().to_string();
    assert_eq!(refused, "there is no interface `eth0.100` for the chain on `eth0.100/xdp`");
    let (rest, missing) = desired.without_missing_interfaces(&observed);
    assert_eq!(missing, [hooks()[2].clone()]);
    let plan = plan_for(&kernel, &rest);
    apply(&mut kernel, &plan, &rest).unwrap();
    assert_eq!(met(&kernel), wanted(&rest));
}

#[test]
fn a_chain_that_is_longer_than_tail_calls_go_is_refused() {
    let kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let mut desired = Desired::default();
    let members = (0..34).map(|number| member(HookPoint::Xdp, (number, 0, 0))).collect();
    desired.chain(hooks()[0].clone(), members).unwrap();
    let refused = reconcile(&desired, &kernel.observe().unwrap()).unwrap_err().to_string();
    assert_eq!(refused, "the chain on `eth0/xdp` has 34 members, but the kernel follows only 33 tail calls");
}

#[test]
fn a_plan_reads_as_sentences_with_reasons() {
    let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let one = desired(&[vec![(0, 0, 0), (1, 0, 0), (2, 0, 0)]]);
    let plan = plan_for(&kernel, &one);
    apply(&mut kernel, &plan, &one).unwrap();
    let upgraded = desired(&[vec![(0, 0, 0), (1, 1, 0), (2, 0, 0)]]);
    let plan = plan_for(&kernel, &upgraded).to_string();
    let plan: Vec<String> =
        plan.lines().map(|line| line.split("object sha256").next().unwrap().to_owned()).collect();
    insta::assert_snapshot!(plan.join("\n"), @"
      1. eth0/xdp: carry seen of maps of `m1` from 
      2. eth0/xdp: load m1#2 = small 2.0.0 `first` (new in its place in the chain)
      3. eth0/xdp: point m1#2 to m2#1 (not yet reached by packets)
      4. eth0/xdp: point m0#1 to m1#2 (one write puts the new path into effect)
      5. eth0/xdp: count along m0#1, m1#2, m2#1 (each member's packets follow from the order of the chain)
      6. wait for packets in flight (packets may still be inside what was replaced)
      7. eth0/xdp: unload m1#1 (not in the chain)
      8. eth0/xdp: delete maps of `m1` from
    ");
}
