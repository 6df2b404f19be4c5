// SPDX-License-Identifier: Apache-2.0
//! How fast entries of a map are set from JSON over the API, beside `bpftool batch` with as many, how fast they are told, and how fast
//! events become JSON.
//!
//! Both setters are processes that begin with a file: `curl` with a change, `bpftool` with a line for each entry.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use it::{Node, Packages, Pair};
use maps::{Endian, Type};
use serde_json::{Value, json};

use super::Options;

const ENTRIES: u32 = 100_000;
const EVENTS: u32 = 1_000_000;
/// An event of a kind that many programs tell of: whence, whereto, what became of it.
const EVENT: &str = "{ at: u64, from: ipv4, to: ipv4, source: port, target: port, verdict: enum u8 { pass = 1, drop = 2 }, \
                     protocol: u8, length: u16, comm: char[16], flags: u32, packets: u64 }";
const SOURCE: &str = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause\n\
    #include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\n\
    struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 100000); __type(key, __u32); __type(value, __u64); } many SEC(\".maps\");\n\
    SEC(\"xdp\") int keeps(struct xdp_md *context) { __u32 first = 0;\n\
    return bpf_map_lookup_elem(&many, &first) ? XDP_PASS : XDP_PASS; }\n\
    char LICENSE[] SEC(\"license\") = \"Dual BSD/GPL\";\n";
const MANIFEST: &str =
    "[[program]]\nfunction = \"keeps\"\nobject = \"keeps.bpf.o\"\nsource = \"keeps.bpf.c\"\nhook = \"xdp\"\n";

pub(super) fn run(options: &Options) -> Result<()> {
    let (pair, packages) = (Pair::new()?, Packages::build()?);
    let node = Node::start(&pair.right, &packages.policy())?;
    let package = packages.from_source(("keeps", "1.0.0"), SOURCE, MANIFEST)?;
    let document = format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\nmember = [{{ name = \"keeps\", package = \"{package}\" }}]\n"
    );
    node.apply(&document)?.success()?;
    let folder = tempfile::tempdir()?;
    let (change, batch) = (folder.path().join("change.json"), folder.path().join("batch"));
    fs::write(&change, all_entries())?;
    let pinned = it::run(&format!("find {} -name many", node.pins.display()))?;
    let shown = it::run(&format!("bpftool -j map show pinned {}", pinned.trim()))?;
    // In a file of `bpftool`, what is behind the `#` in the path of the pin would be a comment.
    let id = serde_json::from_str::<Value>(&shown)?["id"].as_u64().context("the map has a number")?;
    fs::write(&batch, all_lines(id)?)?;
    let api = format!("curl -sf --unix-socket {} http://l3afd/v1/maps/keeps/many", node.socket().display());
    let (mut set, mut batched, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds.unwrap_or(5) {
        set.push(seconds(&format!(
            "{api} -X PATCH -H content-type:application/json --data-binary @{}",
            change.display()
        ))?);
        told.push(seconds(&format!("{api}/entries -o {}", folder.path().join("told").display()))?);
        batched.push(seconds(&format!("bpftool batch file {}", batch.display()))?);
    }
    ensure!(lines_of(&folder.path().join("told"))? == ENTRIES as usize + 1, "not all entries were told");
    let rate = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        f64::from(ENTRIES) / times[times.len() / 2]
    };
    let (set, batched, told) = (rate(&mut set), rate(&mut batched), rate(&mut told));
    tell(
        options,
        &json!({
            "set_per_s": set.round(),
            "bpftool_batch_per_s": batched.round(),
            "set_over_bpftool": set / batched,
            "iterate_per_s": told.round(),
            "decode_events_per_s": decoded()?.round(),
        }),
    );
    Ok(())
}

/// A change that sets all entries.
fn all_entries() -> String {
    let entries: Vec<Value> =
        (0..ENTRIES).map(|key| json!({ "key": key, "value": u64::from(key) * 3 })).collect();
    json!({ "set": entries }).to_string()
}

/// The same for `bpftool`.
fn all_lines(id: u64) -> Result<String> {
    let bytes = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    let mut lines = String::new();
    for key in 0..ENTRIES {
        let value = (u64::from(key) * 3).to_ne_bytes();
        writeln!(lines, "map update id {id} key {} value {}", bytes(&key.to_ne_bytes()), bytes(&value))?;
    }
    Ok(lines)
}

fn lines_of(path: &Path) -> Result<usize> {
    Ok(fs::read_to_string(path)?.lines().count())
}

fn seconds(line: &str) -> Result<f64> {
    let begin = Instant::now();
    it::run(line)?;
    Ok(begin.elapsed().as_secs_f64())
}

/// How many events become JSON text in a second.
fn decoded() -> Result<f64> {
    let event: Type = EVENT.parse()?;
    let value = json!({
        "at": 123_456_789_012_345_u64, "from": "192.0.2.1", "to": "198.51.100.7", "source": 40000, "target": 443,
        "verdict": "drop", "protocol": 6, "length": 1500, "comm": "ksoftirqd/0", "flags": 3, "packets": 12,
    });
    let bytes = event.encode(&value, Endian::Little)?;
    let (mut text, begin) = (Vec::with_capacity(512), Instant::now());
    for _ in 0..EVENTS {
        text.clear();
        serde_json::to_writer(&mut text, &event.view(black_box(&bytes), Endian::Little)?)?;
        black_box(&text);
    }
    Ok(f64::from(EVENTS) / begin.elapsed().as_secs_f64())
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn tell(options: &Options, told: &Value) {
    if options.json {
        println!("{told}");
        return;
    }
    let number = |name: &str| told[name].as_f64().unwrap_or_default();
    println!("entries set over the API             {:>12.0} /s", number("set_per_s"));
    println!("entries set by `bpftool batch`       {:>12.0} /s", number("bpftool_batch_per_s"));
    println!("the former over the latter           {:>12.2}", number("set_over_bpftool"));
    println!("entries told over the API            {:>12.0} /s", number("iterate_per_s"));
    println!("events as JSON                       {:>12.0} /s", number("decode_events_per_s"));
}
