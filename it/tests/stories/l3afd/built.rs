// SPDX-License-Identifier: Apache-2.0
//! Artifacts for l3afd v1 that are built from programs that know nothing of chains.

use std::fs;
use std::path::PathBuf;

use kernel::{Candidate, Trial};
use package::{Files, HookPoint, Limits, unpack};
use serde_json::Value;

use super::{NORMAL, artifacts, site, taken};
use crate::packages;

const DROP: i32 = 1;
const PASS: i32 = 2;

/// A program for both directions of TC, which lets no packet through that is longer than a parameter says.
const SHORT: &str = r#"
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

const volatile __u32 most = 300, spare = 1;

static __always_inline int judge(struct __sk_buff *skb)
{
	return skb->len > most ? 2 : 0;
}

SEC("tc")
int comes(struct __sk_buff *skb)
{
	return judge(skb);
}

SEC("tc")
int goes(struct __sk_buff *skb)
{
	return judge(skb);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

/// Builds for l3afd v1 and returns the payload, and what is in the artifact.
fn build(folder: &str, repository: &str, more: &[&str]) -> (Value, Vec<u8>) {
    let arguments =
        ["build", folder, "--for", "l3afd", "--on", "ibpfbr", "--platform", "here", "--output", repository];
    let payload = packages().l3af(&[&arguments, more].concat()).unwrap().success().unwrap();
    let payload: Value = serde_json::from_str(&payload).unwrap();
    let lists = payload[0]["bpf_programs"].as_object().unwrap();
    let program = &lists.values().filter_map(Value::as_array).flatten().next().unwrap();
    let part = |key: &str| program[key].as_str().unwrap().to_owned();
    let place = [&part("name"), &part("version"), "here", &part("artifact")].iter().collect::<PathBuf>();
    (payload, fs::read(PathBuf::from(packages().path(repository)).join(place)).unwrap())
}

fn sources(name: &str) -> String {
    it::repository().join("programs").join(name).to_string_lossy().into_owned()
}

/// The object in an artifact, which has one folder.
fn object(artifact: &[u8]) -> Vec<u8> {
    let files: Files = unpack(artifact, &Limits::default()).unwrap();
    let found = files.iter().find(|file| file.path.ends_with(".bpf.o")).unwrap();
    assert_eq!(found.path.split('/').count(), 2, "{}", found.path);
    found.bytes.clone()
}

/// A TCP segment over IPv4 to port 80 with these flags, from a host of its own.
fn segment(flags: u8) -> Vec<u8> {
    let ethernet = [[2; 6].as_slice(), &[4; 6], &[8, 0]].concat();
    let ip = [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let tcp = [0x10, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 1, 0, 0, 0, 0, 0];
    [ethernet.as_slice(), &ip, &tcp].concat()
}

fn candidate<'a>(point: HookPoint, object: &'a [u8], function: &str) -> Candidate<'a> {
    Candidate { point, object, function: function.parse().unwrap() }
}

const SYN: u8 = 2;
const SYN_AND_FIN: u8 = 3;

#[test]
fn what_is_built_for_l3afd_chains_in_its_way_and_in_the_order_of_its_chain() {
    let one_a_second = ["--set", "connections_per_second=1", "--set", "burst=1"];
    let (_, sanity) = build(&sources("sanity"), "v1-first", &[]);
    let (payload, ratelimit) = build(&sources("ratelimit"), "v1-first", &one_a_second);
    // The same sources make the same bytes.
    assert_eq!(build(&sources("sanity"), "v1-again", &[]).1, sanity);
    assert_eq!(build(&sources("ratelimit"), "v1-again", &one_a_second).1, ratelimit);
    assert_eq!(payload[0]["bpf_programs"]["xdp_ingress"][0]["map_name"], "xdp_ratelimit_next_prog");

    let (sanity, ratelimit) = (object(&sanity), object(&ratelimit));
    let members = [
        (candidate(HookPoint::Xdp, &sanity, "xdp_sanity"), "xdp_sanity_next_prog"),
        (candidate(HookPoint::Xdp, &ratelimit, "xdp_ratelimit"), "xdp_ratelimit_next_prog"),
    ];
    let chain = |order: [usize; 2]| Trial::cooperating(&order.map(|at| members[at].clone())).unwrap();
    let run = |chain: &Trial, flags| chain.run(&segment(flags), 1).unwrap().verdict;
    // What the first drops, the second does not see: its allowance is left for an honest segment.
    let first = chain([0, 1]);
    assert_eq!((run(&first, SYN_AND_FIN), run(&first, SYN)), (DROP, PASS));
    assert_eq!(first.run(&segment(SYN), 2).unwrap().verdict, DROP);
    // The other way round the limit counts them all. A second may pass between two packets, but not each time.
    let second = chain([1, 0]);
    assert!((0..3).any(|_| (run(&second, SYN_AND_FIN), run(&second, SYN)) == (DROP, DROP)));
}

#[test]
fn both_directions_of_tc_are_built_from_one_source() {
    let program = |function: &str, hook: &str| {
        format!(
            "[[program]]\nfunction = \"{function}\"\nobject = \"short.bpf.o\"\nsource = \"short.bpf.c\"\nhook = \"{hook}\"\n"
        )
    };
    let manifest = program("comes", "tc-ingress") + &program("goes", "tc-egress");
    packages().unsigned(("short", "1.0.0"), SHORT, &manifest).unwrap();
    let folder = packages().path("short-1.0.0");
    let refused = packages()
        .l3af(&["build", &folder, "--for", "l3afd", "--set", "most=100", "--output", "v1-tc"])
        .unwrap();
    assert!(
        refused.stderr.contains("the declaration of `most` is not `const volatile TYPE most = VALUE;`"),
        "{}",
        refused.stderr
    );
    let (payload, longer) = build(&folder, "v1-tc", &[]);
    for (list, entry) in [("tc_ingress", "tc_ingress_comes"), ("tc_egress", "tc_egress_goes")] {
        let told = &payload[0]["bpf_programs"][list][0];
        assert_eq!((&told["entry_function_name"], &told["prog_type"]), (&entry.into(), &"tc".into()));
    }
    packages().unsigned(("short", "1.0.1"), &SHORT.replace("300, spare = 1", "100"), &manifest).unwrap();
    let (_, shorter) = build(&packages().path("short-1.0.1"), "v1-tc", &["--set", "most=120"]);
    let (longer, shorter) = (object(&longer), object(&shorter));
    for (point, entry) in
        [(HookPoint::TcIngress, "tc_ingress_comes"), (HookPoint::TcEgress, "tc_egress_goes")]
    {
        let next = format!("{entry}_next_prog");
        let verdict = |members: &[&Vec<u8>], bytes: usize| {
            let members: Vec<_> =
                members.iter().map(|object| (candidate(point, object, entry), next.as_str())).collect();
            let frame = [segment(SYN), vec![0; bytes - segment(SYN).len()]].concat();
            Trial::cooperating(&members).unwrap().run(&frame, 1).unwrap().verdict
        };
        assert_eq!([110, 200, 400].map(|bytes| verdict(&[&longer], bytes)), [0, 0, 2]);
        assert_eq!([110, 200, 400].map(|bytes| verdict(&[&longer, &shorter], bytes)), [0, 2, 2]);
    }
}

#[test]
fn what_l3afd_could_not_load_is_refused_when_it_is_built() {
    let program = |function: &str, hook: &str| {
        format!(
            "[[program]]\nfunction = \"{function}\"\nobject = \"odd.bpf.o\"\nsource = \"odd.bpf.c\"\nhook = \"{hook}\"\n"
        )
    };
    let refusal = |version: &str, source: &str, manifest: &str| {
        packages().unsigned(("odd", version), source, manifest).unwrap();
        let folder = packages().path(&format!("odd-{version}"));
        let ran = packages().l3af(&["build", &folder, "--for", "l3afd", "--output", "v1-odd"]).unwrap();
        assert!(!ran.ok);
        ran.stderr
    };
    let table = SHORT.replace(
        "most = 300, spare = 1;",
        "most = 300, spare = 1;\nconst volatile __u32 sizes[2] = { 100, 200 };",
    );
    let table = table.replace("skb->len > most", "skb->len > sizes[skb->len & 1]");
    let told = refusal("1.0.0", &table, &program("goes", "tc-egress"));
    assert!(
        told.contains("it has variables in `.rodata` or `.data`, and l3afd v1 cannot pin their maps"),
        "{told}"
    );
    let both = program("comes", "tc-egress") + &program("goes", "tc-egress");
    let told = refusal("1.0.1", SHORT, &both);
    assert!(told.contains("the package has several programs for `tc-egress`"), "{told}");
    let hidden = SHORT.replace("SEC(\"tc\")\nint goes(struct __sk_buff *skb)", "PROGRAM(goes)").replace(
        "const volatile",
        "#define PROGRAM(name) SEC(\"tc\") int name(struct __sk_buff *skb)\nconst volatile",
    );
    let told = refusal("1.0.2", &hidden, &program("goes", "tc-egress"));
    assert!(told.contains("has no `SEC(\"...\")` in front of the definition of `goes`"), "{told}");
}

#[test]
fn a_site_deploys_what_was_built_for_it() {
    let repository = artifacts().folder().join("built");
    let platform = artifacts().archive("ratelimiting").unwrap();
    let platform = platform.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned();
    let mut programs = Vec::new();
    for (seq_id, name) in (1..).zip(["sanity", "ratelimit"]) {
        let limit: &[&str] = if name == "ratelimit" {
            &["--set", "connections_per_second=3", "--set", "burst=3"]
        } else {
            &[]
        };
        let (payload, artifact) = build(&sources(name), "v1-site", limit);
        let mut program = payload[0]["bpf_programs"]["xdp_ingress"][0].clone();
        program["seq_id"] = seq_id.into();
        program["ebpf_package_repo_url"] = format!("file://{}", repository.display()).into();
        let place = repository.join(name).join(program["version"].as_str().unwrap()).join(&platform);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(program["artifact"].as_str().unwrap()), artifact).unwrap();
        programs.push(program);
    }
    let host = it::Site::host().unwrap();
    let payload = serde_json::json!([{
        "host_name": host, "iface": "ibpfbr", "bpf_programs": {"xdp_ingress": programs}
    }]);
    let site = site(artifacts(), NORMAL);
    taken(&site, "update", &payload.to_string());
    let names = site.debug("ibpfbr").unwrap().into_iter().map(|shown| shown["Program"]["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["sanity", "ratelimit"]);
    let connections = it::connect(&site.pair, 8099, 20).unwrap();
    assert!((3..=5).contains(&connections.connected), "{connections:?}");
}
