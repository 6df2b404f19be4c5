// SPDX-License-Identifier: Apache-2.0
//! A job of CI that publishes, from the token of its service to a release.

use std::time::{SystemTime, UNIX_EPOCH};

use it::OidcProvider;
use serde_json::json;

use super::{Scene, version};
use crate::packages;

#[expect(clippy::disallowed_methods, reason = "the hub under test has this very clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_job_publishes_with_what_its_service_gives_it() {
    let mut scene = Scene::without_reviewers();
    let provider = OidcProvider::start(&["http://127.0.0.1:1/".to_owned()]).unwrap();
    let issuer = &provider.issuer;
    let lines = format!("[[access.issuers]]\nname = 'ci'\nurl = '{issuer}'\npublishing = true\n");
    scene.hub.settings.push_str(&lines);
    scene.hub.restart().unwrap();
    let host = scene.host();
    let about = ["--claim", "repository=l3af/steady", "--package", "steady", "--title", "releases"];
    let trust = [&["publisher", "trust", "l3af", "--issuer", issuer, "--hub", &host], &about[..]].concat();
    let rule = scene.l3af("anna", &trust).trim().to_owned();
    let listed = scene.l3af("anna", &["publisher", "trusted", "l3af", "--hub", &host]);
    assert!(listed.contains("releases") && listed.contains("repository=l3af/steady"), "{listed}");
    let everybody = ["publisher", "trust", "l3af", "--issuer", issuer, "--claim", "ref=main", "--hub", &host];
    assert!(scene.ran("anna", &everybody).success().is_err());
    let claims = json!({
        "iss": issuer, "aud": scene.hub.url(), "sub": "1", "repository": "l3af/steady", "exp": now() + 300,
    });
    let token = provider.sign(&json!({ "claims": claims })).unwrap();
    scene.l3af("job", &["login", &scene.host(), "--ci", "--id-token", &token]);
    let to = scene.hub.reference("l3af/steady");
    let pushed = scene.ran("job", &["push", &version("1.0.0"), &to]);
    assert!(pushed.stderr.contains("it is released"), "{}", pushed.stderr);
    assert_eq!(scene.manifest("steady:1.0.0"), 200);
    let elsewhere =
        scene.ran("job", &["push", &packages().path("sanity"), &scene.hub.reference("l3af/sanity")]);
    assert!(elsewhere.success().is_err());
    scene.l3af("anna", &["publisher", "distrust", "l3af", &rule, "--hub", &host]);
    assert!(scene.ran("job", &["push", &version("1.0.1"), &to]).success().is_err());
}
