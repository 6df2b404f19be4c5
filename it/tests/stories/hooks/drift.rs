// SPDX-License-Identifier: Apache-2.0
//! What others change is repaired as soon as it is heard, and told. The daemons of these stories compare by themselves only once
//! in an hour.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use ::package::KernelVersion;
use it::{Node, Pair, binary, ping, run, run_in, stream_while};
use wire::{Event, EventKind};

use crate::hooks::mechanism::of_corpus;
use crate::hooks::tc::passing;
use crate::packages;

fn scene() -> (Pair, Node) {
    let pair = Pair::new().unwrap();
    let mut node = Node::start(&pair.right, &packages().policy()).unwrap();
    node.poll_seconds = 3600;
    node.restart().unwrap();
    (pair, node)
}

fn drifts(node: &Node) -> Vec<Event> {
    let lines = node.l3af(&["events", "--json"]).unwrap();
    let events = lines.lines().map(|line| serde_json::from_str::<Event>(line).unwrap());
    events.filter(|event| event.kind == EventKind::Drift).collect()
}

/// Waits until a chain is attached again, and returns what is told of that.
fn repaired(node: &Node, before: usize) -> Event {
    node.wait("it is repaired", || drifts(node).len() > before);
    let is_attached = || node.chains().unwrap().first().is_some_and(|chain| chain.attached);
    node.wait("it is attached", is_attached);
    drifts(node).pop().unwrap()
}

/// Whether calls of others are heard: tracepoints are attached by link since 5.15.
fn hears_calls() -> bool {
    crate::kernel() >= KernelVersion { major: 5, minor: 15 }
}

/// Whether TC programs have links, and chains on TC with them; else they are filters.
fn has_links() -> bool {
    crate::kernel() >= KernelVersion { major: 6, minor: 6 }
}

fn link(node: &Node) -> String {
    node.pins.join("right0/xdp/root/link").display().to_string()
}

#[test]
fn a_link_that_somebody_detaches_is_attached_again_and_who_did_it_is_told() {
    if !hears_calls() {
        return;
    }
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    for before in 0..crate::rounds(5, 2) {
        run(&format!("bpftool link detach pinned {}", link(&node))).unwrap();
        let event = repaired(&node, before);
        // Others may have made calls just then as well.
        let is_it =
            |by: &String| by.starts_with("`bpftool` (process ") && by.ends_with(" by BPF_LINK_DETACH");
        assert!(event.by.iter().any(is_it), "{event:?}");
        assert!(event.text.starts_with("right0/xdp repaired in "), "{event:?}");
    }
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    let status = node.l3af(&["status"]).unwrap();
    assert!(status.contains("repaired since the daemon started; the last: "), "{status}");
    assert!(node.l3af(&["events"]).unwrap().contains("BPF_LINK_DETACH"));
}

/// What a script needs to make calls of bpf(2), as anybody may who may do all.
const CALLS: &str = "import ctypes, os, socket, struct, sys\n\
    number = {'x86_64': 321, 'aarch64': 280}[os.uname().machine]\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    def bpf(command, attr):\n\
    \x20   attr = ctypes.create_string_buffer(attr, 128)\n\
    \x20   done = libc.syscall(number, command, attr, 128)\n\
    \x20   assert done >= 0, os.strerror(ctypes.get_errno())\n\
    \x20   return done\n\
    def get(path):\n\
    \x20   path = ctypes.create_string_buffer(path.encode())\n\
    \x20   return bpf(7, struct.pack('Q', ctypes.addressof(path)))\n";

/// Runs a script that makes calls, on the side where the chain is.
fn call(pair: &Pair, script: &str, arguments: &[&str]) {
    let network = format!("--net=/run/netns/{}", pair.right.namespace);
    let script = format!("{CALLS}{script}");
    let ran = Command::new("nsenter").args([&network, "python3", "-c", &script]).args(arguments).status();
    assert!(ran.unwrap().success(), "{arguments:?}");
}

/// `BPF_LINK_UPDATE` of a link, to another program.
const UPDATE: &str = "bpf(29, struct.pack('II', get(sys.argv[1]), get(sys.argv[2])))";
/// `BPF_PROG_ATTACH` (with `BPF_F_BEFORE`) and `BPF_PROG_DETACH` of a program at `BPF_TCX_INGRESS`.
const PUT_IN_FRONT: &str =
    "bpf(8, struct.pack('IIII', socket.if_nametoindex('right0'), get(sys.argv[1]), 46, 8))";
const TAKE_AWAY: &str = "bpf(9, struct.pack('III', socket.if_nametoindex('right0'), get(sys.argv[1]), 46))";

/// A program of somebody else, pinned outside of the daemon's folder until it goes out of scope.
struct Foreign(String);

impl Foreign {
    fn load(node: &Node, name: &str, kind: &str) -> Self {
        of_corpus(name, name, if kind == "xdp" { "xdp" } else { "tc-ingress" });
        let object = it::repository().join(format!("target/corpus/{name}.bpf.o"));
        let pin = format!("{}-{name}", node.pins.display());
        run(&format!("bpftool prog load {} {pin} type {kind}", object.display())).unwrap();
        Self(pin)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[test]
fn a_program_that_somebody_puts_behind_the_link_goes_and_no_packet_is_lost() {
    if !hears_calls() {
        return;
    }
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    // A pin of others among the daemon's own is in nobody's way.
    let foreign = node.pins.join("foreign");
    let object = it::repository().join("target/corpus/passes.bpf.o");
    of_corpus("passes", "passes", "xdp");
    run(&format!("bpftool prog load {} {}", object.display(), foreign.display())).unwrap();
    let (sent, received, ()) = stream_while(&pair, || {
        for before in 0..crate::rounds(5, 2) {
            call(&pair, UPDATE, &[&link(&node), &foreign.to_string_lossy()]);
            let event = repaired(&node, before);
            assert!(event.by.iter().any(|by| by.contains("BPF_LINK_UPDATE")), "{event:?}");
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, received);
    std::fs::remove_file(foreign).unwrap();
}

#[test]
fn what_others_try_against_the_link_changes_nothing() {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    of_corpus("passes", "passes", "xdp");
    let object = it::repository().join("target/corpus/passes.bpf.o");
    let (object, pin) = (object.display(), format!("{}-other", node.pins.display()));
    run(&format!("bpftool prog load {object} {pin}")).unwrap();
    let id = || {
        let link = run(&format!("bpftool -j link show pinned {}", link(&node))).unwrap();
        let link = serde_json::from_str::<serde_json::Value>(&link).unwrap();
        (link["id"].clone(), link["prog_id"].clone())
    };
    let before = id();
    for (attempt, is_refused) in [
        ("ip link set dev right0 xdp off".to_owned(), true),
        ("ip link set dev right0 xdpdrv off".to_owned(), true),
        // The kernel says yes, and does nothing.
        ("ip link set dev right0 xdpgeneric off".to_owned(), false),
        (format!("ip link set dev right0 xdpdrv pinned {pin}"), true),
        (format!("ip -force link set dev right0 xdpdrv pinned {pin}"), true),
        (format!("ip link set dev right0 xdpgeneric pinned {pin}"), true),
        (format!("bpftool net attach xdpdrv pinned {pin} dev right0 overwrite"), true),
        ("bpftool net detach xdpdrv dev right0".to_owned(), true),
    ] {
        assert_eq!(run_in(&pair.right.namespace, &attempt).is_err(), is_refused, "{attempt}");
        assert_eq!(id(), before, "{attempt}");
    }
    assert!(drifts(&node).is_empty(), "{:?}", drifts(&node));
    std::fs::remove_file(pin).unwrap();
}

#[test]
fn an_interface_that_is_made_again_gets_its_chain_again() {
    let (pair, node) = scene();
    run_in(&pair.right.namespace, "ip link add spare0 type veth peer name spare1").unwrap();
    node.apply(&packages().document("spare0", &["sanity"])).unwrap().success().unwrap();
    for before in 0..3 {
        run_in(&pair.right.namespace, "ip link del spare0").unwrap();
        node.wait("it waits", || !node.status().unwrap().waiting_for.is_empty());
        run_in(&pair.right.namespace, "ip link add spare0 type veth peer name spare1").unwrap();
        repaired(&node, before);
    }
}

#[test]
fn a_chain_on_tc_that_is_taken_off_is_attached_again() {
    let (pair, node) = scene();
    node.l3af(&["run", &passing("tc-ingress"), "--on", "right0"]).unwrap();
    for before in 0..3 {
        if has_links() {
            let link = node.pins.join("right0/tc-ingress/root/link");
            run(&format!("bpftool link detach pinned {}", link.display())).unwrap();
        } else {
            run_in(&pair.right.namespace, "tc qdisc del dev right0 clsact").unwrap();
        }
        repaired(&node, before);
    }
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

/// A document with a TC chain that is to stand first.
fn in_front(drift: &str) -> String {
    format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"tc-ingress\"\nposition = \"first\"\ndrift = \"{drift}\"\n\
         [[chain.member]]\nname = \"in\"\npackage = \"{}\"\n",
        passing("tc-ingress")
    )
}

#[test]
fn a_program_that_somebody_puts_in_front_of_a_chain_comes_behind_it_again() {
    if !has_links() {
        return;
    }
    let (pair, node) = scene();
    let theirs = Foreign::load(&node, "tc_unspec", "classifier");
    let places = || {
        let chain = node.chains().unwrap().remove(0);
        (chain.before, chain.behind)
    };
    let (nobody, them) = (Vec::<String>::new(), vec!["tc_unspec".to_owned()]);
    node.apply(&in_front("repair")).unwrap().success().unwrap();
    for before in 0..crate::rounds(5, 2) {
        call(&pair, PUT_IN_FRONT, &[&theirs.0]);
        let event = repaired(&node, before);
        assert!(event.by.iter().any(|by| by.ends_with(" by BPF_PROG_ATTACH")), "{event:?}");
        assert!(event.text.starts_with("right0/tc-ingress repaired in "), "{event:?}");
        assert_eq!(places(), (nobody.clone(), them.clone()), "it is there still, and has its turn later");
        call(&pair, TAKE_AWAY, &[&theirs.0]);
    }
    assert_eq!(ping(&pair, 3).unwrap(), 3);

    // Where the chain says so it stays where they put it.
    node.apply(&in_front("report")).unwrap().success().unwrap();
    let before = drifts(&node).len();
    call(&pair, PUT_IN_FRONT, &[&theirs.0]);
    node.wait("it is told", || drifts(&node).len() == before + 1);
    let event = drifts(&node).pop().unwrap();
    assert!(event.text.starts_with("right0/tc-ingress changed, and left so"), "{event:?}");
    assert_eq!(
        (places(), node.status().unwrap().left),
        ((them, nobody), vec!["right0/tc-ingress".to_owned()])
    );
}

#[test]
fn a_program_in_front_of_a_chain_that_may_stand_anywhere_is_shown_and_left() {
    if !has_links() {
        return;
    }
    let (pair, node) = scene();
    let theirs = Foreign::load(&node, "tc_unspec", "classifier");
    node.l3af(&["run", &passing("tc-ingress"), "--on", "right0"]).unwrap();
    call(&pair, PUT_IN_FRONT, &[&theirs.0]);
    assert_eq!(node.chains().unwrap()[0].before, ["tc_unspec"]);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert!(drifts(&node).is_empty(), "{:?}", drifts(&node));
}

#[test]
fn a_filter_that_somebody_puts_in_place_of_a_chain_goes() {
    if has_links() {
        return;
    }
    let (pair, node) = scene();
    let theirs = Foreign::load(&node, "tc_unspec", "classifier");
    node.l3af(&["run", &passing("tc-ingress"), "--on", "right0"]).unwrap();
    let filters = || run_in(&pair.right.namespace, "tc filter show dev right0 ingress").unwrap();
    for before in 0..crate::rounds(5, 2) {
        let replace = format!(
            "tc filter replace dev right0 ingress protocol all prio 5039 handle 1 bpf da object-pinned {}",
            theirs.0
        );
        run_in(&pair.right.namespace, &replace).unwrap();
        let event = repaired(&node, before);
        assert!(event.text.starts_with("right0/tc-ingress repaired in "), "{event:?}");
        assert!(filters().contains("l3af_root") && !filters().contains("tc_unspec"), "{}", filters());
    }
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}

#[test]
fn what_others_change_is_left_so_or_left_to_them_where_the_document_says_so() {
    if !hears_calls() {
        return;
    }
    let (pair, node) = scene();
    let document = |policy: &str| {
        let drift = format!("hook = \"xdp\"\ndrift = \"{policy}\"\n");
        packages().document("right0", &["sanity"]).replace("hook = \"xdp\"\n", &drift)
    };
    node.apply(&document("report")).unwrap().success().unwrap();
    run(&format!("bpftool link detach pinned {}", link(&node))).unwrap();
    node.wait("it is told", || drifts(&node).len() == 1);
    let event = drifts(&node).remove(0);
    assert!(event.text.starts_with("right0/xdp changed, and left so"), "{event:?}");
    assert!(!node.chains().unwrap()[0].attached);
    let status = node.status().unwrap();
    assert_eq!((status.left, status.drifts), (vec!["right0/xdp".to_owned()], 0));

    // A document is another word.
    node.apply(&document("yield")).unwrap().success().unwrap();
    assert!(node.chains().unwrap()[0].attached && node.status().unwrap().left.is_empty());
    run(&format!("bpftool link detach pinned {}", link(&node))).unwrap();
    node.wait("the chain is taken out", || node.chains().unwrap().is_empty());
    assert_eq!(node.status().unwrap().left, ["right0/xdp"]);
    run_in(&pair.right.namespace, "ip link add spare0 type veth peer name spare1").unwrap();
    assert_eq!(drifts(&node).len(), 2, "it is told once");
    node.apply(&document("repair")).unwrap().success().unwrap();
    run(&format!("bpftool link detach pinned {}", link(&node))).unwrap();
    repaired(&node, 2);
}

#[test]
fn in_another_network_namespace_it_is_heard_as_well() {
    let pair = Pair::new().unwrap();
    let mut node = Node::start(&pair.left, &packages().policy()).unwrap();
    node.poll_seconds = 3600;
    node.restart().unwrap();
    run_in(&pair.right.namespace, "ip link add spare0 type veth peer name spare1").unwrap();
    let interface = format!("{}:spare0", pair.right.namespace);
    node.apply(&packages().document(&interface, &["sanity"])).unwrap().success().unwrap();
    run_in(&pair.right.namespace, "ip link del spare0").unwrap();
    node.wait("it waits", || !node.status().unwrap().waiting_for.is_empty());
    run_in(&pair.right.namespace, "ip link add spare0 type veth peer name spare1").unwrap();
    repaired(&node, 0);
}

#[test]
fn events_are_told_as_they_happen_until_the_daemon_ends() {
    let (_pair, mut node) = scene();
    let mut follower = Command::new(binary("l3af").unwrap())
        .args(["--socket", &node.socket().to_string_lossy(), "events", "--follow", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Event>(&lines.next().unwrap().unwrap()).unwrap();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    let accepted = next();
    assert_eq!(
        (accepted.kind, accepted.by.as_slice()),
        (EventKind::Accepted, ["user:root".to_owned()].as_slice())
    );
    assert!(accepted.text.starts_with("generation 1: ") && !accepted.steps.is_empty(), "{accepted:?}");
    node.apply_with(&packages().document("right0", &["ratelimit"]), &["--confirm-within", "1h"])
        .unwrap()
        .success()
        .unwrap();
    assert_eq!(next().kind, EventKind::Accepted);
    node.l3af(&["rollback"]).unwrap();
    let given_up = next();
    assert_eq!(given_up.kind, EventKind::GivenUp);
    assert!(given_up.text.starts_with("generation 2: somebody rolled it back"), "{given_up:?}");
    assert!(given_up.number > accepted.number);
    node.end().unwrap();
    assert!(follower.wait().unwrap().success(), "a daemon that ends lets go whoever listens");
}
