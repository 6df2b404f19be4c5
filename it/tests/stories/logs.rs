// SPDX-License-Identifier: Apache-2.0
//! The daemon's own log: as text, as JSON, and in the journal.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use it::{Node, Pair, binary};

use crate::packages;

#[test]
fn a_log_in_json_is_an_object_a_line_with_fields() {
    let pair = Pair::new().unwrap();
    let mut node = Node::start(&pair.right, &packages().policy()).unwrap();
    let text = node.log();
    assert!(text.contains(" INFO ") && text.contains("serving at"), "{text}");
    node.settings = "log = \"json\"\n".to_owned();
    node.restart().unwrap();
    let refused = node.cli(&["stop", "nobody"]).unwrap();
    assert!(!refused.ok);
    let log = node.log();
    let lines = log.strip_prefix(&text).expect("the log goes on").lines();
    let lines: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let warning = lines.iter().find(|line| line["level"] == "WARN").unwrap();
    assert_eq!(warning["status"], 404, "{warning}");
    assert!(
        warning["timestamp"].is_string() && warning["message"].as_str().unwrap().starts_with("refused: ")
    );
}

#[test]
fn where_stderr_leads_to_the_journal_entries_go_there_with_fields() {
    let folder = tempfile::tempdir().unwrap();
    let journal = UnixDatagram::bind(folder.path().join("socket")).unwrap();
    journal.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let script = "mkdir -p /run/systemd/journal && mount --bind \"$1\" /run/systemd/journal \
                  && JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$2\" --config /nowhere/l3afd.toml";
    let ended = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(binary("l3afd").unwrap())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&ended.stderr), "");
    let mut entry = [0; 4096];
    // The one by which the journal is looked for is empty.
    let length = (0..2).map(|_| journal.recv(&mut entry).unwrap()).find(|length| *length > 0).unwrap();
    let entry = String::from_utf8_lossy(&entry[..length]);
    // Values come with their length: the protocol of the journal.
    let priority = "PRIORITY\n\u{1}\0\0\0\0\0\0\u{0}3\n";
    for words in [priority, "SYSLOG_IDENTIFIER\n", "l3afd\n", "cannot read the configuration"] {
        assert!(entry.contains(words), "{words}: {entry}");
    }
}
