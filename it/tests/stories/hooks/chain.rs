// SPDX-License-Identifier: Apache-2.0
//! Chains: what packets meet, and how it is counted.

use it::{connect, ping, stream_while};

use crate::{packages, scene};

#[test]
fn two_programs_that_know_nothing_of_chains_run_in_one_and_are_counted() {
    let (pair, node) = scene();
    let document = packages().document("right0", &["sanity", "ratelimit"]);
    node.apply(&document).unwrap().success().unwrap();
    let before = node.members().unwrap();
    assert_eq!(ping(&pair, 20).unwrap(), 20);
    let after = node.members().unwrap();
    let seen = |index: usize| after[index].seen.packets - before[index].seen.packets;
    // Both saw every ping; neighbours may have asked for addresses meanwhile.
    assert!((20..=24).contains(&seen(0)), "{after:?}");
    assert_eq!(after[0].passed, after[1].seen);
    assert!(after[0].left.is_empty(), "{after:?}");
    assert_eq!(after[1].left["pass"].packets, after[1].seen.packets);
    // 56 bytes of data, 8 of ICMP, 20 of IP, 14 of Ethernet.
    assert!(after[1].left["pass"].bytes >= 20 * 98);
}

#[test]
fn connections_above_the_limit_do_not_arrive() {
    let (pair, node) = scene();
    let limited = "ratelimit:config = { connections_per_second = 10, burst = 5 }";
    node.apply(&packages().document("right0", &["sanity", limited])).unwrap().success().unwrap();
    let went = connect(&pair, 8080, 50).unwrap();
    assert_eq!(went.connected, went.accepted);
    assert!((5..=15).contains(&went.connected), "{went:?}");
    let members = node.members().unwrap();
    assert_eq!(members[1].left["drop"].packets, u64::from(50 - went.connected), "{members:?}");
}

#[test]
fn parameters_reach_the_program_and_only_the_one_that_was_named() {
    let (pair, node) = scene();
    let limited = "ratelimit:config = { connections_per_second = 0, first_port = 9000, last_port = 9000 }";
    node.apply(&packages().document("right0", &[limited])).unwrap().success().unwrap();
    assert_eq!(connect(&pair, 9000, 5).unwrap().connected, 0);
    assert_eq!(connect(&pair, 9001, 5).unwrap().connected, 5);
}

#[test]
fn a_chain_changes_under_traffic_and_no_packet_is_lost() {
    let (pair, node) = scene();
    let documents = [
        packages().document("right0", &["sanity", "ratelimit"]),
        packages().document("right0", &["ratelimit", "sanity"]),
        packages().document("right0", &["ratelimit"]),
        packages().document("right0", &["ratelimit", "sanity:config = { check_land = false }"]),
    ];
    node.apply(&documents[0]).unwrap().success().unwrap();
    let (sent, received, ()) = stream_while(&pair, || {
        for document in documents.iter().cycle().take(12) {
            node.apply(document)?.success()?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert!(sent > 50, "there was traffic: {sent}");
}

#[test]
fn totals_survive_every_change_of_the_chain() {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity", "ratelimit"])).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    node.apply(&packages().document("right0", &["ratelimit", "sanity"])).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    let members = node.members().unwrap();
    assert_eq!(members[0].name.as_ref(), "ratelimit");
    for member in &members {
        assert!((20..=30).contains(&member.seen.packets), "{members:?}");
    }
    // Each was the last one once, where packets leave.
    assert!(members.iter().all(|member| member.left["pass"].packets >= 10), "{members:?}");
}

#[test]
fn a_member_after_which_nothing_goes_on_ends_the_chain() {
    let (pair, node) = scene();
    let document = packages().document("right0", &["sanity:proceed = []", "ratelimit"]);
    node.apply(&document).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    let members = node.members().unwrap();
    assert_eq!(members[0].passed.packets, 0);
    assert_eq!(members[1].seen.packets, 0);
    assert!(members[0].left["pass"].packets >= 5);
}

#[test]
fn a_plan_tells_its_steps_its_choices_and_why_and_changes_nothing() {
    let (_pair, node) = scene();
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("desired.toml");
    std::fs::write(&document, packages().document("right0", &["sanity", "ratelimit"])).unwrap();
    let path = document.to_string_lossy().into_owned();
    let planned = node.l3af(&["plan", &path]).unwrap();
    let lines: Vec<&str> = planned.lines().collect();
    assert!(lines[0].starts_with("right0/xdp: splice ("), "{planned}");
    assert!(
        lines[1].starts_with("  1. right0/xdp: create the root (") && lines[1].ends_with(')'),
        "{planned}"
    );
    assert!(node.chains().unwrap().is_empty());
    let json = node.l3af(&["plan", &path, "--json"]).unwrap();
    let json: wire::Planned = serde_json::from_str(&json).unwrap();
    assert!(json.steps.iter().all(|step| !step.reason.is_empty()) && json.chains.len() == 1, "{json:?}");
}

#[test]
fn what_others_detach_is_attached_again() {
    let (_pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    let link = node.pins.join("right0/xdp/root/link");
    it::run(&format!("bpftool link detach pinned {}", link.display())).unwrap();
    let begin = std::time::Instant::now();
    while !node.log().contains("the kernel had drifted: right0/xdp repaired") {
        assert!(begin.elapsed().as_secs() < 60, "it was not repaired:\n{}", node.log());
        std::thread::yield_now();
    }
    assert!(node.chains().unwrap()[0].attached, "{}", node.log());
    assert!(node.members().unwrap().iter().all(|member| member.instance == "sanity#1"));
}
