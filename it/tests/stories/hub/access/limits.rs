// SPDX-License-Identifier: Apache-2.0
//! How much anybody may ask for and keep, TLS, and proxies in front of a hub.

use std::fs;

use it::{Hub, Person, run};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{ALL, scene};

/// Pushes a blob in one request.
fn push(hub: &Hub, token: &str, repository: &str, bytes: &[u8]) -> it::Reply {
    let digest = it::hex(&Sha256::digest(bytes));
    let path = format!("/v2/{repository}/blobs/uploads/?digest=sha256:{digest}");
    hub.ask("POST", &path).header("Authorization", token).body(bytes).send().unwrap()
}

#[test]
fn a_publisher_keeps_no_more_than_its_quota() {
    let (hub, _, admin) = scene();
    hub.call(&admin, "POST", "/api/v1/publishers", Some(&json!({ "name": "acme" }))).unwrap();
    let quota = json!({ "quota_bytes": 1000, "registry_only": true });
    assert_eq!(hub.call(&admin, "PATCH", "/api/v1/publishers/acme", Some(&quota)).unwrap().status, 200);
    assert_eq!(push(&hub, &admin, "acme/a", &[1; 600]).status, 201);
    assert_eq!(push(&hub, &admin, "acme/b", &[1; 600]).status, 201, "what is there already takes no room");
    let over = push(&hub, &admin, "acme/a", &[2; 401]);
    assert_eq!((over.status, over.code().as_str()), (403, "DENIED"));
    assert!(over.text().contains("may hold 1000 bytes, and would hold 1001"), "{}", over.text());
    assert_eq!(push(&hub, &admin, "acme/a", &[3; 400]).status, 201);
    let digest = it::hex(&Sha256::digest([3; 400]));
    let gone = hub.call(&admin, "DELETE", &format!("/v2/acme/a/blobs/sha256:{digest}"), None).unwrap();
    assert_eq!(gone.status, 202, "{}", gone.text());
    assert_eq!(push(&hub, &admin, "acme/a", &[2; 400]).status, 201, "there is room again");
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let hub = Hub::start_with("[limits]\nrequests_per_minute = 20\n[access]\n").unwrap();
    let replies: Vec<it::Reply> = (0..25).map(|_| hub.get("/v2/").unwrap()).collect();
    let late = replies.iter().find(|reply| reply.status == 429).unwrap();
    assert_eq!(late.code(), "TOOMANYREQUESTS");
    assert!(late.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    let api = hub.get("/api/v1/publishers").unwrap();
    assert_eq!((api.status, api.header("content-type")), (429, Some("application/problem+json")));
}

#[test]
fn a_trusted_proxy_says_where_requests_come_from_and_nobody_else_does() {
    let wrong = |hub: &Hub, from: &str| {
        let form = "grant_type=password&username=boss&password=a+wrong+password";
        let ask = hub.ask("POST", "/v2/token").header("X-Forwarded-For", from);
        ask.header("Content-Type", "application/x-www-form-urlencoded").body(form).send().unwrap().status
    };
    let hub = Hub::start_with("[proxy]\ntrusted = ['127.0.0.0/8']\n[access]\n").unwrap();
    let statuses = |hub: &Hub| (0..12).map(|_| wrong(hub, "192.0.2.1")).collect::<Vec<_>>();
    assert_eq!(statuses(&hub).last(), Some(&429));
    // The account waits too, so another one is tried from elsewhere.
    let elsewhere = hub.ask("POST", "/v2/token").header("X-Forwarded-For", "192.0.2.2");
    let form = "grant_type=password&username=other&password=a+wrong+password";
    let elsewhere = elsewhere.header("Content-Type", "application/x-www-form-urlencoded").body(form);
    assert_eq!(elsewhere.send().unwrap().status, 401);
    let open = Hub::start_with("[access]\n").unwrap();
    let spread: Vec<u16> = (0..12).map(|at| wrong(&open, &format!("192.0.2.{at}"))).collect();
    assert_eq!(spread.last(), Some(&429), "what strangers say does not count");
}

#[test]
fn a_certificate_is_exchanged_while_the_hub_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("hub.pem"), folder.path().join("hub.key"));
    let make = |name: &str| {
        let (certificate, key) = (certificate.display(), key.display());
        let subject = format!("-subj /CN={name} -addext subjectAltName=IP:127.0.0.1");
        let line = "openssl req -x509 -newkey ed25519 -nodes -days 2";
        run(&format!("{line} {subject} -keyout {key} -out {certificate}")).unwrap();
    };
    make("before.example");
    let settings =
        format!("[tls]\ncertificate = '{}'\nkey = '{}'\n[access]\n", certificate.display(), key.display());
    let hub = Hub::start_with(&settings).unwrap();
    let address = hub.address();
    let subject = || {
        let line = format!("curl -sk -o /dev/null -w %{{certs}} https://{address}/healthz");
        run(&line).unwrap()
    };
    assert!(subject().contains("before.example"), "{}", subject());
    assert!(hub.get("/healthz").is_err(), "nothing is served without TLS");
    make("after.example");
    hub.wait("the new certificate is shown", || subject().contains("after.example"));
    fs::write(&certificate, "nonsense").unwrap();
    hub.wait("the nonsense is told", || hub.log().contains("the certificate of before stays in force"));
    assert!(subject().contains("after.example"));
}

#[test]
fn policies_are_read_again_and_those_that_are_none_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.cedar");
    fs::write(&file, "").unwrap();
    let hub = Hub::start_with(&format!("[access]\npolicies = ['{}']\n", file.display())).unwrap();
    let status = || hub.get("/api/v1/publishers").unwrap().status;
    assert_eq!(status(), 200);
    fs::write(&file, r#"forbid (principal == Account::"", action, resource);"#).unwrap();
    hub.wait("the policy is in force", || status() == 401);
    fs::write(&file, "forbid (principal, action, resource").unwrap();
    hub.wait("the half policy is told", || hub.log().contains("those of before count"));
    assert_eq!(status(), 401);
}

/// Others are let in while somebody says nothing.
#[test]
fn a_client_that_says_nothing_is_let_go() {
    let hub = Hub::start_with("[limits]\nconnections = 1\nread_seconds = 1\n[access]\n").unwrap();
    let silent = std::net::TcpStream::connect(hub.address()).unwrap();
    assert_eq!(hub.get("/healthz").unwrap().status, 200);
    drop(silent);
    let boss: Person = hub.administrator().unwrap();
    let slow = hub.ask("POST", "/api/v1/tokens").header("Authorization", &boss.basic());
    let slow = slow.header("Content-Type", "application/json").broken_off(100, "{").send().unwrap();
    assert!([400, 408].contains(&slow.status), "{} {}", slow.status, slow.text());
    hub.token(&boss, &ALL).unwrap();
}
