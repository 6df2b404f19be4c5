// SPDX-License-Identifier: Apache-2.0
//! `oom-kills`: who is killed for want of memory, and why.

use std::fs;
use std::process::Command;

use super::{Events, attach, fill, inode, metric, package};
use crate::hooks::probes::Group;
use crate::scene;

#[test]
fn a_process_that_outgrows_its_control_group_is_told() {
    let (_pair, node) = scene();
    if !attach(&node, (5, 7), &package("oom-kills"), &[("kills", "on_kill", "")]) {
        return;
    }
    let group = Group::new();
    let root = std::path::Path::new(&group.0).parent().unwrap().to_owned();
    fs::write(root.join("cgroup.subtree_control"), "+memory").unwrap();
    fs::write(format!("{}/memory.max", group.0), "16M").unwrap();
    let outgrow = || {
        let script = format!("echo $$ > {}/cgroup.procs && exec tail /dev/zero", group.0);
        let status = Command::new("bash").args(["-c", &script]).status().unwrap();
        assert!(!status.success(), "it had all the memory it wanted");
    };
    outgrow();
    let events = Events::of(&node, "kills", "killed");
    let kill = events.next(|event| event["victim"]["cgroup"] == inode(&group.0));
    assert_eq!((&kill["scope"], &kill["victim"]["command"]), (&"CGROUP".into(), &"tail".into()), "{kill}");
    assert_eq!((&kill["asker"]["pid"], &kill["limit"]), (&kill["victim"]["pid"], &4096.into()), "{kill}");
    assert!(kill["victim_pages"]["anonymous"].as_u64().unwrap() > 2000, "{kill}");
    let words = "l3af_map_oom_kills_kills_processes{member=\"kills\",command=\"tail\",scope=\"CGROUP\"}";
    assert_eq!(metric(&node, words), Some(1));
    drop(events);
    fill(&node, "kills", &["killed"]);
    outgrow();
    assert_eq!(metric(&node, words), Some(2));
    assert_eq!(metric(&node, "l3af_map_oom_kills_untold_events{member=\"kills\",key=\"0\"}"), Some(1));
}
