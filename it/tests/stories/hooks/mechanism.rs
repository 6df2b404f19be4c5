// SPDX-License-Identifier: Apache-2.0
//! Mechanisms: a program alone, dispatchers, and going from one to another under traffic.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use ::package::{KernelVersion, Mechanism};
use it::{connect, ping, run_in, specimen, stream_while};

use crate::{packages, scene};

/// A document that asks for a mechanism.
fn by(mechanism: &str, members: &[&str]) -> String {
    let document = packages().document("right0", members);
    document.replacen("hook = \"xdp\"\n", &format!("hook = \"xdp\"\nmechanism = \"{mechanism}\"\n"), 1)
}

/// A chain of so many members that let packets pass.
fn long(length: usize) -> String {
    let package = of_corpus("passes", "passes", "xdp");
    let member = |number| format!("[[chain.member]]\nname = \"m{number}\"\npackage = \"{package}\"\n");
    let head = "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n".to_owned();
    head + &(0..length).map(member).collect::<String>()
}

/// A package of a program of the corpus.
pub(crate) fn of_corpus(name: &str, function: &str, hook: &str) -> String {
    let release = name.replace('_', "-");
    packages().from_object((&release, "1.0.0"), &specimen(name).unwrap().object, function, hook).unwrap()
}

/// The tag of a pinned program: a digest of its instructions.
pub(crate) fn tag(pin: &Path) -> String {
    let shown = it::run(&format!("bpftool -j prog show pinned {}", pin.display())).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown["tag"].as_str().unwrap().to_owned()
}

/// Whether this kernel lets programs take the place of functions. Every kernel of Debian does, where nobody forbids it.
pub(crate) fn has_dispatchers() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let probed = || it::run("bpftool feature probe kernel").unwrap();
        crate::is_emulated() || probed().contains("program_type ext is available")
    })
}

#[test]
fn a_program_alone_runs_as_its_author_wrote_it() {
    let (pair, node) = scene();
    let package = of_corpus("passes", "passes", "xdp");
    let head = "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\nmechanism = \"alone\"\n";
    let member = |name| format!("[[chain.member]]\nname = \"{name}\"\npackage = \"{package}\"\n");
    node.apply(&[head, &member("one")].concat()).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    let chain = node.chains().unwrap().remove(0);
    assert_eq!((chain.attached, chain.mechanism), (true, Mechanism::Alone));
    assert_eq!(chain.reason.as_deref(), Some("the document asks for it"));
    let by_itself = node.pins.join("by-itself");
    let object = it::repository().join("target/corpus/passes.bpf.o");
    it::run(&format!("bpftool prog load {} {}", object.display(), by_itself.display())).unwrap();
    assert_eq!(tag(&node.pins.join("right0/xdp/instances/one#1/program")), tag(&by_itself));
    fs::remove_file(by_itself).unwrap();
    let refused = node.apply(&[head, &member("one"), &member("two")].concat()).unwrap();
    let words = "`right0/xdp` cannot run a program alone: 2 members are enabled";
    assert!(!refused.ok && refused.stderr.contains(words), "{}", refused.stderr);
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert!(node.chains().unwrap().is_empty());
}

#[test]
fn chaining_is_switched_off_and_on_under_traffic_and_no_packet_is_lost() {
    let (pair, node) = scene();
    let documents = [by("alone", &["sanity"]), by("splice", &["sanity", "ratelimit"])];
    node.apply(&documents[1]).unwrap().success().unwrap();
    let (sent, received, ()) = stream_while(&pair, || {
        for document in documents.iter().cycle().take(crate::rounds(12, 2)) {
            node.apply(document)?.success()?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert!(sent > 50, "there was traffic: {sent}");
    let members = node.members().unwrap();
    assert!(members[1].seen.packets > 0, "{members:?}");
}

#[test]
fn a_chain_that_no_mechanism_can_run_is_refused_with_both_reasons() {
    let (_pair, node) = scene();
    let refused = node.apply(&long(if has_dispatchers() { 251 } else { 34 })).unwrap();
    let words = "but the kernel follows only 33 tail calls; nor can a dispatcher run it: ";
    assert!(!refused.ok && refused.stderr.contains(words), "{}", refused.stderr);
    let why = if has_dispatchers() {
        "it has 251 members, and a dispatcher takes 250"
    } else {
        "this kernel permits no extension programs (`BPF_PROG_TYPE_EXT`)"
    };
    assert!(refused.stderr.contains(why), "{}", refused.stderr);
}

#[test]
fn a_chain_of_forty_members_runs_in_order_and_is_counted() {
    if !has_dispatchers() {
        return;
    }
    let (pair, node) = scene();
    let limited = "config = { connections_per_second = 0, burst = 0 }\n";
    let middle = "[[chain.member]]\nname = \"m19\"\n";
    let package = format!("{middle}package = \"{}\"\n", of_corpus("passes", "passes", "xdp"));
    let limit = format!("{middle}package = \"{}\"\n{limited}", packages().path("ratelimit"));
    let document = long(40);
    assert!(document.contains(&package));
    node.apply(&document.replace(&package, &limit)).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    assert_eq!(connect(&pair, 8080, 5).unwrap().connected, 0);
    let chain = node.chains().unwrap().remove(0);
    assert_eq!((chain.mechanism, chain.members.len()), (Mechanism::Dispatcher, 40));
    assert_eq!(chain.reason.as_deref(), Some("the chain is longer than the kernel's tail calls go"));
    assert!(chain.members[39].left["pass"].packets >= 10, "{:?}", chain.members[39]);
    assert!(chain.members[19].left["drop"].packets >= 5, "{:?}", chain.members[19]);
    for (at, members) in chain.members.windows(2).enumerate() {
        let dropped = if at == 19 { members[0].left["drop"].packets } else { 0 };
        assert_eq!(members[0].passed, members[1].seen, "behind member {at}");
        assert_eq!(members[0].seen.packets - dropped, members[1].seen.packets, "behind member {at}");
        assert!(at == 19 || members[0].left.is_empty(), "{:?}", members[0]);
    }
    node.l3af(&["stop", "--all"]).unwrap();
    assert!(!node.pins.join("right0").exists(), "nothing is left");
}

#[test]
fn a_dispatcher_changes_under_traffic_and_no_packet_is_lost() {
    if !has_dispatchers() {
        return;
    }
    let (pair, node) = scene();
    let documents = [
        by("dispatcher", &["sanity", "ratelimit"]),
        by("dispatcher", &["ratelimit", "sanity"]),
        by("dispatcher", &["ratelimit"]),
        by("splice", &["ratelimit", "sanity"]),
        by("alone", &["sanity"]),
        by("dispatcher", &["sanity:proceed = [\"pass\", \"drop\"]", "ratelimit"]),
        by("splice", &["sanity"]),
    ];
    node.apply(&documents[0]).unwrap().success().unwrap();
    let (sent, received, ()) = stream_while(&pair, || {
        for document in documents.iter().cycle().take(crate::rounds(14, 7)) {
            node.apply(document)?.success()?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert!(sent > 50, "there was traffic: {sent}");
}

#[test]
fn totals_survive_a_change_of_the_mechanism() {
    if !has_dispatchers() {
        return;
    }
    let (pair, node) = scene();
    for (mechanism, order) in [
        ("splice", ["sanity", "ratelimit"]),
        ("dispatcher", ["sanity", "ratelimit"]),
        ("dispatcher", ["ratelimit", "sanity"]),
        ("splice", ["ratelimit", "sanity"]),
    ] {
        node.apply(&by(mechanism, &order)).unwrap().success().unwrap();
        assert_eq!(ping(&pair, 10).unwrap(), 10);
    }
    for member in node.members().unwrap() {
        assert!((40..=60).contains(&member.seen.packets), "{member:?}");
        assert!(member.left["pass"].packets >= 20, "{member:?}");
    }
}

#[test]
fn a_program_that_throws_is_a_member_of_a_dispatcher() {
    // Exceptions came with Linux 6.7.
    let needed = KernelVersion { major: 6, minor: 7 };
    if crate::kernel() < needed {
        return;
    }
    let (pair, node) = scene();
    let member = |name: &str, path| format!("[[chain.member]]\nname = \"{name}\"\npackage = \"{path}\"\n");
    let head = "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n".to_owned();
    let throws = member("throws", of_corpus("throws", "throws", "xdp"));
    let applied = node.apply(&(head + &throws + &member("sanity", packages().path("sanity")))).unwrap();
    if !has_dispatchers() {
        assert!(applied.stderr.contains("may throw exceptions (`bpf_throw`)"), "{}", applied.stderr);
        assert!(applied.stderr.contains("this kernel permits no extension programs"), "{}", applied.stderr);
        return;
    }
    applied.success().unwrap();
    let chain = node.chains().unwrap().remove(0);
    assert_eq!(chain.mechanism, Mechanism::Dispatcher);
    assert_eq!(chain.reason.as_deref(), Some("a member may throw exceptions, which no splice sees"));
    // Some packets pass, and for others it throws a verdict.
    ping(&pair, 30).unwrap();
    let members = node.members().unwrap();
    assert_eq!(members[0].passed, members[1].seen);
    let dropped = members[0].left.get("drop").map_or(0, |count| count.packets);
    assert_eq!(members[0].seen.packets, dropped + members[1].seen.packets, "{members:?}");
}

#[test]
fn a_member_that_loses_its_place_in_a_dispatcher_gets_it_back() {
    if !has_dispatchers() {
        return;
    }
    let (pair, node) = scene();
    node.apply(&by("dispatcher", &["sanity", "ratelimit"])).unwrap().success().unwrap();
    let dispatchers = node.pins.join("right0/xdp/dispatchers");
    fs::remove_file(dispatchers.join("1/links/1")).unwrap();
    let begin = std::time::Instant::now();
    while !node.log().contains("the kernel had drifted: right0/xdp repaired") {
        assert!(begin.elapsed().as_secs() < 60, "it was not repaired:\n{}", node.log());
        std::thread::yield_now();
    }
    assert!(!dispatchers.join("1").exists() && dispatchers.join("2/links/1").exists());
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    let members = node.members().unwrap();
    assert!(members[1].left["pass"].packets >= 5, "{members:?}");
    assert_eq!(members[1].instance, "ratelimit#1", "its program stays");
}

#[test]
fn a_tc_chain_in_a_dispatcher_runs_and_changes_hitless() {
    if !has_dispatchers() {
        return;
    }
    let (pair, node) = scene();
    let package = of_corpus("tc_unspec", "tc_unspec", "tc-ingress");
    let document = |mechanism: &str, names: &[&str]| {
        let head = format!(
            "[[chain]]\ninterface = \"right0\"\nhook = \"tc-ingress\"\nmechanism = \"{mechanism}\"\n"
        );
        let member = |name: &&str| format!("[[chain.member]]\nname = \"{name}\"\npackage = \"{package}\"\n");
        head + &names.iter().map(member).collect::<String>()
    };
    node.apply(&document("dispatcher", &["one", "two"])).unwrap().success().unwrap();
    // Who looks at a discipline just now is counted in it.
    let disciplines = || {
        let told = run_in(&pair.right.namespace, "tc qdisc show dev right0").unwrap();
        let names = told.lines().map(|line| line.split(" refcnt ").next().unwrap_or(line).trim_end());
        names.map(str::to_owned).collect::<Vec<String>>()
    };
    let before = disciplines();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    let members = node.members().unwrap();
    assert!(members[1].seen.packets >= 10 && members[0].passed == members[1].seen, "{members:?}");
    let (sent, received, ()) = stream_while(&pair, || {
        for _ in 0..2 {
            node.apply(&document("splice", &["one", "two"]))?.success()?;
            node.apply(&document("dispatcher", &["two", "one"]))?.success()?;
            node.apply(&document("alone", &["two"]))?.success()?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert_eq!(disciplines(), before);
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}
