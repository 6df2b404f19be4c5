// SPDX-License-Identifier: Apache-2.0
//! Maps that several members use, as their packages say.

use std::fs;
use std::path::{Path, PathBuf};

use it::{Node, Pair, ping, run_in};

use crate::hooks::upgrade::{counted, release};

/// The only shared map in a folder.
fn only(folder: &Path) -> PathBuf {
    let mut maps: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(maps.len(), 1, "{maps:?}");
    maps.remove(0).join("map")
}

fn shared(version: &str, scope: &str) -> String {
    release(version, "__u64 packets;", "", &format!("[[map]]\nname = \"entries\"\nshare = \"{scope}\"\n"))
}

fn member(name: &str, package: &str) -> String {
    format!("[[chain.member]]\nname = \"{name}\"\npackage = \"{package}\"\n")
}

fn chain(interface: &str, members: &[String]) -> String {
    format!("[[chain]]\ninterface = \"{interface}\"\nhook = \"xdp\"\n{}", members.concat())
}

#[test]
fn members_of_a_chain_count_in_one_map_and_another_chain_in_its_own() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages_policy()).unwrap();
    let package = shared("3.0.0", "chain");
    let both = chain("right0", &[member("a", &package), member("b", &package)]);
    node.apply(&(both.clone() + &chain("lo", &[member("a", &package)]))).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    let map = only(&node.pins.join("right0/xdp/shared"));
    assert!(counted(&map) >= 20, "{}", counted(&map));
    assert_eq!(counted(&only(&node.pins.join("lo/xdp/shared"))), 0);
    // What is shared outlives those who share it one after the other.
    let before = counted(&map);
    node.apply(&chain("right0", &[member("c", &package)])).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    assert!(counted(&map) >= before + 10);
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
}

#[test]
fn programs_of_a_package_and_of_a_node_count_in_one_map_on_all_interfaces() {
    for (scope, version, folder) in
        [("package", "3.1.0", "maps-of-packages/l3af#counter"), ("node", "3.2.0", "maps-of-the-node")]
    {
        let pair = Pair::new().unwrap();
        let node = Node::start(&pair.right, &packages_policy()).unwrap();
        let package = shared(version, scope);
        let document = chain("right0", &[member("a", &package)]) + &chain("lo", &[member("b", &package)]);
        node.apply(&document).unwrap().success().unwrap();
        assert_eq!(ping(&pair, 10).unwrap(), 10);
        let map = only(&node.pins.join(folder));
        let from_one = counted(&map);
        assert!((10..20).contains(&from_one), "{from_one}");
        run_in(&pair.right.namespace, "ping -c 5 -i 0.02 -q 127.0.0.1").unwrap();
        assert!(counted(&map) >= from_one + 10);
        node.l3af(&["stop", "--all"]).unwrap();
        assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
    }
}

#[test]
fn those_who_share_a_map_must_agree_in_what_lies_where() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages_policy()).unwrap();
    let share = "[[map]]\nname = \"entries\"\nshare = \"chain\"\n";
    let old = release("4.0.0", "__u64 packets;", "", share);
    let new = release("4.1.0", "__u64 packets; __u64 bytes;", "", share);
    let fresh =
        release("4.2.0", "__u64 packets; __u64 bytes;", "", &(share.to_owned() + "upgrade = \"fresh\"\n"));
    node.apply(&chain("right0", &[member("a", &old), member("b", &old)])).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    for (members, words) in [
        (
            [member("a", &old), member("b", &new)],
            "is shared by `a` and `b`, which lay it out in different ways: `value: 8 bytes` and `value: 16 bytes`",
        ),
        (
            [member("a", &new), member("b", &new)],
            "holds state that `a` cannot read: it had `value: 8 bytes`, and `a` wants `value: 16 bytes`",
        ),
    ] {
        let refused = node.apply(&chain("right0", &members)).unwrap();
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert!(counted(&only(&node.pins.join("right0/xdp/shared"))) >= 6);
    node.apply(&chain("right0", &[member("a", &fresh), member("b", &fresh)])).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 1).unwrap(), 1);
    let anew = counted(&only(&node.pins.join("right0/xdp/shared")));
    assert!((2..6).contains(&anew), "{anew}");
}

/// A package whose member and probe, of one object, count in one map.
fn member_and_probe() -> String {
    let count = "__u32 key = 0; __u64 *entry = bpf_map_lookup_elem(&entries, &key); if (entry) \
                 __sync_fetch_and_add(entry,";
    let source = format!(
        "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n\
         #include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n\
         struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32);\n\
         __type(value, __u64); }} entries SEC(\".maps\");\n\
         SEC(\"xdp\") int counter(struct xdp_md *context) {{ {count} 1); return XDP_PASS; }}\n\
         SEC(\"raw_tp/sched_process_exec\") int on_exec(void *context) {{ {count} 1000); return 0; }}\n\
         char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";\n"
    );
    let program = |function: &str, hook: &str| {
        format!(
            "[[program]]\nfunction = \"{function}\"\nobject = \"both.bpf.o\"\nsource = \"both.bpf.c\"\nhook = \"{hook}\"\n"
        )
    };
    let programs = program("counter", "xdp") + &program("on_exec", "raw-tracepoint");
    let share = "[[map]]\nname = \"entries\"\nshare = \"package\"\n";
    crate::packages().from_source(("both", "0.1.0"), &source, &(programs + share)).unwrap()
}

#[test]
fn a_member_and_a_probe_of_one_object_count_in_one_map() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages_policy()).unwrap();
    let package = member_and_probe();
    let probe = format!("[[probe]]\nname = \"execs\"\npackage = \"{package}\"\n");
    node.apply(&(chain("right0", &[member("a", &package)]) + &probe)).unwrap().success().unwrap();
    let map = only(&node.pins.join("maps-of-packages/l3af#both"));
    let before = counted(&map);
    // `ping` is executed as well.
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    let after = counted(&map);
    assert!(after - before >= 1010 && (after - before) % 1000 >= 10, "{before} {after}");
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(fs::read_dir(&node.pins).unwrap().count(), 0);
}

fn packages_policy() -> String {
    crate::packages().policy()
}
