// SPDX-License-Identifier: Apache-2.0
//! Mechanisms: a program alone, dispatchers, and going from one to another under traffic.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use ::package::Mechanism;
use it::{Node, Pair, ping, specimen, stream_while};

use crate::packages;

fn scene() -> (Pair, Node) {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    (pair, node)
}

/// A document that asks for a mechanism.
fn by(mechanism: &str, members: &[&str]) -> String {
    let document = packages().document("right0", members);
    document.replacen("hook = \"xdp\"\n", &format!("hook = \"xdp\"\nmechanism = \"{mechanism}\"\n"), 1)
}

/// A chain of so many members that let packets pass.
fn long(length: usize) -> String {
    let package = packages().path("sanity");
    let member = |number| format!("[[chain.member]]\nname = \"m{number}\"\npackage = \"{package}\"\n");
    let head = "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n".to_owned();
    head + &(0..length).map(member).collect::<String>()
}

/// A package of a program of the corpus.
fn of_corpus(name: &str, function: &str, hook: &str) -> String {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap();
    let (folder, package) = (packages().path(&format!("{name}-source")), format!("{name}.oci"));
    if fs::exists(packages().path(&package)).unwrap() {
        return packages().path(&package);
    }
    fs::create_dir_all(&folder).unwrap();
    fs::write(format!("{folder}/x.bpf.o"), specimen(name).unwrap().object).unwrap();
    let original = fs::read_to_string(it::repository().join("programs/sanity/package.toml")).unwrap();
    let head = original.split("[[program]]").next().unwrap();
    let head = head.replace("\"sanity\"", &format!("\"{}\"", name.replace('_', "-")));
    let program =
        format!("[[program]]\nfunction = \"{function}\"\nobject = \"x.bpf.o\"\nhook = \"{hook}\"\n");
    fs::write(format!("{folder}/package.toml"), head + &program).unwrap();
    fs::write(format!("{folder}/README.md"), name).unwrap();
    packages().l3af(&["build", &folder, "--output", &package]).unwrap().success().unwrap();
    packages().l3af(&["sign", &package, "--key", "key"]).unwrap().success().unwrap();
    packages().path(&package)
}

/// The tag of a pinned program: a digest of its instructions.
fn tag(pin: &Path) -> String {
    let shown = it::run(&format!("bpftool -j prog show pinned {}", pin.display())).unwrap();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown["tag"].as_str().unwrap().to_owned()
}

/// Whether this kernel lets programs take the place of functions. Every kernel of Debian does, where nobody forbids it.
fn has_dispatchers() -> bool {
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
        for document in documents.iter().cycle().take(crate::rounds(12, 4)) {
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
