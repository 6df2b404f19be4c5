// SPDX-License-Identifier: Apache-2.0
//! A daemon that is killed in the middle of applying: whatever was not finished, one of the two documents is in force afterwards.

use std::process::{Command, Stdio};

use it::{Node, Pair, documents_to_kill_through, flood_while, kill_through, run};
use std::time::Duration;

use crate::packages;

#[test]
fn a_daemon_that_is_killed_before_any_call_leaves_one_of_two_documents_whole_and_no_packet_sees_a_gap() {
    let pair = Pair::new().unwrap();
    let mut node = Node::start(&pair.right, &packages().policy()).unwrap();
    let documents = documents_to_kill_through(packages()).unwrap();
    node.apply(&documents[0]).unwrap().success().unwrap();
    // All documents drop pings: where one is answered, a packet went past the chain.
    let pings = Command::new("ip")
        .args(["netns", "exec", &pair.left.namespace, "ping", "-n", "-q", "-i", "0.005", &pair.right.address])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let through = || kill_through(&mut node, &documents, crate::rounds(40, 6), 47);
    let (sent, received, kills) =
        flood_while((&pair.left, &pair.right), Duration::from_millis(20), through).unwrap();
    run(&format!("kill -INT {}", pings.id())).unwrap();
    let report = String::from_utf8(pings.wait_with_output().unwrap().stdout).unwrap();
    assert!(report.contains(" 0 received"), "{report}");
    assert_eq!(received, sent, "packets were lost, or came twice");
    // It survives the last run of each kind of call.
    assert!(kills.count() * 4 > kills.runs && kills.before + kills.after == kills.runs, "{kills:?}");
    println!("{kills:#?}");
}
