// SPDX-License-Identifier: Apache-2.0
//! `file-opens`: which files are opened, and what fails.

use std::fs::{self, File};
use std::process::Command;

use it::{Node, run};

use super::{Events, alone, assert_refused, attach, document, fill, metric, package};
use crate::scene;

#[track_caller]
fn watch(node: &Node, config: &str) -> bool {
    let rest = format!("config = {{ {config} }}");
    let probes = [("open", "on_open", ""), ("opened", "on_opened", rest.as_str())];
    attach(node, (5, 15), &package("file-opens"), &probes)
}

#[test]
fn opens_in_places_that_are_watched_are_told() {
    let _turn = alone();
    let (_pair, node) = scene();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    fs::create_dir(folder.path().join("quiet")).unwrap();
    fs::create_dir(folder.path().join("written")).unwrap();
    let places = format!(
        "watched = {{ \"{place}\" = \"ALL\", \"{place}/quiet\" = \"FAILED\", \"{place}/written\" = \"WRITES\" }}"
    );
    if !watch(&node, &places) {
        return;
    }
    for name in ["quiet/one", "written/two", "three"] {
        File::create(folder.path().join(name)).unwrap();
        File::open(folder.path().join(name)).unwrap();
    }
    run(&format!("cat {place}x/quiet")).unwrap_err();
    run(&format!("cat {place}/quiet/none")).unwrap_err();
    let events = Events::of(&node, "opened", "opened");
    let own = |event: &serde_json::Value| event["process"]["pid"] == std::process::id();
    let told: Vec<(String, String)> = (0..3)
        .map(|_| {
            let event = events.next(own);
            assert_eq!(event["error"], "OK", "{event}");
            let text = |name: &str| event[name].as_str().unwrap().replace(&place, "");
            (text("path"), text("place"))
        })
        .collect();
    let wanted = [("/written/two", "/written"), ("/three", ""), ("/three", "")];
    assert_eq!(told, wanted.map(|(path, place)| (path.to_owned(), place.to_owned())));
    let failed = events.next(|event| event["process"]["command"] == "cat");
    assert_eq!(failed["path"], format!("{place}/quiet/none"), "{failed}");
    assert_eq!((&failed["error"], &failed["place"]), (&"ENOENT".into(), &format!("{place}/quiet").into()));

    let of_cat = "{member=\"opened\",command=\"cat\"";
    let failures = format!("l3af_map_file_opens_failures_files{of_cat},error=\"ENOENT\"}}");
    assert!(metric(&node, &failures).is_some_and(|files| files >= 2));
    let opens = format!("l3af_map_file_opens_opens_succeeded_files{of_cat}}}");
    assert!(metric(&node, &opens).is_some_and(|files| files >= 1));
    let all = "l3af_map_file_opens_took_seconds_bucket{member=\"opened\",le=\"+Inf\"}";
    assert!(metric(&node, all).is_some_and(|files| files >= 8));
    fill(&node, "opened", &["opens", "failures"]);
    assert!(!Command::new("grep").args(["x", "/none"]).status().unwrap().success());
    for others in [
        "opens_succeeded_files{member=\"opened\",command=\"(others)\"}",
        "failures_files{member=\"opened\",command=\"(others)\",error=\"ANY\"}",
    ] {
        assert!(
            metric(&node, &format!("l3af_map_file_opens_{others}")).is_some_and(|files| files >= 1),
            "{others}"
        );
    }
}

#[test]
fn opens_that_nobody_reads_are_counted_and_those_of_others_are_not_watched() {
    let _turn = alone();
    let (_pair, node) = scene();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let watched = format!("watched = {{ \"{place}\" = \"ALL\" }}");
    let untold = || {
        metric(&node, "l3af_map_file_opens_untold_events{member=\"opened\",key=\"0\"}").unwrap_or_default()
    };
    if !watch(&node, &format!("{watched}, first_uid = 1")) {
        return;
    }
    // An event takes 392 bytes, and the buffer has 524288.
    let open_many = || (0..2000).for_each(|_| drop(File::open(&place)));
    open_many();
    assert_eq!(untold(), 0);
    assert!(watch(&node, &watched));
    open_many();
    assert!((500..1000).contains(&untold()), "{}", untold());
    let package = package("file-opens");
    let long = "x".repeat(65);
    for (config, words) in [
        ("slow_us = 4294967296".to_owned(), "slow_us"),
        (format!("watched = {{ \"/{long}\" = \"ALL\" }}"), "watched"),
        ("watched = { \"/etc\" = \"SOME\" }".to_owned(), "watched"),
    ] {
        let rest = format!("config = {{ {config} }}");
        assert_refused(&node, &document(&package, &[("opened", "on_opened", &rest)]), words);
    }
}
