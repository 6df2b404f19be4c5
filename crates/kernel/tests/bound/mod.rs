// SPDX-License-Identifier: Apache-2.0
//! Programs that ask the network card about packets, and are bound to it: where they may be, and how they come and go.

use package::XdpMode;
use plan::Unbindable;

use super::*;

/// The first hook with the programs of these releases, under the mechanism that is asked for.
fn asking(releases: &[usize], mechanism: Option<Mechanism>) -> Desired {
    let mut desired = Desired::default();
    let member = |(name, release): (usize, &usize)| {
        // Who asks has another name, so that the others are the same whether it is there or not.
        let name = if *release == ASKING_AT { "asks".to_owned() } else { format!("m{name}") };
        let program = Some("first".parse().unwrap());
        let wish = MemberWish { program, ..MemberWish::default() };
        Member::new(name.parse().unwrap(), HookPoint::Xdp, &self::releases()[*release], wish).unwrap()
    };
    let members = releases.iter().enumerate().map(|(at, release)| {
        let before = releases[..at].iter().filter(|release| **release != ASKING_AT).count();
        member((before, release))
    });
    if let Some(mechanism) = mechanism {
        desired.set_mechanism(hooks()[0].clone(), mechanism);
    }
    desired.chain(hooks()[0].clone(), members.collect()).unwrap();
    desired
}

#[test]
fn the_head_of_a_chain_comes_and_goes_by_one_update_of_the_link_and_the_rest_stays() {
    let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let mut steps = Vec::new();
    for releases in [&[0, 0][..], &[ASKING_AT, 0, 0], &[ASKING_AT, 0], &[0]] {
        let desired = asking(releases, None);
        let plan = plan_for(&kernel, &desired);
        apply(&mut kernel, &plan, &desired).unwrap();
        let words = plan.steps.iter().map(ToString::to_string);
        steps.extend(words.filter(|step| !step.contains("count along") && !step.contains("delete maps")));
    }
    insta::assert_snapshot!(steps.join("\n"), @"
    eth0/xdp: create the root (a splice costs least, and the chain fits into the kernel's tail calls)
    eth0/xdp: load m0#1 = small 1.0.0 `first` (new in its place in the chain)
    eth0/xdp: load m1#1 = small 1.0.0 `first` (new in its place in the chain)
    eth0/xdp: point m0#1 to m1#1 (not yet reached by packets)
    eth0/xdp: point the root to m0#1 (one write puts the new path into effect)
    eth0/xdp: attach the root (packets enter the chain from here on)
    eth0/xdp: load asks#1 = small 3.0.0 `first` (new in its place in the chain)
    eth0/xdp: point asks#1 to m0#1 (not yet reached by packets)
    eth0/xdp: turn to asks#1 as the head of the chain (the kernel lets no root lead to a program that asks the network card)
    wait for packets in flight (packets may still be inside what was replaced)
    eth0/xdp: remove the root (it gets no packets)
    eth0/xdp: end the chain at m0#1 (one write puts the new path into effect)
    wait for packets in flight (packets may still be inside what was replaced)
    eth0/xdp: unload m1#1 (not in the chain)
    eth0/xdp: create the root (a splice costs least, and the chain fits into the kernel's tail calls)
    eth0/xdp: point the root to m0#1 (one write puts the new path into effect)
    eth0/xdp: turn to the root (no member asks the network card)
    wait for packets in flight (packets may still be inside what was replaced)
    eth0/xdp: unload asks#1 (not in the chain)
    ");
}

#[test]
fn a_program_that_asks_the_card_is_the_first_or_in_a_dispatcher_or_refused() {
    let eth0: Interface = "eth0".parse().unwrap();
    let mut kernel = Fake::new([eth0.clone()]);
    let behind = asking(&[0, ASKING_AT], None);
    let plan = plan_for(&kernel, &behind).to_string();
    assert!(
        plan.contains(
            "build dispatcher 1 of m0#1, asks#1 (a member that is not the first asks the network card)"
        ),
        "{plan}"
    );
    let refused = |kernel: &Fake, desired: &Desired| {
        reconcile(desired, &kernel.observe(&BTreeSet::new()).unwrap()).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused(&kernel, &asking(&[0, ASKING_AT], Some(Mechanism::Splice))), @"`asks` on `eth0/xdp` asks the network card about packets (`bpf_xdp_metadata_rx_*`), which only a program may that is loaded for one device: the kernel puts no such program into a program array, so that it can only be the first member of a splice");
    kernel.forbid_extensions();
    insta::assert_snapshot!(refused(&kernel, &behind), @"`asks` on `eth0/xdp` asks the network card about packets (`bpf_xdp_metadata_rx_*`), which only a program may that is loaded for one device: the kernel puts no such program into a program array, so that it can only be the first member of a splice; nor can a dispatcher run it: this kernel permits no extension programs (`BPF_PROG_TYPE_EXT`)");
    let first = |mode| {
        let mut desired = asking(&[ASKING_AT, 0], None);
        desired.place(hooks()[0].clone(), Placement { mode, ..Placement::default() });
        desired
    };
    insta::assert_snapshot!(refused(&kernel, &first(Some(XdpMode::Generic))), @"`asks` on `eth0/xdp` asks the network card about packets (`bpf_xdp_metadata_rx_*`), which only a program may that is loaded for one device: such a program runs in the driver, and the chain is to run in mode `generic`");
    kernel.forbid_binding(eth0.clone(), Unbindable::NoDriver);
    insta::assert_snapshot!(refused(&kernel, &first(None)), @"`asks` on `eth0/xdp` asks the network card about packets (`bpf_xdp_metadata_rx_*`), which only a program may that is loaded for one device: the driver of the interface runs no XDP programs");
    kernel.forbid_binding(eth0, Unbindable::Generic);
    insta::assert_snapshot!(refused(&kernel, &first(None)), @"`asks` on `eth0/xdp` asks the network card about packets (`bpf_xdp_metadata_rx_*`), which only a program may that is loaded for one device: the program of somebody else that has the interface runs in generic mode");
    kernel.age();
    insta::assert_snapshot!(refused(&kernel, &first(None)), @"`asks` on `eth0/xdp` asks the network card about packets (`bpf_xdp_metadata_rx_*`), which only a program may that is loaded for one device: that came with Linux 6.3, and this is Linux 6.1");
}

#[test]
fn where_an_interface_is_made_anew_what_asked_the_old_one_is_loaded_anew() {
    for mechanism in [None, Some(Mechanism::Dispatcher), Some(Mechanism::Alone)] {
        let mut kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
        let releases = if mechanism == Some(Mechanism::Alone) { &[ASKING_AT][..] } else { &[ASKING_AT, 0] };
        let desired = asking(releases, mechanism);
        let plan = plan_for(&kernel, &desired);
        apply(&mut kernel, &plan, &desired).unwrap();
        let interface = hooks()[0].interface.clone();
        kernel.remove_interface(&interface);
        kernel.add_interface(interface);
        let plan = plan_for(&kernel, &desired);
        assert!(plan.to_string().contains("load asks#2"), "{plan}");
        apply(&mut kernel, &plan, &desired).unwrap();
        assert_eq!(met(&kernel), wanted(&desired));
        assert_eq!(plan_for(&kernel, &desired), Plan::default());
    }
}

#[test]
fn the_head_of_a_chain_takes_no_tail_call() {
    let kernel = Fake::new(hooks().into_iter().map(|hook| hook.interface));
    let chain = |others: usize| {
        let desired = asking(&[vec![ASKING_AT], vec![0; others]].concat(), Some(Mechanism::Splice));
        reconcile(&desired, &kernel.observe(&BTreeSet::new()).unwrap())
    };
    assert!(chain(33).is_ok());
    assert!(chain(34).unwrap_err().to_string().contains("has 35 members, but the kernel follows only 33"));
}
