// SPDX-License-Identifier: Apache-2.0
//! The promise of planning: cut any plan at any step, observe, plan again, and it arrives and has nothing more to do.
//! While it does, packets meet the old chain or the new one, and nothing else.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use kernel::{Fake, Kernel, apply};
use package::{
    BlobError, Blobs, Digest, HookPoint, Interface, Mechanism, Occupied, PackFile, PackSource, Package,
    Platform, pack,
};
use plan::{
    Desired, Entry, Hook, Incumbent, Instance, Member, MemberSpec, MemberWish, Placement, Plan, Slot, Target,
    reconcile,
};
use proptest::prelude::*;
use trust::{Circumstances, Evidence, PolicyDocument, Verified, verify};

mod bound;
mod probes;

const OBJECT: &[u8] = include_bytes!("../../package/testdata/small.bpf.o");
/// An object whose program asks the network card about packets.
const ASKS: &[u8] = include_bytes!("../../package/testdata/asks.bpf.o");

struct Memory(BTreeMap<Digest, Vec<u8>>);

impl Blobs for Memory {
    fn blob(&self, digest: &Digest, _: u64) -> Result<Vec<u8>, BlobError> {
        self.0.get(digest).cloned().ok_or(BlobError::Missing)
    }
}

/// Two releases of one package, and a third that asks the network card.
fn releases() -> &'static [Arc<Verified>; 3] {
    static RELEASES: OnceLock<[Arc<Verified>; 3]> = OnceLock::new();
    RELEASES.get_or_init(|| ["1.0.0", "2.0.0", ASKING].map(|version| Arc::new(release(version))))
}

/// The release that asks the network card.
const ASKING: &str = "3.0.0";
/// Its place among the releases.
const ASKING_AT: usize = 2;

fn release(version: &str) -> Verified {
    let program = |function: &str, hook: &str| {
        format!("[[program]]\nfunction = \"{function}\"\nobject = \"small.bpf.o\"\nhook = \"{hook}\"\n")
    };
    let programs = [("first", "xdp"), ("second", "xdp"), ("outgoing", "tc-egress")];
    let most = if version == ASKING { 1 } else { programs.len() };
    let programs = programs[..most].iter().map(|(function, hook)| program(function, hook));
    release_with(version, &programs.collect::<String>())
}

fn release_with(version: &str, programs: &str) -> Verified {
    let manifest = format!(
        "[package]\nname = \"small\"\npublisher = \"example\"\nversion = \"{version}\"\ndescription = \"d\"\n\
         category = \"a\"\nsubcategory = \"b\"\nlicense = \"MIT\"\ndocumentation = \"README.md\"\n[kernel]\nmin = \
         \"5.10\"\n[[platform]]\nos = \"linux\"\narchitecture = \"amd64\"\n{programs}"
    );
    let file = |bytes: &[u8]| PackFile { bytes: bytes.to_vec(), executable: false };
    // The releases have different objects, so that they have different maps.
    let object = [if version == ASKING { ASKS } else { OBJECT }, version.as_bytes()].concat();
    let files = [("small.bpf.o", file(&object)), ("README.md", file(b"x"))];
    let files = files.map(|(path, file)| (path.to_owned(), file)).into();
    let packed = pack(&PackSource { manifest, files }, 0).unwrap();
    let blobs = Memory(packed.blobs.iter().map(|blob| (blob.digest(), blob.bytes.clone())).collect());
    let package = Package::read(&blobs, &packed.index.digest).unwrap();
    let policy = PolicyDocument::parse("mode = \"normal\"").unwrap().resolve(&BTreeMap::new()).unwrap();
    let machine = Platform::new("linux", "amd64").unwrap();
    let memory = trust::Memory::default();
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    let at = Circumstances::deployment(&policy, &machine, &memory, now);
    verify(package, &Evidence::default(), &at).outcome.unwrap()
}

/// Four hooks on two interfaces.
fn hooks() -> Vec<Hook> {
    let interfaces = ["eth0", "eth0.100"].map(|name| name.parse::<Interface>().unwrap());
    let points = [HookPoint::Xdp, HookPoint::TcEgress];
    interfaces.iter().flat_map(|name| points.map(|point| Hook { interface: name.clone(), point })).collect()
}

/// A member by three small numbers: its name, its release, a parameter.
type Choice = (u8, usize, u8);

fn member(point: HookPoint, (name, release, limit): Choice) -> Member {
    let name = format!("m{name}").parse().unwrap();
    let config = BTreeMap::from([("limit".to_owned(), serde_json::Value::from(limit))]);
    let program = if point == HookPoint::Xdp { "first" } else { "outgoing" };
    let wish = MemberWish { config, program: Some(program.parse().unwrap()), ..MemberWish::default() };
    Member::new(name, point, &releases()[release], wish).unwrap()
}

/// Chains, and the mechanisms that are asked for. A program that is alone has no others beside it.
type Chains = Vec<(Vec<Choice>, Option<Mechanism>)>;

/// A program that asks the network card is the first of its chain, unless a dispatcher calls it.
fn desired(chains: &Chains) -> Desired {
    let mut desired = Desired::default();
    for (hook, (choices, mechanism)) in hooks().into_iter().zip(chains) {
        let mut taken = std::collections::BTreeSet::new();
        let most = if *mechanism == Some(Mechanism::Alone) { 1 } else { choices.len() };
        let once = choices.iter().filter(|choice| taken.insert(choice.0)).take(most);
        let may_ask = |at: usize| {
            hook.point == HookPoint::Xdp && (at == 0 || *mechanism == Some(Mechanism::Dispatcher))
        };
        let release = |at, release| if release == ASKING_AT && !may_ask(at) { 0 } else { release };
        let member =
            |(at, choice): (usize, &Choice)| member(hook.point, (choice.0, release(at, choice.1), choice.2));
        let members = once.enumerate().map(member).collect();
        if let Some(mechanism) = mechanism {
            desired.set_mechanism(hook.clone(), *mechanism);
        }
        desired.chain(hook, members).unwrap();
    }
    desired
}

/// The same where a program of somebody else, if there is one, is kept or put aside. Only a splice can keep one.
fn desired_with(chains: &Chains, occupied: Occupied) -> Desired {
    let keeps = occupied == Occupied::Keep;
    let chains: Chains =
        chains.iter().map(|(choices, wish)| (choices.clone(), wish.filter(|_| !keeps))).collect();
    let mut desired = desired(&chains);
    for hook in hooks().into_iter().filter(|hook| hook.point == HookPoint::Xdp) {
        desired.place(hook, Placement { occupied, ..Placement::default() });
    }
    desired
}

/// Whether a program of somebody else gets the packets of a hook: as before, or behind a chain.
fn has_packets(kernel: &Fake, hook: &Hook, wish: Occupied) -> bool {
    let observed = kernel.observe(&BTreeSet::new()).unwrap();
    let is_last = |found: &plan::ObservedHook| {
        let last = found.order().last().map(|last| found.instances[last].next.clone());
        let root = if let Entry::Root(entry) = found.entry { found.roots.get(&entry).cloned() } else { None };
        last.or(root) == Some(Target::Incumbent)
    };
    let found = observed.hooks.get(hook).filter(|found| found.root == plan::Root::Attached);
    observed.foreign.contains_key(hook)
        || found.is_some_and(|found| wish == Occupied::Replace || is_last(found))
}

/// Chains for which no mechanism is asked.
fn plain(chains: &[&[Choice]]) -> Desired {
    desired(&chains.iter().map(|choices| (choices.to_vec(), None)).collect())
}

/// What packets meet at each hook.
fn met(kernel: &Fake) -> BTreeMap<Hook, Vec<MemberSpec>> {
    let observed = kernel.observe(&BTreeSet::new()).unwrap();
    let chain = |(hook, found): (&Hook, &plan::ObservedHook)| {
        let specs =
            found.order().iter().map(|instance| found.instances[instance].spec.clone().unwrap()).collect();
        (hook.clone(), specs)
    };
    observed.hooks.iter().map(chain).filter(|(_, specs): &(_, Vec<_>)| !specs.is_empty()).collect()
}

fn wanted(desired: &Desired) -> BTreeMap<Hook, Vec<MemberSpec>> {
    let chain = |(hook, members): (&Hook, &Vec<Member>)| {
        let mechanism = desired.mechanism(hook).unwrap_or_default();
        let spec = |member: &Member| MemberSpec { mechanism, ..member.spec().clone() };
        (hook.clone(), members.iter().map(spec).collect())
    };
    desired.chains().iter().map(chain).collect()
}

fn plan_for(kernel: &Fake, desired: &Desired) -> Plan {
    reconcile(desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap()
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

fn chains() -> impl Strategy<Value = Chains> {
    let mechanisms = [Mechanism::Splice, Mechanism::Dispatcher, Mechanism::Alone].map(Some);
    let mechanism = prop::sample::select(std::iter::once(None).chain(mechanisms).collect::<Vec<_>>());
    let choices = prop::collection::vec((0..5_u8, 0..3_usize, 0..2_u8), 0..6);
    prop::collection::vec((choices, mechanism), 4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_that_is_cut_anywhere_arrives_when_it_is_made_again(
        states in prop::collection::vec((chains(), 0..60_usize, any::<bool>()), 1..5),
        wish in prop::option::of(prop::sample::select(vec![Occupied::Keep, Occupied::Replace])),
    ) {
        let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
        let theirs = hooks()[0].clone();
        if wish.is_some() {
            kernel.occupy(&theirs);
        }
        let mut last = Desired::default();
        for (chains, steps, torn) in &states {
            last = desired_with(chains, wish.unwrap_or_default());
            let plan = plan_for(&kernel, &last);
            cut(&mut kernel, &plan, &last, (*steps, *torn));
            prop_assert!(wish.is_none_or(|wish| has_packets(&kernel, &theirs, wish)));
        }
        let plan = plan_for(&kernel, &last);
        apply(&mut kernel, &plan, &last).unwrap();
        prop_assert_eq!(met(&kernel), wanted(&last));
        prop_assert_eq!(plan_for(&kernel, &last), Plan::default());
        // Nothing is left over: what is pinned is in a chain.
        for found in kernel.observe(&BTreeSet::new()).unwrap().hooks.values() {
            prop_assert_eq!(found.order().len(), found.instances.len());
            prop_assert_eq!(found.roots.len() + found.dispatchers.len(), usize::from(!matches!(found.entry, Entry::Alone(_) | Entry::Head(_))));
            let mut order = found.order();
            if wish == Some(Occupied::Keep) && found.incumbent != Incumbent::Absent {
                order.push(Instance::incumbent());
            }
            prop_assert_eq!(&found.accounted, &order);
        }
        let nothing = Desired::default();
        let plan = plan_for(&kernel, &nothing);
        apply(&mut kernel, &plan, &nothing).unwrap();
        let observed = kernel.observe(&BTreeSet::new()).unwrap();
        prop_assert!(observed.hooks.is_empty());
        prop_assert_eq!(observed.foreign.contains_key(&theirs), wish.is_some());
    }

    #[test]
    fn what_others_do_to_a_chain_is_repaired(chains in chains(), at in 0..4_usize, slot in 0..6_usize, gone: bool) {
        let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
        let desired = desired(&chains);
        let plan = plan_for(&kernel, &desired);
        apply(&mut kernel, &plan, &desired).unwrap();
        let hook = &hooks()[at];
        if let Some(found) = kernel.observe(&BTreeSet::new()).unwrap().hooks.get(hook) {
            let root = match found.entry {
                Entry::Root(buffers) => Some(Some(Slot::Root(buffers))),
                Entry::Head(_) => Some(None),
                Entry::Dispatcher(_) | Entry::Alone(_) => None,
            };
            if let Some(root) = root {
                let slots: Vec<Slot> = root.into_iter().chain(found.order().into_iter().map(Slot::Instance)).collect();
                kernel.tamper(hook, &slots[slot % slots.len()]);
            }
            kernel.unlink(hook);
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
    let desired = plain(&[&[(0, 0, 0)], &[], &[(1, 0, 0)], &[]]);
    let plan = plan_for(&kernel, &desired);
    apply(&mut kernel, &plan, &desired).unwrap();
    kernel.remove_interface(&"eth0.100".parse().unwrap());
    let observed = kernel.observe(&BTreeSet::new()).unwrap();
    let refused = reconcile(&desired, &observed).unwrap_err().to_string();
    assert_eq!(refused, "there is no interface `eth0.100` for the chain on `eth0.100/xdp`");
    let (rest, missing) = desired.without_missing_interfaces(&observed);
    assert_eq!(missing, [hooks()[2].clone()]);
    let plan = plan_for(&kernel, &rest);
    apply(&mut kernel, &plan, &rest).unwrap();
    assert_eq!(met(&kernel), wanted(&rest));
}

/// A chain of so many members on the first hook.
fn long(length: u8) -> Desired {
    let mut desired = Desired::default();
    let members = (0..length).map(|number| member(HookPoint::Xdp, (number, 0, 0))).collect();
    desired.chain(hooks()[0].clone(), members).unwrap();
    desired
}

#[test]
fn a_chain_that_is_longer_than_tail_calls_go_gets_a_dispatcher_or_is_refused_with_both_reasons() {
    let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let plan = plan_for(&kernel, &long(34)).to_string();
    let built = plan.lines().find(|line| line.contains("build dispatcher 1 of m0#1, m1#1, ")).unwrap();
    assert!(built.ends_with("m33#1 (the chain is longer than the kernel's tail calls go)"), "{built}");
    let refused = |kernel: &Fake, length| {
        reconcile(&long(length), &kernel.observe(&BTreeSet::new()).unwrap()).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused(&kernel, 251), @"the chain on `eth0/xdp` has 251 members, but the kernel follows only 33 tail calls; nor can a dispatcher run it: it has 251 members, and a dispatcher takes 250");
    kernel.forbid_extensions();
    insta::assert_snapshot!(refused(&kernel, 34), @"the chain on `eth0/xdp` has 34 members, but the kernel follows only 33 tail calls; nor can a dispatcher run it: this kernel permits no extension programs (`BPF_PROG_TYPE_EXT`)");
}

#[test]
fn a_mechanism_that_is_asked_for_and_cannot_be_is_refused() {
    let kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let refused = |function: &str, mechanism, enforcements: &[&str]| {
        let member = |(number, enforcement): (usize, &&str)| {
            let (program, enforcement) = (Some(function.parse().unwrap()), enforcement.parse().unwrap());
            let wish = MemberWish { program, enforcement, ..MemberWish::default() };
            Member::new(format!("m{number}").parse().unwrap(), HookPoint::Xdp, &releases()[0], wish).unwrap()
        };
        let mut desired = Desired::default();
        desired.set_mechanism(hooks()[0].clone(), mechanism);
        desired.chain(hooks()[0].clone(), enforcements.iter().enumerate().map(member).collect()).unwrap();
        reconcile(&desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap_err().to_string()
    };
    let (dispatcher, alone) = (Mechanism::Dispatcher, Mechanism::Alone);
    insta::assert_snapshot!(refused("second", dispatcher, &["enforce"]), @"no dispatcher can run the chain on `eth0/xdp`: the types (BTF) of `m0` do not say that it is `int (struct xdp_md *)`");
    insta::assert_snapshot!(refused("first", dispatcher, &["shadow", "canary 5%"]), @"no dispatcher can run the chain on `eth0/xdp`: `m1` runs in `canary 5%`, and a dispatcher knows no flows");
    insta::assert_snapshot!(refused("first", alone, &["enforce", "enforce"]), @"`eth0/xdp` cannot run a program alone: 2 members are enabled");
    insta::assert_snapshot!(refused("first", alone, &["shadow"]), @"`eth0/xdp` cannot run a program alone: `m0` is to run in `shadow`");
}

#[test]
fn going_from_one_mechanism_to_another_is_one_update_of_the_link() {
    let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let mut steps = Vec::new();
    for mechanism in [Mechanism::Dispatcher, Mechanism::Alone, Mechanism::Splice] {
        let desired = desired(&vec![(vec![(0, 0, 0)], Some(mechanism))]);
        let plan = plan_for(&kernel, &desired);
        apply(&mut kernel, &plan, &desired).unwrap();
        let words = plan.steps.iter().map(ToString::to_string).filter(|step| !step.contains("count along"));
        steps.extend(words);
    }
    insta::assert_snapshot!(steps.join("\n"), @"
    eth0/xdp: load m0#1 = small 1.0.0 `first` (it takes the place of a function of the dispatcher)
    eth0/xdp: build dispatcher 1 of m0#1 (the document asks for it)
    eth0/xdp: attach dispatcher 1 (packets enter the chain from here on)
    eth0/xdp: load m0#2 = small 1.0.0 `first` (it runs as its author wrote it)
    eth0/xdp: turn to m0#2 itself (the document asks for it)
    wait for packets in flight (packets may still be inside what was replaced)
    eth0/xdp: remove dispatcher 1 (it gets no packets)
    eth0/xdp: unload m0#1 (not in the chain)
    eth0/xdp: create the root (the document asks for it)
    eth0/xdp: load m0#3 = small 1.0.0 `first` (new in its place in the chain)
    eth0/xdp: point the root to m0#3 (one write puts the new path into effect)
    eth0/xdp: turn to the root (the document asks for it)
    wait for packets in flight (packets may still be inside what was replaced)
    eth0/xdp: unload m0#2 (not in the chain)
    ");
}

#[test]
fn a_plan_reads_as_sentences_with_reasons() {
    let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let one = plain(&[&[(0, 0, 0), (1, 0, 0), (2, 0, 0)]]);
    let plan = plan_for(&kernel, &one);
    apply(&mut kernel, &plan, &one).unwrap();
    let upgraded = plain(&[&[(0, 0, 0), (1, 1, 0), (2, 0, 0)]]);
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
