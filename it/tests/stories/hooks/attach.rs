// SPDX-License-Identifier: Apache-2.0
//! How chains are attached: network namespaces, renamed interfaces, modes, positions, and programs of others.

use std::fs;
use std::time::{Duration, Instant};

use ::package::{HookPoint, KernelVersion};
use it::{Node, Pair, Side, binary, ping, run, run_in, specimen, stream_while};
use kernel::{Attached, Candidate};
use wire::ChainView;

use crate::{packages, scene};

/// Waits until the only chain is as it should be.
fn wait_for(node: &Node, what: &str, is_so: impl Fn(&[ChainView]) -> bool) {
    let begin = Instant::now();
    while !is_so(&node.chains().unwrap()) {
        assert!(begin.elapsed() < Duration::from_mins(1), "{what}: {:?}\n{}", node.chains(), node.log());
        std::thread::yield_now();
    }
}

/// Lets a program of the corpus have the packets of a side's interface by a link, as other software would.
fn occupy(side: &Side, name: &'static str, point: HookPoint) -> Attached {
    let interface = side.interface.parse().unwrap();
    let attach = move || {
        let object = specimen(name).unwrap().object;
        let function = name.parse().unwrap();
        Candidate { point, object: &object, function }.alone().unwrap().attach(&interface).unwrap()
    };
    side.inside(attach).unwrap()
}

/// The document of a chain with one member, and lines about how it is attached.
fn chain(interface: &str, lines: &str) -> String {
    let document = packages().document(interface, &["sanity"]);
    document.replace("hook = \"xdp\"\n", &format!("hook = \"xdp\"\n{lines}\n"))
}

#[test]
fn chains_run_in_other_network_namespaces_by_name_and_by_path() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.left, &packages().policy()).unwrap();
    let name = &pair.right.namespace;
    for interface in [format!("{name}:right0"), format!("/run/netns/{name}:right0")] {
        let mut document = packages().document(&interface, &["sanity"]);
        let incoming = packages().document(&interface, &[]).replace("\"xdp\"", "\"tc-ingress\"");
        let member = format!(
            "[[chain.member]]\nname = \"in\"\npackage = \"{}\"\n",
            crate::hooks::tc::passing("tc-ingress")
        );
        document.push_str(&(incoming + &member));
        node.apply(&document).unwrap().success().unwrap();
        assert_eq!(ping(&pair, 10).unwrap(), 10);
        let chains = node.chains().unwrap();
        assert_eq!(chains.len(), 2);
        for chain in chains {
            assert!(chain.attached, "{chain:?}");
            assert_eq!(chain.interface.to_string(), interface);
            assert!(chain.members[0].seen.packets >= 10, "{chain:?}");
        }
        assert!(run_in(name, "ip link show dev right0").unwrap().contains("xdp"));
        node.l3af(&["stop", "sanity", "--on", &format!("{interface}/xdp")]).unwrap();
        node.l3af(&["stop", "--all"]).unwrap();
        assert!(!run_in(name, "ip link show dev right0").unwrap().contains("xdp"));
        assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
    }
    let refused = node.apply(&packages().document("no-such:right0", &["sanity"])).unwrap();
    assert!(refused.stderr.contains("there is no interface `no-such:right0`"), "{}", refused.stderr);
}

#[test]
fn a_chain_leaves_an_interface_that_is_renamed_and_comes_back_with_its_name() {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    let rename = |from: &str, to: &str| {
        run_in(&pair.right.namespace, &format!("ip link set dev {from} down")).unwrap();
        run_in(&pair.right.namespace, &format!("ip link set dev {from} name {to}")).unwrap();
        run_in(&pair.right.namespace, &format!("ip link set dev {to} up")).unwrap();
    };
    rename("right0", "other0");
    wait_for(&node, "it left", <[ChainView]>::is_empty);
    assert!(!run_in(&pair.right.namespace, "ip link show dev other0").unwrap().contains("xdp"));
    assert!(node.l3af(&["status"]).unwrap().contains("right0/xdp"));
    rename("other0", "right0");
    wait_for(&node, "it came back", |chains| chains.iter().any(|chain| chain.attached));
}

#[test]
fn an_xdp_chain_runs_in_the_mode_that_is_asked_for_and_says_so() {
    let (pair, node) = scene();
    let shown = || run_in(&pair.right.namespace, "ip link show dev right0").unwrap();
    for (lines, mode, word) in [
        ("", "native", "xdp "),
        ("mode = \"generic\"", "generic", "xdpgeneric"),
        ("mode = \"native\"", "native", "xdp "),
    ] {
        node.apply(&chain("right0", lines)).unwrap().success().unwrap();
        let chains = node.chains().unwrap();
        assert_eq!(chains[0].mode.map(|mode| mode.to_string()).as_deref(), Some(mode), "{lines}");
        assert!(shown().contains(word), "{lines}: {}", shown());
        assert_eq!(ping(&pair, 2).unwrap(), 2);
    }
    let refused = node.apply(&chain("right0", "mode = \"offloaded\"")).unwrap();
    assert!(!refused.ok);
    assert_eq!(node.chains().unwrap()[0].mode.map(|mode| mode.to_string()).as_deref(), Some("native"));
    let refused = node.apply(&chain("right0", "position = \"first\"")).unwrap();
    assert!(
        refused.stderr.contains("`position` has no meaning for the chain on `right0/xdp`"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_tc_chain_stands_where_it_is_asked_to_among_the_programs_of_others() {
    let (pair, node) = scene();
    let document = |position: &str| {
        let head =
            format!("[[chain]]\ninterface = \"right0\"\nhook = \"tc-ingress\"\nposition = \"{position}\"\n");
        head + &format!(
            "[[chain.member]]\nname = \"in\"\npackage = \"{}\"\n",
            crate::hooks::tc::passing("tc-ingress")
        )
    };
    if crate::kernel() < (KernelVersion { major: 6, minor: 6 }) {
        let refused = node.apply(&document("first")).unwrap();
        assert!(refused.stderr.contains("needs TCX, which came with Linux 6.6"), "{}", refused.stderr);
        return;
    }
    let _theirs = occupy(&pair.right, "tc_unspec", HookPoint::TcIngress);
    for (position, before, behind) in [
        ("last", vec!["tc_unspec"], vec![]),
        ("first", vec![], vec!["tc_unspec"]),
        ("after tc_unspec", vec!["tc_unspec"], vec![]),
        ("before tc_unspec", vec![], vec!["tc_unspec"]),
        ("before nobody", vec![], vec!["tc_unspec"]),
    ] {
        node.apply(&document(position)).unwrap().success().unwrap();
        let chains = node.chains().unwrap();
        assert_eq!(
            (&chains[0].before, &chains[0].behind),
            (
                &before.iter().map(|name| (*name).to_owned()).collect(),
                &behind.iter().map(|name| (*name).to_owned()).collect()
            ),
            "{position}"
        );
        assert_eq!(ping(&pair, 2).unwrap(), 2);
        assert!(chains[0].attached);
    }
    // Both see what passes.
    assert!(node.members().unwrap()[0].left["ok"].packets >= 10);
    let error = node.apply(&document("third")).unwrap();
    assert!(
        error.stderr.contains("it must be `first`, `last`, `before NAME` or `after NAME`"),
        "{}",
        error.stderr
    );
}

#[test]
fn a_program_of_somebody_else_is_refused_kept_or_put_aside_and_given_back() {
    for by_link in [true, false] {
        let (pair, mut node) = scene();
        let object = specimen("no_ping").unwrap();
        let _theirs = if by_link {
            Some(occupy(&pair.right, "no_ping", HookPoint::Xdp))
        } else {
            attach_without_link(&pair, &object.object);
            None
        };
        assert_eq!(ping(&pair, 2).unwrap(), 0);
        let refused = node.apply(&chain("right0", "")).unwrap();
        assert!(refused.stderr.contains("occupied by XDP program `no_ping`"), "{}", refused.stderr);

        node.apply(&chain("right0", "occupied = \"keep\"")).unwrap().success().unwrap();
        assert_eq!(ping(&pair, 3).unwrap(), 0);
        let chains = node.chains().unwrap();
        let theirs = chains[0].incumbent.unwrap();
        assert!(theirs.packets >= 3, "{chains:?}");
        assert_eq!(chains[0].members[0].passed, theirs);

        node.apply(&chain("right0", "occupied = \"replace\"")).unwrap().success().unwrap();
        assert_eq!(ping(&pair, 3).unwrap(), 3);
        assert_eq!(node.chains().unwrap()[0].incumbent, None);

        // Nothing of this is remembered outside of the kernel.
        node.kill().unwrap();
        node.restart().unwrap();
        node.apply(&chain("right0", "occupied = \"keep\"")).unwrap().success().unwrap();
        assert_eq!(ping(&pair, 2).unwrap(), 0);
        node.apply(&chain("right0", "occupied = \"replace\"")).unwrap().success().unwrap();
        assert_eq!(ping(&pair, 2).unwrap(), 2);

        node.l3af(&["stop", "--all"]).unwrap();
        assert_eq!(ping(&pair, 2).unwrap(), 0);
        assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
    }
}

#[test]
fn what_was_taken_over_is_given_back_without_the_daemon() {
    let (pair, mut node) = scene();
    let _theirs = occupy(&pair.right, "no_ping", HookPoint::Xdp);
    node.apply(&chain("right0", "occupied = \"replace\"")).unwrap().success().unwrap();
    node.kill().unwrap();
    assert_eq!(ping(&pair, 2).unwrap(), 2);
    let detach = |program: &str| {
        let (pins, state) = (node.pins.display(), node.state());
        run_in(
            &pair.right.namespace,
            &format!("env PATH= {program} detach --all --pins {pins} --state {}", state.display()),
        )
    };
    // A folder that has no `l3afd`.
    let folder = tempfile::tempdir().unwrap();
    let lonely = folder.path().join("l3af");
    fs::copy(binary("l3af").unwrap(), &lonely).unwrap();
    let refused = detach(&lonely.to_string_lossy()).unwrap_err();
    assert!(format!("{refused:#}").contains("took a place over"), "{refused:#}");
    assert_eq!(ping(&pair, 2).unwrap(), 2);
    detach(&binary("l3af").unwrap().to_string_lossy()).unwrap();
    assert_eq!(ping(&pair, 2).unwrap(), 0);
    assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
}

#[test]
fn links_go_with_their_pins_where_there_is_no_daemon_at_all() {
    let (pair, mut node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    node.kill().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lonely = folder.path().join("l3af");
    fs::copy(binary("l3af").unwrap(), &lonely).unwrap();
    let (pins, state) = (node.pins.display(), node.state());
    run(&format!("env PATH= {} detach --all --pins {pins} --state {}", lonely.display(), state.display()))
        .unwrap();
    assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
    let begin = Instant::now();
    while run_in(&pair.right.namespace, "ip link show dev right0").unwrap().contains("xdp") {
        assert!(begin.elapsed() < Duration::from_mins(1), "a link goes some time after its pin");
    }
}

/// Attaches a program as `ip` and older software do.
fn attach_without_link(pair: &Pair, object: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let (file, pin) = (folder.path().join("theirs.o"), format!("/sys/fs/bpf/{}", it::unique("l3af-theirs-")));
    fs::write(&file, object).unwrap();
    run(&format!("bpftool prog load {} {pin} type xdp", file.display())).unwrap();
    let attached =
        run_in(&pair.right.namespace, &format!("bpftool net attach xdpdrv pinned {pin} dev right0"));
    fs::remove_file(&pin).unwrap();
    attached.unwrap();
}

#[test]
fn a_hook_is_taken_over_and_given_back_and_no_packet_is_lost() {
    let (pair, node) = scene();
    // Another daemon has the interface, as one of an older kind would.
    let other = Node::start(&pair.right, &packages().policy()).unwrap();
    other.apply(&packages().document("right0", &["ratelimit"])).unwrap().success().unwrap();
    let (sent, received, ()) = stream_while(&pair, || {
        for wish in ["keep", "replace"].repeat(3) {
            node.apply(&chain("right0", &format!("occupied = \"{wish}\"")))?.success()?;
            node.l3af(&["stop", "--all"])?;
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    assert!(sent > 50, "there was traffic: {sent}");
    assert!(other.chains().unwrap()[0].attached);
}
