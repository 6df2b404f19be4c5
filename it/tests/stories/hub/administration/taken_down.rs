// SPDX-License-Identifier: Apache-2.0
//! What is taken down nobody is given, under any name, and everybody who asks is told why.

use serde_json::{Value, json};

use super::{Scene, call, title, version};

#[test]
fn a_release_that_is_taken_down_is_given_to_nobody_until_that_is_taken_back() {
    let scene = Scene::without_reviewers();
    let (hub, boss) = (&scene.hub, scene.boss.clone());
    scene.push(&version("1.0.0"), "steady");
    scene.push(&version("1.1.0"), "steady");
    let digest = scene.read(None, "packages/l3af/steady/versions/1.1.0").1["digest"].clone();
    let digest = digest.as_str().unwrap();
    let wanted = json!({ "publisher": "l3af", "name": "steady", "version": "1.1.0", "class": "legal", "reason": "a court says so" });
    call(hub, &scene.token("anna"), ("POST", "takedowns"), &wanted, 403);
    let taken = call(hub, &boss, ("POST", "takedowns"), &wanted, 201);
    assert!(taken["reversible_until"].is_string(), "{taken}");
    for reference in ["1.1.0", digest] {
        for token in ["", &scene.token("anna"), &admin(&scene)] {
            let reply =
                hub.call(token, "GET", &format!("/v2/l3af/steady/manifests/{reference}"), None).unwrap();
            assert_eq!((reply.status, reply.code()), (451, "DENIED".to_owned()), "{}", reply.text());
            assert!(reply.text().contains("a court says so"), "{}", reply.text());
        }
    }
    let pulled =
        scene.ran("anna", &["pull", &hub.reference("l3af/steady:1.1.0"), "--output", &scene.path("got")]);
    assert!(!pulled.ok && pulled.stderr.contains("a court says so"), "{}", pulled.stderr);
    let exact = scene.ran("anna", &["resolve", &hub.reference("l3af/steady"), "--range", "=1.1.0"]);
    assert!(exact.stderr.contains("1.1.0 was taken down (legal: a court says so)"), "{}", exact.stderr);
    assert!(scene.l3af("anna", &["resolve", &hub.reference("l3af/steady")]).contains("steady:1.0.0@"));
    assert_eq!(scene.manifest("steady:1.0.0"), 200);
    let (_, release) = scene.read(None, "packages/l3af/steady/versions/1.1.0");
    assert_eq!(
        (&release["state"], &release["reason"]),
        (&json!("taken-down"), &json!("legal: a court says so"))
    );
    assert_eq!(release["advisories"][0]["title"], "1.1.0 was taken down (legal)", "{release:#}");
    let feed = || hub.get("/feeds/packages/l3af/steady.atom").unwrap().text();
    assert!(feed().contains("taken-down"), "{}", feed());
    let again = scene.ran("anna", &["push", &version("1.1.0"), &hub.reference("l3af/steady")]);
    assert!(!again.ok && again.stderr.contains("451"), "{}", again.stderr);
    hub.administer(&["check"]).unwrap().success().unwrap();

    let path = format!("takedowns/{}", taken["id"].as_str().unwrap());
    let lifted = call(hub, &boss, ("DELETE", &path), &Value::Null, 200);
    assert_eq!(lifted["lifted_by"], "boss");
    call(hub, &boss, ("DELETE", &path), &Value::Null, 409);
    assert_eq!(scene.manifest("steady:1.1.0"), 200);
    assert!(scene.l3af("anna", &["resolve", &hub.reference("l3af/steady")]).contains("steady:1.1.0@"));
    scene.l3af("anna", &["pull", &hub.reference("l3af/steady:1.1.0"), "--output", &scene.path("got")]);
    assert!(feed().contains("reinstated"), "{}", feed());
    let (_, release) = scene.read(None, "packages/l3af/steady/versions/1.1.0");
    assert_eq!((&release["state"], &release["advisories"]), (&json!("released"), &Value::Null));
}

#[test]
fn two_takedowns_are_taken_back_one_by_one() {
    let scene = Scene::without_reviewers();
    let (hub, boss) = (&scene.hub, scene.boss.clone());
    scene.push(&version("1.0.0"), "steady");
    scene.l3af("anna", &["yank", &hub.reference("l3af/steady:1.0.0"), "--reason", "too slow"]);
    let whole = json!({ "publisher": "l3af", "name": "steady", "class": "abuse", "reason": "spam" });
    let one = json!({ "publisher": "l3af", "name": "steady", "version": "1.0.0", "class": "malware", "reason": "it drops" });
    let ids = [&whole, &one].map(|wanted| call(hub, &boss, ("POST", "takedowns"), wanted, 201)["id"].clone());
    let lift = |id: &Value| {
        call(hub, &boss, ("DELETE", &format!("takedowns/{}", id.as_str().unwrap())), &Value::Null, 200)
    };
    let pushed = scene.ran("anna", &["push", &version("1.1.0"), &hub.reference("l3af/steady")]);
    assert!(
        pushed.stderr.contains("nothing is pushed to l3af/steady, which was taken down (abuse): spam"),
        "{}",
        pushed.stderr
    );
    lift(&ids[0]);
    let reply = hub.get("/v2/l3af/steady/manifests/1.0.0").unwrap();
    assert!(reply.status == 410 && reply.text().contains("it drops"), "{}", reply.text());
    let pulled =
        scene.ran("anna", &["pull", &hub.reference("l3af/steady:1.0.0"), "--output", &scene.path("got")]);
    assert!(!pulled.ok && pulled.stderr.contains("taken down (malware): it drops"), "{}", pulled.stderr);
    lift(&ids[1]);
    assert_eq!(scene.manifest("steady:1.0.0"), 200);
    let (_, release) = scene.read(None, "packages/l3af/steady/versions/1.0.0");
    assert_eq!((&release["state"], &release["reason"]), (&json!("yanked"), &json!("too slow")));
    assert_eq!(scene.push(&version("1.1.0"), "steady")["state"], "released");
}

#[test]
fn bytes_go_from_every_registry_and_are_erased_when_that_was_said() {
    let settings = "[sweep]\nevery_seconds = 1\ngrace_seconds = 5\n";
    let scene = Scene::new(settings);
    let (hub, boss) = (&scene.hub, scene.boss.clone());
    hub.add_registry("free").unwrap();
    let blob = b"a secret that leaked".to_vec();
    let digest = format!("sha256:{}", package::Digest::of(&blob).hex());
    let push = |name: &str| {
        let path = format!("/v2/free/{name}/blobs/uploads/?digest={digest}");
        hub.ask("POST", &path).header("Authorization", &admin(&scene)).body(blob.clone()).send().unwrap()
    };
    let image = |name: &str| {
        let config = json!({ "mediaType": "application/x", "digest": digest, "size": blob.len() });
        let manifest = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config });
        let ask = hub
            .ask("PUT", &format!("/v2/free/{name}/manifests/latest"))
            .header("Authorization", &admin(&scene));
        ask.header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
            .body(manifest.to_string())
            .send()
            .unwrap()
    };
    for name in ["one", "two"] {
        assert_eq!(push(name).status, 201);
        assert_eq!(image(name).status, 201);
    }
    let get = |name: &str| hub.get(&format!("/v2/free/{name}/blobs/{digest}")).unwrap();
    assert_eq!(get("one").status, 200);
    let refused =
        call(hub, &boss, ("POST", "takedowns"), &json!({ "class": "secret", "reason": "a key" }), 400);
    assert!(title(&refused).contains("say either `digest`"), "{refused}");
    let wanted = json!({ "digest": digest, "class": "secret", "reason": "a key", "erase_after_days": 0 });
    let taken = call(hub, &boss, ("POST", "takedowns"), &wanted, 201);
    for name in ["one", "two"] {
        let reply = get(name);
        assert!(reply.status == 410 && reply.text().contains("(secret): a key"), "{}", reply.text());
    }
    let object = hub.folder().join("blobs/sha256").join(&digest[7..9]).join(&digest[7..]);
    hub.wait("its bytes are erased", || !object.exists());
    let path = format!("takedowns/{}", taken["id"].as_str().unwrap());
    let late = call(hub, &boss, ("DELETE", &path), &Value::Null, 409);
    assert!(title(&late).contains("the bytes were erased"), "{late}");
    let reply = push("three");
    assert!(reply.status == 410 && reply.code() == "DENIED", "{} {}", reply.status, reply.text());
    assert_eq!(get("one").status, 410, "and who asks is still told why");
}

/// A token of the administrator that is for pushing too.
fn admin(scene: &Scene) -> String {
    scene.hub.token(&it::Person::new("boss"), &["repository:*:pull,push,delete"]).unwrap()
}
