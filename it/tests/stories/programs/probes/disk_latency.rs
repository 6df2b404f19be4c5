// SPDX-License-Identifier: Apache-2.0
//! `disk-latency`: how long disks take, and what they cannot do.

use std::fs;

use it::{Node, run};

use super::{Events, attach, fill, metric, package, wait_for_metric};
use crate::{is_emulated, scene};

#[track_caller]
fn watch(node: &Node, config: &str) -> bool {
    let rest = format!("config = {{ {config} }}");
    let probes = [("issue", "on_issue", ""), ("complete", "on_complete", rest.as_str())];
    attach(node, (5, 15), &package("disk-latency"), &probes)
}

/// What the driver of that disk can be told.
const DRIVER: &str = "/sys/bus/pseudo/drivers/scsi_debug";

/// A disk of the guest that is in memory, and cannot read the ten sectors from 0x1234 on.
fn disk() -> String {
    run("modprobe sd_mod").unwrap();
    run("modprobe scsi_debug dev_size_mb=8 opts=2").unwrap();
    let found = || {
        let listed = run("lsblk --noheadings --nodeps --output NAME,MODEL").unwrap();
        listed
            .lines()
            .find(|line| line.contains("scsi_debug"))
            .and_then(|line| Some(line.split_ascii_whitespace().next()?.to_owned()))
    };
    for _ in 0..200 {
        if let Some(name) = found() {
            return name;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the disk does not come");
}

#[test]
fn requests_are_counted_by_disk_and_slow_and_failed_ones_are_told() {
    let (_pair, node) = scene();
    if !watch(&node, "slow_us = 1") {
        return;
    }
    // The disk comes with a module of the guest's kernel.
    if !is_emulated() {
        return;
    }
    let disk = disk();
    run(&format!("dd if=/dev/zero of=/dev/{disk} bs=4096 count=5 oflag=direct status=none")).unwrap();
    run(&format!("dd if=/dev/{disk} of=/dev/null bs=512 skip=4660 count=1 iflag=direct status=none"))
        .unwrap_err();
    let events = Events::of(&node, "complete", "completed");
    let own = |event: &serde_json::Value, operation: &str| {
        event["what"]["disk"] == disk.as_str() && event["what"]["operation"] == operation
    };
    let written = events.next(|event| own(event, "WRITE") && event["sector"] == 8);
    assert_eq!((&written["bytes"], &written["failed"]), (&4096.into(), &false.into()), "{written}");
    assert!(written["took"] != "0s", "{written}");
    let failed = events.next(|event| own(event, "READ") && event["failed"] == true);
    assert_eq!(failed["sector"], 0x1234, "{failed}");
    let of = |what: &str, operation: &str, rest: &str| {
        let labels = format!("member=\"complete\",disk=\"{disk}\",operation=\"{operation}\"{rest}");
        metric(&node, &format!("l3af_map_disk_latency_requests_{what}{{{labels}}}")).unwrap_or_default()
    };
    assert!(of("bytes", "WRITE", "") >= 20480);
    assert!(of("took_seconds_bucket", "WRITE", ",le=\"+Inf\"") >= 5);
    assert!(of("failed_requests", "READ", "") >= 1);
    drop(events);
    // Of 250 in a second.
    fs::write(format!("{DRIVER}/delay"), "500").unwrap();
    assert!(watch(&node, "slow_us = 1000000, tell_failures = false"));
    run(&format!("dd if=/dev/zero of=/dev/{disk} bs=4096 count=1 oflag=direct status=none")).unwrap();
    let events = Events::of(&node, "complete", "completed");
    let slow = events.next(|event| own(event, "WRITE"));
    let took: u64 = slow["took"].as_str().unwrap().trim_end_matches("ns").parse().unwrap();
    assert!(took >= 1_900_000_000, "{slow}");
    // It is in the bucket of its time, and not in those of less.
    let at_most = |bound: &str| of("took_seconds_bucket", "WRITE", &format!(",le=\"{bound}\""));
    assert!(at_most("1.048575") < at_most("+Inf"));
    drop(events);

    fs::write(format!("{DRIVER}/delay"), "1").unwrap();
    assert!(watch(&node, "slow_us = 1"));
    fill(&node, "complete", &["completed", "requests"]);
    // One more disk.
    fs::write(format!("{DRIVER}/add_host"), "1").unwrap();
    let labels = "member=\"complete\",disk=\"(others)\",operation=\"ANY\",le=\"+Inf\"";
    wait_for_metric(&node, &format!("l3af_map_disk_latency_requests_took_seconds_bucket{{{labels}}}"), 1);
    wait_for_metric(&node, "l3af_map_disk_latency_untold_events{member=\"complete\",key=\"0\"}", 1);
    // A disk that goes while nobody uses it takes nothing with it.
    drop(run("modprobe -r scsi_debug"));
    assert!(watch(&node, "slow_us = 0, tell_failures = false"));
}
