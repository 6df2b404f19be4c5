// SPDX-License-Identifier: Apache-2.0
//! Accounts, publishers and their members.

use it::Hub;
use serde_json::{Value, json};

use super::{ALL, scene};

/// Calls the API, and expects a status.
fn call(hub: &Hub, token: &str, (method, path): (&str, &str), body: &Value, status: u16) -> Value {
    let body = (!body.is_null()).then_some(body);
    let reply = hub.call(token, method, path, body).unwrap();
    assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
    reply.json().unwrap_or_default()
}

#[test]
fn owners_say_who_is_a_member_and_nobody_else_does() {
    let (hub, _, admin) = scene();
    let alice = hub.add_account(&admin, "alice", "contributor").unwrap();
    let bob = hub.add_account(&admin, "bob", "reader").unwrap();
    let (alice, bob) = (hub.token(&alice, &ALL).unwrap(), hub.token(&bob, &ALL).unwrap());
    let acme = json!({ "name": "acme", "title": "Acme" });
    let refused = call(&hub, &bob, ("POST", "/api/v1/publishers"), &acme, 403);
    assert!(
        refused["title"].as_str().unwrap().contains("`bob` may not found the hub: no rule permits it"),
        "{refused}"
    );
    assert_eq!(call(&hub, &alice, ("POST", "/api/v1/publishers"), &acme, 201)["kind"], "organisation");
    call(&hub, &alice, ("POST", "/api/v1/publishers"), &acme, 409);
    let own = json!({ "name": "alice" });
    assert_eq!(call(&hub, &alice, ("POST", "/api/v1/publishers"), &own, 201)["kind"], "person");
    call(&hub, &alice, ("POST", "/api/v1/publishers"), &json!({ "name": "bob" }), 409);

    let members = "/api/v1/publishers/acme/members";
    call(&hub, &bob, ("GET", members), &Value::Null, 403);
    let role = |role: &str| json!({ "role": role });
    call(&hub, &bob, ("PUT", &format!("{members}/bob")), &role("owner"), 403);
    call(&hub, &alice, ("PUT", &format!("{members}/bob")), &role("contributor"), 200);
    call(&hub, &alice, ("PUT", &format!("{members}/nobody")), &role("owner"), 404);
    call(&hub, &bob, ("PUT", &format!("{members}/alice")), &role("reader"), 403);
    let listed = call(&hub, &bob, ("GET", members), &Value::Null, 200);
    let handles: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|member| member["handle"].as_str().unwrap()).collect();
    assert_eq!(handles, ["alice", "bob"]);

    call(&hub, &alice, ("DELETE", &format!("{members}/alice")), &Value::Null, 409);
    call(&hub, &alice, ("PUT", &format!("{members}/alice")), &role("reader"), 409);
    call(&hub, &alice, ("PUT", &format!("{members}/bob")), &role("owner"), 200);
    call(&hub, &bob, ("DELETE", &format!("{members}/alice")), &Value::Null, 204);
    call(&hub, &alice, ("GET", members), &Value::Null, 403);
}

#[test]
fn an_account_that_is_closed_is_nobody_from_that_moment_on() {
    let (hub, _, admin) = scene();
    let alice = hub.add_account(&admin, "alice", "contributor").unwrap();
    let token = hub.token(&alice, &ALL).unwrap();
    let signed = hub.ask("GET", "/v2/token").header("Authorization", &alice.basic()).send().unwrap();
    let signed = format!("Bearer {}", signed.json().unwrap()["token"].as_str().unwrap());
    let close = json!({ "closed": true });
    call(&hub, &token, ("PATCH", "/api/v1/accounts/alice"), &close, 403);
    call(&hub, &admin, ("PATCH", "/api/v1/accounts/alice"), &close, 200);
    call(&hub, &token, ("GET", "/api/v1/account"), &Value::Null, 401);
    let refused = call(&hub, &signed, ("GET", "/api/v1/publishers"), &Value::Null, 403);
    assert!(refused["title"].as_str().unwrap().contains("rule `closed`"), "{refused}");
    assert!(hub.token(&alice, &["api:read"]).is_err());
    call(&hub, &admin, ("PATCH", "/api/v1/accounts/alice"), &json!({ "closed": false }), 200);
    call(&hub, &token, ("GET", "/api/v1/account"), &Value::Null, 401);
    hub.token(&alice, &["api:read"]).unwrap();
}

#[test]
fn the_last_administrator_stays() {
    let (hub, _, admin) = scene();
    let boss = ("PATCH", "/api/v1/accounts/boss");
    let told = call(&hub, &admin, boss, &json!({ "role": "reader" }), 409);
    assert!(told["title"].as_str().unwrap().contains("`boss` is the only administrator"), "{told}");
    call(&hub, &admin, boss, &json!({ "closed": true }), 409);
    hub.add_account(&admin, "second", "administrator").unwrap();
    call(&hub, &admin, boss, &json!({ "role": "reader" }), 200);
    call(&hub, &admin, ("GET", "/api/v1/accounts"), &Value::Null, 403);
}

#[test]
fn policies_of_the_administrator_come_before_roles() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.cedar");
    let private =
        r#"@id("members only") forbid (principal == Account::"", action == Action::"browse", resource);"#;
    std::fs::write(&file, private).unwrap();
    let hub = Hub::start_with(&format!("[access]\npolicies = ['{}']\n", file.display())).unwrap();
    let told = call(&hub, "", ("GET", "/api/v1/publishers"), &Value::Null, 401);
    assert!(told["title"].as_str().unwrap().contains("forbidden by rule `members only`"), "{told}");
    let boss = hub.administrator().unwrap();
    let token = hub.token(&boss, &["api:read"]).unwrap();
    call(&hub, &token, ("GET", "/api/v1/publishers"), &Value::Null, 200);
    std::fs::write(&file, "permit (principal, action == Action::\"fly\", resource);").unwrap();
    let mut broken = hub;
    assert!(broken.restart().unwrap_err().to_string().contains("own.cedar` are not valid"));
}
