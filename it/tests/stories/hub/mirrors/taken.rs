// SPDX-License-Identifier: Apache-2.0
//! What a rule brings, and to whom it belongs then.

use it::{DockerRegistry, Hub, Pair, Postgres, S3, binary, run_in};
use serde_json::json;

use super::{Mirror, referrers, rule, whole};
use crate::hub::packages::{Scene, version};
use crate::packages;

#[test]
fn what_a_rule_names_comes_with_all_that_refers_to_it_and_stays_as_it_is() {
    let scene = Scene::without_reviewers();
    assert_eq!(scene.push(&packages().path("sanity"), "sanity")["state"], "released");
    let mirror = Mirror::new("");
    mirror.follow(&rule(&scene));
    mirror.wait(("sanity", "0.1.0"), "mirrored");
    let there = whole(&scene.hub, "sanity", "0.1.0");
    assert_eq!(whole(&mirror.hub, "sanity", "0.1.0"), there);
    assert!(there.len() > 5, "an index, an image, its configuration and layer, a statement and its envelope");
    assert_eq!(mirror.get("/api/v1/packages?q=sanity").json().unwrap()["packages"][0]["name"], "sanity");

    // A node can tell no difference: it verifies what it pulls here.
    let policy = scene.path("node.toml");
    let trusted = format!(
        "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nkey_files = [\"{}.pub\"]\n[[repository]]\nurl = \"{}\"\n",
        packages().path("key"),
        mirror.hub.address()
    );
    std::fs::write(&policy, trusted).unwrap();
    let reference = format!("oci://{}", mirror.hub.reference("l3af/sanity:0.1.0"));
    packages().l3af(&["verify", &reference, "--policy", &policy]).unwrap().success().unwrap();

    // What comes later comes too: another version, and something that newly refers to what is here.
    scene.push(&version("1.0.0"), "steady");
    let digest = mirror.result("sanity", "0.1.0")["digest"].as_str().unwrap().to_owned();
    let before = referrers(&mirror.hub, "sanity", &digest);
    let (other, there) = (scene.path("other"), format!("oci://{}", scene.hub.reference("l3af/sanity:0.1.0")));
    packages().l3af(&["key", "new", &other, "--no-passphrase"]).unwrap().success().unwrap();
    scene.l3af("anna", &["sign", &there, "--key", &other]);
    mirror.run();
    mirror.wait(("steady", "1.0.0"), "mirrored");
    let after = referrers(&mirror.hub, "sanity", &digest);
    assert_eq!(after, referrers(&scene.hub, "sanity", &digest));
    assert!(after.len() > before.len(), "{after:?}");

    // What finds nothing new changes nothing.
    let entries = || mirror.read("audit?limit=1000")["items"].as_array().unwrap().len();
    let before = entries();
    mirror.run();
    assert_eq!(entries(), before + 1, "that somebody asked for it");
    let metrics = mirror.get("/metrics").text();
    assert!(metrics.contains("l3af_hub_mirror_releases_total{outcome=\"mirrored\"} 2"), "{metrics}");
    mirror.hub.administer(&["check"]).unwrap().success().unwrap();
    mirror.hub.administer(&["audit", "verify"]).unwrap().success().unwrap();
}

#[test]
fn nobody_writes_into_what_is_mirrored() {
    let scene = Scene::without_reviewers();
    scene.push(&version("1.0.0"), "steady");
    let mirror = Mirror::new("");
    mirror.follow(&rule(&scene));
    let digest = mirror.wait(("steady", "1.0.0"), "mirrored")["digest"].as_str().unwrap().to_owned();
    let index = mirror.manifest("steady:1.0.0").body;
    let ask = |method: &str, path: &str| mirror.hub.ask(method, path).header("Authorization", &mirror.boss);
    let put = |path: &str| {
        let kind = "application/vnd.oci.image.index.v1+json";
        ask("PUT", path).header("Content-Type", kind).body(index.clone()).send().unwrap()
    };
    for reply in [
        put("/v2/l3af/steady/manifests/1.0.1"),
        put(&format!("/v2/l3af/steady/manifests/{digest}")),
        ask("POST", "/v2/l3af/steady/blobs/uploads/").body("").send().unwrap(),
        ask("POST", "/v2/l3af/other/blobs/uploads/").body("").send().unwrap(),
        ask("DELETE", "/v2/l3af/steady/manifests/1.0.0").send().unwrap(),
        ask("DELETE", &format!("/v2/l3af/steady/manifests/{digest}")).send().unwrap(),
    ] {
        assert_eq!((reply.status, reply.code().as_str()), (403, "DENIED"), "{}", reply.text());
        assert!(reply.text().contains("`l3af` is a mirror"), "{}", reply.text());
    }
    assert_eq!(mirror.manifest("steady:1.0.0").status, 200);
    // Neither when the rule is gone; another one goes on with it.
    assert_eq!(mirror.call("DELETE", "mirrors/upstream", None).status, 204);
    assert_eq!(put("/v2/l3af/steady/manifests/1.0.1").status, 403);
    assert_eq!(mirror.manifest("steady:1.0.0").status, 200);
    mirror.follow(&rule(&scene));
    mirror.wait(("steady", "1.0.0"), "mirrored");
}

#[test]
fn what_is_published_here_is_not_taken_from_elsewhere() {
    let (scene, own) = (Scene::without_reviewers(), Scene::without_reviewers());
    scene.push(&version("1.0.0"), "steady");
    own.push(&packages().path("sanity"), "sanity");
    let set = scene.path("trust.toml");
    std::fs::write(
        &set,
        format!(
            "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nkey_files = [\"{}.pub\"]\n",
            packages().path("key")
        ),
    )
    .unwrap();
    let from = scene.host();
    let set =
        ["mirror", "set", "upstream", "--from", &from, "--packages", "l3af/*", "--policy", &set, "--paused"];
    own.hub.administer(&set).unwrap().success().unwrap();
    let ran = own.hub.administer(&["mirror", "run", "upstream"]).unwrap();
    assert!(ran.stdout.contains("`l3af` is a publisher of this hub"), "{} {}", ran.stdout, ran.stderr);
    assert_eq!(own.read(Some("anna"), "packages/l3af/steady").0, 404);
    assert_eq!(own.read(None, "packages/l3af/sanity").0, 200);
    // A version that is pushed by its owner goes on as it did.
    assert_eq!(own.push(&version("1.0.1"), "steady")["state"], "released");
}

#[test]
fn of_two_hubs_over_one_database_and_bucket_one_carries_a_rule_out() {
    let scene = Scene::without_reviewers();
    for number in ["1.0.0", "1.1.0", "1.2.0"] {
        scene.push(&version(number), "steady");
    }
    let (database, bucket) = (Postgres::start().unwrap(), S3::start().unwrap());
    let mirror = Mirror::new(&format!("database = '{}'\n{}", database.url(), bucket.configuration()));
    let other: Hub = mirror.hub.replica().unwrap();
    mirror.follow(&rule(&scene));
    for number in ["1.0.0", "1.1.0", "1.2.0"] {
        mirror.wait(("steady", number), "mirrored");
        let reply = other.get(&format!("/v2/l3af/steady/manifests/{number}")).unwrap();
        assert_eq!(reply.body, scene.hub.get(&format!("/v2/l3af/steady/manifests/{number}")).unwrap().body);
    }
    mirror.run();
    let audit = mirror.read("audit?limit=1000");
    let mirrored =
        audit["items"].as_array().unwrap().iter().filter(|item| item["action"] == "release.mirror");
    assert_eq!(mirrored.count(), 3, "each once");
    other.administer(&["check"]).unwrap().success().unwrap();
}

#[test]
fn versions_and_channels_that_are_not_wanted_stay_away() {
    let scene = Scene::without_reviewers();
    for number in ["1.0.0", "1.1.0", "1.2.0-rc.1"] {
        scene.push(&version(number), "steady");
    }
    scene.push(&packages().path("sanity"), "sanity");
    let mirror = Mirror::new("");
    let mut wanted = rule(&scene);
    wanted["packages"] = json!(["l3af/stea*"]);
    wanted["versions"] = json!(">=1.1");
    mirror.follow(&wanted);
    mirror.wait(("steady", "1.1.0"), "mirrored");
    mirror.run();
    let gone = ["steady:1.0.0", "steady:1.2.0-rc.1", "sanity:0.1.0"];
    assert!(gone.iter().all(|reference| mirror.lacks(reference)));
    wanted["channel"] = json!("candidate");
    mirror.follow(&wanted);
    mirror.wait(("steady", "1.2.0-rc.1"), "mirrored");
}

#[test]
fn a_registry_that_is_no_hub_is_a_source_as_well() {
    let pair = Pair::new().unwrap();
    let registry = DockerRegistry::start(&pair.right, 5000).unwrap();
    let place = registry.reference("l3af/sanity:0.1.0");
    let push = format!("{} push {} {place}", binary("l3af").unwrap().display(), packages().path("sanity"));
    run_in(&pair.right.namespace, &push).unwrap();
    let mirror = Mirror::of(Hub::start_on(&pair.right, "[access]\n").unwrap());
    let text = format!(
        "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nkey_files = [\"key.pub\"]\n[[repository]]\nurl = \"{}\"\n",
        registry.reference("l3af")
    );
    let key = std::fs::read_to_string(format!("{}.pub", packages().path("key"))).unwrap();
    let mut rule = json!({
        "source": { "host": "127.0.0.1:5000" }, "packages": ["l3af/sanity"], "every_seconds": 10,
        "policy": { "text": text, "files": { "key.pub": key } },
    });
    mirror.follow(&rule);
    mirror.wait(("sanity", "0.1.0"), "mirrored");
    let digest = mirror.result("sanity", "0.1.0")["digest"].as_str().unwrap().to_owned();
    assert!(!referrers(&mirror.hub, "sanity", &digest).is_empty(), "its signature came along");
    assert!(whole(&mirror.hub, "sanity", "0.1.0").len() > 5);
    // It has no list of packages that could be searched.
    rule["packages"] = json!(["l3af/*"]);
    mirror.follow(&rule);
    mirror.run();
    let problem = mirror.read("mirrors/upstream")["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("a registry and no hub"), "{problem}");
    drop(registry);
    mirror.run();
    assert_eq!(mirror.manifest("sanity:0.1.0").status, 200);
    assert_eq!(mirror.outcome("sanity", "0.1.0"), "mirrored");
}

#[test]
fn what_is_not_for_everybody_is_taken_with_a_login() {
    let scene = Scene::without_reviewers();
    scene.push(&version("1.0.0"), "steady");
    let private = json!({ "private": true });
    let reply =
        scene.hub.call(&scene.token("anna"), "PATCH", "/api/v1/publishers/l3af", Some(&private)).unwrap();
    assert!(reply.status < 300, "{}", reply.text());
    // Nobody finds it by searching.
    let mut wanted = rule(&scene);
    wanted["packages"] = json!(["l3af/steady"]);
    let stranger = Mirror::new("");
    stranger.follow(&wanted);
    stranger.run();
    let problem = stranger.read("mirrors/upstream")["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("l3af/steady: "), "{problem}");
    assert!(stranger.lacks("steady:1.0.0"));
    let known = Mirror::new(&format!("[mirrors]\nlogins = '{}'\n", scene.path("anna.json")));
    known.follow(&wanted);
    known.wait(("steady", "1.0.0"), "mirrored");
    assert_eq!(
        known.manifest("steady:1.0.0").status,
        200,
        "here it is for everybody, until somebody says otherwise"
    );
    let secret = scene.token("anna").trim_start_matches("Bearer ").to_owned();
    for told in
        [known.hub.log(), known.read("mirrors").to_string(), known.read("audit?limit=1000").to_string()]
    {
        assert!(!told.contains(&secret));
    }
}
