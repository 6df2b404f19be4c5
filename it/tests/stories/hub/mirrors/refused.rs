// SPDX-License-Identifier: Apache-2.0
//! What is not taken over, and how that is told.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Mirror, policy, rule};
use crate::hub::packages::{Scene, version};
use crate::packages;

#[test]
fn what_does_not_hold_against_the_policy_is_told_and_served_to_nobody() {
    let scene = Scene::without_reviewers();
    scene.push(&version("1.0.0"), "steady");
    let other = scene.path("other");
    packages().l3af(&["key", "new", &other, "--no-passphrase"]).unwrap().success().unwrap();
    let key = fs::read_to_string(format!("{other}.pub")).unwrap();
    let mirror = Mirror::new("");
    let mut strict = rule(&scene);
    let text = format!(
        "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nkey_files = [\"other.pub\"]\n[[repository]]\nurl = \"{}\"\n",
        scene.host()
    );
    strict["policy"] = json!({ "text": text, "files": { "other.pub": key } });
    mirror.follow(&strict);
    let refused = mirror.wait(("steady", "1.0.0"), "refused");
    assert!(refused["problem"].as_str().unwrap().starts_with("policy: "), "{refused:#}");
    let digest = refused["digest"].as_str().unwrap();
    let as_boss = |path: &str| mirror.hub.call(&mirror.boss, "GET", path, None).unwrap().status;
    for reference in ["1.0.0", digest] {
        assert_eq!(as_boss(&format!("/v2/l3af/steady/manifests/{reference}")), 404);
    }
    assert_eq!(as_boss("/api/v1/packages/l3af/steady"), 404);
    assert!(mirror.hub.log().contains("steady 1.0.0: refused"), "{}", mirror.hub.log());
    let audit = mirror.read("audit?limit=1000");
    let told = |entry: &&Value| entry["action"] == "mirror.result" && entry["actor"] == "mirror upstream";
    assert_eq!(audit["items"].as_array().unwrap().iter().filter(told).count(), 1);
    assert!(mirror.get("/metrics").text().contains("l3af_hub_mirror_releases_total{outcome=\"refused\"} 1"));

    // Of a place that the policy does not list nothing is taken either.
    let mut unlisted = rule(&scene);
    let text = policy(&scene)["text"].as_str().unwrap().replace(&scene.host(), "hub.example.org");
    unlisted["policy"]["text"] = json!(text);
    mirror.follow(&unlisted);
    mirror.hub.wait("that is the reason now", || {
        let problem = mirror.result("steady", "1.0.0")["problem"].as_str().unwrap_or_default().to_owned();
        problem.contains(&scene.host())
    });
    mirror.follow(&rule(&scene));
    mirror.wait(("steady", "1.0.0"), "mirrored");
    assert_eq!(mirror.read("publishers/l3af")["mirrored"], true);
}

#[test]
fn what_was_not_signed_comes_once_it_is() {
    let scene = Scene::without_reviewers();
    let mirror = Mirror::new("");
    scene.push(&version("1.0.0"), "steady");
    // Only a second key is trusted, by which nothing was signed yet.
    let other = scene.path("other");
    packages().l3af(&["key", "new", &other, "--no-passphrase"]).unwrap().success().unwrap();
    let mut strict = rule(&scene);
    let text = format!(
        "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nkey_files = [\"other.pub\"]\n[[repository]]\nurl = \"{}\"\n",
        scene.host()
    );
    let key = fs::read_to_string(format!("{other}.pub")).unwrap();
    strict["policy"] = json!({ "text": text, "files": { "other.pub": key } });
    mirror.follow(&strict);
    mirror.wait(("steady", "1.0.0"), "refused");
    let there = format!("oci://{}", scene.hub.reference("l3af/steady:1.0.0"));
    scene.l3af("anna", &["sign", &there, "--key", &other]);
    mirror.run();
    mirror.wait(("steady", "1.0.0"), "mirrored");
}

/// The file of a blob in the folder of a hub.
fn file(scene: &Scene, digest: &str) -> PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    let path = scene.hub.folder().join("blobs/sha256").join(&hex[..2]).join(hex);
    assert!(path.exists(), "{}", path.display());
    path
}

#[test]
fn bytes_that_were_changed_at_the_source_are_not_taken() {
    let mut scene = Scene::without_reviewers();
    scene.push(&version("1.0.0"), "steady");
    let read = |path: &str| scene.hub.get(&format!("/v2/l3af/steady/{path}")).unwrap().json().unwrap();
    let digest = |entry: &Value| entry["digest"].as_str().unwrap().to_owned();
    let image = digest(&read("manifests/1.0.0")["manifests"][0]);
    let layer = digest(&read(&format!("manifests/{image}"))["layers"][0]);
    let mirror = Mirror::new("");
    let mut paused = rule(&scene);
    paused["paused"] = json!(true);
    mirror.follow(&paused);
    // The layer may be that of another image as well, and comes with it.
    for digest in [&layer, &image] {
        let path = file(&scene, digest);
        let good = fs::read(&path).unwrap();
        fs::write(&path, [&good[1..], &good[..1]].concat()).unwrap();
        // A hub remembers small blobs.
        scene.hub.restart().unwrap();
        mirror.run();
        let failed = mirror.result("steady", "1.0.0");
        assert_eq!(failed["outcome"], "failed", "{failed:#}");
        let problem = failed["problem"].as_str().unwrap();
        assert!(problem.contains("sends other bytes") && problem.contains(digest.as_str()), "{problem}");
        assert!(mirror.read("mirrors/upstream")["problem"].as_str().unwrap().contains(digest.as_str()));
        assert!(mirror.lacks("steady:1.0.0"));
        fs::write(&path, good).unwrap();
    }
    scene.hub.restart().unwrap();
    mirror.run();
    assert_eq!(mirror.outcome("steady", "1.0.0"), "mirrored");
}

#[test]
fn a_rule_that_cannot_be_carried_out_is_refused() {
    let scene = Scene::without_reviewers();
    let mirror = Mirror::new("");
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut wrong = rule(&scene);
        change(&mut wrong);
        let reply = mirror.set(&wrong);
        assert!((400..500).contains(&reply.status), "{}", reply.text());
        reply.json().unwrap()["title"].as_str().unwrap().to_owned()
    };
    assert!(
        refused(&|rule| rule["policy"]["text"] = json!("mode = \"normal\"")).contains("verifies nothing")
    );
    assert!(refused(&|rule| rule["policy"] = json!({ "text": "[[publisher]]" })).contains("trust policy"));
    assert!(refused(&|rule| rule["packages"] = json!(["everything"])).contains("says no packages"));
    assert!(
        refused(&|rule| rule["source"] = json!({ "folder": "/etc" })).contains("`folders` of `[mirrors]`")
    );
    assert!(refused(&|rule| rule["source"] = json!({ "host": "http://a" })).contains("no host"));
    assert!(refused(&|rule| rule["versions"] = json!("newest")).contains("no range"));
    assert!(refused(&|rule| rule["password"] = json!("x")).contains("unknown field"));
    // It is for administrators.
    let path = "/api/v1/mirrors/upstream";
    let reply = scene.hub.call(&scene.token("anna"), "PUT", path, Some(&rule(&scene))).unwrap();
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert_eq!(scene.hub.get("/api/v1/mirrors").unwrap().status, 401);
}
