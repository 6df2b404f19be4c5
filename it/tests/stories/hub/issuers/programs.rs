// SPDX-License-Identifier: Apache-2.0
//! `l3af login` by a browser: on the same machine, and elsewhere.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use it::{Browser, Page};
use serde_json::{Value, json};

use super::{OWN, Scene};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Somebody who is logged in in a browser.
fn alice(scene: &Scene) -> Browser {
    let mut browser = Browser::default();
    assert_eq!(scene.log_in(&mut browser, "alice", OWN).reply.status, 200);
    browser
}

/// Runs `l3af login` until it says an address or a code, which is the last word of a line with these words.
fn started(scene: &Scene, file: &str, arguments: &[&str], words: &str) -> (Child, String) {
    let (mut command, _) = scene.login(file, &[&["--browser", "/bin/true"], arguments].concat());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let line = lines.by_ref().map(Result::unwrap).find(|line| line.contains(words)).unwrap();
    (child, line.split_whitespace().last().unwrap().to_owned())
}

/// Where a program of this machine, that listens nowhere, sends a browser.
fn wish(scene: &Scene, redirect_uri: &str) -> String {
    let uri = it::escaped(redirect_uri);
    format!(
        "{}/oauth/authorize?response_type=code&client_id=l3af&redirect_uri={uri}&scope=api:read&state=s\
         &code_challenge={CHALLENGE}&code_challenge_method=S256",
        scene.hub.url()
    )
}

/// The page on which somebody decides.
fn asked(browser: &mut Browser, url: &str) -> Page {
    let page = browser.open(url).unwrap();
    assert!(page.reply.text().contains("Let it in"), "{} {}", page.reply.status, page.reply.text());
    page
}

#[test]
fn a_browser_of_the_same_machine_lets_the_command_line_in() {
    let scene = Scene::new();
    let (child, url) = started(&scene, "a.json", &["--scope", "api:read"], "/oauth/authorize?");
    let file = scene.hub.configuration().with_file_name("a.json");
    // Nobody is logged in yet: the login leads back.
    let mut browser = Browser::default();
    let login = browser.open(&url).unwrap().reply.text();
    let way = login.split("href=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let page = browser.follow(&format!("{}{way}", scene.hub.url())).unwrap();
    let page = scene.provider.log_in(&mut browser, page, "alice", |_| false).unwrap();
    let text = page.reply.text();
    assert!(text.contains("<strong>alice</strong>") && text.contains("<code>api:read</code>"), "{text}");
    let policy = page.reply.header("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' http://127.0.0.1:"), "{policy}");
    let sent = browser.submit(&page, &[("decision", "allow")]).unwrap();
    let end = browser.follow(&sent.leads_to().unwrap()).unwrap();
    assert!(end.reply.text().contains("l3af is let in"), "{}", end.reply.text());
    assert!(child.wait_with_output().unwrap().status.success());
    let kept = scene.kept(&file);
    let own = scene.call(&kept, ("GET", OWN), &Value::Null, 200);
    assert_eq!((&own["handle"], &own["scopes"]), (&json!("alice"), &json!(["api:read"])));
    scene.call(&kept, ("POST", "/api/v1/tokens"), &json!({ "name": "a", "scopes": ["api:read"] }), 403);
}

#[test]
fn a_program_that_is_not_let_in_is_told_so() {
    let scene = Scene::new();
    let (child, url) = started(&scene, "b.json", &[], "/oauth/authorize?");
    let mut browser = alice(&scene);
    let page = asked(&mut browser, &url);
    let sent = browser.submit(&page, &[("decision", "deny")]).unwrap();
    // What is not for this login leads to nothing.
    let place = sent.leads_to().unwrap();
    assert_eq!(browser.open(&place.replace("state=", "state=x")).unwrap().reply.status, 404);
    browser.open(&place).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(!scene.hub.configuration().with_file_name("b.json").exists());
}

#[test]
fn a_code_counts_once_and_for_the_program_that_asked() {
    let scene = Scene::new();
    let mut browser = alice(&scene);
    let place = "http://127.0.0.1:1/x";
    let mut code = || {
        let page = asked(&mut browser, &wish(&scene, place));
        let sent = browser.submit(&page, &[("decision", "allow")]).unwrap().leads_to().unwrap();
        assert!(sent.starts_with(place) && sent.contains("state=s"), "{sent}");
        sent.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    };
    let redeem = |code: &str, verifier: &str, place: &str, status| {
        let pairs = [("grant_type", "authorization_code"), ("client_id", "l3af"), ("code", code)];
        let more = [("code_verifier", verifier), ("redirect_uri", place)];
        scene.grant(&[&pairs[..], &more[..]].concat(), status)
    };
    let first = code();
    redeem(&first, &"x".repeat(43), place, 400);
    redeem(&first, "", place, 400);
    redeem(&first, VERIFIER, "http://127.0.0.1:2/x", 400);
    let given = redeem(&first, VERIFIER, place, 200);
    assert_eq!(given["scope"], "api:read");
    assert_eq!(redeem(&first, VERIFIER, place, 400)["error"], "invalid_grant");
    redeem("l3af_guessed", VERIFIER, place, 400);
    let second = code();
    scene.call(&scene.admin, ("PATCH", "/api/v1/accounts/alice"), &json!({ "closed": true }), 200);
    redeem(&second, VERIFIER, place, 400);
}

#[test]
fn codes_are_sent_to_this_machine_only_and_for_what_there_is() {
    let scene = Scene::new();
    let mut browser = alice(&scene);
    for place in ["https://evil.example/", "http://localhost:1/", "http://127.0.0.1.evil.example:1/", "/", ""]
    {
        let page = browser.open(&wish(&scene, place)).unwrap();
        assert_eq!((page.reply.status, page.leads_to()), (400, None), "{place}");
    }
    let good = wish(&scene, "http://127.0.0.1:1/x");
    for (from, to, error) in [
        ("client_id=l3af", "client_id=other", "invalid_client"),
        ("response_type=code", "response_type=token", "invalid_request"),
        ("method=S256", "method=plain", "invalid_request"),
        (CHALLENGE, "short", "invalid_request"),
        ("scope=api:read", "scope=everything", "invalid_scope"),
        ("scope=api:read", "scope=", "invalid_scope"),
    ] {
        let told = browser.open(&good.replace(from, to)).unwrap().leads_to().unwrap();
        assert!(told.contains(&format!("error={error}")) && told.contains("state=s"), "{told}");
    }
    // A page of another site decides nothing.
    let cookie = format!("l3af_session={}", browser.cookie(&scene.hub.url(), "l3af_session").unwrap());
    let foreign = scene.hub.ask("POST", "/oauth/authorize").header("Cookie", &cookie);
    assert_eq!(foreign.header("Origin", "https://evil.example").body("").send().unwrap().status, 403);
    let metadata = scene.hub.get("/.well-known/oauth-authorization-server").unwrap().json().unwrap();
    assert_eq!(metadata["issuer"], scene.hub.url());
}

#[test]
fn a_machine_without_a_browser_waits_until_somebody_lets_it_in() {
    let scene = Scene::new();
    let (child, url) = started(&scene, "c.json", &["--device", "--scope", "api:read"], "user_code=");
    let mut browser = alice(&scene);
    let page = asked(&mut browser, &url);
    assert!(page.reply.text().contains("A machine at <strong>127."), "{}", page.reply.text());
    let done = browser.submit(&page, &[("decision", "allow")]).unwrap();
    assert!(done.reply.text().contains("The machine is let in"), "{}", done.reply.text());
    assert_eq!(
        browser.submit(&page, &[("decision", "allow")]).unwrap().reply.status,
        404,
        "it waits no more"
    );
    assert!(child.wait_with_output().unwrap().status.success());
    let kept = scene.kept(&scene.hub.configuration().with_file_name("c.json"));
    assert_eq!(scene.call(&kept, ("GET", OWN), &Value::Null, 200)["handle"], "alice");
}

#[test]
fn a_machine_that_asks_too_often_is_slowed_down_and_one_that_is_denied_told_so() {
    let scene = Scene::new();
    let form = "application/x-www-form-urlencoded";
    let ask_for = |body: &str| {
        scene.hub.ask("POST", "/oauth/device").header("Content-Type", form).body(body).send().unwrap()
    };
    assert_eq!(ask_for("client_id=other&scope=admin").status, 401);
    assert_eq!(ask_for("client_id=l3af&scope=everything").status, 400);
    let begun = ask_for("client_id=l3af&scope=api:read").json().unwrap();
    assert_eq!((&begun["interval"], &begun["expires_in"]), (&json!(5), &json!(600)));
    let device = begun["device_code"].as_str().unwrap();
    let poll = |status| {
        let pairs = [("grant_type", DEVICE_CODE), ("client_id", "l3af"), ("device_code", device)];
        scene.grant(&pairs, status)["error"].clone()
    };
    assert_eq!(poll(400), "authorization_pending");
    assert_eq!(poll(400), "slow_down");
    let mut browser = alice(&scene);
    let typed = begun["user_code"].as_str().unwrap().to_lowercase().replace('-', "");
    let page = asked(&mut browser, &format!("{}/device?user_code={typed}", scene.hub.url()));
    let done = browser.submit(&page, &[("decision", "deny")]).unwrap();
    assert!(done.reply.text().contains("The machine is not let in"), "{}", done.reply.text());
    assert_eq!(poll(400), "access_denied");
    assert_eq!(poll(400), "invalid_grant", "it is known no more");
}

#[test]
fn who_guesses_codes_of_machines_has_to_wait() {
    let scene = Scene::new();
    let mut browser = alice(&scene);
    let mut guess = |code: &str| {
        browser.open(&format!("{}/device?user_code={code}", scene.hub.url())).unwrap().reply.status
    };
    assert_eq!(guess("no+code"), 404);
    for _ in 0..11 {
        assert_eq!(guess("BCDF-GHJK"), 404);
    }
    assert_eq!(guess("BCDF-GHJK"), 429);
}
