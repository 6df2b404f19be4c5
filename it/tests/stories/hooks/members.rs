// SPDX-License-Identifier: Apache-2.0
//! What can be asked of one member: shadow, canary, leaving for a while, another place, measuring.

use ::package::KernelVersion;
use it::{Node, Pair, connect, ping, stream_while};

use crate::hooks::mechanism::of_corpus;
use crate::packages;

const LIMITED: &str = "config = { connections_per_second = 0, burst = 0 }";

fn scene(members: &[&str]) -> (Pair, Node) {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    node.apply(&packages().document("right0", members)).unwrap().success().unwrap();
    (pair, node)
}

#[test]
fn a_limit_in_shadow_lets_all_connections_pass_and_tells_which_it_would_not() {
    let (pair, node) = scene(&["sanity", &format!("ratelimit:enforcement = \"shadow\"\n{LIMITED}")]);
    assert_eq!(connect(&pair, 8080, 10).unwrap().connected, 10);
    let members = node.members().unwrap();
    assert_eq!(members[1].enforcement, "shadow");
    assert!(members[1].shadowed["drop"].packets >= 10, "{members:?}");
    assert!(!members[1].left.contains_key("drop"), "{members:?}");
    node.l3af(&["change", "ratelimit", "--enforcement", "enforce"]).unwrap();
    assert_eq!(connect(&pair, 8081, 3).unwrap().connected, 0);
    assert!(node.members().unwrap()[1].left["drop"].packets >= 3);
}

#[test]
fn a_canary_drops_some_connections_and_only_whole_ones() {
    let (pair, node) = scene(&[&format!("ratelimit:enforcement = \"canary 50%\"\n{LIMITED}")]);
    let went = connect(&pair, 8080, 200).unwrap();
    // A flow is on one side: what connected was accepted, and about half did.
    assert_eq!(went.connected, went.accepted);
    assert!((60..=140).contains(&went.connected), "{went:?}");
    let member = node.members().unwrap().remove(0);
    assert!(member.left["drop"].packets >= u64::from(200 - went.connected), "{member:?}");
    assert!(member.shadowed["drop"].packets >= u64::from(went.connected), "{member:?}");
}

#[test]
fn a_disabled_member_is_passed_by_and_keeps_its_maps_and_its_place() {
    let (pair, node) = scene(&[&format!("ratelimit:{LIMITED}"), "sanity"]);
    assert_eq!(connect(&pair, 8080, 3).unwrap().connected, 0);
    node.l3af(&["change", "ratelimit", "--disable"]).unwrap();
    assert_eq!(connect(&pair, 8081, 3).unwrap().connected, 3);
    let states = node.pins.join("right0/xdp/state");
    let kept = std::fs::read_dir(&states).unwrap().count();
    assert_eq!(node.members().unwrap().len(), 1);
    node.l3af(&[
        "change",
        "ratelimit",
        "--enable",
        "--set",
        "burst=100",
        "--set",
        "connections_per_second=1000",
    ])
    .unwrap();
    let members = node.members().unwrap();
    assert_eq!(members[0].name.as_ref(), "ratelimit");
    assert_eq!(std::fs::read_dir(&states).unwrap().count(), kept);
    assert_eq!(connect(&pair, 8082, 3).unwrap().connected, 3);
}

#[test]
fn a_member_changes_its_place_and_its_proceed_set() {
    let (pair, node) = scene(&["sanity", "ratelimit"]);
    node.l3af(&["change", "ratelimit", "--at", "1", "--proceed", "pass,drop"]).unwrap();
    let members = node.members().unwrap();
    assert_eq!(members[0].name.as_ref(), "ratelimit");
    assert_eq!(members[0].proceed, ["drop", "pass"]);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    let wrong = node.cli(&["change", "nobody", "--disable"]).unwrap();
    assert!(wrong.stderr.contains("no chain has a member `nobody`"), "{}", wrong.stderr);
    let wrong = node.cli(&["change", "ratelimit", "--at", "7"]).unwrap();
    assert!(wrong.stderr.contains("positions go from 1 to 2"), "{}", wrong.stderr);
    let wrong = node.cli(&["change", "ratelimit", "--enforcement", "sometimes"]).unwrap();
    assert!(wrong.stderr.contains("`sometimes` is not an enforcement"), "{}", wrong.stderr);
}

#[test]
fn members_are_measured_for_a_while_and_run_on() {
    let (pair, node) = scene(&["sanity", "ratelimit"]);
    let report = std::thread::scope(|scope| {
        let measured = scope.spawn(|| node.l3af(&["profile", "--for", "3", "--json"]));
        while !measured.is_finished() {
            ping(&pair, 20).unwrap();
        }
        measured.join().unwrap().unwrap()
    });
    let rows: Vec<serde_json::Value> = serde_json::from_str(&report).unwrap();
    assert_eq!(rows.len(), 2, "{report}");
    for row in &rows {
        assert!(row["runs"].as_u64().unwrap() > 0, "{report}");
        assert!(row["nanoseconds_per_run"].as_u64().unwrap() > 0, "{report}");
    }
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn a_chain_takes_packets_in_several_buffers_while_all_its_members_do() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    let jumbo = of_corpus("passes_fragments", "passes_fragments", "xdp");
    for name in ["one", "two"] {
        node.l3af(&["run", &jumbo, "--on", "right0", "--name", name]).unwrap();
    }
    let root = node.pins.join("right0/xdp/root");
    let kinds = || ["one", "many"].map(|kind| root.join(kind).join("program").exists());
    // Before 5.18 no packet comes in several buffers, and no root is for them.
    let many = if crate::kernel() >= (KernelVersion { major: 5, minor: 18 }) {
        [false, true]
    } else {
        [true, false]
    };
    assert_eq!(kinds(), many);
    let link = || it::run(&format!("bpftool -j link show pinned {}", root.join("link").display())).unwrap();
    let id = |link: String| serde_json::from_str::<serde_json::Value>(&link).unwrap()["id"].clone();
    let before = id(link());
    let (sent, received, ()) = stream_while(&pair, || {
        for _ in 0..3 {
            node.l3af(&[
                "run",
                &packages().path("sanity"),
                "--on",
                "right0",
                "--at",
                "2",
                "--name",
                "plain",
            ])?;
            assert_eq!(kinds(), [true, false]);
            node.l3af(&["stop", "plain"])?;
            assert_eq!(kinds(), many);
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert_eq!(id(link()), before, "the link stays");
    let members = node.members().unwrap();
    assert!(members[0].seen.packets >= u64::from(sent), "{members:?}");
}
