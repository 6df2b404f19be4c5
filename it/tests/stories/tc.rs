// SPDX-License-Identifier: Apache-2.0
//! TC: the same chains on received and sent packets, where the kernel attaches them by link (TCX, Linux 6.6).

use std::fs;

use it::{Node, Pair, ping};

use crate::packages;

/// A package with a program for sent packets that lets all pass.
fn outgoing() -> String {
    let folder = packages().path("outgoing");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(it::repository().join("crates/package/testdata/small.bpf.o"), format!("{folder}/small.bpf.o"))
        .unwrap();
    let manifest = fs::read_to_string(it::repository().join("programs/sanity/package.toml")).unwrap();
    let manifest = manifest.split("[[program]]").next().unwrap().replace("\"sanity\"", "\"outgoing\"");
    let program = "[[program]]\nfunction = \"outgoing\"\nobject = \"small.bpf.o\"\nhook = \"tc-egress\"\n";
    fs::write(format!("{folder}/package.toml"), manifest + program).unwrap();
    fs::write(format!("{folder}/README.md"), "outgoing").unwrap();
    packages().l3af(&["build", &folder, "--output", "outgoing.oci"]).unwrap().success().unwrap();
    packages().l3af(&["sign", "outgoing.oci", "--key", "key"]).unwrap().success().unwrap();
    packages().path("outgoing.oci")
}

#[test]
fn a_chain_on_sent_packets_runs_where_the_kernel_has_tcx_and_is_refused_where_not() {
    let release = it::run("uname -r").unwrap();
    let numbers: Vec<u32> = release.split(['.', '-']).take(2).map(|number| number.parse().unwrap()).collect();
    let pair = Pair::new().unwrap();
    let node = Node::start(&pair.right, &packages().policy()).unwrap();
    let package = outgoing();
    let first = node.cli(&["run", &package, "--on", "right0", "--name", "one"]).unwrap();
    if numbers < vec![6, 6] {
        assert!(first.stderr.contains("needs TCX, which came with Linux 6.6"), "{}", first.stderr);
        return;
    }
    first.success().unwrap();
    node.l3af(&["run", &package, "--on", "right0/tc-egress", "--name", "two"]).unwrap();
    assert_eq!(ping(&pair, 10).unwrap(), 10);
    let members = node.members().unwrap();
    assert_eq!(members.len(), 2);
    assert!(members[0].passed.packets >= 10, "{members:?}");
    assert_eq!(members[0].passed, members[1].seen);
    assert!(members[1].left["ok"].packets >= 10, "{members:?}");
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}
