// SPDX-License-Identifier: Apache-2.0
//! Clients of registries log in by the token protocol: skopeo, and our own.

use std::fs;
use std::path::Path;

use it::{Hub, binary, run};
use serde_json::json;

use super::{ALL, scene};
use crate::packages;

/// A hub whose publisher `acme` has an ordinary registry for its members only, and the token of its owner.
fn private() -> (Hub, String, String) {
    let (hub, _, admin) = scene();
    let alice = hub.add_account(&admin, "alice", "contributor").unwrap();
    let token = hub.token(&alice, &ALL).unwrap();
    hub.call(&token, "POST", "/api/v1/publishers", Some(&json!({ "name": "acme" }))).unwrap();
    let settings = json!({ "registry_only": true, "private": true });
    assert_eq!(hub.call(&admin, "PATCH", "/api/v1/publishers/acme", Some(&settings)).unwrap().status, 200);
    let push = hub.token(&alice, &["repository:acme/*:pull,push"]).unwrap();
    (hub, admin, push.trim_start_matches("Bearer ").to_owned())
}

/// Logs in with skopeo, which keeps the login in a file.
fn log_in(hub: &Hub, user: &str, secret: &str, file: &Path) -> anyhow::Result<String> {
    let (file, address) = (file.display(), hub.address());
    run(&format!("skopeo login --tls-verify=false --authfile {file} -u {user} -p {secret} {address}"))
}

#[test]
fn clients_log_in_and_reach_what_is_private_beside_what_is_public() {
    let (hub, admin, secret) = private();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("auth.json");
    assert!(log_in(&hub, "alice", "l3af_nonsense", &file).is_err());
    log_in(&hub, "alice", &secret, &file).unwrap();

    let reference = hub.reference("acme/sanity:1");
    let (l3af, from) = (binary("l3af").unwrap().display().to_string(), packages().path("sanity"));
    assert!(run(&format!("{l3af} push {from} {reference}")).is_err(), "nobody pushes there without a login");
    let with = format!("--authfile {}", file.display());
    run(&format!("{l3af} push {from} {reference} {with}")).unwrap();
    let copy = "skopeo copy --all --src-tls-verify=false --dest-tls-verify=false";
    run(&format!("{copy} {with} docker://{reference} docker://{}", hub.reference("acme/copied:1"))).unwrap();
    let inspect =
        |with: &str| run(&format!("skopeo inspect --raw --tls-verify=false {with} docker://{reference}"));
    inspect(&with).unwrap();
    assert!(inspect("--no-creds").is_err(), "it is private");
    let none = hub.get("/v2/acme/sanity/manifests/1").unwrap();
    assert_eq!((none.status, none.code().as_str()), (401, "UNAUTHORIZED"));

    let output = folder.path().join("pulled");
    let pull = |with: &str| run(&format!("{l3af} pull {reference} --output {} {with}", output.display()));
    assert!(pull("").is_err());
    pull(&with).unwrap();
    fs::remove_dir_all(&output).unwrap();
    assert_eq!(
        hub.call(&admin, "PATCH", "/api/v1/publishers/acme", Some(&json!({ "private": false })))
            .unwrap()
            .status,
        200
    );
    inspect("--no-creds").unwrap();
    pull("").unwrap();
}

#[test]
fn a_challenge_names_what_was_asked_for_and_nothing_else() {
    let (hub, _, secret) = private();
    let challenge = |method: &str, path: &str| {
        let reply = hub.ask(method, path).body("").send().unwrap();
        assert_eq!(reply.status, 401, "{method} {path}: {}", reply.text());
        reply.header("www-authenticate").unwrap().to_owned()
    };
    let general = format!("Bearer realm=\"{}/v2/token\",service=\"{}\"", hub.url(), hub.address());
    assert_eq!(challenge("GET", "/v2/"), general, "who is not told here never logs in");
    for (method, path, scope) in [
        ("GET", "/v2/acme/a/b/manifests/1", "repository:acme/a/b:pull"),
        ("POST", "/v2/acme/a/blobs/uploads/", "repository:acme/a:pull,push"),
        ("DELETE", "/v2/acme/a/manifests/1", "repository:acme/a:delete"),
        ("GET", "/v2/nobody/here/tags/list", "repository:nobody/here:pull"),
    ] {
        assert_eq!(challenge(method, path), format!("{general},scope=\"{scope}\""));
    }
    let with = |path: &str| hub.call(&format!("Bearer {secret}"), "GET", path, None).unwrap();
    assert_eq!(with("/v2/").status, 200);
    let denied = with("/v2/nobody/here/tags/list");
    assert_eq!((denied.status, denied.code().as_str()), (403, "DENIED"));
    assert!(denied.text().contains("rule `token-scope`"), "{}", denied.text());
}

#[test]
fn who_need_not_log_in_is_not_told_to() {
    let hub = Hub::start().unwrap();
    assert_eq!(hub.get("/v2/").unwrap().status, 200);
    let wrong = hub.call("Bearer l3af_nonsense", "GET", "/v2/", None).unwrap();
    assert_eq!((wrong.status, wrong.code().as_str()), (401, "UNAUTHORIZED"));
}

#[test]
fn l3af_login_puts_a_token_where_other_clients_find_it() {
    let (hub, boss, _) = scene();
    let folder = tempfile::tempdir().unwrap();
    let (secret, file) = (folder.path().join("secret"), folder.path().join("auth.json"));
    fs::write(&secret, format!("{}\n", boss.password)).unwrap();
    let l3af = binary("l3af").unwrap();
    let log_in = |more: &str| {
        let (l3af, address) = (l3af.display(), hub.address());
        let files = format!("--password-file {} --authfile {}", secret.display(), file.display());
        run(&format!("{l3af} login {address} --user boss {files} {more}"))
    };
    log_in("--scope repository:boss/*:pull --expires 2099-01-01T00:00:00Z").unwrap();
    let kept = fs::read_to_string(&file).unwrap();
    assert!(!kept.contains(&boss.password) && kept.contains(&hub.address().to_string()), "{kept}");
    run(&format!(
        "skopeo login --tls-verify=false --get-login --authfile {} {}",
        file.display(),
        hub.address()
    ))
    .unwrap();
    let refused = log_in("--scope everything").unwrap_err();
    assert!(format!("{refused:?}").contains("`everything` is no scope"), "{refused:?}");
    fs::write(&secret, "a wrong password of boss").unwrap();
    let refused = log_in("").unwrap_err();
    assert!(format!("{refused:?}").contains("nobody has this handle with this password"), "{refused:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), kept);
}
