// SPDX-License-Identifier: Apache-2.0
//! `name-lookups`: which names are looked up, and what comes of it.

use std::fs;

use it::{Node, run};

use super::{Events, alone, assert_readable, assert_refused, attach, document, fill, metric, package};
use crate::{rounds, scene};

/// The C library that programs of this machine use, as this one does.
fn library() -> String {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let found = maps
        .lines()
        .find_map(|line| line.split_ascii_whitespace().nth(5).filter(|path| path.contains("/libc.so")));
    found.expect("the stories are linked with the C library of this machine").to_owned()
}

fn probes(config: &str) -> [(&'static str, &'static str, String); 2] {
    let at = format!("attach = {{ path = \"{}\" }}\n", library());
    [("asked", "on_asked", at.clone()), ("answered", "on_answered", format!("{at}config = {{ {config} }}"))]
}

#[track_caller]
fn watch(node: &Node, config: &str) -> bool {
    let [one, other] = probes(config);
    let probes = [(one.0, one.1, one.2.as_str()), (other.0, other.1, other.2.as_str())];
    attach(node, (5, 15), &package("name-lookups"), &probes)
}

/// Looks up a name in `/etc/hosts`, and nowhere else.
fn look_up(name: &str) -> bool {
    run(&format!("getent -s files ahosts {name}")).is_ok()
}

#[test]
fn names_are_told_with_what_came_of_them() {
    let _turn = alone();
    let (_pair, node) = scene();
    if !watch(&node, "") {
        return;
    }
    assert!(look_up("localhost") && !look_up("no-such-name.example"));
    let events = Events::of(&node, "answered", "answered");
    let of_getent = |event: &serde_json::Value| event["process"]["command"] == "getent";
    let found = events.next(|event| of_getent(event) && event["name"] == "localhost");
    assert!(found["result"] == "OK" && found["took"] != "0s", "{found}");
    let missing = events.next(|event| of_getent(event) && event["name"] == "no-such-name.example");
    assert_eq!(missing["result"], "NONAME", "{missing}");
    for result in ["OK", "NONAME"] {
        let labels = format!("member=\"answered\",command=\"getent\",result=\"{result}\"");
        let words = format!("l3af_map_name_lookups_lookups_names{{{labels}}}");
        assert!(metric(&node, &words).is_some_and(|names| names >= 1), "{words}");
    }
    let all = "l3af_map_name_lookups_took_seconds_bucket{member=\"answered\",le=\"+Inf\"}";
    assert!(metric(&node, all).is_some_and(|names| names >= 2));
    assert_readable(&node);
    fill(&node, "answered", &["lookups"]);
    // A name that no other story's program has: all programs of the machine are watched.
    let script = "$0 = 'one-of-others'; use Socket qw(getaddrinfo); getaddrinfo('127.0.0.1', '1')";
    assert!(std::process::Command::new("perl").args(["-e", script]).status().unwrap().success());
    let others =
        "l3af_map_name_lookups_lookups_names{member=\"answered\",command=\"(others)\",result=\"ANY\"}";
    assert!(metric(&node, others).is_some_and(|names| names >= 1));
}

#[test]
fn names_that_are_found_in_time_can_be_counted_only() {
    let _turn = alone();
    let (_pair, node) = scene();
    if !watch(&node, "slow_us = 4294967295") {
        return;
    }
    assert!(look_up("localhost") && !look_up("another-name.example"));
    let events = Events::of(&node, "answered", "answered");
    let first = events.next(|event| event["process"]["command"] == "getent");
    assert_ne!(first["name"], "localhost", "{first}");
    let package = package("name-lookups");
    let [_, (name, program, at)] = probes("slow_us = 4294967296");
    assert_refused(&node, &document(&package, &[(name, program, &at)]), "slow_us");
}

#[test]
fn answers_that_nobody_reads_are_counted() {
    let _turn = alone();
    let (_pair, node) = scene();
    if !watch(&node, "") {
        return;
    }
    // An event takes 328 bytes, and the buffer has 262144.
    let many = rounds(1500, 1000);
    let script = format!("use Socket qw(getaddrinfo); getaddrinfo('127.0.0.1', '1') for 1..{many}");
    assert!(std::process::Command::new("perl").args(["-e", &script]).status().unwrap().success());
    let untold = metric(&node, "l3af_map_name_lookups_untold_events{member=\"answered\",key=\"0\"}").unwrap();
    assert!(untold >= 200, "{untold}");
}
