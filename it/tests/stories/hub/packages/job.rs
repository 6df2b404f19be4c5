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
    let rule = json!({
        "name": "releases", "issuer": issuer, "claims": { "repository": "l3af/steady" },
        "scopes": ["repository:l3af/steady:pull,push"],
    });
    let made =
        scene.hub.call(&scene.token("anna"), "POST", "/api/v1/publishers/l3af/publishing-rules", Some(&rule));
    assert_eq!(made.unwrap().status, 201);
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
}
