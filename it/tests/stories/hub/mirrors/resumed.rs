// SPDX-License-Identifier: Apache-2.0
//! Runs that do not come to their end.

use super::{Mirror, rule, whole};
use crate::hub::packages::{Scene, version};
use crate::packages;

const NUMBERS: [&str; 5] = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"];

#[test]
fn a_hub_that_is_killed_while_it_mirrors_says_nothing_but_the_truth_and_goes_on() {
    let scene = Scene::without_reviewers();
    for number in NUMBERS {
        scene.push(&version(number), "steady");
    }
    let mut mirror = Mirror::new("");
    mirror.follow(&rule(&scene));
    let here = |mirror: &Mirror| {
        let there = |number: &&str| mirror.manifest(&format!("steady:{number}")).status == 200;
        NUMBERS.iter().filter(|number| there(number)).count()
    };
    for kill in 0..3 {
        mirror.hub.wait("some are there", || here(&mirror) >= kill);
        mirror.hub.kill().unwrap();
        mirror.hub.restart().unwrap();
        // What is there is there as a whole.
        for number in NUMBERS {
            if mirror.manifest(&format!("steady:{number}")).status == 200 {
                assert_eq!(whole(&mirror.hub, "steady", number), whole(&scene.hub, "steady", number));
            }
        }
        mirror.hub.administer(&["check"]).unwrap().success().unwrap();
    }
    mirror.hub.wait("all are there", || here(&mirror) == NUMBERS.len());
    for number in NUMBERS {
        assert_eq!(mirror.wait(("steady", number), "mirrored")["outcome"], "mirrored");
    }
    mirror.hub.administer(&["audit", "verify"]).unwrap().success().unwrap();
}

#[test]
fn what_was_mirrored_is_served_while_the_source_is_down_and_what_is_new_comes_when_it_is_back() {
    let mut scene = Scene::without_reviewers();
    scene.push(&packages().path("sanity"), "sanity");
    let mirror = Mirror::new("");
    let mut often = rule(&scene);
    often["every_seconds"] = 10.into();
    mirror.follow(&often);
    mirror.wait(("sanity", "0.1.0"), "mirrored");
    scene.hub.end().unwrap();
    mirror.run();
    let problem = mirror.read("mirrors/upstream")["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("cannot be asked"), "{problem}");
    assert_eq!(mirror.manifest("sanity:0.1.0").status, 200);
    assert_eq!(mirror.result("sanity", "0.1.0")["outcome"], "mirrored");
    assert!(mirror.get("/metrics").text().contains("l3af_hub_mirror_runs_total{result=\"halted\"}"));
    scene.hub.restart().unwrap();
    scene.push(&version("1.0.0"), "steady");
    // Nobody asks for it again.
    mirror.wait(("steady", "1.0.0"), "mirrored");
    mirror.hub.wait("nothing is wrong any more", || mirror.read("mirrors/upstream").get("problem").is_none());
}
