// SPDX-License-Identifier: Apache-2.0
//! The way back: by hand, and by itself when nobody confirms what cut them off.

use std::fs;
use std::time::Duration;

use it::{Node, Pair, binary, ping};

use crate::scene;

use crate::hooks::mechanism::of_corpus;
use crate::{packages, rounds};

/// A document with a program that drops all packets.
fn cut_off(interface: &str) -> String {
    let package = of_corpus("drops", "drops", "xdp");
    let member = format!("[[chain.member]]\nname = \"cutter\"\npackage = \"{package}\"\n");
    packages().document(interface, &["sanity"]) + &member
}

/// A time that is long enough to look, and short enough to wait for.
fn soon() -> String {
    format!("{}s", rounds(3, 20))
}

#[test]
fn generations_are_kept_compared_and_brought_back_without_their_folders() {
    let (pair, node) = scene();
    packages().build_one("sanity", "before").unwrap();
    packages().l3af(&["sign", "before", "--key", "key"]).unwrap().success().unwrap();
    node.apply(&packages().document("right0", &["before"])).unwrap().success().unwrap();
    node.apply(&packages().document("right0", &["sanity", "ratelimit"])).unwrap().success().unwrap();
    fs::remove_dir_all(packages().path("before")).unwrap();
    let diff = node.l3af(&["diff"]).unwrap();
    let signs: Vec<&str> = diff.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(signs, ["- right0/xdp before", "+ right0/xdp ratelimit", "+ right0/xdp sanity"]);

    node.l3af(&["rollback", "--expect-generation", "2"]).unwrap();
    assert_eq!(node.names().unwrap(), ["before"]);
    assert_eq!(ping(&pair, 3).unwrap(), 3);
    assert_eq!(node.l3af(&["diff", "1", "3"]).unwrap(), "");
    let listed = node.l3af(&["generations"]).unwrap();
    let first = listed.lines().nth(1).unwrap();
    assert!(first.starts_with('3') && first.ends_with("in force; brought back 1"), "{listed}");
    // Once more, and what was taken back is there again.
    node.l3af(&["rollback"]).unwrap();
    assert_eq!(node.names().unwrap(), ["sanity", "ratelimit"]);
    node.l3af(&["rollback", "1"]).unwrap();
    assert_eq!(node.names().unwrap(), ["before"]);
    let refused = node.cli(&["rollback", "17"]).unwrap();
    assert!(refused.stderr.contains("there is no generation 17"), "{}", refused.stderr);
    let refused = node.cli(&["rollback", "--expect-generation", "2"]).unwrap();
    assert!(
        refused.stderr.contains("generation 2 was expected, but generation 5 is in force"),
        "{}",
        refused.stderr
    );
    assert_eq!(node.names().unwrap(), ["before"]);
}

#[test]
fn what_is_not_confirmed_goes_and_what_was_before_returns() {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 2).unwrap(), 2);
    node.apply_with(&cut_off("right0"), &["--confirm-within", &soon()]).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 1).unwrap(), 0, "it cuts us off");
    let trial = node.status().unwrap().unconfirmed.unwrap();
    assert_eq!((trial.generation, trial.back_to), (2, 1));
    let refused = node.apply(&packages().document("right0", &["ratelimit"])).unwrap();
    assert!(refused.stderr.contains("generation 2 is on trial"), "{}", refused.stderr);
    node.wait("the one before returns", || node.status().unwrap().generation == 1);
    assert_eq!(ping(&pair, 2).unwrap(), 2);
    assert_eq!(node.names().unwrap(), ["sanity"]);
    assert!(node.l3af(&["generations"]).unwrap().contains("given up: nobody confirmed it within"));
    let refused = node.cli(&["confirm"]).unwrap();
    assert!(refused.stderr.contains("no generation is on trial"), "{}", refused.stderr);
    // The next one has a number of its own.
    node.apply(&packages().document("right0", &["ratelimit"])).unwrap().success().unwrap();
    assert_eq!(node.status().unwrap().generation, 3);
}

#[test]
fn what_is_confirmed_stays_and_a_trial_can_be_ended_by_hand() {
    let (_pair, mut node) = scene();
    let document = |member: &str| packages().document("right0", &[member]);
    node.apply_with(&document("sanity"), &["--confirm-within", &soon()]).unwrap().success().unwrap();
    let refused = node.cli(&["confirm", "7"]).unwrap();
    assert!(refused.stderr.contains("generation 7 was expected"), "{}", refused.stderr);
    node.l3af(&["confirm", "1"]).unwrap();
    node.apply_with(&document("ratelimit"), &["--confirm-within", "1h"]).unwrap().success().unwrap();
    node.l3af(&["rollback"]).unwrap();
    assert_eq!((node.names().unwrap(), node.status().unwrap().generation), (vec!["sanity".to_owned()], 1));
    std::thread::sleep(Duration::from_secs(rounds(4, 20) as u64));
    assert_eq!(node.names().unwrap(), ["sanity"], "it was confirmed");
    // A generation that is on trial when the machine restarts is not applied again.
    node.apply_with(&document("ratelimit"), &["--confirm-within", "1h"]).unwrap().success().unwrap();
    node.kill().unwrap();
    let file = node.state().join("trial.json");
    let mut trial: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    trial["boot"] = "another".into();
    fs::write(&file, trial.to_string()).unwrap();
    node.restart().unwrap();
    node.wait("what was confirmed runs", || node.names().unwrap() == ["sanity"]);
    let refused = node.apply_with(&document("ratelimit"), &["--confirm-within", "2d"]).unwrap();
    assert!(refused.stderr.contains("`2d` is not a time"), "{}", refused.stderr);
}

#[test]
fn a_trial_ends_where_nothing_is_to_run() {
    let (pair, mut node) = scene();
    let sanity = packages().path("sanity");
    node.l3af(&["run", &sanity, "--on", "right0", "--confirm-within", "1h"]).unwrap();
    node.l3af(&["stop", "--all"]).unwrap();
    assert_eq!((node.names().unwrap().len(), node.status().unwrap().generation), (0, 2));
    assert!(node.status().unwrap().unconfirmed.is_none());

    node.l3af(&["run", &sanity, "--on", "right0", "--confirm-within", &soon()]).unwrap();
    node.kill().unwrap();
    node.flags = vec!["--safe"];
    node.restart().unwrap();
    assert!(node.status().unwrap().unconfirmed.is_none());
    assert!(node.l3af(&["generations"]).unwrap().contains("given up: the daemon was started in safe mode"));
    node.kill().unwrap();

    node.flags.clear();
    node.restart().unwrap();
    node.l3af(&["run", &sanity, "--on", "right0"]).unwrap();
    node.l3af(&["change", "sanity", "--disable", "--confirm-within", "1h"]).unwrap();
    node.kill().unwrap();
    node.cli(&[
        "detach",
        "--all",
        "--pins",
        &node.pins.to_string_lossy(),
        "--state",
        &node.state().to_string_lossy(),
    ])
    .unwrap()
    .success()
    .unwrap();
    node.restart().unwrap();
    assert_eq!((node.names().unwrap().len(), node.status().unwrap().unconfirmed.is_none()), (0, true));
    assert_eq!(ping(&pair, 2).unwrap(), 2);
}

#[test]
fn without_the_daemon_and_its_file_the_watchdog_returns_to_what_was_before() {
    let pair = Pair::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let executable = folder.path().join("l3afd");
    fs::copy(binary("l3afd").unwrap(), &executable).unwrap();
    let mut node = Node::start_from(&executable, &pair.right, &packages().policy()).unwrap();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    node.apply_with(&cut_off("right0"), &["--confirm-within", &soon()]).unwrap().success().unwrap();
    assert_eq!(ping(&pair, 1).unwrap(), 0, "it cuts us off");
    node.kill().unwrap();
    fs::remove_file(&executable).unwrap();
    node.wait("packets go through again", || ping(&pair, 1).unwrap() == 1);
    assert!(!node.state().join("trial.json").exists());
    // The next daemon takes up what the watchdog left.
    fs::copy(binary("l3afd").unwrap(), &executable).unwrap();
    node.restart().unwrap();
    assert_eq!((node.names().unwrap(), node.status().unwrap().generation), (vec!["sanity".to_owned()], 1));
    assert_eq!(ping(&pair, 2).unwrap(), 2);
}

#[test]
fn a_daemon_that_hangs_is_ended_by_the_watchdog() {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    node.apply_with(&cut_off("right0"), &["--confirm-within", &soon()]).unwrap().success().unwrap();
    node.signal("STOP").unwrap();
    node.wait("packets go through again", || ping(&pair, 1).unwrap() == 1);
    assert!(node.log().contains("the watchdog does"), "{}", node.log());
}

/// A document with a check, which says what it does in a line of TOML.
fn checked(document: &str, check: &str) -> String {
    format!("{document}[[check]]\nname = \"c\"\n{check}\n")
}

#[test]
fn a_generation_whose_checks_pass_stays_and_one_with_a_check_that_fails_does_not() {
    let (pair, node) = scene();
    let reach = format!("ping = \"{}\"", pair.left.address);
    let sane = packages().document("right0", &["sanity"]);
    node.apply(&checked(&sane, &reach)).unwrap().success().unwrap();
    assert!(node.status().unwrap().unconfirmed.is_some());
    node.wait("its checks are enough", || node.status().unwrap().unconfirmed.is_none());
    assert_eq!(node.status().unwrap().generation, 1);
    // What runs already passed them: to go on with it is no trial.
    node.l3af(&["run", &packages().path("ratelimit"), "--on", "right0", "--confirm-within", "1h"]).unwrap();
    node.wait("its checks pass", || node.cli(&["confirm"]).unwrap().ok);
    node.l3af(&["stop", "ratelimit"]).unwrap();
    node.l3af(&["rollback", "1"]).unwrap();
    assert!(node.status().unwrap().unconfirmed.is_none());

    node.apply(&checked(&cut_off("right0"), &reach)).unwrap().success().unwrap();
    let refused = node.cli(&["confirm"]).unwrap();
    assert!(refused.stderr.contains("did not all pass so far"), "{}", refused.stderr);
    node.wait("the one before returns", || node.status().unwrap().generation == 4);
    assert_eq!(node.names().unwrap(), ["sanity"]);
    assert_eq!(ping(&pair, 2).unwrap(), 2);
    let listed = node.l3af(&["generations"]).unwrap();
    assert!(
        listed.contains("given up: the check `c` failed: `10.213.7.1`: no answer within 2 s"),
        "{listed}"
    );
}

#[test]
fn a_member_that_drops_more_than_it_may_does_not_stay() {
    let (pair, node) = scene();
    node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    let strict =
        packages().document("right0", &["ratelimit:config = { connections_per_second = 1, burst = 1 }"]);
    let bound = "drops = { member = \"ratelimit\", on = \"right0/xdp\", at_most_percent = 20 }";
    node.apply_with(&checked(&strict, bound), &["--confirm-within", "1h"]).unwrap().success().unwrap();
    node.wait("the one before returns", || {
        it::connect(&pair, 8090, 20).unwrap();
        node.status().unwrap().generation == 1
    });
    let listed = node.l3af(&["generations"]).unwrap();
    assert!(listed.contains("packets, and may drop 20 %"), "{listed}");
}

#[test]
fn checks_that_cannot_be_carried_out_are_refused() {
    let (_pair, node) = scene();
    let sane = packages().document("right0", &["sanity"]);
    for (check, words) in [
        ("", "the check `c` has 0 of `ping`"),
        ("ping = \"127.0.0.1\"\ntcp = \"127.0.0.1:1\"", "the check `c` has 2 of `ping`"),
        ("command = \"reboot\"", "the configuration of the daemon has no command `reboot`"),
        ("drops = { member = \"nobody\", at_most_percent = 5 }", "no such chain has a member `nobody`"),
        ("drops = { member = \"sanity\", at_most_percent = 101 }", "goes to 100, and is 101"),
        ("ping = \"gateway\"", "invalid IP address"),
    ] {
        let refused = node.apply(&checked(&sane, check)).unwrap();
        assert!(!refused.ok && refused.stderr.contains(words), "{check}: {}", refused.stderr);
        let unplanned = node.apply_with(&checked(&sane, check), &["--dry-run"]).unwrap();
        assert!(!unplanned.ok && unplanned.stderr.contains(words), "{check}: {}", unplanned.stderr);
    }
    assert_eq!(node.status().unwrap().generation, 0);
}
