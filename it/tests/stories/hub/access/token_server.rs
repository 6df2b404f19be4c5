// SPDX-License-Identifier: Apache-2.0
//! `/v2/token`, as clients of OCI registries ask it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use it::{Hub, Reply};
use serde_json::{Value, json};

use super::{ALL, scene};

/// What a signed token says, which anybody can read.
fn claims(reply: &Reply) -> Value {
    let body = reply.json().unwrap();
    assert_eq!(body["token"], body["access_token"]);
    let token = body["token"].as_str().unwrap();
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

fn ask(hub: &Hub, authorization: &str, scope: &str) -> Reply {
    hub.call(authorization, "GET", &format!("/v2/token?service=x&scope={scope}"), None).unwrap()
}

#[test]
fn a_token_is_for_what_was_asked_for_as_far_as_one_may() {
    let (hub, _, admin) = scene();
    let alice = hub.add_account(&admin, "alice", "contributor").unwrap();
    let token = hub.token(&alice, &ALL).unwrap();
    hub.call(&token, "POST", "/api/v1/publishers", Some(&json!({ "name": "acme" }))).unwrap();

    let whole = claims(&ask(&hub, &alice.basic(), "repository:acme/top:pull,push"));
    let granted = json!([{ "type": "repository", "name": "acme/top", "actions": ["pull", "push"] }]);
    assert_eq!(whole["access"], granted);
    assert!(whole["exp"].as_i64().unwrap() - whole["iat"].as_i64().unwrap() <= 300);
    let several =
        claims(&ask(&hub, &alice.basic(), "repository:acme/top:push&scope=repository:other/top:push"));
    assert_eq!(several["access"], json!([{ "type": "repository", "name": "acme/top", "actions": ["push"] }]));
    let anonymous = ask(&hub, "", "repository:acme/top:pull");
    assert_eq!((anonymous.status, claims(&anonymous)["access"].clone()), (200, json!([])));
    let pull = hub.token(&alice, &["repository:acme/*:pull"]).unwrap();
    let less = claims(&ask(&hub, &pull, "repository:acme/top:pull,push"));
    assert_eq!(less["access"], json!([{ "type": "repository", "name": "acme/top", "actions": ["pull"] }]));
    let bound = hub.token(&alice, &["repository:acme/side:pull"]).unwrap();
    assert_eq!(claims(&ask(&hub, &bound, "repository:acme/top:pull"))["access"], json!([]));
}

#[test]
fn both_forms_of_the_protocol_know_passwords_and_tokens() {
    let (hub, boss, admin) = scene();
    let secret = admin.strip_prefix("Bearer ").unwrap();
    let scope = "service=x&scope=repository:acme/top:pull";
    let password = boss.password.replace(' ', "+");
    for form in [
        format!("grant_type=password&username=boss&password={password}&{scope}"),
        format!("grant_type=password&username=anything&password={secret}&{scope}"),
        format!("grant_type=refresh_token&refresh_token={secret}&{scope}"),
    ] {
        let reply = hub.submit("/v2/token", &form, None).unwrap();
        assert_eq!(reply.status, 200, "{form}: {}", reply.text());
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.json().unwrap()["scope"], "repository:acme/top:pull");
    }
    for (form, status, error) in [
        ("grant_type=password&username=boss&password=a+wrong+password".to_owned(), 401, "invalid_grant"),
        ("grant_type=refresh_token&refresh_token=l3af_abc".to_owned(), 401, "invalid_grant"),
        (format!("grant_type=client_credentials&{scope}"), 400, "invalid_request"),
    ] {
        let reply = hub.submit("/v2/token", &form, None).unwrap();
        assert_eq!((reply.status, &reply.json().unwrap()["error"]), (status, &json!(error)), "{form}");
    }
    let wrong = ask(&hub, &it::Person::new("nobody").basic(), "repository:acme/top:pull");
    assert_eq!((wrong.status, wrong.code().as_str()), (401, "UNAUTHORIZED"));
}

#[test]
fn a_signed_token_is_good_for_no_other_and_only_here() {
    let (hub, boss, _) = scene();
    let reply = ask(&hub, &boss.basic(), "repository:acme/top:pull");
    let token = reply.json().unwrap()["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    assert_eq!(ask(&hub, &bearer, "repository:acme/top:push").status, 401);
    let account = hub.call(&bearer, "GET", "/api/v1/account", None).unwrap();
    assert_eq!(account.status, 403, "it is for repositories: {}", account.text());
    let browse = |bearer: &str| hub.call(bearer, "GET", "/api/v1/publishers", None).unwrap().status;
    assert_eq!(browse(&bearer), 200);
    let parts: Vec<&str> = token.split('.').collect();
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
    let mut other: Vec<u8> = URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
    let at = other.windows(4).position(|window| window == b"pull").unwrap();
    other[at..at + 4].copy_from_slice(b"push");
    let altered = URL_SAFE_NO_PAD.encode(other);
    for forged in [
        format!("{header}.{}.", parts[1]),
        format!("{}.{altered}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
    ] {
        assert_eq!(browse(&format!("Bearer {forged}")), 401, "{forged}");
    }
    let (elsewhere, _, _) = scene();
    assert_eq!(elsewhere.call(&bearer, "GET", "/api/v1/publishers", None).unwrap().status, 401);
}

#[test]
fn a_signed_token_counts_after_a_restart() {
    let (mut hub, boss, _) = scene();
    let reply = ask(&hub, &boss.basic(), "repository:acme/top:pull");
    let bearer = format!("Bearer {}", reply.json().unwrap()["token"].as_str().unwrap());
    hub.restart().unwrap();
    assert_eq!(hub.call(&bearer, "GET", "/api/v1/publishers", None).unwrap().status, 200);
}
