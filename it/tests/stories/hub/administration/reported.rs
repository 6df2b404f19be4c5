// SPDX-License-Identifier: Apache-2.0
//! What people report: administrators take it from a queue, and who reported it sees what became of it.

use serde_json::{Value, json};

use super::{Scene, call, title, version};

#[test]
fn a_report_goes_through_the_queue_to_a_takedown() {
    let scene = Scene::without_reviewers();
    let (hub, boss, rita) = (&scene.hub, scene.boss.clone(), scene.token("rita"));
    scene.push(&version("1.0.0"), "steady");
    let about = |class: &str| json!({ "publisher": "l3af", "name": "steady", "version": "1.0.0", "class": class, "text": "it drops" });
    call(hub, "", ("POST", "reports"), &about("malware"), 401);
    call(hub, &rita, ("POST", "reports"), &json!({ "class": "abuse", "text": "what?" }), 400);
    call(
        hub,
        &rita,
        ("POST", "reports"),
        &json!({ "publisher": "l3af", "name": "none", "class": "abuse", "text": "x" }),
        404,
    );
    let filed = call(hub, &rita, ("POST", "reports"), &about("malware"), 201);
    assert_eq!((&filed["state"], &filed["subject"]), (&json!("open"), &json!("l3af/steady 1.0.0")));
    let path = format!("reports/{}", filed["id"].as_str().unwrap());
    call(hub, &scene.token("anna"), ("GET", &path), &Value::Null, 404);
    call(hub, &rita, ("POST", &format!("{path}/claim")), &Value::Null, 403);
    let open = call(hub, &boss, ("GET", "reports?state=open"), &Value::Null, 200);
    assert_eq!(open["items"][0]["id"], filed["id"]);
    let second = hub.add_account(&boss, "second", "administrator").unwrap();
    let only_admin = hub.token(&second, &["admin"]).unwrap();
    assert_eq!(call(hub, &only_admin, ("GET", "reports?state=open"), &Value::Null, 200), open);
    let second = hub.token(&second, &["api:read", "api:write", "admin"]).unwrap();
    call(hub, &boss, ("POST", &format!("{path}/claim")), &Value::Null, 200);
    call(hub, &second, ("POST", &format!("{path}/claim")), &Value::Null, 409);
    assert_eq!(call(hub, &rita, ("GET", &path), &Value::Null, 200)["handler"], "boss");

    let down = json!({ "publisher": "l3af", "name": "steady", "version": "1.0.0", "class": "malware", "reason": "it drops",
        "report": filed["id"] });
    let taken = call(hub, &boss, ("POST", "takedowns"), &down, 201);
    let resolve = ("POST", format!("{path}/resolution"));
    let resolve = (resolve.0, resolve.1.as_str());
    call(hub, &boss, resolve, &json!({ "outcome": "taken-down" }), 400);
    let resolution = json!({ "outcome": "taken-down", "takedown": taken["id"], "text": "thank you" });
    call(hub, &boss, resolve, &resolution, 200);
    call(hub, &boss, resolve, &resolution, 409);
    let told = call(hub, &rita, ("GET", &path), &Value::Null, 200);
    assert_eq!(
        (&told["state"], &told["outcome"], &told["answer"]),
        (&json!("resolved"), &json!("taken-down"), &json!("thank you"))
    );
    assert_eq!(call(hub, &scene.token("anna"), ("GET", "reports"), &Value::Null, 200)["items"], json!([]));
}

#[test]
fn reports_are_bounded_and_without_a_login_only_where_the_hub_is_told_so() {
    let scene = Scene::new("[reports]\nanonymous = true\nper_hour = 2\n");
    let hub = &scene.hub;
    let about = json!({ "account": "anna", "class": "impersonation", "text": "she is not" });
    let long = json!({ "account": "anna", "class": "other", "text": "x".repeat(5000) });
    assert!(title(&call(hub, "", ("POST", "reports"), &long, 400)).contains("4096 bytes"));
    let filed = call(hub, "", ("POST", "reports"), &about, 201);
    call(hub, "", ("POST", "reports"), &about, 201);
    let reply = hub.call("", "POST", "/api/v1/reports", Some(&about)).unwrap();
    assert!(reply.status == 429 && reply.header("retry-after").is_some(), "{}", reply.text());
    call(hub, &scene.token("anna"), ("POST", "reports"), &about, 201);
    let told =
        call(hub, "", ("GET", &format!("reports/{}", filed["id"].as_str().unwrap())), &Value::Null, 200);
    assert_eq!((&told["state"], &told["text"]), (&json!("open"), &Value::Null), "{told}");
    call(hub, "", ("GET", "reports"), &Value::Null, 401);
}
