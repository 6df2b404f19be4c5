// SPDX-License-Identifier: Apache-2.0
//! Programs that ask the network card about packets: they are bound to a device, and hold their hook themselves.

use std::fs;

use ::package::{KernelVersion, Mechanism};
use it::{Node, connect, ping, run, run_in, stream_while};

use crate::hooks::mechanism::{has_dispatchers, of_corpus};
use crate::{packages, scene};

/// Whether this kernel loads programs for a device (Linux 6.3). Where it does not, the refusal is what is looked at.
fn binds() -> bool {
    crate::kernel() >= KernelVersion { major: 6, minor: 3 }
}

/// A chain of these members, of which `asks` asks the network card, with more lines at its head.
fn chain(head: &str, members: &[&str]) -> String {
    let member = |member: &&str| {
        let (name, rest) = member.split_once(':').unwrap_or((member, ""));
        let package = match name {
            "asks" => of_corpus("asks_the_card", "asks_the_card", "xdp"),
            name => packages().path(name),
        };
        format!("[[chain.member]]\nname = \"{name}\"\npackage = \"{package}\"\n{rest}\n")
    };
    let head = format!("[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n{head}");
    head + &members.iter().map(member).collect::<String>()
}

/// What the kernel says of something that is pinned below `right0/xdp`.
fn shown(node: &Node, kind: &str, pin: &str) -> serde_json::Value {
    let pin = node.pins.join("right0/xdp").join(pin);
    serde_json::from_str(&run(&format!("bpftool -j {kind} show pinned {}", pin.display())).unwrap()).unwrap()
}

/// The ids of the link of the hook and of the program that it runs.
fn link(node: &Node) -> (u64, u64) {
    let link = shown(node, "link", "root/link");
    (link["id"].as_u64().unwrap(), link["prog_id"].as_u64().unwrap())
}

fn program(node: &Node, instance: &str) -> u64 {
    shown(node, "prog", &format!("instances/{instance}/program"))["id"].as_u64().unwrap()
}

#[test]
fn before_linux_6_3_a_program_that_asks_the_card_is_refused_and_the_chain_runs_on() {
    if binds() {
        return;
    }
    let (pair, node) = scene();
    node.apply(&chain("", &["sanity"])).unwrap().success().unwrap();
    let refused = node.apply(&chain("", &["asks", "sanity"])).unwrap();
    assert!(!refused.ok && refused.stderr.contains("that came with Linux 6.3"), "{}", refused.stderr);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert_eq!(node.members().unwrap().len(), 1);
}

#[test]
fn a_program_that_asks_the_card_holds_the_hook_and_the_chain_goes_on_behind_it() {
    if !binds() {
        return;
    }
    let (pair, node) = scene();
    let limited = "ratelimit:config = { connections_per_second = 0, burst = 0 }";
    node.apply(&chain("", &["asks", "sanity", limited])).unwrap().success().unwrap();
    // It drops what the card says nothing about, so that packets arrive only if the card answers.
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    assert_eq!(connect(&pair, 8080, 3).unwrap().connected, 0);
    let chain_view = node.chains().unwrap().remove(0);
    assert_eq!((chain_view.attached, chain_view.mechanism), (true, Mechanism::Splice));
    assert_eq!(link(&node).1, program(&node, "asks#1"));
    assert!(!node.pins.join("right0/xdp/root/one").exists(), "there is no root");
    let members = node.members().unwrap();
    assert!(members[0].seen.packets >= 10 && members[0].left.is_empty(), "{members:?}");
    assert_eq!(members[0].passed, members[1].seen);
    assert_eq!(members[1].passed, members[2].seen);
    assert!(members[2].left["drop"].packets >= 3 && members[2].left["pass"].packets >= 10, "{members:?}");
    // What changes behind it leaves it alone.
    node.apply(&chain("", &["asks", "sanity"])).unwrap().success().unwrap();
    assert_eq!(link(&node).1, program(&node, "asks#1"));
    assert_eq!(connect(&pair, 8081, 3).unwrap().connected, 3);
    let again = node.members().unwrap();
    assert!(again[0].seen.packets > members[0].seen.packets, "totals are kept: {again:?}");
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert!(!node.pins.join("right0").exists(), "nothing is left");
}

#[test]
fn a_head_comes_changes_and_goes_under_traffic_and_no_packet_is_lost() {
    if !binds() {
        return;
    }
    let (pair, node) = scene();
    let documents = [
        chain("", &["sanity", "ratelimit"]),
        chain("", &["asks", "sanity", "ratelimit"]),
        chain("", &["asks:proceed = [\"pass\", \"drop\"]", "sanity", "ratelimit"]),
        chain("", &["asks:proceed = [\"pass\", \"drop\"]", "ratelimit"]),
        chain("mechanism = \"alone\"\n", &["asks"]),
        chain("", &["asks"]),
    ];
    node.apply(&documents[0]).unwrap().success().unwrap();
    let before = link(&node).0;
    let (sent, received, ()) = stream_while(&pair, || {
        for document in documents.iter().cycle().take(crate::rounds(24, 7)) {
            node.apply(document)?.success()?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert!(sent > 50, "there was traffic: {sent}");
    assert_eq!(link(&node).0, before, "the link stays");
}

#[test]
fn a_head_may_be_in_shadow_and_is_measured() {
    if !binds() {
        return;
    }
    let (pair, node) = scene();
    let document = chain("", &["asks:enforcement = \"shadow\"\nproceed = []", "sanity"]);
    node.apply(&document).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    let members = node.members().unwrap();
    assert!(members[0].shadowed["pass"].packets >= 10, "{members:?}");
    let report = std::thread::scope(|scope| {
        let measured = scope.spawn(|| node.l3af(&["profile", "--for", "3", "--json"]));
        while !measured.is_finished() {
            ping(&pair, 20).unwrap();
        }
        measured.join().unwrap().unwrap()
    });
    let rows: Vec<serde_json::Value> = serde_json::from_str(&report).unwrap();
    assert!(rows.len() == 2 && rows.iter().all(|row| row["runs"].as_u64().unwrap() > 0), "{report}");
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn a_program_that_asks_the_card_is_refused_where_there_is_no_card_to_ask() {
    if !binds() {
        return;
    }
    let (_pair, node) = scene();
    let refused = |document: &str| {
        let refused = node.apply(document).unwrap();
        assert!(!refused.ok);
        refused.stderr
    };
    let words = refused(&chain("mode = \"generic\"\n", &["asks"]));
    assert!(words.contains("the chain is to run in mode `generic`"), "{words}");
    let words = refused(&chain("", &["asks"]).replace("right0", "lo"));
    assert!(words.contains("the driver of the interface runs no XDP programs"), "{words}");
    let words = refused(&chain("mechanism = \"splice\"\n", &["sanity", "asks"]));
    assert!(words.contains("it can only be the first member of a splice"), "{words}");
    assert!(node.chains().unwrap().is_empty());
}

#[test]
fn a_chain_in_generic_mode_that_gets_a_head_moves_to_the_driver() {
    if !binds() {
        return;
    }
    let (pair, node) = scene();
    node.apply(&chain("mode = \"generic\"\n", &["sanity"])).unwrap().success().unwrap();
    node.apply(&chain("", &["asks", "sanity"])).unwrap().success().unwrap();
    assert_eq!(node.chains().unwrap()[0].mode.unwrap().to_string(), "native");
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn the_place_of_somebody_else_s_program_in_generic_mode_is_not_taken_by_a_head() {
    if !binds() {
        return;
    }
    let (pair, node) = scene();
    let object = it::repository().join("target/corpus/passes.bpf.o");
    it::specimen("passes").unwrap();
    let attach = format!("ip link set right0 xdpgeneric obj {} sec xdp", object.display());
    run_in(&pair.right.namespace, &attach).unwrap();
    let refused = node.apply(&chain("occupied = \"replace\"\n", &["asks"])).unwrap();
    let words = "the program of somebody else that has the interface runs in generic mode";
    assert!(!refused.ok && refused.stderr.contains(words), "{}", refused.stderr);
    run_in(&pair.right.namespace, "ip link set right0 xdpgeneric off").unwrap();
    let attach = format!("ip link set right0 xdpdrv obj {} sec xdp", object.display());
    run_in(&pair.right.namespace, &attach).unwrap();
    node.apply(&chain("occupied = \"keep\"\n", &["asks"])).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    assert!(node.chains().unwrap()[0].incumbent.unwrap().packets >= 5);
    node.l3af(&["stop", "--all"]).unwrap();
    assert!(run_in(&pair.right.namespace, "ip link show right0").unwrap().contains("prog/xdp"));
}

#[test]
fn an_interface_that_is_made_anew_gets_a_head_that_is_loaded_for_it() {
    if !binds() {
        return;
    }
    let (pair, node) = scene();
    node.apply(&chain("", &["asks", "sanity"])).unwrap().success().unwrap();
    let before = link(&node);
    run_in(&pair.right.namespace, "ip link delete right0").unwrap();
    let (left, right) = (&pair.left, &pair.right);
    let make = "ip link add left0 netns {left} type veth peer name right0 netns {right}";
    run(&make.replace("{left}", &left.namespace).replace("{right}", &right.namespace)).unwrap();
    for side in [left, right] {
        run_in(&side.namespace, &format!("ip address add {}/24 dev {}", side.address, side.interface))
            .unwrap();
        run_in(&side.namespace, &format!("ip link set {} up", side.interface)).unwrap();
    }
    let begin = std::time::Instant::now();
    while !node.chains().unwrap().first().is_some_and(|chain| chain.attached && chain.members.len() == 2) {
        assert!(begin.elapsed().as_secs() < 60, "it was not repaired:\n{}", node.log());
        std::thread::yield_now();
    }
    // A daemon that looked in between found no interface, took all off, and began anew with the first name.
    let head = node.members().unwrap()[0].instance.clone();
    assert_eq!(link(&node).1, program(&node, &head));
    assert_ne!(link(&node).1, before.1);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn a_restarted_daemon_leaves_a_head_as_it_is() {
    if !binds() {
        return;
    }
    let (pair, mut node) = scene();
    node.apply(&chain("", &["asks", "sanity"])).unwrap().success().unwrap();
    let before = link(&node);
    node.restart().unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert_eq!((link(&node), node.members().unwrap()[0].instance.as_str()), (before, "asks#1"));
}

#[test]
fn a_program_that_asks_the_card_in_the_middle_of_a_chain_gets_a_dispatcher_where_there_can_be_one() {
    if !binds() {
        return;
    }
    let (pair, node) = scene();
    let applied = node.apply(&chain("", &["sanity", "asks", "ratelimit"])).unwrap();
    if !has_dispatchers() {
        let words =
            "the first member of a splice; nor can a dispatcher run it: this kernel permits no extension";
        assert!(!applied.ok && applied.stderr.contains(words), "{}", applied.stderr);
        return;
    }
    applied.success().unwrap();
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    let view = node.chains().unwrap().remove(0);
    assert_eq!(view.mechanism, Mechanism::Dispatcher);
    assert_eq!(view.reason.as_deref(), Some("a member that is not the first asks the network card"));
    assert!(view.members[2].seen.packets >= 5 && view.members[1].left.is_empty(), "{view:?}");
    let (sent, received, ()) = stream_while(&pair, || {
        for members in [&["asks", "sanity"][..], &["sanity", "asks"], &["sanity"]] {
            node.apply(&chain("", members))?.success()?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert!(!fs::exists(node.pins.join("right0/xdp/dispatchers/1")).unwrap());
}
