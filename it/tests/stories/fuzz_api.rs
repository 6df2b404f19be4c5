// SPDX-License-Identifier: Apache-2.0
//! The API does what it says of itself: schemathesis makes calls of the description, well-formed ones and others, and
//! compares each answer with it.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use it::{repository, run};

use crate::{is_emulated, running};

/// So that a failure is one again.
const SEED: &str = "7";
/// How many calls of each kind are made up, besides those for the bounds of each parameter.
const EXAMPLES: &str = "25";

/// Connections to a port of this machine go on to a socket in the file system, as schemathesis knows TCP only. It ends
/// with the tests.
fn bridge(socket: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = socket.to_owned();
    thread::spawn(move || {
        for caller in listener.incoming().filter_map(Result::ok) {
            let Ok(daemon) = UnixStream::connect(&socket) else { continue };
            let (from, to) = (caller.try_clone().unwrap(), daemon.try_clone().unwrap());
            thread::spawn(move || to_daemon(from, to));
            thread::spawn(move || to_caller(daemon, caller));
        }
    });
    port
}

// Where one side closes, so does the other; that one of them is gone is no failure of the bridge.
fn to_daemon(mut from: TcpStream, mut to: UnixStream) {
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Write));
}

fn to_caller(mut from: UnixStream, mut to: TcpStream) {
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Both));
}

/// Compares answers with the description; `which` says of which operations.
fn compare(port: u16, folder: &Path, which: &[&str]) {
    let schemathesis: PathBuf = repository().join("target/python/bin/schemathesis");
    assert!(schemathesis.exists(), "`cargo xtask python` makes `target/python`, with schemathesis");
    // A document that is well-formed names packages that are not there, so not all that conforms can be accepted.
    let output = Command::new(schemathesis)
        .current_dir(folder)
        .args(["run", &format!("http://127.0.0.1:{port}/openapi.json"), "--seed", SEED])
        .args(["--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing"])
        .args(["--exclude-checks", "positive_data_acceptance", "--generation-database", "none"])
        .args(["--continue-on-failure", "--no-shrink", "--no-color", "--request-timeout", "20"])
        .args(which)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_answer_is_one_that_the_description_of_the_api_has() {
    // Emulated, Python alone takes minutes, and what is looked at is the same on every kernel.
    if is_emulated() {
        return;
    }
    let (_pair, mut node) = running();
    let folder = tempfile::tempdir().unwrap();
    let port = bridge(&node.socket());
    // First with something to tell; then also with calls that take it away.
    compare(port, folder.path(), &["--include-method", "GET"]);
    assert_eq!(node.names().unwrap().len(), 2, "who only looks changes nothing");
    compare(port, folder.path(), &[]);
    assert!(node.runs().unwrap());
    assert!(!node.log().contains("panicked"), "{}", node.log());
}

/// Those that no description leads to.
#[test]
fn what_is_wrong_with_a_call_is_always_told_as_problem_details() {
    let (_pair, node) = running();
    let socket = node.socket().to_string_lossy().into_owned();
    for (call, status) in [
        ("-X PATCH http://l3afd/v1/status", 405),
        ("-X DELETE http://l3afd/v1/desired/members/%FF", 400),
        ("-X DELETE http://l3afd/v1/desired/members/a?hook=x&hook=y", 400),
        ("-X DELETE http://l3afd/v1/desired/members/sanity?hok=right0/xdp", 400),
        ("-H Last-Event-ID:abc http://l3afd/v1/events", 400),
        ("http://l3afd/v1/generations/x", 400),
        ("http://l3afd/v2", 404),
        ("-X PUT -d x http://l3afd/v1/desired", 415),
    ] {
        let answer = run(&format!("curl -sS -i --unix-socket {socket} {call}")).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: application/problem+json"), "{call}: {answer}");
        let problem: wire::Problem = serde_json::from_str(body).unwrap();
        assert_eq!(problem.status, status, "{call}: {answer}");
        assert!(problem.hint.is_some(), "{call}: {answer}");
        assert_eq!(head.contains("allow: GET,HEAD"), status == 405, "{call}: {answer}");
    }
    assert_eq!(node.names().unwrap().len(), 2);
}
