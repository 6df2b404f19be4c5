// SPDX-License-Identifier: Apache-2.0
//! Jobs of CI that publish by a token of their service, and keep no secret.

use std::thread;

use it::{Browser, Postgres};
use serde_json::{Value, json};

use super::{OWN, Scene, now};

const RULES: &str = "/api/v1/publishers/acme/publishing-rules";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// A hub where `anna` owns the publisher `acme`, and what she shows.
fn scene() -> (Scene, String) {
    over("")
}

/// The same with lines of the configuration that stand before all sections.
fn over(before: &str) -> (Scene, String) {
    let scene = Scene::over(before, "publishing = true");
    let anna = scene.hub.add_account(&scene.admin, "anna", "contributor").unwrap();
    let anna = scene.hub.token(&anna, &["api:read", "api:write", "repository:*:pull,push"]).unwrap();
    scene.call(&anna, ("POST", "/api/v1/publishers"), &json!({ "name": "acme" }), 201);
    (scene, anna)
}

/// A rule about the tags of one repository.
fn rule(scene: &Scene) -> Value {
    json!({
        "name": "releases of guard",
        "issuer": scene.provider.issuer,
        "claims": { "repository": "acme/guard", "ref": "refs/tags/v*" },
        "scopes": ["repository:acme/guard:pull,push"],
    })
}

/// What the token of a job says, where nothing else is said.
fn claims(scene: &Scene, id: &str) -> Value {
    json!({
        "iss": scene.provider.issuer, "aud": scene.hub.url(), "sub": "repo:acme/guard:ref:refs/tags/v1.2.0",
        "repository": "acme/guard", "ref": "refs/tags/v1.2.0", "iat": now(), "nbf": now(), "exp": now() + 300, "jti": id,
    })
}

fn exchange(scene: &Scene, token: &str, status: u16) -> Value {
    let pairs = [("grant_type", EXCHANGE), ("subject_token_type", ID_TOKEN), ("subject_token", token)];
    scene.grant(&pairs, status)
}

/// What the hub says to a job that begins a push.
fn push(scene: &Scene, authorization: &str, repository: &str) -> u16 {
    let path = format!("/v2/{repository}/blobs/uploads/");
    scene.hub.ask("POST", &path).header("Authorization", authorization).body("").send().unwrap().status
}

#[test]
fn a_job_whose_token_fits_a_rule_publishes_and_does_nothing_else() {
    let (scene, anna) = scene();
    let made = scene.call(&anna, ("POST", RULES), &rule(&scene), 201);
    assert_eq!(made["made_by"], "anna");
    let token = scene.provider.sign(&json!({ "claims": claims(&scene, "1") })).unwrap();
    let given = exchange(&scene, &token, 200);
    assert_eq!((&given["expires_in"], &given["token_type"]), (&json!(900), &json!("Bearer")));
    assert_eq!(given["scope"], "repository:acme/guard:pull,push");
    let secret = given["access_token"].as_str().unwrap();
    assert!(secret.starts_with("l3af_"), "{secret}");
    let bearer = format!("Bearer {secret}");
    assert_eq!(push(&scene, &bearer, "acme/guard"), 202);
    assert_eq!(push(&scene, &bearer, "acme/other"), 403);
    scene.call(&bearer, ("POST", RULES), &rule(&scene), 403);
    // It is in the list of whom it acts for, and in the record with what it stands on.
    let listed = scene.call(&anna, ("GET", "/api/v1/tokens"), &Value::Null, 200);
    assert_eq!(listed["items"][1]["name"], "acme: releases of guard");
    let record = scene.call(&scene.admin, ("GET", "/api/v1/audit?limit=1000"), &Value::Null, 200);
    let entries = record["items"].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["action"] == "token.exchange").unwrap();
    assert_eq!(entry["detail"]["claims"], json!({ "repository": "acme/guard", "ref": "refs/tags/v1.2.0" }));
    assert_eq!(entry["detail"]["rule"], made["id"]);
    assert!(scene.hub.administer(&["audit", "verify"]).unwrap().ok);
}

#[test]
fn a_rule_of_somebody_else_about_the_same_job_takes_nothing_over() {
    let (scene, anna) = scene();
    let mallory = scene.hub.add_account(&scene.admin, "mallory", "contributor").unwrap();
    let mallory = scene.hub.token(&mallory, &["api:read", "api:write", "repository:*:pull,push"]).unwrap();
    scene.call(&mallory, ("POST", "/api/v1/publishers"), &json!({ "name": "evil" }), 201);
    let mut theirs = rule(&scene);
    theirs["scopes"] = json!(["repository:evil/guard:pull,push"]);
    // The oldest of all.
    scene.call(&mallory, ("POST", "/api/v1/publishers/evil/publishing-rules"), &theirs, 201);
    scene.call(&anna, ("POST", RULES), &rule(&scene), 201);
    let token = scene.provider.sign(&json!({ "claims": claims(&scene, "7") })).unwrap();
    let told = exchange(&scene, &token, 400);
    assert!(told["error_description"].as_str().unwrap().contains("--publisher"), "{told}");
    // It was not used up by that.
    let pairs = [
        ("grant_type", EXCHANGE),
        ("subject_token_type", ID_TOKEN),
        ("subject_token", token.as_str()),
        ("audience", "acme"),
    ];
    assert_eq!(scene.grant(&pairs, 200)["scope"], "repository:acme/guard:pull,push");
}

#[test]
fn a_token_of_a_job_counts_once_however_often_it_is_shown() {
    let (scene, anna) = scene();
    counts_once(&scene, &anna);
}

#[test]
fn the_same_is_so_where_several_hubs_share_a_database() {
    let postgres = Postgres::start().unwrap();
    let (scene, anna) = over(&format!("database = '{}'", postgres.url()));
    counts_once(&scene, &anna);
    let mut browser = Browser::default();
    let own = scene.log_in(&mut browser, "carol", OWN).reply.json().unwrap();
    assert_eq!(own["handle"], "carol");
    // Asked for at one hub, decided at the other.
    let replica = scene.hub.replica().unwrap();
    let form = "application/x-www-form-urlencoded";
    let asking = replica.ask("POST", "/oauth/device").header("Content-Type", form);
    let begun = asking.body("client_id=l3af&scope=api:read").send().unwrap().json().unwrap();
    let code = begun["user_code"].as_str().unwrap();
    let page = browser.open(&format!("{}/device?user_code={code}", scene.hub.url())).unwrap();
    assert_eq!(browser.submit(&page, &[("decision", "allow")]).unwrap().reply.status, 200);
    let device = begun["device_code"].as_str().unwrap();
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let given = scene.grant(&[("grant_type", grant), ("client_id", "l3af"), ("device_code", device)], 200);
    assert_eq!(given["scope"], "api:read");
}

fn counts_once(scene: &Scene, anna: &str) {
    scene.call(anna, ("POST", RULES), &rule(scene), 201);
    for without_id in [false, true] {
        let mut claims = claims(scene, "2");
        if without_id {
            claims.as_object_mut().unwrap().remove("jti");
        }
        let token = scene.provider.sign(&json!({ "claims": claims })).unwrap();
        let form = format!("grant_type={EXCHANGE}&subject_token_type={ID_TOKEN}&subject_token={token}");
        let shown = || {
            let ask = scene.hub.ask("POST", "/oauth/token");
            let ask = ask.header("Content-Type", "application/x-www-form-urlencoded");
            ask.body(form.clone()).send().unwrap().status
        };
        let statuses: Vec<u16> = thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(shown)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        let told = exchange(scene, &token, 400);
        assert!(told["error_description"].as_str().unwrap().contains("shown before"), "{told}");
    }
    // The same job again, with a new token.
    let token = scene.provider.sign(&json!({ "claims": claims(scene, "3") })).unwrap();
    exchange(scene, &token, 200);
}

#[test]
fn a_token_that_no_rule_is_about_or_that_does_not_count_gives_nothing() {
    let (scene, anna) = scene();
    scene.call(&anna, ("POST", RULES), &rule(&scene), 201);
    for (wanted, words) in [
        (json!({ "repository": "evil/guard" }), "no rule"),
        (json!({ "ref": "refs/heads/main" }), "no rule"),
        (json!({ "ref": null }), "no rule"),
        (json!({ "aud": "https://other-hub.example.org" }), "not meant for"),
        (json!({ "aud": "hub" }), "not meant for"),
        (json!({ "iss": "https://evil.example" }), "no issuer"),
        (json!({ "exp": now() - 31 }), "has expired"),
        (json!({ "nbf": now() + 600 }), "does not count yet"),
        (json!({ "sub": null }), "the token does not count"),
    ] {
        let mut claims = claims(&scene, "4");
        claims.as_object_mut().unwrap().extend(wanted.as_object().unwrap().clone());
        let token = scene.provider.sign(&json!({ "claims": claims })).unwrap();
        let told = exchange(&scene, &token, 400);
        assert_eq!(told["error"], "invalid_grant");
        assert!(told["error_description"].as_str().unwrap().contains(words), "{wanted}: {told}");
    }
    for key in ["none", "stranger"] {
        let token = scene.provider.sign(&json!({ "claims": claims(&scene, "4"), "key": key })).unwrap();
        assert_eq!(exchange(&scene, &token, 400)["error"], "invalid_grant", "{key}");
    }
    for garbage in ["", "a.b.c", "l3af_none"] {
        assert_eq!(exchange(&scene, garbage, 400)["error"], "invalid_grant", "{garbage}");
    }
    let other = [("grant_type", EXCHANGE), ("subject_token_type", "other"), ("subject_token", "a")];
    assert_eq!(scene.grant(&other, 400)["error"], "invalid_request");
    assert_eq!(scene.grant(&[("grant_type", "password")], 400)["error"], "unsupported_grant_type");
    // None of that was remembered as shown.
    let token = scene.provider.sign(&json!({ "claims": claims(&scene, "4") })).unwrap();
    exchange(&scene, &token, 200);
}

#[test]
fn a_rule_is_worth_what_its_maker_may_and_ends_with_its_tokens() {
    let (scene, anna) = scene();
    let id = scene.call(&anna, ("POST", RULES), &rule(&scene), 201)["id"].as_str().unwrap().to_owned();
    let job = |id: &str| {
        let token = scene.provider.sign(&json!({ "claims": claims(&scene, id) })).unwrap();
        format!("Bearer {}", exchange(&scene, &token, 200)["access_token"].as_str().unwrap())
    };
    let bearer = job("5");
    let member = |handle: &str| format!("/api/v1/publishers/acme/members/{handle}");
    scene.call(&scene.admin, ("PUT", &member("boss")), &json!({ "role": "owner" }), 200);
    scene.call(&scene.admin, ("PUT", &member("anna")), &json!({ "role": "reader" }), 200);
    assert_eq!(push(&scene, &bearer, "acme/guard"), 403);
    scene.call(&anna, ("POST", RULES), &rule(&scene), 403);
    scene.call(&scene.admin, ("PUT", &member("anna")), &json!({ "role": "owner" }), 200);
    assert_eq!(push(&scene, &bearer, "acme/guard"), 202);
    scene.call(&anna, ("DELETE", &format!("{RULES}/{id}")), &Value::Null, 204);
    scene.call(&anna, ("DELETE", &format!("{RULES}/{id}")), &Value::Null, 404);
    assert_eq!(push(&scene, &bearer, "acme/guard"), 401);
    let token = scene.provider.sign(&json!({ "claims": claims(&scene, "6") })).unwrap();
    exchange(&scene, &token, 400);
    // Whoever leaves takes the rules along.
    scene.call(&anna, ("POST", RULES), &rule(&scene), 201);
    let bearer = job("7");
    scene.call(&scene.admin, ("PATCH", "/api/v1/accounts/anna"), &json!({ "closed": true }), 200);
    assert_eq!(push(&scene, &bearer, "acme/guard"), 401);
    let token = scene.provider.sign(&json!({ "claims": claims(&scene, "8") })).unwrap();
    exchange(&scene, &token, 400);
}

#[test]
fn owners_alone_make_rules_and_none_about_everybody() {
    let (scene, anna) = scene();
    let bob = scene.hub.add_account(&scene.admin, "bob", "contributor").unwrap();
    let bob = scene.hub.token(&bob, &["api:read", "api:write"]).unwrap();
    scene.call(&bob, ("POST", RULES), &rule(&scene), 403);
    scene.call(&bob, ("GET", RULES), &Value::Null, 403);
    let with = |key: &str, value: Value| {
        let mut rule = rule(&scene);
        rule[key] = value;
        rule
    };
    for (wrong, status) in [
        (with("issuer", json!("https://evil.example")), 404),
        (with("claims", json!({})), 400),
        (with("claims", json!({ "ref": "refs/heads/main" })), 400),
        (with("claims", json!({ "repository": "*" })), 400),
        (with("scopes", json!(["repository:other/guard:push"])), 400),
        (with("scopes", json!(["admin"])), 400),
        (with("scopes", json!([])), 400),
        (with("name", json!("")), 400),
        (with("more", json!(1)), 422),
    ] {
        scene.call(&anna, ("POST", RULES), &wrong, status);
    }
    assert_eq!(scene.call(&anna, ("GET", RULES), &Value::Null, 200)["items"], json!([]));
}

#[test]
fn the_command_line_logs_in_as_a_job() {
    let (scene, anna) = scene();
    scene.call(&anna, ("POST", RULES), &rule(&scene), 201);
    let (mut command, _) = scene.login("none.json", &["--ci"]);
    let told = command.output().unwrap();
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("nothing says which job of CI this is") && told.contains("id_tokens"), "{told}");
    // As GitLab gives it: a token in the environment.
    let token = scene.provider.sign(&json!({ "claims": claims(&scene, "9") })).unwrap();
    let (mut command, file) = scene.login("gitlab.json", &["--ci", "--publisher", "acme"]);
    let ran: it::Ran = command.env("L3AF_ID_TOKEN", &token).output().unwrap().into();
    ran.success().unwrap();
    assert_eq!(push(&scene, &scene.kept(&file), "acme/guard"), 202);
    let (mut command, _) = scene.login("again.json", &["--ci"]);
    let told = command.env("L3AF_ID_TOKEN", &token).output().unwrap();
    assert!(String::from_utf8_lossy(&told.stderr).contains("shown before"));
    // As GitHub gives it: where to ask, and what to show there.
    let url = scene.provider.job(&claims(&scene, "10")).unwrap();
    let (mut command, file) = scene.login("github.json", &["--ci"]);
    command.env("ACTIONS_ID_TOKEN_REQUEST_URL", url).env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job");
    let ran: it::Ran = command.output().unwrap().into();
    ran.success().unwrap();
    assert_eq!(push(&scene, &scene.kept(&file), "acme/guard"), 202);
}
