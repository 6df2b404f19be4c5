// SPDX-License-Identifier: Apache-2.0
//! What happens at the source to what is here already.

use serde_json::json;

use super::{Mirror, rule};
use crate::hub::packages::{Scene, version};

/// The state of a release at the mirror.
fn state(mirror: &Mirror, number: &str) -> serde_json::Value {
    mirror.get(&format!("/api/v1/packages/l3af/steady/versions/{number}")).json().unwrap()
}

#[test]
fn yanks_and_advisories_follow() {
    let scene = Scene::without_reviewers();
    for number in ["1.0.0", "1.1.0"] {
        scene.push(&version(number), "steady");
    }
    let mirror = Mirror::new("");
    mirror.follow(&rule(&scene));
    mirror.wait(("steady", "1.1.0"), "mirrored");
    let newest = scene.hub.reference("l3af/steady:1.1.0");
    scene.l3af("anna", &["yank", &newest, "--reason", "it passes too much"]);
    let warned = json!({ "range": "^1.0", "severity": "high", "title": "it passes", "text": "all of it" });
    let path = "/api/v1/packages/l3af/steady/advisories";
    let told = scene.hub.call(&scene.token("anna"), "POST", path, Some(&warned)).unwrap().json().unwrap();
    mirror.run();
    let release = state(&mirror, "1.1.0");
    assert_eq!(release["state"], "yanked", "{release:#}");
    let reason = release["reason"].as_str().unwrap();
    assert!(reason.contains("it passes too much") && reason.contains(&scene.host()), "{reason}");
    assert_eq!(mirror.get("/api/v1/packages?q=steady").json().unwrap()["packages"][0]["version"], "1.0.0");
    assert_eq!(mirror.manifest("steady:1.1.0").status, 200, "who names it still gets it");
    let advisories = mirror.get(path).json().unwrap();
    assert_eq!(advisories[0]["id"], told["id"], "{advisories:#}");
    assert_eq!(advisories.as_array().unwrap().len(), 1);
    let feed = mirror.get("/feeds/packages/l3af/steady.atom").text();
    assert!(feed.contains("it passes too much"), "{feed}");

    // What is given to nobody there is warned of here, for as long as it is so.
    let down = json!({ "publisher": "l3af", "name": "steady", "version": "1.1.0", "class": "malware", "reason": "it phones home" });
    let taken =
        scene.hub.call(&scene.boss, "POST", "/api/v1/takedowns", Some(&down)).unwrap().json().unwrap();
    mirror.run();
    let release = state(&mirror, "1.1.0");
    assert_eq!(release["state"], "yanked", "{release:#}");
    assert!(
        release["reason"].as_str().unwrap().ends_with("taken down (malware: it phones home)"),
        "{release:#}"
    );
    assert!(mirror.result("steady", "1.1.0")["problem"].is_null());
    let path_down = format!("/api/v1/takedowns/{}", taken["id"].as_str().unwrap());
    assert_eq!(scene.hub.call(&scene.boss, "DELETE", &path_down, None).unwrap().status, 200);
    mirror.run();
    let reason = state(&mirror, "1.1.0")["reason"].clone();
    assert!(reason.as_str().unwrap().contains("it passes too much"), "{reason}");
    scene.l3af("anna", &["yank", &newest, "--undo"]);
    mirror.run();
    assert_eq!(state(&mirror, "1.1.0")["state"], "released");
    // What somebody warns of here is not taken back from there.
    let yank = json!({ "reason": "not for us" });
    let path = "packages/l3af/steady/versions/1.0.0/yank";
    assert_eq!(mirror.call("PUT", path, Some(&yank)).status, 204);
    mirror.run();
    assert_eq!(state(&mirror, "1.0.0")["reason"], "not for us");
}
