// SPDX-License-Identifier: Apache-2.0
//! Backups, and hubs that are made of them.

use std::fs;

use it::{Hub, Postgres, Reply, S3};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::packages::Scene;
use crate::packages;

fn paths(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_string_lossy().into_owned()
}

/// A hub that nobody used, with these settings, and its program ended.
fn unused(settings: &str) -> Hub {
    let mut hub = Hub::start_with(&format!("{settings}[access]\n")).unwrap();
    hub.end().unwrap();
    hub
}

fn manifest(hub: &Hub) -> Reply {
    hub.get("/v2/l3af/sanity/manifests/0.1.0").unwrap()
}

fn found(hub: &Hub) -> Value {
    let found = hub.get("/api/v1/packages?q=sanity&rating=4").unwrap().json().unwrap();
    json!([found["packages"][0]["name"], found["packages"][0]["rating"]["people"]])
}

#[test]
fn a_hub_moves_from_one_machine_to_postgresql_and_a_bucket_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::without_reviewers();
    scene.push(&packages().path("sanity"), "sanity");
    scene.hub.wait("it is released", || manifest(&scene.hub).status == 200);
    let released = manifest(&scene.hub).body;
    scene.l3af("rita", &["rate", &scene.hub.reference("l3af/sanity"), "4"]);
    let backup = paths(&folder, "backup");
    // Beside the hub that runs, and again, which changes what came since.
    for _ in 0..2 {
        scene.hub.administer(&["backup", &backup]).unwrap().success().unwrap();
    }
    let (database, bucket) = (Postgres::start().unwrap(), S3::start().unwrap());
    let mut large = unused(&format!("database = '{}'\n{}", database.url(), bucket.configuration()));
    large.administer(&["restore", &backup]).unwrap().success().unwrap();
    large.restart().unwrap();
    assert_eq!(manifest(&large).body, released);
    assert_eq!(found(&large), json!(["sanity", 1]), "what is searched is made of what was restored");
    large.administer(&["check"]).unwrap().success().unwrap();
    large.administer(&["audit", "verify"]).unwrap().success().unwrap();
    // Who had an account and a token has it still.
    let own = large.call(&scene.token("anna"), "GET", "/api/v1/tokens", None).unwrap();
    assert_eq!(own.status, 200, "{}", own.text());

    let again = paths(&folder, "again");
    large.administer(&["backup", &again]).unwrap().success().unwrap();
    let mut small = unused("");
    small.administer(&["restore", &again]).unwrap().success().unwrap();
    small.restart().unwrap();
    assert_eq!((manifest(&small).body, found(&small)), (released, json!(["sanity", 1])));
    small.administer(&["check"]).unwrap().success().unwrap();
}

#[test]
fn a_backup_that_is_damaged_restores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start_with("").unwrap();
    hub.add_registry("free").unwrap();
    let blob = b"some bytes".to_vec();
    let digest = format!("sha256:{}", sha256(&blob));
    let push = hub.ask("POST", &format!("/v2/free/a/blobs/uploads/?digest={digest}")).body(blob);
    assert_eq!(push.send().unwrap().status, 201);
    let backup = paths(&folder, "backup");
    hub.administer(&["backup", &backup]).unwrap().success().unwrap();
    let refused = |hub: &Hub, what: &str| {
        let ran = hub.administer(&["restore", &backup]).unwrap();
        assert!(ran.stderr.contains(what), "{what}: {}", ran.stderr);
        assert!(ran.success().is_err());
    };
    refused(&hub, "is not empty");
    let new = unused("");
    let hex = digest.trim_start_matches("sha256:");
    let kept = format!("{backup}/blobs/sha256/{}/{hex}", &hex[..2]);
    for (path, what) in [(kept, hex), (format!("{backup}/tables.jsonl"), "its digest is")] {
        let good = fs::read(&path).unwrap();
        fs::write(&path, [&good[1..], &good[..1]].concat()).unwrap();
        refused(&new, what);
        fs::write(&path, good).unwrap();
    }
    fs::rename(format!("{backup}/backup.json"), format!("{backup}/elsewhere")).unwrap();
    refused(&new, "backup.json");
    fs::rename(format!("{backup}/elsewhere"), format!("{backup}/backup.json")).unwrap();
    new.administer(&["restore", &backup]).unwrap().success().unwrap();
}

#[test]
fn tables_go_back_to_an_older_version_and_up_again() {
    let database = Postgres::start().unwrap();
    for settings in [String::new(), format!("database = '{}'\n", database.url())] {
        let mut hub = unused(&settings);
        let version = hub.administer(&["schema"]).unwrap().success().unwrap();
        let version: u32 = version.trim().parse().unwrap();
        for version in (0..version).rev() {
            hub.administer(&["schema", "--to", &version.to_string()]).unwrap().success().unwrap();
        }
        let beyond = hub.administer(&["schema", "--to", &(version + 1).to_string()]).unwrap();
        assert!(beyond.stderr.contains("there is no version"), "{}", beyond.stderr);
        hub.restart().unwrap();
        assert_eq!(hub.get("/healthz").unwrap().status, 200);
    }
}

fn sha256(bytes: &[u8]) -> String {
    package::Digest::of(bytes).hex()
}
