// SPDX-License-Identifier: Apache-2.0
//! `l3af test`: packages whose tests pass, fail, or cannot be run, as their authors see it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use it::{Ran, binary};
use serde_json::Value;
use tempfile::TempDir;

use crate::{packages, scene};

const GUARD: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct limit { __u64 rate; __u32 burst; };

struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u16); __type(value, struct limit); } limits SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } packets SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");

const volatile bool strict = false;

static __always_inline int judge(const struct limit *limit)
{
	if (!limit)
		return strict ? XDP_DROP : XDP_PASS;
	if (limit->burst > 100)
		return XDP_ABORTED;
	return limit->rate ? XDP_TX : XDP_DROP;
}

SEC("xdp") int guard(struct xdp_md *context)
{
	void *end = (void *)(long)context->data_end;
	struct iphdr *ip = (void *)(long)context->data + 14;
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 first = 0;
	__u64 *count = bpf_map_lookup_elem(&packets, &first);
	__u16 port;

	if (count)
		*count += 1;
	if ((void *)(tcp + 1) > end)
		return XDP_ABORTED;
	ip->ttl -= 1;
	port = bpf_ntohs(tcp->dest);
	if (port == 7)
		bpf_ringbuf_output(&events, &port, sizeof(port), 0);
	return judge(bpf_map_lookup_elem(&limits, &port));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

const MARKER: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

SEC("tc") int marker(struct __sk_buff *packet)
{
	packet->mark += packet->len;
	packet->priority = 6;
	return packet->mark == 4 ? 2 : 0;
}

SEC("kprobe/do_nanosleep") int sleeps(void *context)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

const TRIE: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct prefix { __u32 length; __u8 address[4]; };
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 8); __uint(map_flags, 1); __type(key, struct prefix); __type(value, __u32); } senders SEC(".maps");

SEC("xdp") int learns(struct xdp_md *context)
{
	struct prefix sender = { .length = 24, .address = { 10, 1, 2, 3 } };
	__u32 value = 24;

	bpf_map_update_elem(&senders, &sender, &value, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

/// The folder of a package with one source, some programs with their hooks, and a file of tests.
fn folder(name: &str, source: &str, programs: &[(&str, &str)], tests: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    let programs = programs.iter().map(|(function, hook)| {
        format!("[[program]]\nfunction = \"{function}\"\nobject = \"{name}.bpf.o\"\nsource = \"{name}.bpf.c\"\nhook = \"{hook}\"\n\n")
    });
    let manifest = format!(
        "[package]\nname = \"{name}\"\npublisher = \"l3af\"\nversion = \"0.1.0\"\ndescription = \"for a test\"\n\
         category = \"test\"\nsubcategory = \"test\"\nlicense = \"Apache-2.0\"\ndocumentation = \"README.md\"\n\n\
         [kernel]\nmin = \"5.10\"\n\n[[platform]]\nos = \"linux\"\narchitecture = \"{}\"\n\n{}[build]\nclang = 19\n",
        ::package::Platform::this_machine().unwrap().architecture(),
        programs.collect::<String>()
    );
    fs::write(at("package.toml"), manifest).unwrap();
    fs::write(at("README.md"), "# A package of a test\n").unwrap();
    fs::write(at(&format!("{name}.bpf.c")), source).unwrap();
    let types = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs/include/vmlinux.h");
    fs::copy(types, at("vmlinux.h")).unwrap();
    fs::create_dir(at("tests")).unwrap();
    fs::write(at("tests/all.toml"), tests).unwrap();
    folder
}

fn guard(tests: &str) -> TempDir {
    folder("guard", GUARD, &[("guard", "xdp")], tests)
}

/// Runs `l3af test` as somebody in that folder does.
fn l3af_test(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(binary("l3af").unwrap());
    command.arg("test").args(arguments).current_dir(folder).env_remove("L3AF_SOCKET").output().unwrap().into()
}

/// What is printed, without the times.
fn timeless(text: &str) -> String {
    let line = |line: &str| match line
        .split_once(" (alone ")
        .or_else(|| line.split_once(" in 0.").or_else(|| line.split_once(" in ")))
    {
        Some((line, _)) => line.to_owned(),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_programs_of_this_repository_pass_their_tests() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../programs");
    let found = fs::read_dir(programs).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = found.filter(|folder| folder.join("tests").is_dir()).collect();
    found.sort();
    assert!(found.len() > 1, "{found:?}");
    // Loading takes most of the time, on one processor.
    let (one, other) = found.split_at(found.len() / 2);
    thread::scope(|scope| {
        scope.spawn(|| pass(one));
        scope.spawn(|| pass(other));
    });
}

/// Runs the tests of packages.
fn pass(programs: &[PathBuf]) {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results.xml");
    for program in programs {
        let junit = format!("--junit={}", results.display());
        let ran = l3af_test(program, &["--json", &junit]);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
        assert!(ran.ok && told["failed"] == 0, "{}", ran.stdout);
        let tests = told["tests"].as_array().unwrap();
        assert!(tests.iter().all(|test| test["runs"].as_array().unwrap().len() == 2), "{told}");
        let count = "import sys, xml.etree.ElementTree as x; r = x.parse(sys.argv[1]).getroot(); \
                     print(r.get('tests'), r.get('failures'), len(r.findall('testsuite/testcase')))";
        let xml = Command::new("python3").args(["-c", count]).arg(&results).output().unwrap();
        let counted = String::from_utf8(xml.stdout).unwrap();
        assert_eq!(counted.trim(), format!("{0} 0 {0}", tests.len()));
    }
}

#[test]
fn a_test_that_fails_tells_how() {
    let folder = guard(
        r#"
[[test]]
name = "the first is right"
[[test.packet]]
in = "eth / ipv4 / tcp(dport=443)"
verdict = "pass"
out = "eth(..) / ipv4(ttl=63, ..) / tcp(dport=443, ..)"
expect.packets = [{ key = 0, value = 1 }]
expect.limits = { only = [] }
expect.".rodata" = [{ value = { strict = false } }]

[[test]]
name = "the second is wrong"
maps.limits = [{ key = 443, value = { rate = 5, burst = 1 } }]
[[test.packet]]
in = "eth / ipv4 / tcp(dport=443)"
repeat = 2
verdict = "pass"
out = "unchanged"
[[test.packet]]
in = "eth / ipv4 / tcp(dport=80)"
verdict = "drop"
[test.packet.expect]
limits = { only = [{ key = 443, value = { burst = 2 } }, { key = 80, value = { rate = 1, burst = 1 } }] }
packets = [{ key = 0, value = 4 }]
"#,
    );
    let ran = l3af_test(folder.path(), &[]);
    assert!(!ran.ok);
    let told = "\
ok     the first is right
FAILED the second is wrong
       alone: packet 1: verdict: expected pass 2 times, got tx 2 times
       alone: packet 1: ipv4.ttl: expected 64, got 63
       alone: packet 2: verdict: expected drop, got pass
       alone: packet 2: limits[443].burst: expected 2, got 1
       alone: packet 2: limits[80]: expected an entry, got none
       alone: packet 2: packets[0]: expected 4, got 3
       spliced: packet 1: verdict: expected on to the next member 2 times, got tx 2 times
       spliced: packet 1: ipv4.ttl: expected 64, got 63
       spliced: packet 2: verdict: expected drop, got on to the next member
       spliced: packet 2: limits[443].burst: expected 2, got 1
       spliced: packet 2: limits[80]: expected an entry, got none
       spliced: packet 2: packets[0]: expected 4, got 3

1 passed, 1 FAILED";
    assert_eq!(timeless(&ran.stdout), told, "{}", ran.stderr);
    assert!(ran.stderr.ends_with("error: 1 of 2 tests failed\n"), "{}", ran.stderr);
    let one = l3af_test(folder.path(), &["--filter", "first", "--spliced", "--json"]);
    let told: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!((&told["passed"], &told["tests"][0]["runs"][0]["place"]), (&1.into(), &"spliced".into()));
}

#[test]
fn a_prefix_that_is_only_contained_in_another_has_no_entry() {
    let test = |entries: &str| {
        format!(
            "[[test]]\nname = \"a\"\nmaps.senders = [{{ key = \"10.0.0.0/8\", value = 8 }}]\n[[test.packet]]\nin = \"eth / arp\"\n\
             expect.senders = [{entries}]\n"
        )
    };
    let entry = |key: &str, value: &str| format!("{{ key = \"{key}\", {value} }}");
    let there = [
        entry("10.0.0.0/8", "value = 8"),
        entry("10.1.2.0/24", "value = 24"),
        entry("10.1.0.0/16", "absent = true"),
    ];
    let folder = folder("learns", TRIE, &[("learns", "xdp")], &test(&there.join(", ")));
    l3af_test(folder.path(), &[]).success().unwrap();
    fs::write(folder.path().join("tests/all.toml"), test(&entry("10.1.0.0/16", "value = 8"))).unwrap();
    let failed = l3af_test(folder.path(), &["--alone"]);
    assert!(
        failed.stdout.contains("senders[\"10.1.0.0/16\"]: expected an entry, got none"),
        "{}",
        failed.stdout
    );
}

#[test]
fn a_run_that_is_ended_leaves_nothing_and_one_that_is_killed_leaves_it_to_the_next() {
    let test = "[[test]]\nname = \"a\"\npacket = [{ in = \"eth / ipv4 / tcp\", repeat = 100000, verdict = \"pass\" }]\n";
    let (folder, own) = (guard(test), tempfile::tempdir().unwrap());
    let begin = || {
        // Whoever runs the stories under nohup(1) has them ignore that a terminal is gone.
        let mut command = Command::new("env");
        command.arg("--default-signal=HUP").arg(binary("l3af").unwrap()).arg("test");
        command.current_dir(folder.path()).env("TMPDIR", own.path()).env_remove("L3AF_SOCKET");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pins = PathBuf::from(format!("/sys/fs/bpf/l3af-test-{}", child.id()));
        let begin = Instant::now();
        while !pins.exists() {
            assert!(begin.elapsed() < Duration::from_mins(1), "no daemon for the tests comes up");
            thread::sleep(Duration::from_millis(5));
        }
        (child, pins)
    };
    let left = || fs::read_dir(own.path()).unwrap().count();
    for signal in ["TERM", "HUP", "INT"] {
        let (mut child, pins) = begin();
        let sent =
            Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().unwrap();
        assert!(sent.success() && !child.wait().unwrap().success());
        assert_eq!((pins.exists(), left()), (false, 0), "{signal}");
    }
    let (mut child, pins) = begin();
    assert!(child.wait().unwrap().success());
    assert_eq!((pins.exists(), left()), (false, 0));
    let (mut child, pins) = begin();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(left(), 1);
    let (mut child, _) = begin();
    assert_eq!((pins.exists(), left()), (false, 1));
    assert!(child.wait().unwrap().success());
}

#[test]
fn lines_that_no_test_reaches_are_told() {
    let folder = guard(
        r#"
[[test]]
name = "all but little"
maps.limits = [{ key = 80, value = { rate = 0, burst = 1 } }]
packet = [
  { in = "eth / ipv4 / tcp(dport=443)", verdict = "pass", repeat = 3 },
  { in = "eth / ipv4 / tcp(dport=80)", verdict = "drop" },
]
"#,
    );
    let ran = l3af_test(folder.path(), &["--coverage", "--lcov", "lcov.info", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
    let file = told["coverage"]["files"]
        .as_array()
        .unwrap()
        .iter()
        .find(|file| file["path"] == "guard.bpf.c")
        .unwrap();
    let line = |text: &str| GUARD.lines().position(|line| line.contains(text)).unwrap() + 1;
    let (inlined, first, event) =
        (line("burst > 100") + 1, line("(tcp + 1) > end") + 1, line("port == 7") + 1);
    assert_eq!(
        file["missed"],
        serde_json::json!([inlined.to_string(), first.to_string(), event.to_string()])
    );
    let lcov = fs::read_to_string(folder.path().join("lcov.info")).unwrap();
    assert!(lcov.contains(&format!("\nDA:{},4\n", line("ip->ttl -= 1"))), "{lcov}");
    assert!(lcov.contains(&format!("\nDA:{},1\n", line("return limit->rate"))), "{lcov}");
    let text = l3af_test(folder.path(), &["--coverage", "--annotate"]).success().unwrap();
    assert!(text.contains(&format!("; not reached: {inlined}, {first}, {event}")), "{text}");
    assert!(
        text.contains("       4|\tip->ttl -= 1;\n") && text.contains("   -----|\t\treturn XDP_ABORTED;\n"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_with_a_test_is_told_with_its_place() {
    let folder = guard("");
    let packet = |fields: &str| {
        format!("[[test]]\nname = \"a\"\n[[test.packet]]\nin = \"eth / ipv4 / tcp\"\n{fields}\n")
    };
    let with = |fields: &str| {
        format!("[[test]]\nname = \"a\"\n{fields}\n[[test.packet]]\nin = \"eth / ipv4 / tcp\"\n")
    };
    let cases = [
        (String::new(), "package `guard` has no tests"),
        ("[[test]]\nname = \"a\"\n".to_owned(), "it has no packet"),
        ("[[test]]\nname = \"a\"\npackets = 1\n".to_owned(), "unknown field `packets`"),
        (packet("repeat = 0"), "expected a nonzero u32"),
        (packet("verdict = 1"), "expected the name of a verdict, or a table"),
        (packet("expect.limits = [{ kye = 1 }]"), "expected a list of entries, each with `key`"),
        (
            "[[test]]\nname = \"a\"\n[[test]]\nname = \"a\"\n[[test]]\nname = \"b\"\n".to_owned(),
            "test `a`: it has no packet\n`tests/all.toml` has two tests called `a`\n`tests/all.toml`, test `b`: it has no packet",
        ),
        (
            "[[test]]\nname = \"a\"\npacket = [{ in = \"eth / ipv4(ttl=256)\" }]\n".to_owned(),
            "`tests/all.toml`, test `a`: packet 1: `in` is no packet, at column 16: `256` cannot be `ttl`: it takes a number from 0 to \
             255\n  eth / ipv4(ttl=256)\n                 ^\nhint: docs/testing.md",
        ),
        (packet("out = \"eth / ipv5\""), "`out` is no packet, at column 7: there is no layer `ipv5`"),
        (
            packet("verdict = \"accept\""),
            "`accept` is not a verdict of the hook `xdp`; those are `aborted`, `drop`",
        ),
        (packet("verdict = { pass = 2 }"), "the verdicts do not add up to 1 runs"),
        (
            packet("expect.none = []"),
            "there is no map `none`\nhint: the program has `.rodata`, `events`, `limits`, `packets`",
        ),
        (packet("expect.events = []"), "the map `events` is of the kind `ringbuf`, which has no entries"),
        (packet("expect.limits = [{ key = 70000, value = {} }]"), "packet 1: entry 1: the key of `limits`"),
        (packet("expect.limits = [{ key = 1 }]"), "an entry of `limits` has a `value`, or is `absent`"),
        (packet("mark = 1"), "`mark` and `priority` are of packets of TC"),
        (packet("context = { mark = 1 }"), "packet 1 cannot have `mark`"),
        (packet("context = { interface = \"no-such\" }"), "the kernel does not take packet 1"),
        (
            with("maps.limits = [{ key = 1, value = { rate = \"many\", burst = 1 } }]"),
            "maps.limits, entry 1: `/value/rate`",
        ),
        (with("maps.\".rodata\" = []"), "`.rodata` is a section of global variables"),
        (with("config = { strictness = 1 }"), "strictness"),
        // It begins where the test does, not where the daemon has it.
        (with("config = { strict = 5 }"), "`/config/strict`"),
        (with("program = \"gard\""), "there is no program `gard`\nhint: the package has `guard`"),
        (
            "[[test]]\nname = \"a\"\npacket = [{ in = \"0x00*13\" }]\n".to_owned(),
            "it has 13 bytes, and a kernel takes 14 to 3520",
        ),
        (
            "[[test]]\nname = \"a\"\npacket = [{ in = { capture = \"x.pcap\", packet = 1 } }]\n".to_owned(),
            "there is no capture `tests/x.pcap`",
        ),
    ];
    for (tests, expected) in cases {
        fs::write(folder.path().join("tests/all.toml"), &tests).unwrap();
        let ran = l3af_test(folder.path(), &[]);
        assert!(!ran.ok && ran.stderr.contains(expected), "{tests}\n{}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_program_that_the_verifier_rejects_is_told_with_its_last_words() {
    let check = "\tif ((void *)(tcp + 1) > end)\n\t\treturn XDP_ABORTED;\n";
    let unchecked = GUARD.replace(check, "");
    assert_ne!(unchecked, GUARD);
    let test = "[[test]]\nname = \"a\"\npacket = [{ in = \"eth / arp\" }]\n";
    let folder = folder("guard", &unchecked, &[("guard", "xdp")], test);
    let ran = l3af_test(folder.path(), &[]);
    let told = [
        "test `a`, alone: the kernel's verifier rejects `guard`",
        "\n  ; ip->ttl -= 1;",
        "\n  invalid access to packet",
    ];
    assert!(!ran.ok && told.iter().all(|told| ran.stderr.contains(told)), "{}", ran.stderr);
}

#[test]
fn programs_of_tc_have_marks_and_probes_meet_no_packets() {
    let tests = r#"
[[test]]
name = "marks"
program = "marker"
[[test.packet]]
in = { capture = "one.pcap", packet = 1 }
context = { mark = 100, interface = "lo" }
verdict = "ok"
mark = 156
priority = 6
"#;
    let folder = folder("marker", MARKER, &[("marker", "tc-ingress"), ("sleeps", "kprobe")], tests);
    // A packet of 56 bytes in a capture of little-endian words: the head, and in front of the packet its time and lengths.
    let words = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1, 0, 0, 56, 56].map(u32::to_le_bytes).concat();
    fs::write(folder.path().join("tests/one.pcap"), [words, vec![0; 56]].concat()).unwrap();
    l3af_test(folder.path(), &[]).success().unwrap();
    let of_a_probe = "[[test]]\nname = \"a\"\nprogram = \"sleeps\"\npacket = [{ in = \"eth / arp\" }]\n";
    fs::write(folder.path().join("tests/all.toml"), of_a_probe).unwrap();
    let refused = l3af_test(folder.path(), &[]);
    let why =
        "`sleeps` is for `kprobe`, and only programs for `xdp`, `tc-ingress` and `tc-egress` meet packets";
    assert!(!refused.ok && refused.stderr.contains(why), "{}", refused.stderr);
}

#[test]
fn a_daemon_that_is_named_tests_what_it_trusts() {
    let (_pair, node) = scene();
    let signed = packages().path("sanity");
    assert!(node.l3af(&["test", &signed, "--filter", "port 0"]).unwrap().contains("1 passed"));
    let chains = node.l3af(&["chain", "--json"]).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&chains).unwrap()["chains"], serde_json::json!([]));
    let unsigned = guard("[[test]]\nname = \"a\"\npacket = [{ in = \"eth / arp\" }]\n");
    let refused = node.cli(&["test", &unsigned.path().to_string_lossy()]).unwrap();
    assert!(!refused.ok && refused.stderr.contains("is not trusted on this machine"), "{}", refused.stderr);
    let too_much = [
        (r#""steps": [{"packet": "AAAA"}]"#, "packet 1 has 3 bytes, and a kernel takes 14 to 3520"),
        (
            r#""steps": [{"packet": "AAAAAAAAAAAAAAAAAAAA", "repeat": 100001}]"#,
            "100001 runs are too many for one test",
        ),
        (r#""steps": [{"packet": "AAAAAAAAAAAAAAAAAAAA", "repeat": 0}]"#, "the program never meets packet 1"),
        (r#""steps": [{"packet": "?"}]"#, "packet 1 is not base64"),
        (r#""maps": {"ports": []}, "steps": []"#, "the program has no map `ports`; it has `.rodata`"),
    ];
    for (said, why) in too_much {
        let body = format!(r#"{{"package": "file:{signed}", "hook": "xdp", {said}}}"#);
        let call = [
            "-s",
            "--json",
            &body,
            "--unix-socket",
            &node.socket().to_string_lossy(),
            "http://l3afd/v1/tests",
        ]
        .map(str::to_owned);
        let answer = Command::new("curl").args(call).output().unwrap();
        let problem: Value = serde_json::from_slice(&answer.stdout).unwrap();
        assert_eq!(problem["status"], 422);
        assert!(problem["title"].as_str().unwrap().contains(why), "{problem}");
    }
}
