// SPDX-License-Identifier: Apache-2.0
//! What `l3af lint` says of the packages of this repository, and of one that a reviewer would send back.

use std::fs;

use serde_json::Value;

use crate::packages;

/// A program with much that a reviewer would ask about.
const HASTY: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __u64);
} senders SEC(".maps");

const volatile __u32 most = 5;

static long (*const newer)(__u32 times, void *step, void *ctx, __u64 flags) = (void *)181;

static long step(__u32 index, void *ctx)
{
	return 0;
}

SEC("xdp")
int hasty(struct xdp_md *ctx)
{
	__u32 sender = ctx->rx_queue_index;
	__u64 one = most;

	bpf_map_update_elem(&senders, &sender, &one, BPF_ANY);
	newer(3, step, &sender, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

const PROGRAM: &str =
    "[[program]]\nfunction = \"hasty\"\nobject = \"hasty.bpf.o\"\nsource = \"hasty.bpf.c\"\nhook = \"xdp\"\n";

#[test]
fn a_reviewer_has_nothing_to_ask_of_the_packages_of_this_repository() {
    for name in ["ratelimit", "sanity"] {
        let folder = it::repository().join("programs").join(name);
        let folder = folder.to_string_lossy();
        let looked = packages().l3af(&["lint", &folder, "--deny", "warnings", "--json"]).unwrap();
        assert!(looked.ok, "{}{}", looked.stdout, looked.stderr);
        let told: Value = serde_json::from_str(&looked.stdout).unwrap();
        assert_eq!((&told["count"]["error"], &told["count"]["warning"]), (&0.into(), &0.into()), "{told}");
        // What is packed lies beside nothing, so nobody says that its tests are missing.
        let packed = packages().l3af(&["lint", name, "--json"]).unwrap().success().unwrap();
        let told: Value = serde_json::from_str(&packed).unwrap();
        assert!(["error", "warning", "note"].iter().all(|severity| told["count"][severity] == 0), "{told}");
    }
}

#[test]
fn a_package_that_a_reviewer_would_send_back_is_told_so() {
    let package = packages().unsigned(("hasty", "1.0.0"), HASTY, PROGRAM).unwrap();
    let looked = packages().l3af(&["lint", &package]).unwrap();
    assert!(!looked.ok);
    for told in [
        "error: helper-too-new\n  hasty.bpf.o, function `hasty`, hasty.bpf.c:28: `bpf_loop` came with Linux 5.17, and `kernel.min` is 5.10\n    | newer(3, step, &sender, 0);",
        "warning: license-file\n",
        "warning: map-role\n  hasty.bpf.o, map `senders`: it has no role\n",
        "warning: parameter-undescribed\n  hasty.bpf.o, map `.rodata`, field `value.most`: ",
        "warning: readme-short\n  README.md: ",
        "note: hash-filled-by-packets\n  hasty.bpf.o, function `hasty`, hasty.bpf.c:27: ",
    ] {
        assert!(looked.stdout.contains(told), "{told}\n---\n{}", looked.stdout);
    }
    assert!(looked.stderr.contains("has 1 error, "), "{}", looked.stderr);
    // Warnings alone fail where they are denied.
    let raised = PROGRAM.to_owned()
        + "[lint]\nallow = [{ rule = \"helper-too-new\", why = \"old kernels never come there\" }]\n";
    let silenced = packages().unsigned(("hasty", "1.0.1"), HASTY, &raised).unwrap();
    let looked = packages().l3af(&["lint", &silenced]).unwrap();
    assert!(looked.ok && looked.stdout.contains("error: helper-too-new (silenced)"), "{}", looked.stdout);
    assert!(looked.stdout.contains("  silenced: old kernels never come there\n"), "{}", looked.stdout);
    assert!(!packages().l3af(&["lint", &silenced, "--deny", "warnings"]).unwrap().ok);
    let allowed: Vec<&str> =
        ["license-file", "map-role", "map-undescribed", "parameter-undescribed", "readme-short"]
            .into_iter()
            .flat_map(|rule| ["--allow", rule])
            .collect();
    let looked =
        packages().l3af(&[&["lint", &silenced, "--deny", "warnings"], allowed.as_slice()].concat()).unwrap();
    assert!(looked.ok, "{}{}", looked.stdout, looked.stderr);
}

#[test]
fn an_object_alone_is_looked_over_and_rules_are_explained() {
    let specimen = it::specimen("legacy_next").unwrap();
    let object = packages().path("legacy_next.bpf.o");
    fs::write(&object, specimen.object).unwrap();
    let looked = packages().l3af(&["lint", &object]).unwrap();
    assert!(
        looked.ok && looked.stdout.contains("warning: hand-chaining\n"),
        "{}{}",
        looked.stdout,
        looked.stderr
    );
    let explained = packages().l3af(&["lint", "--explain", "hand-chaining"]).unwrap().success().unwrap();
    assert!(explained.starts_with("hand-chaining: warning, about object\n  why: "), "{explained}");
    let all = packages().l3af(&["lint", "--explain"]).unwrap().success().unwrap();
    assert!(all.lines().count() > 40 && all.contains("wrong-endian"), "{all}");
    let unknown = packages().l3af(&["lint", &object, "--allow", "no-such-rule"]).unwrap();
    assert!(unknown.stderr.contains("there is no such rule"), "{}", unknown.stderr);
}
