// SPDX-License-Identifier: Apache-2.0
//! Maps of what runs, read and written by their types: for a package that nobody wrote code for.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use it::{Node, ping};
use serde_json::Value;

use crate::{packages, rounds, scene};

const SOURCE: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

enum action { ALLOW = 1, DENY = 2 };
struct limit { __u64 rate; __u32 burst; };
struct prefix { __u32 length; __u8 address[4]; };

struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 4); __type(key, __u16); __type(value, struct limit); } limits SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 64); __uint(map_flags, 1);
	__type(key, struct prefix); __type(value, enum action); } prefixes SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64); } packets SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 8); __type(key, __u32); __type(value, struct limit); } copies SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 150000); __type(key, __u32); __type(value, __u64); } many SEC(".maps");
__u64 seen;

SEC("xdp") int tables(struct xdp_md *context)
{
	__u32 first = 0;
	__u64 *count = bpf_map_lookup_elem(&packets, &first);
	struct prefix none = {};
	__u16 port = 0;

	if (count)
		*count += 1;
	__sync_fetch_and_add(&seen, 1);
	/* What no program names is in no object. */
	if (seen == ~0ULL && (bpf_map_lookup_elem(&limits, &port) || bpf_map_lookup_elem(&prefixes, &none) ||
			      bpf_map_lookup_elem(&many, &first) || bpf_map_lookup_elem(&copies, &first)))
		return XDP_DROP;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

const MANIFEST: &str = r#"
[[program]]
function = "tables"
object = "tables.bpf.o"
source = "tables.bpf.c"
hook = "xdp"

[[map]]
name = "limits"
role = "config"
description = "How many connections a second each port takes"

[[map.field]]
path = "value.rate"
unit = "/s"
min = 1
max = "1M/s"

[[map.field]]
path = "value.burst"
default = 10

[[map]]
name = "packets"
role = "metric"
"#;

/// A node that runs the package.
fn running(node: &Node) {
    static PACKAGE: OnceLock<String> = OnceLock::new();
    let package = || packages().from_source(("tables", "1.0.0"), SOURCE, MANIFEST).unwrap();
    let package = PACKAGE.get_or_init(package);
    let document = format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\nmember = [{{ name = \"tables\", package = \"{package}\" }}]\n"
    );
    node.apply(&document).unwrap().success().unwrap();
}

/// What `l3af` prints, without the last newline.
#[track_caller]
fn told(node: &Node, words: &[&str]) -> String {
    node.l3af(words).unwrap().trim_end().to_owned()
}

/// What `l3af` says where it is refused.
#[track_caller]
fn refused(node: &Node, words: &[&str]) -> String {
    let ran = node.cli(words).unwrap();
    assert!(!ran.ok, "{}", ran.stdout);
    ran.stderr
}

#[test]
fn entries_are_set_and_told_by_the_types_of_a_package() {
    let (_pair, node) = scene();
    running(&node);
    let listed = told(&node, &["maps", "tables"]);
    let line = listed.lines().find(|line| line.contains("limits")).unwrap();
    assert!(line.contains("config") && line.contains("{ rate: u64 /s, burst: u32 }"), "{listed}");

    node.l3af(&["set", "tables", "limits", r#"443={"rate": "6000/min"}"#]).unwrap();
    assert_eq!(told(&node, &["get", "tables", "limits", "443"]), r#"{"rate":100,"burst":10}"#);
    assert_eq!(told(&node, &["get", "tables", "limits"]), r#"443={"rate":100,"burst":10}"#);
    node.l3af(&["set", "tables", "prefixes", "10.0.0.0/8=DENY", "192.0.2.1=ALLOW"]).unwrap();
    assert_eq!(told(&node, &["get", "tables", "prefixes"]).lines().count(), 2);
    // A trie finds the longest prefix of an address.
    assert_eq!(told(&node, &["get", "tables", "prefixes", "10.1.2.3"]), "DENY");
    node.l3af(&["set", "tables", "prefixes", "--delete", "10.0.0.0/8"]).unwrap();
    assert_eq!(told(&node, &["get", "tables", "prefixes"]), "192.0.2.1/32=ALLOW");
    let gone = refused(&node, &["get", "tables", "prefixes", "10.1.2.3"]);
    assert!(gone.contains("the map `prefixes` has no entry `10.1.2.3`"), "{gone}");

    let of_chain = told(&node, &["get", "tables", "limits", "443", "--hook", "right0/xdp", "--json"]);
    let entry: Value = serde_json::from_str(&of_chain).unwrap();
    assert_eq!((&entry["key"], &entry["value"]["rate"]), (&443.into(), &100.into()));
    let nowhere = refused(&node, &["get", "tables", "limits", "--hook", "left0/xdp"]);
    assert!(nowhere.contains("no chain has a member `tables`"), "{nowhere}");
    let other = refused(&node, &["get", "tables", "limit"]);
    assert!(other.contains("has no map `limit`; it has") && other.contains("`limits`"), "{other}");
}

#[test]
fn what_is_wrong_with_any_entry_is_told_and_nothing_is_written() {
    let (_pair, node) = scene();
    running(&node);
    node.l3af(&["set", "tables", "limits", r#"443={"rate": 1}"#]).unwrap();
    let before = told(&node, &["get", "tables", "limits"]);
    let words = [
        "set",
        "tables",
        "limits",
        r#"80={"rate": 0, "extra": 1}"#,
        r#"70000={"rate": 5}"#,
        r#"81={"rate": 5}"#,
    ];
    let wrong = refused(&node, &words);
    for place in ["/set/0/value/rate", "/set/0/value/extra", "/set/1/key"] {
        assert!(wrong.contains(place), "{place}: {wrong}");
    }
    assert_eq!(told(&node, &["get", "tables", "limits"]), before);
    // The map has room for four, and the kernel says so in the middle.
    let ports: Vec<String> = (1..=5).map(|port| format!(r#"{port}={{"rate": 2}}"#)).collect();
    let mut words = vec!["set", "tables", "limits", r#"443={"rate": 2}"#];
    words.extend(ports.iter().map(String::as_str));
    let full = refused(&node, &words);
    assert!(full.contains("the map `limits` is not changed: entry 4 cannot be written"), "{full}");
    assert_eq!(told(&node, &["get", "tables", "limits"]), before);
    let twice = refused(&node, &["set", "tables", "limits", r#"1={"rate": 1}"#, "--delete", "1"]);
    assert!(twice.contains("entry 1 is about the key of one before it"), "{twice}");
    let missing = refused(&node, &["set", "tables", "limits", r#"1={"rate": 1}"#, "--delete", "2"]);
    assert!(missing.contains("entry 1 cannot be written"), "{missing}");
    assert_eq!(told(&node, &["get", "tables", "limits"]), before);
    // In a trie, a prefix is found under what it lies in, and is not there for that.
    node.l3af(&["set", "tables", "prefixes", "0.0.0.0/0=ALLOW"]).unwrap();
    let prefixes: Vec<String> = (0..70).map(|net| format!("10.{net}.0.0/16=DENY")).collect();
    let mut words = vec!["set", "tables", "prefixes"];
    words.extend(prefixes.iter().map(String::as_str));
    let full = refused(&node, &words);
    assert!(full.contains("entry 63 cannot be written"), "{full}");
    assert_eq!(told(&node, &["get", "tables", "prefixes"]), "0.0.0.0/0=ALLOW");
    let covered = refused(&node, &["set", "tables", "prefixes", "--delete", "10.0.0.0/16"]);
    assert!(covered.contains("entry 0 cannot be written"), "{covered}");
    let beyond = refused(&node, &["set", "tables", "packets", "2=0", "--force"]);
    assert!(beyond.contains("/set/0/key") && beyond.contains("a key from 0 to 1"), "{beyond}");
    let variables = refused(&node, &["set", "tables", ".bss", r#"0={"seen": 1}"#]);
    assert!(variables.contains("a section of global variables"), "{variables}");
}

#[test]
fn what_processors_count_each_is_added_up_and_is_the_programs_own() {
    let (pair, node) = scene();
    running(&node);
    let count = |key: &str| -> u64 { told(&node, &["get", "tables", "packets", key]).parse().unwrap() };
    let before = count("0");
    ping(&pair, 5).unwrap();
    assert!(count("0") >= before + 5, "{before}");
    let all = told(&node, &["get", "tables", "packets", "0", "--per-cpu"]);
    let all: Vec<u64> = serde_json::from_str(&all).unwrap();
    assert!(all.len() > 1 || all.iter().sum::<u64>() >= before + 5, "{all:?}");
    let seen = told(&node, &["get", "tables", ".bss"]);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert!(seen["seen"].as_u64().unwrap() >= 5, "{seen}");

    let line = format!("curl -s --unix-socket {} http://l3afd/metrics", node.socket().display());
    let metrics = it::run(&line).unwrap();
    let sample = "\nl3af_map_tables_packets{member=\"tables\",hook=\"right0/xdp\",key=\"0\"} ";
    assert!(
        metrics.contains("# TYPE l3af_map_tables_packets unknown\n") && metrics.contains(sample),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"));
    let refusal = refused(&node, &["set", "tables", "packets", "1=7"]);
    assert!(refusal.contains("one in which its program counts") && refusal.contains("--force"), "{refusal}");
    node.l3af(&["set", "tables", "packets", "1=7", "--force"]).unwrap();
    // Each processor has it.
    assert_eq!(count("1"), 7 * u64::try_from(all.len()).unwrap());
    node.l3af(&["set", "tables", "copies", r#"5={"rate": 1, "burst": 2}"#]).unwrap();
    let copies = told(&node, &["get", "tables", "copies", "--per-cpu"]);
    assert_eq!(copies.matches(r#"{"rate":1,"burst":2}"#).count(), all.len(), "{copies}");
}

const TELLING: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

struct seen { __u64 at; __u16 protocol; __u8 source[6]; };
/* What only the buffers have is in no object. */
struct seen *unused __attribute__((unused));

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } ring SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __type(key, __u32); __type(value, __u32); } buffers SEC(".maps");

SEC("xdp") int tells(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *end = (void *)(long)context->data_end;
	struct ethhdr *head = data;
	struct seen seen = {};

	if ((void *)(head + 1) > end)
		return XDP_PASS;
	seen.at = bpf_ktime_get_ns();
	seen.protocol = head->h_proto;
	__builtin_memcpy(seen.source, head->h_source, 6);
	bpf_ringbuf_output(&ring, &seen, sizeof(seen), 0);
	bpf_perf_event_output(context, &buffers, 0xffffffffULL, &seen, sizeof(seen));
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

#[test]
fn events_of_both_kinds_of_buffers_are_told_by_their_type_to_one_who_reads() {
    let (pair, node) = scene();
    let kinds: String = ["ring", "buffers"]
        .map(|name| {
            format!(
                "[[map]]\nname = \"{name}\"\nrole = \"event\"\nevent = \"struct seen\"\n\
                 [[map.field]]\npath = \"event.source\"\nformat = \"mac\"\n\
                 [[map.field]]\npath = \"event.protocol\"\nformat = \"be\"\n"
            )
        })
        .concat();
    let program = "[[program]]\nfunction = \"tells\"\nobject = \"tells.bpf.o\"\nsource = \"tells.bpf.c\"\nhook = \"xdp\"\n";
    let manifest = program.to_owned() + &kinds;
    let package = packages().from_source(("tells", "1.0.0"), TELLING, &manifest).unwrap();
    let document = format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\nmember = [{{ name = \"tells\", package = \"{package}\" }}]\n"
    );
    node.apply(&document).unwrap().success().unwrap();
    for map in ["ring", "buffers"] {
        let mut watching = watch(&node, map);
        // What came before waits in a ring, and is lost in buffers that nobody made.
        let event = first(&mut watching, || ping(&pair, 1).map(drop).unwrap());
        assert_eq!(event["event"]["protocol"], 0x0800, "{event}");
        assert_eq!(event["event"]["source"].as_str().unwrap().len(), 17, "{event}");
        let second = refused(&node, &["watch", "tells", map]);
        assert!(second.contains("somebody else reads the events"), "{second}");
        watching.kill().unwrap();
        watching.wait().unwrap();
    }
    let entries = refused(&node, &["get", "tells", "ring"]);
    assert!(entries.contains("is of the kind `ringbuf`, which has no entries"), "{entries}");
}

fn watch(node: &Node, map: &str) -> Child {
    let mut command = Command::new(it::binary("l3af").unwrap());
    command.arg("--socket").arg(node.socket()).args(["watch", "tells", map, "--json"]);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// The first event of IPv4 that is told while something is done.
fn first(watching: &mut Child, act: impl Fn()) -> Value {
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    for _ in 0..100 {
        act();
        while let Ok(line) = told.recv_timeout(Duration::from_millis(200)) {
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"]["protocol"] == 0x0800 {
                return event;
            }
        }
    }
    panic!("nothing is told");
}

#[test]
fn what_changes_in_a_map_is_told() {
    let (_pair, node) = scene();
    running(&node);
    node.l3af(&["set", "tables", "prefixes", "10.0.0.0/8=DENY"]).unwrap();
    let mut command = Command::new(it::binary("l3af").unwrap());
    command.arg("--socket").arg(node.socket()).args(["watch", "tables", "prefixes"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert_eq!(lines.next().unwrap(), "10.0.0.0/8=DENY");
    node.l3af(&["set", "tables", "prefixes", "10.0.0.0/8=ALLOW"]).unwrap();
    assert_eq!(lines.next().unwrap(), "10.0.0.0/8=ALLOW");
    node.l3af(&["set", "tables", "prefixes", "--delete", "10.0.0.0/8"]).unwrap();
    assert_eq!(lines.next().unwrap(), "10.0.0.0/8 is gone");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

/// Entries for these keys, with so many times the key as value, a line each.
fn lines(keys: Range<u64>, times: u64) -> String {
    let mut lines = String::new();
    for key in keys {
        writeln!(lines, r#"{{"key": {key}, "value": {}}}"#, key * times).unwrap();
    }
    lines
}

#[test]
fn a_map_of_many_entries_is_written_at_once_and_streams() {
    let many = rounds(100_000, 3000) as u64;
    let (pair, node) = scene();
    running(&node);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("entries.json");
    let lines = lines(0..many, 3);
    fs::write(&file, lines).unwrap();
    node.l3af(&["set", "tables", "many", "--file", &file.to_string_lossy()]).unwrap();
    let told = told(&node, &["get", "tables", "many", "--json"]);
    let (mut keys, mut sum) = (std::collections::BTreeSet::new(), 0);
    for line in told.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert!(keys.insert(entry["key"].as_u64().unwrap()), "{line} comes twice");
        sum += entry["value"].as_u64().unwrap();
    }
    assert_eq!((keys.len() as u64, sum), (many, 3 * many * (many - 1) / 2));
    // Where the kernel has no room for the last ones, none is there that was not before.
    let more = self::lines(many..many + 150_000, 1);
    fs::write(&file, more).unwrap();
    let full = refused(&node, &["set", "tables", "many", "--file", &file.to_string_lossy()]);
    assert!(full.contains("is not changed"), "{full}");
    let left = self::told(&node, &["get", "tables", "many"]);
    assert_eq!(left.lines().count() as u64, many);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
}
