// SPDX-License-Identifier: Apache-2.0
//! Bindings, in each language: a user program is compiled with them and meets, confined, the maps of the real kernel. What it
//! writes the daemon reads, what the daemon writes it reads, and an event has every field as clang laid it out.

use std::fs;
use std::path::Path;
use std::process::Command;

use it::{Ran, ping, repository};
use serde_json::{Value, json};

use crate::user::{document, only};
use crate::{packages, scene};

/// All of `struct everything`, as the interface of maps writes it.
const EVERYTHING: &str = r#"{"u8": 200, "s8": -100, "u16": 60000, "s16": -30000, "u32": 4000000000, "s32": -2000000000,
 "u64": "10000000000000000000", "s64": "-9000000000000000000", "u128": "18446744073709551618", "yes": true, "port": 443,
 "order": 16909060, "wide": "72623859790382856", "single": 1.5, "twice": -2.25, "action": "ACTION_DENY",
 "flags": ["red light", "blue"], "name": "abc", "raw": "0x0100ff", "ipv4": "192.0.2.1", "ipv6": "2001::1",
 "ip": "10.0.0.9", "mac": "02:00:00:00:00:ab", "low": 5, "middle": -60, "high": 4000000,
 "points": [{"x": 1, "y": -1}, {"x": 300, "y": -300}], "ports": [1, 256, 65535], "tight": {"first": 7, "second": 100000},
 "whole": 196610, "parts": {"x": 2, "y": 3}, "inside": 11, "type": 12, "took": "1500us", "class": 1, "self": 2, "a_b": 3, "aB": 4}"#;

/// What each program tells. Where it refuses a number, it says which in the words of its language.
const TOLD: &str = "for m at right0/xdp\nvalue: same\nevent: same\nplain: 4 bytes\ndeleted: true false\nkeys: [443]\nrefused: \nagain: true\n\
                    counts: true of true processors\nqueue: 7 8\nseen: true\ntold: 7\nconstant: 41\nconfigured: 7\ndone\n";

/// The package, and what is behind its programs and maps in the manifest.
fn package(name: &str, version: &str, rest: &str) -> String {
    let folder = repository().join("it/bindings");
    let source = fs::read_to_string(folder.join("every.bpf.c")).unwrap();
    let notes = fs::read_to_string(folder.join("notes.toml")).unwrap();
    let manifest = format!("{}{rest}", notes.replace("every.bpf", &format!("{name}.bpf")));
    packages().from_source((name, version), &source, &manifest).unwrap()
}

/// Compiles a program in a folder, which has its bindings too.
fn compile(line: &str, folder: &Path) {
    let words: Vec<&str> = line.split(' ').collect();
    let target = repository().canonicalize().unwrap().join("target/go");
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder);
    // Go keeps what it compiled, and looks for nothing elsewhere.
    command.env("GOCACHE", target.join("cache")).env("GOPATH", target.join("path")).env("GO111MODULE", "off");
    command.env("GOFLAGS", "").env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0");
    Ran::from(command.output().unwrap()).success().unwrap();
}

/// The language, the names of both files, and the line that compiles them into `helper`.
fn tell((language, program, bindings): (&str, &str, &str), line: &str) {
    let name = format!("every-{language}");
    let bare = package(&name, "0.1.0", "");
    let folder = packages().path(&format!("{name}-1.0.0"));
    let folder = Path::new(&folder);
    let sources = folder.join("user");
    fs::create_dir_all(&sources).unwrap();
    let kind = program.rsplit('.').next().unwrap();
    fs::copy(repository().join(format!("it/bindings/user.{kind}")), sources.join(program)).unwrap();
    let path = sources.join(bindings).to_string_lossy().into_owned();
    let more: &[&str] = if language == "go" { &["--package", "main"] } else { &[] };
    packages()
        .l3af(&[&["gen", &bare, "--lang", language, "--output", &path], more].concat())
        .unwrap()
        .success()
        .unwrap();
    compile(line, folder);
    let package = package(&name, "1.0.0", "[user]\ncommand = \"helper\"\n\n");

    let (pair, node) = scene();
    let configured = |constant: u32| {
        let settings = "settings = [{ key = 1, value = 7 }]";
        format!("{}[chain.member.config]\nconstant = {constant}\n{settings}\n", document(&package))
    };
    node.apply(&configured(41)).unwrap().success().unwrap();
    node.l3af(&["set", "m", "everything", &format!("1={}", EVERYTHING.replace('\n', ""))]).unwrap();
    let log = only(&node).log;
    let said = || fs::read_to_string(&log).unwrap_or_default();
    node.wait("it tells all", || {
        ping(&pair, 1).unwrap();
        said().contains("done") || only(&node).restarts > 0
    });
    let told: Vec<String> = said()
        .lines()
        .map(|line| if line.starts_with("refused: ") { "refused: ".to_owned() } else { line.to_owned() })
        .collect();
    assert_eq!(told.join("\n") + "\n", TOLD, "{}", said());
    assert!(said().to_lowercase().contains("value.rate"), "{}", said());

    let read = |map: &str, more: &[&str]| -> Vec<Value> {
        let text = node.l3af(&[&["get", "m", map, "--json"], more].concat()).unwrap();
        serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect()
    };
    let written = read("everything", &["2"]);
    let wanted: Value = serde_json::from_str(EVERYTHING).unwrap();
    assert_eq!(written[0]["value"], wanted);
    assert_eq!(read("limits", &[]), [json!({"key": 443, "value": {"rate": 5, "burst": 10}})]);
    assert_eq!(read("prefixes", &[]), [json!({"key": "10.0.0.0/8", "value": "ACTION_DENY"})]);
    let counts = read("counts", &["1", "--per-cpu"]);
    let values = counts[0]["value"].as_array().unwrap();
    for (number, value) in (1..).zip(values) {
        assert_eq!(value["packets"], number);
        assert_eq!(value["last"], 8);
    }
    assert_eq!(read(".data", &[])[0]["value"]["told"], 9);

    // Whoever comes beside it is nothing to it; what it is configured with is.
    let process = only(&node).pid;
    assert!(process.is_some());
    let beside =
        format!("[[chain.member]]\nname = \"beside\"\npackage = \"{}\"\n", packages().path("sanity"));
    node.apply(&format!("{}{beside}", configured(41))).unwrap().success().unwrap();
    assert_eq!(only(&node).pid, process);
    node.apply(&configured(42)).unwrap().success().unwrap();
    node.wait("it reads the other constant", || {
        ping(&pair, 1).unwrap();
        said().contains("constant: 42")
    });
}

#[test]
fn bindings_in_rust_read_and_write_what_the_kernel_holds() {
    tell(("rust", "main.rs", "maps.rs"), "rustc --edition 2024 -D warnings -o helper user/main.rs");
}

#[test]
fn bindings_in_c_read_and_write_what_the_kernel_holds() {
    tell(("c", "main.c", "maps.h"), "cc -O2 -Wall -Wextra -Werror -o helper user/main.c");
}

#[test]
fn bindings_in_go_read_and_write_what_the_kernel_holds() {
    tell(("go", "main.go", "maps.go"), "go build -o helper user/main.go user/maps.go");
}

#[test]
fn bindings_in_python_read_and_write_what_the_kernel_holds() {
    tell(("python", "__main__.py", "maps.py"), "python3 -m zipapp user -p /usr/bin/python3 -o helper");
}
