// SPDX-License-Identifier: Apache-2.0
//! Upgrades: a new release goes on with the maps of the old one, or is refused before anything changes.

use std::fs;
use std::path::{Path, PathBuf};

use it::{Node, Pair, ping};

use crate::packages;

/// A release of a program that counts packets in a map. `value` is the type of what it counts in, `globals` stands beside.
pub(crate) fn release(version: &str, value: &str, globals: &str, manifest: &str) -> String {
    let source = format!(
        "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n\
         #include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n\
         struct entry {{ {value} }};\n\
         struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, __u32);\n\
         __type(value, struct entry); }} entries SEC(\".maps\");\n\
         {globals}\n\
         SEC(\"xdp\") int counter(struct xdp_md *context) {{\n\
         __u32 key = 0; struct entry *entry = bpf_map_lookup_elem(&entries, &key);\n\
         if (entry) __sync_fetch_and_add(&entry->packets, 1);\n\
         return XDP_PASS; }}\n\
         char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";\n"
    );
    let program = "[[program]]\nfunction = \"counter\"\nobject = \"counter.bpf.o\"\nsource = \"counter.bpf.c\"\nhook = \"xdp\"\n";
    packages().from_source(("counter", version), &source, &format!("{program}{manifest}")).unwrap()
}

/// The map of the only member.
fn entries(node: &Node) -> PathBuf {
    let states = node.pins.join("right0/xdp/state");
    let mut states: Vec<PathBuf> = fs::read_dir(states).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(states.len(), 1, "{states:?}");
    states.remove(0).join("entries")
}

/// What was counted in a map, in the first eight bytes of its only entry.
pub(crate) fn counted(map: &Path) -> u64 {
    let dump = it::run(&format!("bpftool -j map dump pinned {}", map.display())).unwrap();
    let dump: serde_json::Value = serde_json::from_str(&dump).unwrap();
    let bytes = dump[0]["value"].as_array().unwrap().iter().take(8);
    let bytes: Vec<u8> = bytes
        .map(|byte| u8::from_str_radix(byte.as_str().unwrap().trim_start_matches("0x"), 16).unwrap())
        .collect();
    u64::from_ne_bytes(bytes.try_into().unwrap())
}

#[test]
fn a_new_release_goes_on_counting_where_the_old_one_was() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    let one = release("1.0.0", "__u64 packets;", "__u32 first;", "");
    let two = release("1.1.0", "__u64 packets;", "__u32 first; const volatile __u32 unused = 7;", "");
    node.l3af(&["run", &one, "--on", "right0", "--name", "counter"]).unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    let before = counted(&entries(&node));
    assert!(before >= 10, "{before}");
    node.l3af(&["change", "counter", "--package", &two]).unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    assert!(counted(&entries(&node)) >= before + 10);
    let member = node.members().unwrap().remove(0);
    assert_eq!(member.version, "1.1.0");
    assert!(member.seen.packets >= 20, "{member:?}");
}

#[test]
fn a_release_with_another_layout_is_refused_and_says_which_field_differs() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    let one = release("2.0.0", "__u64 packets; __u32 flags;", "", "");
    let two = release("2.1.0", "__u64 packets; __u16 flags; __u16 more;", "", "");
    let fresh = release(
        "2.2.0",
        "__u64 packets; __u16 flags; __u16 more;",
        "",
        "[[map]]\nname = \"entries\"\nupgrade = \"fresh\"\n",
    );
    node.l3af(&["run", &one, "--on", "right0", "--name", "counter"]).unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    let refused = node.cli(&["change", "counter", "--package", &two]).unwrap();
    let words = "map `entries` of `counter` on `right0/xdp` holds state that the new release cannot read: it had \
                 `value.flags: u32 at 8`, and wants `value.flags: u16 at 8`";
    assert!(refused.stderr.contains(words), "{}", refused.stderr);
    assert_eq!(node.members().unwrap()[0].version, "2.0.0");
    assert!(counted(&entries(&node)) >= 10);
    node.l3af(&["change", "counter", "--package", &fresh]).unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert!(counted(&entries(&node)) < 10);
}
