// SPDX-License-Identifier: Apache-2.0
//! Somebody leaves: nothing of what they could do is left, and all of what they did.

use serde_json::{Value, json};

use super::{Scene, call, title, version};

#[test]
fn the_last_owner_leaves_when_there_is_a_successor_and_nothing_is_left_but_history() {
    let scene = Scene::new("");
    let (hub, boss, anna) = (&scene.hub, scene.boss.clone(), scene.token("anna"));
    scene.person("otto", "contributor");
    let close = ("POST", "accounts/anna/closure");
    let refused = call(hub, &boss, close, &json!({ "reason": "gone" }), 409);
    assert!(title(&refused).contains("`anna` is the only owner of `l3af`"), "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("successors"), "{refused}");
    call(hub, &anna, ("GET", "account"), &Value::Null, 200);
    call(hub, &anna, close, &json!({}), 403);
    call(hub, &boss, close, &json!({ "successors": { "l3af": "anna" } }), 409);
    call(hub, &boss, close, &json!({ "successors": { "l3af": "nobody" } }), 404);
    call(hub, &boss, close, &json!({ "successors": { "other": "otto" } }), 400);
    let ended = call(hub, &boss, close, &json!({ "successors": { "l3af": "otto" }, "reason": "gone" }), 200);
    assert_eq!((&ended["publishers"], &ended["tokens"]), (&json!(["l3af"]), &json!(1)), "{ended}");
    call(hub, &anna, ("GET", "account"), &Value::Null, 401);
    let members = call(hub, &scene.token("otto"), ("GET", "publishers/l3af/members"), &Value::Null, 200);
    assert_eq!((&members["items"][0]["handle"], &members["items"][1]), (&json!("otto"), &Value::Null));
    // Nobody else gets the name.
    call(hub, &boss, ("POST", "accounts"), &json!({ "handle": "anna", "role": "reader" }), 409);
    call(hub, &scene.token("otto"), ("POST", "publishers"), &json!({ "name": "anna" }), 409);
    call(hub, &boss, close, &json!({}), 409);
    let record = hub.administer(&["audit", "export"]).unwrap().success().unwrap();
    let closed = record.lines().find(|line| line.contains("\"account.close\"")).unwrap();
    assert!(closed.contains("\"subject\":\"anna\"") && closed.contains("gone"), "{closed}");

    call(hub, &boss, ("DELETE", "accounts/anna/closure"), &Value::Null, 200);
    call(hub, &boss, ("DELETE", "accounts/anna/closure"), &Value::Null, 404);
    call(hub, &anna, ("GET", "account"), &Value::Null, 401);
    let again = hub.token(&it::Person::new("anna"), &["api:read"]).unwrap();
    call(hub, &again, ("GET", "publishers/l3af/members"), &Value::Null, 403);
}

#[test]
fn what_a_reviewer_said_stays_when_they_leave_and_their_key_does_not() {
    let scene = Scene::new("");
    scene.push(&version("1.0.0"), "steady");
    let key = scene.reviewers_key();
    let reference = scene.hub.reference("l3af/steady:1.0.0");
    scene.l3af("rita", &["review", "approve", &reference, "--key", &key, "--text", "it is fine"]);
    assert_eq!(scene.manifest("steady:1.0.0"), 200);
    // By herself, which needs more than a token.
    let own = ("POST", "account/closure");
    call(&scene.hub, &scene.token("rita"), own, &json!({}), 400);
    call(&scene.hub, &scene.token("rita"), own, &json!({ "password": "a wrong one for rita" }), 401);
    let password = it::Person::new("rita").password;
    let ended = call(&scene.hub, &scene.token("rita"), own, &json!({ "password": password }), 200);
    assert_eq!(ended["review_keys"], 1, "{ended}");
    let (_, reviews) = scene.read(None, "packages/l3af/steady/versions/1.0.0/reviews");
    assert_eq!((&reviews[0]["reviewer"], &reviews[0]["decision"]), (&json!("rita"), &json!("approve")));
    assert_eq!(scene.manifest("steady:1.0.0"), 200);
}

#[test]
fn whoever_has_the_machine_closes_accounts_too() {
    let scene = Scene::new("");
    scene.person("otto", "contributor");
    let ran = scene.hub.administer(&["account", "close", "anna"]).unwrap();
    assert!(!ran.ok && ran.stderr.contains("is the only owner of `l3af`"), "{}", ran.stderr);
    let close = ["account", "close", "anna", "--successor", "l3af=otto", "--reason", "gone"];
    let told = scene.hub.administer(&close).unwrap().success().unwrap();
    assert!(told.contains("memberships in l3af"), "{told}");
    call(&scene.hub, &scene.token("anna"), ("GET", "account"), &Value::Null, 401);
    scene.hub.administer(&["account", "reopen", "anna"]).unwrap().success().unwrap();
    let last = scene.hub.administer(&["account", "close", "boss"]).unwrap();
    assert!(last.stderr.contains("is the only administrator"), "{}", last.stderr);
}
