// SPDX-License-Identifier: Apache-2.0
//! What the kernel holds is what was handed to it: digests of instructions, and programs that somebody puts in their place.

use std::fs;

use it::{ping, run};

use crate::hooks::mechanism::tag;
use crate::running;

#[test]
fn the_kernel_tells_the_beginning_of_the_digest_that_is_recorded() {
    let (_pair, node) = running();
    // Linux 6.18 digests programs by another algorithm than those before.
    let is_new = crate::kernel() >= ::package::KernelVersion { major: 6, minor: 18 };
    let name = if is_new { "sha256" } else { "sha1" };
    for member in node.members().unwrap() {
        let pin = node.pins.join("right0/xdp/instances").join(&member.instance).join("program");
        let (algorithm, hex) = member.code_digest.as_ref().unwrap().split_once(':').unwrap();
        assert_eq!((algorithm, &hex[..16]), (name, tag(&pin).as_str()), "{member:?}");
        assert!(member.untouched_digest.as_ref().is_some_and(|other| other.starts_with(name)));
        assert_ne!(member.untouched_digest, member.code_digest, "the splice changed it");
    }
}

#[test]
fn a_program_that_somebody_pins_in_place_of_a_member_is_found_and_replaced() {
    let (pair, node) = running();
    let pin = node.pins.join("right0/xdp/instances/sanity#1/program");
    it::specimen("passes").unwrap();
    let object = it::repository().join("target/corpus/passes.bpf.o");
    let beside = node.pins.join("stranger");
    run(&format!("bpftool prog load {} {} type xdp", object.display(), beside.display())).unwrap();
    fs::rename(beside, &pin).unwrap();
    let begin = std::time::Instant::now();
    while node.members().unwrap().first().is_none_or(|member| member.instance != "sanity#2") {
        assert!(begin.elapsed().as_secs() < 60, "it was not replaced:\n{}", node.log());
        std::thread::yield_now();
    }
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}
