// SPDX-License-Identifier: Apache-2.0
//! The record of changes tells all of them, and tells when it was changed itself.

use std::fs;
use std::process::Command;

use it::Hub;
use serde_json::{Value, json};

use super::{ALL, scene};

/// Alters the database behind the back of the hub.
fn alter(hub: &Hub, sql: &str) {
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
    let database = hub.folder().join("hub.db");
    let status = Command::new("python3").args(["-c", program]).arg(database).arg(sql).status().unwrap();
    assert!(status.success());
}

fn actions(exported: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let entry: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| entry[key].as_str().unwrap().to_owned();
        (text("actor"), text("action"))
    };
    exported.lines().map(entry).collect()
}

#[test]
fn every_change_is_written_down_with_who_made_it() {
    let (hub, _, admin) = scene();
    let alice = hub.add_account(&admin, "alice", "contributor").unwrap();
    let token = hub.token(&alice, &ALL).unwrap();
    hub.call(&token, "POST", "/api/v1/publishers", Some(&json!({ "name": "acme" }))).unwrap();
    hub.call(&token, "POST", "/api/v1/publishers", Some(&json!({ "name": "acme" }))).unwrap();
    let exported = hub.administer(&["audit", "export"]).unwrap().success().unwrap();
    let told = actions(&exported);
    let told: Vec<(&str, &str)> =
        told.iter().map(|(actor, action)| (actor.as_str(), action.as_str())).collect();
    assert_eq!(
        told,
        [
            ("l3af-hub", "administrator.link"),
            ("administrator link", "account.create"),
            ("boss", "token.create"),
            ("boss", "account.create"),
            ("alice", "token.create"),
            ("alice", "publisher.create"),
        ]
    );
    for secret in [&alice.password, token.strip_prefix("Bearer ").unwrap()] {
        assert!(!exported.contains(secret));
    }
    let first = hub.call(&admin, "GET", "/api/v1/audit?limit=4", None).unwrap().json().unwrap();
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next"]), (4, &json!("4")));
    let rest = hub.call(&admin, "GET", "/api/v1/audit?limit=4&after=4", None).unwrap().json().unwrap();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
    assert_eq!(hub.call(&token, "GET", "/api/v1/audit", None).unwrap().status, 403);
}

#[test]
fn a_record_that_was_altered_is_found_out() {
    let (hub, _, admin) = scene();
    for handle in ["alice", "bob", "carol"] {
        hub.add_account(&admin, handle, "reader").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let exported = hub.administer(&["audit", "export"]).unwrap().success().unwrap();
    let verify = |text: &str| {
        fs::write(&file, text).unwrap();
        hub.administer(&["audit", "verify", &file.to_string_lossy()]).unwrap()
    };
    assert!(verify(&exported).ok);
    let altered = verify(&exported.replace("\"reader\"", "\"reviewer\""));
    assert!(!altered.ok && altered.stderr.contains("entry 4 was altered"), "{}", altered.stderr);
    let lines: Vec<&str> = exported.lines().collect();
    let shorter = verify(&[&lines[..3], &lines[4..]].concat().join("\n"));
    assert!(!shorter.ok && shorter.stderr.contains("entry 4 is missing"), "{}", shorter.stderr);

    let whole = || hub.administer(&["audit", "verify"]).unwrap();
    assert!(whole().ok);
    alter(&hub, "UPDATE audit SET actor = 'mallory' WHERE number = 5");
    assert!(whole().stderr.contains("entry 5 was altered"), "{}", whole().stderr);
    alter(&hub, "UPDATE audit SET actor = 'boss' WHERE number = 5");
    assert!(whole().ok);
    alter(&hub, "DELETE FROM audit WHERE number = 6");
    assert!(
        whole().stderr.contains("the record ends with entry 5, and 6 were written"),
        "{}",
        whole().stderr
    );
}
