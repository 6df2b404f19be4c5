// SPDX-License-Identifier: Apache-2.0
//! What is released stays, unless it is young and nobody has it; nobody is led to what is yanked.

use serde_json::json;

use super::{Scene, version};

#[test]
fn nobody_is_led_to_what_is_yanked() {
    let scene = Scene::without_reviewers();
    for number in ["1.0.0", "1.1.0", "1.2.0-rc.1"] {
        assert_eq!(scene.push(&version(number), "steady")["state"], "released");
    }
    let package = scene.hub.reference("l3af/steady");
    let resolve =
        |arguments: &[&str]| scene.ran("anna", &[&["resolve", package.as_str()], arguments].concat());
    let resolved = |arguments: &[&str]| resolve(arguments).success().unwrap();
    assert!(resolved(&[]).contains("steady:1.1.0@sha256:"));
    assert!(resolved(&["--range", "~1.0"]).contains("steady:1.0.0@"));
    assert!(resolved(&["--channel", "candidate"]).contains("steady:1.2.0-rc.1@"));
    let old = resolve(&["--kernel", "4.18"]);
    assert!(old.stderr.contains("needs Linux"), "{}", old.stderr);
    let foreign = resolve(&["--platform", "windows/amd64"]);
    assert!(foreign.stderr.contains("not for windows/amd64"), "{}", foreign.stderr);

    let newest = scene.hub.reference("l3af/steady:1.1.0");
    scene.l3af("anna", &["yank", &newest, "--reason", "it passes too much"]);
    assert!(resolved(&[]).contains("steady:1.0.0@"));
    assert_eq!(scene.manifest("steady:1.1.0"), 200, "who names it still gets it");
    let (_, release) = scene.read(None, "packages/l3af/steady/versions/1.1.0");
    assert_eq!((&release["state"], &release["reason"]), (&json!("yanked"), &json!("it passes too much")));
    assert_eq!(scene.read(None, "packages?q=steady").1["packages"][0]["version"], "1.0.0");
    scene.l3af("anna", &["yank", &newest, "--undo"]);
    assert!(resolved(&[]).contains("steady:1.1.0@"));

    let warned =
        json!({ "range": ">=1.0.0, <1.2.0", "severity": "high", "title": "it passes", "text": "all of it" });
    let path = "/api/v1/packages/l3af/steady/advisories";
    assert_eq!(scene.hub.call(&scene.token("anna"), "POST", path, Some(&warned)).unwrap().status, 201);
    let told = resolve(&[]);
    assert!(told.stderr.contains("high: it passes"), "{}", told.stderr);
}

#[test]
fn a_release_is_neither_moved_nor_removed_by_clients_of_registries() {
    let scene = Scene::without_reviewers();
    scene.push(&version("1.0.0"), "steady");
    let path = "/v2/l3af/steady/manifests/1.0.0";
    let anna = scene.token("anna");
    let index = scene.hub.call(&anna, "GET", path, None).unwrap();
    let digest = index.headers.iter().find(|(name, _)| name == "docker-content-digest").unwrap().1.clone();
    for path in [path.to_owned(), format!("/v2/l3af/steady/manifests/{digest}")] {
        let reply = scene.hub.call(&anna, "DELETE", &path, None).unwrap();
        assert!(reply.status == 403 && reply.text().contains("DENIED"), "{} {}", reply.status, reply.text());
    }
    let other =
        br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let put = |tag: &str| {
        let ask = scene.hub.ask("PUT", &format!("/v2/l3af/steady/manifests/{tag}"));
        let ask = ask.header("Content-Type", "application/vnd.oci.image.index.v1+json");
        ask.header("Authorization", &anna).body(other.to_vec()).send().unwrap()
    };
    for tag in ["1.0.0", "latest"] {
        let reply = put(tag);
        assert!(reply.status == 403 && reply.text().contains("DENIED"), "{} {}", reply.status, reply.text());
    }
    assert_eq!(scene.manifest("steady:1.0.0"), 200);
}

#[test]
fn a_young_release_that_nobody_pulled_is_deleted_and_its_version_is_used_up() {
    let scene = Scene::without_reviewers();
    let (one, two) = (version("1.0.0"), version("1.1.0"));
    scene.push(&one, "steady");
    scene.push(&two, "steady");
    let delete = |number: &str| {
        let path = format!("/api/v1/packages/l3af/steady/versions/{number}");
        scene.hub.call(&scene.token("anna"), "DELETE", &path, None).unwrap()
    };
    assert_eq!(scene.manifest("steady:1.1.0"), 200, "and so somebody has it");
    let reply = delete("1.1.0");
    assert!(reply.status == 409 && reply.text().contains("was pulled"), "{} {}", reply.status, reply.text());
    assert_eq!(delete("1.0.0").status, 204);
    assert_eq!(scene.manifest("steady:1.0.0"), 404);
    let again = scene.ran("anna", &["push", &one, &scene.hub.reference("l3af/steady")]);
    assert!(again.stderr.contains("never used again"), "{}", again.stderr);
}

#[test]
fn who_pulls_often_counts_once_a_day() {
    let scene = Scene::without_reviewers();
    scene.push(&version("1.0.0"), "steady");
    for _ in 0..5 {
        assert_eq!(scene.manifest("steady:1.0.0"), 200);
    }
    let path = "/v2/l3af/steady/manifests/1.0.0";
    assert_eq!(scene.hub.call(&scene.token("rita"), "GET", path, None).unwrap().status, 200);
    let pulls = || scene.read(None, "packages/l3af/steady").1["pulls"].as_u64().unwrap();
    scene.hub.wait("pulls are counted", || pulls() > 0);
    assert_eq!(pulls(), 2, "one by an address and one by a login");
}
