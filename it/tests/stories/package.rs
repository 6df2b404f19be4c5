// SPDX-License-Identifier: Apache-2.0
//! Packages: the same everywhere, and nothing runs that is not trusted or does not verify.

use std::fs;

use it::{Node, Pair};

use crate::packages;

#[test]
fn the_same_sources_make_the_same_package_on_every_kernel() {
    let here = packages().build_one("ratelimit", "again").unwrap();
    // Another kernel is asked to compare with what was built outside of it.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads this variable")]
    if let Ok(expected) = std::env::var("L3AF_EXPECT_DIGEST") {
        assert_eq!(here.trim(), expected);
    }
    let copy = packages().path("elsewhere/programs");
    fs::create_dir_all(packages().path("elsewhere")).unwrap();
    let programs = it::repository().join("programs");
    it::run(&format!("cp -r {} {copy}", programs.display())).unwrap();
    let source = format!("{copy}/ratelimit");
    let there = packages().l3af(&["build", &source, "--output", "there"]).unwrap().success().unwrap();
    assert_eq!(here, there);
}

#[test]
fn a_package_that_nobody_trusted_signed_does_not_run() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    packages().build_one("sanity", "plain").unwrap();
    let offer = |name: &str| node.cli(&["run", &packages().path(name), "--on", "right0"]).unwrap().stderr;
    assert!(offer("plain").contains("package `sanity` is not signed"));
    packages().l3af(&["key", "new", "stranger", "--no-passphrase"]).unwrap().success().unwrap();
    packages().l3af(&["sign", "plain", "--key", "stranger"]).unwrap().success().unwrap();
    assert!(offer("plain").contains("0 of the trusted signers signed it, 1 must"));
    assert!(node.chains().unwrap().is_empty());
    // Signed by the right key in the end, it runs.
    packages().l3af(&["sign", "plain", "--key", "key"]).unwrap().success().unwrap();
    node.l3af(&["run", &packages().path("plain"), "--on", "right0"]).unwrap();
}

#[test]
fn a_signed_package_that_was_changed_does_not_run() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    packages().build_one("sanity", "changed").unwrap();
    packages().l3af(&["sign", "changed", "--key", "key"]).unwrap().success().unwrap();
    let blobs = packages().path("changed/blobs/sha256");
    let largest = fs::read_dir(blobs).unwrap().map(|entry| entry.unwrap().path());
    let layer = largest.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let refused = node.apply(&packages().document("right0", &["changed"])).unwrap();
    assert!(refused.stderr.contains("has other bytes: their digest is"), "{}", refused.stderr);
    assert!(node.chains().unwrap().is_empty());
}

#[test]
fn without_a_policy_nothing_runs_and_mode_normal_says_so_loudly() {
    let pair = Pair::new().unwrap();
    let strict = Node::start(&pair.right, "").unwrap();
    let refused = strict.cli(&["run", &packages().path("sanity"), "--on", "right0"]).unwrap();
    assert!(refused.stderr.contains("nobody named `l3af` is trusted here"), "{}", refused.stderr);
    drop(strict);
    let loose = Node::start(&pair.right, "mode = \"normal\"").unwrap();
    assert!(loose.log().contains("packages are NOT verified"), "{}", loose.log());
    assert!(loose.l3af(&["status"]).unwrap().contains("normal"));
    packages().build_one("sanity", "loose").unwrap();
    loose.l3af(&["run", &packages().path("loose"), "--on", "right0"]).unwrap();
}

/// A package whose program reads what it has not checked.
fn rejected_by_the_verifier() -> String {
    let folder = packages().path("wild");
    fs::create_dir_all(&folder).unwrap();
    let source = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\nstruct xdp_md { unsigned data, data_end; };\n\
                  __attribute__((section(\"xdp\"), used)) int wild(struct xdp_md *ctx)\n{\n\treturn *(char *)(long)ctx->data;\n}\n\
                  char LICENSE[] __attribute__((section(\"license\"), used)) = \"Dual BSD/GPL\";\n";
    let manifest = fs::read_to_string(it::repository().join("programs/sanity/package.toml")).unwrap();
    let manifest = manifest.split("[build.headers]").next().unwrap().replace("sanity", "wild");
    for (name, text) in [("wild.bpf.c", source), ("package.toml", &manifest), ("README.md", "wild")] {
        fs::write(format!("{folder}/{name}"), text).unwrap();
    }
    packages().l3af(&["build", &folder, "--output", "wild.oci"]).unwrap().success().unwrap();
    packages().l3af(&["sign", "wild.oci", "--key", "key"]).unwrap().success().unwrap();
    packages().path("wild.oci")
}

#[test]
fn a_rejection_by_the_verifier_shows_its_telling_line_and_leaves_nothing() {
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    node.apply(&packages().document("right0", &["sanity", "ratelimit"])).unwrap().success().unwrap();
    let before = node.members().unwrap();
    let refused = node.cli(&["run", &rejected_by_the_verifier(), "--on", "right0", "--at", "2"]).unwrap();
    assert!(!refused.ok);
    // Linux 7.2 says `R1 min value is outside of the allowed memory range`.
    let line = refused.stderr.split("verifier rejects `wild`: ").nth(1).unwrap_or_default();
    assert!(line.starts_with("R1 ") && line.contains(" is outside of the "), "{}", refused.stderr);
    let log = refused.stderr.lines().find_map(|line| line.strip_prefix("log: ")).unwrap();
    assert!(fs::read_to_string(log).unwrap().contains("processed"));
    let after = node.members().unwrap();
    let names = |members: &[wire::MemberView]| members.iter().map(|m| m.instance.clone()).collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
    let pinned = fs::read_dir(node.pins.join("right0/xdp/instances")).unwrap().count();
    let kept = fs::read_dir(node.pins.join("right0/xdp/state")).unwrap().count();
    assert_eq!((pinned, kept), (2, 2));
    assert!(node.l3af(&["status"]).unwrap().contains("generation   1"));
}
