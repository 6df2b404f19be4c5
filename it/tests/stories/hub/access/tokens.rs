// SPDX-License-Identifier: Apache-2.0
//! Tokens: what they are for, and when they end.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::scene;

#[expect(clippy::disallowed_methods, reason = "the hub under test has this very clock")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

#[test]
fn a_token_is_shown_once_and_counts_until_it_is_revoked() {
    let (hub, boss, _) = scene();
    let token = hub.token(&boss, &["api:read", "api:write"]).unwrap();
    let secret = token.strip_prefix("Bearer ").unwrap();
    assert!(secret.starts_with("l3af_") && secret.len() == 41, "{secret}");
    let listed = hub.call(&token, "GET", "/api/v1/tokens", None).unwrap();
    assert!(!listed.text().contains(secret), "{}", listed.text());
    let listed = listed.json().unwrap();
    let id = listed["items"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    hub.wait("the use of a token is written down", || {
        let listed = hub.call(&token, "GET", "/api/v1/tokens", None).unwrap().json().unwrap();
        listed["items"].as_array().unwrap().last().unwrap()["used_ms"].is_number()
    });
    assert_eq!(hub.call(&token, "DELETE", &format!("/api/v1/tokens/{id}"), None).unwrap().status, 204);
    let after = hub.call(&token, "GET", "/api/v1/account", None).unwrap();
    assert_eq!(after.status, 401);
    assert!(after.text().contains("the token was revoked"), "{}", after.text());
    let database = std::fs::read(hub.folder().join("hub.db")).unwrap();
    let log = std::fs::read(hub.folder().join("hub.db-wal")).unwrap_or_default();
    let holds = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    assert!(!holds(&database) && !holds(&log), "the secret itself is kept nowhere");
}

#[test]
fn a_token_ends_when_it_says() {
    let (hub, boss, _) = scene();
    let wanted = json!({ "name": "short", "scopes": ["api:read"], "expires_ms": now_ms() + 1500 });
    let made = hub.call(&boss.basic(), "POST", "/api/v1/tokens", Some(&wanted)).unwrap();
    let token = format!("Bearer {}", made.json().unwrap()["secret"].as_str().unwrap());
    hub.wait("the token expires", || {
        let reply = hub.call(&token, "GET", "/api/v1/account", None).unwrap();
        reply.status == 401 && reply.text().contains("has expired")
    });
    let over = json!({ "name": "over", "scopes": ["api:read"], "expires_ms": now_ms() - 1 });
    assert_eq!(hub.call(&boss.basic(), "POST", "/api/v1/tokens", Some(&over)).unwrap().status, 400);
}

#[test]
fn a_token_is_for_its_scopes_whoever_has_it() {
    let (hub, boss, _) = scene();
    let pull = hub.token(&boss, &["repository:acme/*:pull"]).unwrap();
    let reply = hub.call(&pull, "GET", "/api/v1/accounts", None).unwrap();
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("rule `token-scope`"), "{}", reply.text());
    let all = hub.token(&boss, &super::ALL).unwrap();
    let more = json!({ "name": "more", "scopes": ["admin"] });
    let reply = hub.call(&all, "POST", "/api/v1/tokens", Some(&more)).unwrap();
    assert_eq!(reply.status, 403, "a token makes no other");
    assert!(reply.text().contains("rule `token-by-token`"), "{}", reply.text());
    let wrong = json!({ "name": "wrong", "scopes": ["everything"] });
    let reply = hub.call(&boss.basic(), "POST", "/api/v1/tokens", Some(&wrong)).unwrap();
    assert!(reply.status == 422 && reply.text().contains("`everything` is no scope"), "{}", reply.text());
}

#[test]
fn what_is_shown_and_does_not_count_is_not_nobody() {
    let (hub, boss, _) = scene();
    let mut mistyped = hub.token(&boss, &["api:read"]).unwrap();
    mistyped.pop();
    let well_formed = "Bearer l3af_0000000000000000000000000000000hZ0xX";
    for shown in [mistyped.as_str(), well_formed, "Bearer x.y.z", "Basic !", "Digest a", &boss.basic()] {
        let reply = hub.call(shown, "GET", "/api/v1/publishers", None).unwrap();
        assert_eq!(reply.status, 401, "{shown}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(hub.call("", "GET", "/api/v1/publishers", None).unwrap().status, 200);
}
