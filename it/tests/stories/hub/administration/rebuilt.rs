// SPDX-License-Identifier: Apache-2.0
//! The database is lost, and the storage is whole: what was released is there again, by the same names and digests, and nothing
//! else is.

use std::fs;

use it::{Hub, Person, Postgres, S3};
use serde_json::{Value, json};

use super::{Scene, call, version};

/// Every scope there is.
const ALL: [&str; 4] = ["repository:*:pull,push,delete", "api:read", "api:write", "admin"];

/// A token of the administrator, for everything.
fn boss(hub: &Hub) -> String {
    hub.token(&Person::new("boss"), &ALL).unwrap()
}

/// A hub in which something is released, something waits, something was taken down, and an ordinary registry has a tag.
fn filled(settings: &str) -> Scene {
    let scene = Scene::new(settings);
    let key = scene.reviewers_key();
    for number in ["1.0.0", "1.2.0", "1.1.0"] {
        scene.push(&version(number), "steady");
    }
    for number in ["1.0.0", "1.2.0"] {
        let reference = scene.hub.reference(&format!("l3af/steady:{number}"));
        scene.l3af("rita", &["review", "approve", &reference, "--key", &key, "--text", "fine"]);
    }
    let down = json!({ "publisher": "l3af", "name": "steady", "version": "1.2.0", "class": "abuse", "reason": "it drops" });
    call(&scene.hub, &scene.boss, ("POST", "takedowns"), &down, 201);
    let package = scene.hub.reference("l3af/steady");
    let price = ["--amount", "5", "--currency", "EUR", "--per", "once", "--link", "https://a.example/"];
    scene.l3af("anna", &[&["publisher", "price", &package], &price[..]].concat());
    scene.hub.add_registry("free").unwrap();
    let (blob, token) = (b"a blob of an ordinary registry".to_vec(), boss(&scene.hub));
    let digest = format!("sha256:{}", package::Digest::of(&blob).hex());
    let push = scene.hub.ask("POST", &format!("/v2/free/deep/app/blobs/uploads/?digest={digest}"));
    assert_eq!(push.header("Authorization", &token).body(blob.clone()).send().unwrap().status, 201);
    let config = json!({ "mediaType": "application/x", "digest": digest, "size": blob.len() });
    let image = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": image, "config": config });
    let put = scene.hub.ask("PUT", "/v2/free/deep/app/manifests/latest").header("Content-Type", image);
    let put = put.header("Authorization", &token).body(manifest.to_string()).send().unwrap();
    assert_eq!(put.status, 201, "{}", put.text());
    scene
}

/// What a hub answers to who did not log in.
fn seen(hub: &Hub) -> Vec<(u16, String)> {
    let release = hub.get("/v2/l3af/steady/manifests/1.0.0").unwrap();
    let digest = release.header("docker-content-digest").unwrap().to_owned();
    let paths = [
        "/v2/l3af/steady/manifests/1.0.0".to_owned(),
        format!("/v2/l3af/steady/manifests/{digest}"),
        format!("/v2/l3af/steady/referrers/{digest}"),
        "/v2/l3af/steady/manifests/1.1.0".to_owned(),
        "/v2/l3af/steady/manifests/1.2.0".to_owned(),
        "/v2/l3af/steady/tags/list".to_owned(),
        "/v2/free/deep/app/manifests/latest".to_owned(),
        "/v2/_catalog".to_owned(),
        "/api/v1/packages/l3af/steady/versions".to_owned(),
        "/api/v1/packages?price=paid".to_owned(),
        "/api/v1/packages/l3af/steady/versions/1.0.0/reviews".to_owned(),
        "/api/v1/packages?q=steady".to_owned(),
        "/api/v1/publishers/l3af/roots".to_owned(),
    ];
    let told = |reply: it::Reply| match reply.json() {
        Ok(mut body) if body.get("errors").is_none() => {
            forget_pulls(&mut body);
            (reply.status, body.to_string())
        }
        Ok(_) | Err(_) => (reply.status, reply.text()),
    };
    paths.iter().map(|path| told(hub.get(path).unwrap())).collect()
}

/// Counts of the last seconds are on no record.
fn forget_pulls(body: &mut Value) {
    match body {
        Value::Object(members) => {
            members.remove("pulls");
            members.values_mut().for_each(forget_pulls);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_pulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is the same in a hub whose database was made anew, and that it can be worked with.
fn go_on(scene: &mut Scene, before: &[(u16, String)]) {
    let hub = &mut scene.hub;
    let told = hub.administer(&["rebuild"]).unwrap().success().unwrap();
    assert!(told.contains("2 repositories"), "{told}");
    let again = hub.administer(&["rebuild"]).unwrap();
    assert!(!again.ok && again.stderr.contains("is not empty"), "{}", again.stderr);
    hub.administer(&["check"]).unwrap().success().unwrap();
    hub.administer(&["audit", "verify"]).unwrap().success().unwrap();
    hub.restart().unwrap();
    for (now, was) in seen(hub).iter().zip(before) {
        assert_eq!(now, was);
    }
    assert_eq!((before[3].0, before[4].0), (404, 410), "{before:#?}");
    // Accounts are what is lost.
    hub.administrator().unwrap();
    scene.boss = boss(&scene.hub);
    scene.person("anna", "contributor");
    let anna = ("PUT", "publishers/l3af/members/anna");
    call(&scene.hub, &scene.boss, anna, &json!({ "role": "owner" }), 200);
    let waiting = || scene.read(Some("anna"), "packages/l3af/steady/versions/1.1.0").1["state"].clone();
    scene.hub.wait("what waited is checked again, and waits", || waiting() == "review");
    let used = scene.ran("anna", &["push", &version("1.2.0"), &scene.hub.reference("l3af/steady")]);
    assert!(!used.ok && used.stderr.contains("410"), "{}", used.stderr);
    assert_eq!(scene.push(&version("1.3.0"), "steady")["state"], "review");
    let takedowns = call(&scene.hub, &scene.boss, ("GET", "takedowns"), &Value::Null, 200);
    assert_eq!(takedowns["items"][0]["reason"], "it drops");
}

#[test]
fn a_hub_whose_database_is_gone_is_made_of_its_storage() {
    let mut scene = filled("");
    let before = seen(&scene.hub);
    scene.hub.end().unwrap();
    for file in ["hub.db", "hub.db-wal", "hub.db-shm"] {
        drop(fs::remove_file(scene.hub.folder().join(file)));
    }
    go_on(&mut scene, &before);
}

#[test]
fn a_bucket_is_enough_for_another_database() {
    let (lost, found, bucket) =
        (Postgres::start().unwrap(), Postgres::start().unwrap(), S3::start().unwrap());
    let settings = |database: &Postgres| format!("database = '{}'\n", database.url());
    let mut scene = filled(&format!("{}{}", settings(&lost), bucket.configuration()));
    let before = seen(&scene.hub);
    scene.hub.end().unwrap();
    scene.hub.settings = scene.hub.settings.replace(&settings(&lost), &settings(&found));
    let file = fs::read_to_string(scene.hub.configuration()).unwrap();
    fs::write(scene.hub.configuration(), file.replace(&settings(&lost), &settings(&found))).unwrap();
    go_on(&mut scene, &before);
}

#[test]
fn what_is_missing_is_said_and_a_storage_without_records_makes_nothing() {
    let mut hub = Hub::start_with("[access]\n").unwrap();
    hub.end().unwrap();
    fs::remove_file(hub.folder().join("hub.db")).unwrap();
    for file in fs::read_dir(hub.folder().join("records")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let none = hub.administer(&["rebuild"]).unwrap();
    assert!(!none.ok && none.stderr.contains("the storage has no records"), "{}", none.stderr);

    let mut scene = filled("");
    let release = scene.hub.get("/v2/l3af/steady/manifests/1.0.0").unwrap();
    let digest = release.header("docker-content-digest").unwrap().trim_start_matches("sha256:").to_owned();
    scene.hub.end().unwrap();
    for file in ["hub.db", "hub.db-wal", "hub.db-shm"] {
        drop(fs::remove_file(scene.hub.folder().join(file)));
    }
    fs::remove_file(scene.hub.folder().join("blobs/sha256").join(&digest[..2]).join(&digest)).unwrap();
    let ran = scene.hub.administer(&["rebuild"]).unwrap();
    assert!(
        !ran.ok && ran.stdout.contains(&format!("the manifest `sha256:{digest}` is not in the storage")),
        "{}",
        ran.stdout
    );
    scene.hub.restart().unwrap();
    assert_eq!(scene.manifest("steady:1.0.0"), 404);
    assert_eq!(scene.hub.get("/v2/free/deep/app/manifests/latest").unwrap().status, 200);
}
