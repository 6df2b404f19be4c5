// SPDX-License-Identifier: Apache-2.0
//! Chains for interfaces that are meant by what their names match, or by their hardware address.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use it::{Node, Pair, run_in};
use wire::State;

use crate::packages;

struct Scene {
    pair: Pair,
    node: Node,
}

impl Scene {
    fn new() -> Self {
        let pair = Pair::new().unwrap();
        let node = Node::start(&pair.right, &packages().policy()).unwrap();
        Self { pair, node }
    }

    fn ip(&self, command: &str) {
        run_in(&self.pair.right.namespace, &format!("ip link {command}")).unwrap();
    }

    /// An interface, with the far end that it needs.
    fn add(&self, name: &str, address: &str) {
        self.ip(&format!("add {name} {address} type veth peer name x{name}x"));
    }

    /// The members of the chains that have their packets, by interface.
    fn chains(&self) -> BTreeMap<String, String> {
        let attached = self.node.chains().unwrap().into_iter().filter(|chain| chain.attached);
        let names = attached.map(|chain| {
            let members: Vec<String> = chain.members.iter().map(|member| member.name.to_string()).collect();
            (chain.interface.to_string(), members.join(" "))
        });
        names.collect()
    }

    fn wait_until(&self, what: &dyn std::fmt::Debug, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            let waited = begin.elapsed() < Duration::from_mins(1);
            assert!(waited, "{what:?}, and not {:?}\n{}", self.chains(), self.node.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for(&self, wanted: &[(&str, &str)]) {
        let wanted: BTreeMap<String, String> = wanted
            .iter()
            .map(|(interface, members)| ((*interface).to_owned(), (*members).to_owned()))
            .collect();
        self.wait_until(&wanted, || self.chains() == wanted);
    }
}

fn document(chains: &[(&str, &[&str])]) -> String {
    chains.iter().map(|(interface, members)| packages().document(interface, members)).collect()
}

#[test]
fn interfaces_that_match_have_the_chain_as_they_come_and_go() {
    let scene = Scene::new();
    scene.add("dum0", "");
    scene.node.apply(&document(&[("dum*", &["sanity"])])).unwrap().success().unwrap();
    scene.wait_for(&[("dum0", "sanity")]);
    scene.add("dum1", "");
    scene.wait_for(&[("dum0", "sanity"), ("dum1", "sanity")]);
    scene.ip("delete dum0");
    scene.wait_for(&[("dum1", "sanity")]);
    scene.ip("set dum1 name other");
    scene.wait_for(&[]);
    let waits = "dum*/xdp (no interface matches)";
    scene.wait_until(&waits, || scene.node.status().unwrap().waiting_for == [waits]);
    assert_eq!(scene.node.status().unwrap().state, State::Waiting);
    scene.ip("set other name dum7");
    scene.wait_for(&[("dum7", "sanity")]);
    scene.node.l3af(&["stop", "sanity", "--on", "dum*/xdp"]).unwrap();
    scene.wait_for(&[]);
}

#[test]
fn a_chain_of_its_own_comes_before_those_by_a_match_and_the_first_match_counts() {
    let mut scene = Scene::new();
    for name in ["dum0", "dum1", "dum2", "eno0"] {
        scene.add(name, "");
    }
    let wanted: [(&str, &[&str]); 4] =
        [("dum1", &["ratelimit"]), ("dum2", &[]), ("*o0", &["ratelimit", "sanity"]), ("d*0", &["sanity"])];
    scene.node.apply(&document(&wanted)).unwrap().success().unwrap();
    let here = [("dum0", "sanity"), ("dum1", "ratelimit"), ("eno0", "ratelimit sanity")];
    scene.wait_for(&here);
    let same = scene.node.apply(&document(&wanted)).unwrap().success().unwrap();
    assert!(!same.contains("load"), "{same}");
    scene.node.restart().unwrap();
    scene.wait_for(&here);

    let twice = document(&[("dum*", &["sanity"]), ("dum*", &["ratelimit"])]);
    let refused = scene.node.apply(&twice).unwrap().stderr;
    assert!(refused.contains("the document has two chains for `dum*/xdp`"), "{refused}");
    let refused = scene.node.apply(&document(&[("dum/*", &["sanity"])])).unwrap().stderr;
    assert!(refused.contains("`dum/*` is not a pattern for interfaces"), "{refused}");
}

#[test]
fn a_chain_follows_a_hardware_address() {
    let scene = Scene::new();
    scene.add("dum0", "address 02:00:5e:10:00:01");
    scene.add("dum1", "address 02:00:5e:10:00:02");
    let wanted = document(&[("mac=02:00:5e:10:00:01", &["sanity"])]);
    scene.node.apply(&wanted).unwrap().success().unwrap();
    scene.wait_for(&[("dum0", "sanity")]);
    scene.ip("set dum0 address 02:00:5e:10:00:03");
    scene.wait_for(&[]);
    scene.ip("set dum1 address 02:00:5e:10:00:01");
    scene.wait_for(&[("dum1", "sanity")]);
}

#[test]
fn what_comes_new_is_no_drift_and_what_others_change_is() {
    let scene = Scene::new();
    scene.add("dum0", "");
    let report = document(&[("dum*", &["sanity"])])
        .replace("hook = \"xdp\"\n", "hook = \"xdp\"\ndrift = \"report\"\n");
    scene.node.apply(&report).unwrap().success().unwrap();
    scene.add("dum1", "");
    scene.wait_for(&[("dum0", "sanity"), ("dum1", "sanity")]);
    assert_eq!(scene.node.status().unwrap().left, [""; 0]);
    let link = scene.node.pins.join("dum1/xdp/root/link");
    assert!(link.exists(), "{}", link.display());
    std::fs::remove_file(link).unwrap();
    scene.wait_for(&[("dum0", "sanity")]);
    scene.wait_until(&"left so", || scene.node.status().unwrap().left == ["dum1/xdp"]);
}
