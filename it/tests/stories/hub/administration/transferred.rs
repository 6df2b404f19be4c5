// SPDX-License-Identifier: Apache-2.0
//! A package goes to another publisher: what was released stays, and the next version is the new one's.

use std::fs;

use it::{Hub, Postgres};
use serde_json::{Value, json};

use super::{Scene, call, title, version};
use crate::packages;

/// A publisher besides, whose owner is `ben`, with a root of the key that packages are signed with.
fn other(scene: &Scene) {
    scene.person("ben", "contributor");
    call(&scene.hub, &scene.token("ben"), ("POST", "publishers"), &json!({ "name": "acme" }), 201);
    let (folder, key) = (scene.path("acme"), packages().path("key"));
    let public = format!("{key}.pub");
    let init = ["publisher", "init", "acme", "--root", &public, "--release", &public, "--key", &key];
    packages().l3af(&[&init[..], &["--folder", &folder]].concat()).unwrap().success().unwrap();
    scene.l3af("ben", &["publisher", "register", "acme", "--folder", &folder, "--hub", &scene.host()]);
}

/// A version of `steady` as its new publisher builds and signs it.
fn of_acme(scene: &Scene, number: &str) -> String {
    version(number);
    let (from, folder) =
        (packages().path(&format!("steady-{number}")), scene.path(&format!("acme-{number}")));
    fs::create_dir_all(&folder).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), format!("{folder}/{}", file.file_name().to_string_lossy())).unwrap();
    }
    let manifest = format!("{folder}/package.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("publisher = \"l3af\"", "publisher = \"acme\"")).unwrap();
    let package = format!("{folder}.oci");
    packages().l3af(&["build", &folder, "--output", &package]).unwrap().success().unwrap();
    packages().l3af(&["sign", &package, "--key", &packages().path("key")]).unwrap().success().unwrap();
    package
}

fn manifest(hub: &Hub, path: &str) -> u16 {
    hub.get(&format!("/v2/{path}")).unwrap().status
}

#[test]
fn a_package_goes_on_under_who_accepts_it_and_what_was_released_stays() {
    let scene = Scene::without_reviewers();
    other(&scene);
    let (hub, anna, ben) = (&scene.hub, scene.token("anna"), scene.token("ben"));
    scene.push(&version("1.0.0"), "steady");
    let digest = scene.read(None, "packages/l3af/steady/versions/1.0.0").1["digest"].clone();
    let digest = digest.as_str().unwrap();

    let offer = ("POST", "packages/l3af/steady/transfer");
    call(hub, &ben, offer, &json!({ "to": "acme" }), 403);
    call(hub, &anna, offer, &json!({ "to": "nobody" }), 400);
    call(hub, &anna, offer, &json!({ "to": "acme", "at_once": true }), 403);
    let offered = call(hub, &anna, offer, &json!({ "to": "acme" }), 201);
    let id = offered["id"].as_str().unwrap();
    assert_eq!((&offered["state"], &offered["to"]), (&json!("offered"), &json!("acme/steady")));
    let accept = format!("transfers/{id}/acceptance");
    call(hub, &anna, ("POST", &accept), &Value::Null, 403);
    let listed = call(hub, &ben, ("GET", "transfers?publisher=acme"), &Value::Null, 200);
    assert_eq!(listed["items"][0]["id"], id, "{listed}");
    let accepted = call(hub, &ben, ("POST", &accept), &Value::Null, 200);
    assert_eq!((&accepted["state"], &accepted["ended_by"]), (&json!("accepted"), &json!("ben")));
    call(hub, &ben, ("POST", &accept), &Value::Null, 409);

    for path in ["manifests/1.0.0".to_owned(), format!("manifests/{digest}")] {
        assert_eq!(manifest(hub, &format!("l3af/steady/{path}")), 200, "{path}");
    }
    let resolved = scene.ran("anna", &["resolve", &scene.hub.reference("l3af/steady")]);
    assert!(resolved.stderr.contains("became `acme/steady`"), "{}", resolved.stderr);
    assert!(resolved.success().unwrap().contains("l3af/steady:1.0.0@"));
    let late = scene.ran("anna", &["push", &version("1.1.0"), &scene.hub.reference("l3af/steady")]);
    assert!(late.stderr.contains("became acme/steady"), "{}", late.stderr);
    let same = scene.ran("ben", &["push", &of_acme(&scene, "1.0.0"), &scene.hub.reference("acme/steady")]);
    assert!(same.stderr.contains("is one of l3af/steady"), "{}", same.stderr);
    assert_eq!(scene.read(None, "packages?q=steady").1["packages"][0]["publisher"], "l3af");

    scene.l3af("ben", &["push", &of_acme(&scene, "1.1.0"), &scene.hub.reference("acme/steady")]);
    let there = "packages/acme/steady";
    hub.wait("it is released", || scene.read(None, there).0 == 200);
    let (_, package) = scene.read(None, there);
    assert_eq!(
        (&package["latest"]["state"], &package["moved_from"]),
        (&json!("released"), &json!("l3af/steady"))
    );
    let found = scene.read(None, "packages?q=steady").1["packages"].clone();
    assert_eq!((&found[0]["publisher"], &found[1]), (&json!("acme"), &Value::Null), "{found}");
    let feed = hub.get("/feeds/publishers/acme.atom").unwrap().text();
    assert!(feed.contains("transferred") && feed.contains("acme/steady was l3af/steady before"), "{feed}");
    // Whoever goes on with it may warn of what was before.
    let yank = ("PUT", "packages/l3af/steady/versions/1.0.0/yank");
    call(hub, &ben, yank, &json!({ "reason": "take the next one" }), 204);
}

#[test]
fn an_offer_is_withdrawn_and_an_administrator_needs_none() {
    let database = Postgres::start().unwrap();
    let scene = Scene::new(&format!("database = '{}'\n", database.url()));
    other(&scene);
    let (hub, anna, ben) = (&scene.hub, scene.token("anna"), scene.token("ben"));
    scene.push(&version("1.0.0"), "steady");
    let offer = ("POST", "packages/l3af/steady/transfer");
    let waiting = call(hub, &anna, offer, &json!({ "to": "acme" }), 409);
    assert!(title(&waiting).contains("versions that wait: 1.0.0"), "{waiting}");
    let key = scene.reviewers_key();
    let reference = scene.hub.reference("l3af/steady:1.0.0");
    scene.l3af("rita", &["review", "approve", &reference, "--key", &key, "--text", "fine"]);
    let offered = call(hub, &anna, offer, &json!({ "to": "acme", "name": "calm" }), 201);
    let id = format!("transfers/{}", offered["id"].as_str().unwrap());
    call(hub, &scene.token("rita"), ("DELETE", &id), &Value::Null, 403);
    call(hub, &ben, ("DELETE", &id), &Value::Null, 204);
    call(hub, &ben, ("POST", &format!("{id}/acceptance")), &Value::Null, 409);
    let given = call(hub, &scene.boss, offer, &json!({ "to": "acme", "name": "calm", "at_once": true }), 201);
    assert_eq!((&given["state"], &given["to"]), (&json!("accepted"), &json!("acme/calm")));
    call(hub, &anna, offer, &json!({ "to": "acme" }), 409);
    assert_eq!(manifest(hub, "l3af/steady/manifests/1.0.0"), 200);
}
