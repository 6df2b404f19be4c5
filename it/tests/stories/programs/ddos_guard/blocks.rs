// SPDX-License-Identifier: Apache-2.0
//! Sources that are blocked for a time.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use it::{Node, frame};
use serde_json::Value;

use super::{Guarded, RIGHT};

/// What `l3af watch` tells.
fn events(node: &Node) -> (Child, Receiver<Value>) {
    let mut command = Command::new(it::binary("l3af").unwrap());
    command.arg("--socket").arg(node.socket()).args(["watch", "ddos-guard", "events", "--json"]);
    let mut watching = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            drop(tell.send(serde_json::from_str(&line).unwrap()));
        }
    });
    (watching, told)
}

/// The next event, in which the time is left out.
#[track_caller]
fn next(events: &Receiver<Value>) -> String {
    let told = events.recv_timeout(Duration::from_secs(30)).unwrap();
    let event = &told["event"];
    format!("{} {} {}", event["source"], event["kind"], event["bound"]).replace('"', "")
}

#[test]
fn a_source_above_its_bound_is_blocked_for_a_time() {
    let config = r#"
block_packets_per_second = 50
block_syns_per_second = 5
block_seconds = "1s"
senders_ipv4 = { "203.0.113.9" = "allow" }
"#;
    let Some(guarded) = Guarded::new(config) else { return };
    let inbox = guarded.inbox();
    let (mut watching, events) = events(&guarded.node);
    let flood = |from: &str, to: &str, most: u32| {
        // A second may go by on a machine that has other things to do.
        for _ in 0..most {
            guarded.forge(from, to, r#""packet""#);
        }
    };
    for (from, source, to) in
        [("203.0.113.1", "203.0.113.1", RIGHT[0]), ("2001:db8:213::1", "2001:db8:213::", RIGHT[1])]
    {
        flood(from, to, 5000);
        assert_eq!(next(&events), format!("{source} blocked packets"));
        // What comes when the time is over passes.
        inbox.wait_for(from, || guarded.forge(from, to, r#""again""#));
        let told = next(&events);
        assert!(told == format!("{source} expired packets"), "{told}");
        let passed = inbox.from(from);
        assert!(passed < 2500, "{passed} of 5000 passed");
    }
    for number in 0..200 {
        let begins =
            format!("eth / ipv4(src=203.0.113.3, dst={}) / tcp(sport=6000, dport=7, seq={number})", RIGHT[0]);
        guarded.outlet.send(&frame(&begins).unwrap()).unwrap();
    }
    assert_eq!(next(&events), "203.0.113.3 blocked syns");
    // Who is allowed is never blocked: the next event is of somebody else.
    flood("203.0.113.9", RIGHT[0], 2000);
    flood("203.0.113.4", RIGHT[0], 5000);
    assert_eq!(next(&events), "203.0.113.4 blocked packets");
    let told = guarded.node.l3af(&["get", "ddos-guard", "block_changes", "--json"]).unwrap();
    let counts: BTreeMap<String, u64> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .map(|entry: Value| (entry["key"].as_str().unwrap().to_owned(), entry["value"].as_u64().unwrap()))
        .collect();
    assert_eq!((counts["blocked"], counts["expired"], counts["lost_events"]), (4, 2, 0));
    watching.kill().unwrap();
    watching.wait().unwrap();
}
