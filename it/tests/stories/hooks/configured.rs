// SPDX-License-Identifier: Apache-2.0
//! Maps that hold what a document says: filled before a packet meets them, changed all at once, by nobody else.

use std::path::PathBuf;
use std::sync::OnceLock;

use it::{Node, Ran, ping, stream_while};
use serde_json::Value;

use crate::{packages, scene};

/// A firewall in which everything that decides is configured: who, what, with which mark.
const SOURCE: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum verdict { LET = 2, STOP = 1 };
struct prefix { __u32 length; __u8 address[4]; };
struct rule { enum verdict verdict; __u32 mark; };
struct types { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, __u8); __type(value, struct rule); };

/* What only maps in maps hold is declared at most. */
struct rule *unused __attribute__((unused));

struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 64); __uint(map_flags, 1);
	__type(key, struct prefix); __type(value, enum verdict); } senders SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 4); __type(key, __u8); __type(value, __u32);
	__array(values, struct types); } protocols SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); } weights SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } counts SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u32); __type(value, __u64); } common SEC(".maps");

const volatile __u8 own_address[4] = { 10, 0, 0, 1 };
const volatile enum verdict otherwise = LET;
const volatile __u64 step = 1;

SEC("xdp") int firewall(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	struct prefix sender = { .length = 32 };
	enum verdict *verdict;
	struct rule *rule;
	__u64 *count, *weight;
	__u8 protocol, type;
	__u32 key = 0;
	void *inner;

	if ((void *)(ip + 1) + 1 > end || ethernet->h_proto != bpf_htons(0x0800))
		return XDP_PASS;
	count = bpf_map_lookup_elem(&counts, &key);
	weight = bpf_map_lookup_elem(&weights, &key);
	if (count && weight)
		__sync_fetch_and_add(count, *weight * step);
	if (bpf_map_lookup_elem(&common, &key))
		return XDP_DROP;
	__builtin_memcpy(sender.address, &ip->saddr, 4);
	verdict = bpf_map_lookup_elem(&senders, &sender);
	if (verdict)
		return *verdict;
	protocol = ip->protocol;
	type = *(__u8 *)(ip + 1);
	inner = bpf_map_lookup_elem(&protocols, &protocol);
	rule = inner ? bpf_map_lookup_elem(inner, &type) : 0;
	if (rule) {
		key = rule->mark & 3;
		count = bpf_map_lookup_elem(&counts, &key);
		if (count)
			__sync_fetch_and_add(count, 1);
		return rule->verdict;
	}
	return own_address[0] ? otherwise : XDP_ABORTED;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

const MANIFEST: &str = r#"
[[program]]
function = "firewall"
object = "firewall.bpf.o"
source = "firewall.bpf.c"
hook = "xdp"

[[map]]
name = "senders"
role = "config"
description = "Who is let through"

[[map]]
name = "common"
share = "package"

[[map]]
name = ".rodata"

[[map.field]]
path = "value.own_address"
format = "ipv4"

[[map.field]]
path = "value.step"
unit = "B"
min = 1
max = "1KiB"
"#;

fn package() -> &'static str {
    static PACKAGE: OnceLock<String> = OnceLock::new();
    PACKAGE.get_or_init(|| packages().from_source(("firewall", "1.0.0"), SOURCE, MANIFEST).unwrap())
}

/// The document of a firewall with this configuration, in TOML.
fn document(config: &str) -> String {
    let package = package();
    format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n[[chain.member]]\nname = \"firewall\"\npackage = \"{package}\"\n{config}"
    )
}

#[track_caller]
fn apply(node: &Node, config: &str) {
    node.apply(&document(config)).unwrap().success().unwrap();
}

#[track_caller]
fn refused(ran: Ran) -> String {
    assert!(!ran.ok, "{}", ran.stdout);
    ran.stderr
}

/// What `l3af get` prints of a map.
#[track_caller]
fn held(node: &Node, words: &[&str]) -> String {
    let words: Vec<&str> = ["get", "firewall"].iter().chain(words).copied().collect();
    node.l3af(&words).unwrap().trim_end().to_owned()
}

fn instance(node: &Node) -> String {
    node.members().unwrap()[0].instance.clone()
}

/// Where a map of the newest instance is pinned that is configured.
fn pinned(node: &Node, map: &str) -> PathBuf {
    let instance = instance(node);
    node.pins.join("right0/xdp/instances").join(instance).join(format!("configured:{map}"))
}

fn number(map: &std::path::Path) -> Value {
    let told = it::run(&format!("bpftool -j map show pinned {}", map.display())).unwrap();
    serde_json::from_str::<Value>(&told).unwrap()["id"].clone()
}

#[test]
fn maps_hold_what_the_document_says_and_nothing_else() {
    let (pair, node) = scene();
    apply(&node, "");
    assert_eq!(ping(&pair, 2).unwrap(), 2);
    let ours = pair.left.address.clone();
    node.l3af(&["set", "firewall", "senders", "198.51.100.0/24=STOP"]).unwrap();
    apply(&node, &format!("config.senders = {{ \"{ours}\" = \"STOP\", \"192.0.2.0/24\" = \"LET\" }}\n"));
    assert_eq!(ping(&pair, 2).unwrap(), 0);
    assert_eq!(held(&node, &["senders"]).lines().count(), 2);
    // Another form of the same, in another order, is the same.
    let before = instance(&node);
    let list = format!(
        "config.senders = [{{ key = \"192.0.2.0/24\", value = 2 }}, {{ key = \"{ours}/32\", value = \"STOP\" }}]\n"
    );
    apply(&node, &list);
    assert_eq!(instance(&node), before);
    apply(&node, "config.senders = { \"192.0.2.0/24\" = \"STOP\" }\n");
    assert_eq!(ping(&pair, 2).unwrap(), 2);
    assert_eq!(held(&node, &["senders"]), "192.0.2.0/24=STOP");
    // Without a word of the document, the map is the program's again, and empty.
    apply(&node, "");
    assert_eq!(held(&node, &["senders"]), "");
    node.l3af(&["set", "firewall", "senders", &format!("{ours}=STOP")]).unwrap();
    assert_eq!(ping(&pair, 1).unwrap(), 0);
}

#[test]
fn nobody_else_changes_a_map_that_is_configured() {
    let (_pair, mut node) = scene();
    apply(&node, "config.senders = { \"192.0.2.0/24\" = \"STOP\" }\n");
    let refusal = refused(node.cli(&["set", "firewall", "senders", "10.0.0.0/8=STOP", "--force"]).unwrap());
    assert!(refusal.contains("the document says what the map `senders` of `firewall` holds"), "{refusal}");
    let map = pinned(&node, "senders");
    let foreign = format!("bpftool map update pinned {} key 8 0 0 0 10 0 0 0 value 1 0 0 0", map.display());
    assert!(it::run(&foreign).is_err());
    let chain = node.l3af(&["chain", "right0"]).unwrap();
    assert!(chain.contains("senders holds what the document says"), "{chain}");
    // It is as it was for a daemon that comes after this one, too.
    let (before, number_before) = (instance(&node), number(&map));
    node.restart().unwrap();
    assert_eq!((instance(&node), number(&pinned(&node, "senders"))), (before, number_before));
    assert_eq!(held(&node, &["senders"]), "192.0.2.0/24=STOP");
}

#[test]
fn all_of_a_configuration_changes_at_once_and_counters_stay() {
    let (pair, node) = scene();
    let rules = |mark: u32| {
        format!(
            "[chain.member.config]\nprotocols.1.8 = {{ verdict = \"LET\", mark = {mark} }}\nweights = {{ 0 = {mark} }}\nstep = {mark}\n"
        )
    };
    apply(&node, &rules(1));
    ping(&pair, 1).unwrap();
    let (sent, arrived, ()) = stream_while(&pair, || {
        for turn in 0..10 {
            apply(&node, &rules(1 + turn % 3));
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(sent, arrived);
    apply(&node, &rules(3));
    let count = |key: &str| -> u64 { held(&node, &["counts", key]).parse().unwrap() };
    let (weighed, marked) = (count("0"), count("3"));
    assert!(weighed > 0 && count("1") > 0, "{}", held(&node, &["counts"]));
    assert_eq!(ping(&pair, 5).unwrap(), 5);
    // Three times three for each packet: the constant and the map on each processor are of one instance.
    let (weighed, marked) = (count("0") - weighed, count("3") - marked);
    assert_eq!(weighed, marked * 9, "a packet met a mixture");
    // What has not changed is the same map, though other things of the member change.
    let map = number(&pinned(&node, "protocols"));
    apply(&node, &rules(3).replace("step = 3", "step = 4"));
    assert_eq!(number(&pinned(&node, "protocols")), map);
}

#[test]
fn what_cannot_be_configured_is_told_with_its_place_and_nothing_changes() {
    let (pair, node) = scene();
    apply(&node, "config.senders = { \"192.0.2.0/24\" = \"STOP\" }\n");
    let before = instance(&node);
    let wrong = "[chain.member.config]\nsenders = { \"10.0.0.0/8\" = \"STOPP\", \"300.1.1.1\" = \"LET\" }\nstep = \"2KiB\"\n\
                 own_address = \"here\"\nprotocols.1.8 = { verdict = \"LET\" }\ncounts = { 9 = 1 }\nmissing = 1\n";
    let refusal = refused(node.apply(&document(wrong)).unwrap());
    for place in [
        "`/chain/0/member/0/config/senders/10.0.0.0~18` = \"STOPP\"",
        "config/senders/300.1.1.1`",
        "config/step` = \"2KiB\"",
        "config/own_address` = \"here\"",
        "config/protocols/1/8/mark`",
        "config/counts/9`",
        "config/missing`",
    ] {
        assert!(refusal.contains(place), "{place}: {refusal}");
    }
    let shared = refused(node.apply(&document("config.common = { 0 = 1 }\n")).unwrap());
    assert!(
        shared.contains("the map `common` of `firewall` cannot be configured: its package shares it"),
        "{shared}"
    );
    let variables = refused(node.apply(&document("config.\".rodata\" = { step = 1 }\n")).unwrap());
    assert!(variables.contains("it holds global variables"), "{variables}");
    assert_eq!((instance(&node), held(&node, &["senders"]).as_str()), (before.clone(), "192.0.2.0/24=STOP"));
    // The kernel refuses what comes behind: what was configured before is in force, as it was.
    let bad = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n#include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n\
               SEC(\"xdp\") int reads(struct xdp_md *context) { return *(__u8 *)(long)context->data; }\n\
               char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";\n";
    let manifest = "[[program]]\nfunction = \"reads\"\nobject = \"reads.bpf.o\"\nsource = \"reads.bpf.c\"\nhook = \"xdp\"\n";
    let bad = packages().from_source(("reads", "1.0.0"), bad, manifest).unwrap();
    let ours = pair.left.address.clone();
    let both = document(&format!("config.senders = {{ \"{ours}\" = \"STOP\" }}\n"))
        + &format!("[[chain.member]]\nname = \"reads\"\npackage = \"{bad}\"\n");
    let refusal = refused(node.apply(&both).unwrap());
    assert!(refusal.contains("verifier rejects"), "{refusal}");
    assert_eq!((instance(&node), held(&node, &["senders"]).as_str()), (before, "192.0.2.0/24=STOP"));
    assert_eq!(ping(&pair, 2).unwrap(), 2);
}

#[test]
fn a_command_line_and_a_deployment_configure_maps_too() {
    let (pair, node) = scene();
    let (ours, package) = (pair.left.address.clone(), package());
    let senders = format!("senders={{\"{ours}\": \"STOP\"}}");
    node.l3af(&[
        "run",
        package,
        "--on",
        "right0",
        "--set",
        &senders,
        "--set",
        "own_address=192.0.2.7",
        "--set",
        "step=1KiB",
    ])
    .unwrap();
    assert_eq!(ping(&pair, 1).unwrap(), 0);
    let config = node.members().unwrap()[0].config.clone();
    assert_eq!((&config["own_address"], &config["step"]), (&"192.0.2.7".into(), &1024.into()));
    node.l3af(&["change", "firewall", "--set", "senders={}"]).unwrap();
    assert_eq!(ping(&pair, 1).unwrap(), 1);
    let deployed = format!(
        "[[deployment]]\nname = \"both\"\npackage = \"{package}\"\n[deployment.config]\nsenders = {{ \"{ours}\" = \"STOP\" }}\n\
         [[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\nmember = [{{ name = \"both\" }}, {{ name = \"own\", deployment = \"both\", config.senders = {{}} }}]\n"
    );
    node.apply(&deployed).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 1).unwrap(), 0);
    assert_eq!(node.l3af(&["get", "both", "senders"]).unwrap().trim_end(), format!("{ours}/32=STOP"));
    assert_eq!(node.l3af(&["get", "own", "senders"]).unwrap(), "");
    let unknown = deployed.replace("config]\nsenders", "config]\nsender");
    let refusal = refused(node.apply(&unknown).unwrap());
    assert!(
        refusal.contains("no program of the deployment `both` has a parameter or map `sender`"),
        "{refusal}"
    );
}
