// SPDX-License-Identifier: Apache-2.0
//! Logins that are not let in: what a browser brings that was not sent for it, and tokens that do not count.

use it::Browser;
use serde_json::{Value, json};

use super::{OWN, Scene, now};

#[test]
fn what_a_browser_brings_back_counts_once_and_in_that_browser() {
    let scene = Scene::new();
    let mut browser = Browser::default();
    let back = scene.bring_back(&mut browser, "alice");
    // Whoever is led to it without having begun is not logged in as somebody else.
    let mut victim = Browser::default();
    assert_eq!(victim.open(&back).unwrap().reply.status, 400);
    let began = victim.open(&format!("{}/login/corp", scene.hub.url())).unwrap();
    assert_eq!(began.reply.status, 303);
    assert_eq!(victim.open(&back).unwrap().reply.status, 400, "of another browser");
    assert!(victim.cookie(&scene.hub.url(), "l3af_session").is_none());
    let (head, state) = back.split_once("state=").unwrap();
    let end = state.find('&').map_or("", |at| &state[at..]);
    let guessed = format!("{head}state=l3af_guessed{end}");
    assert_eq!(browser.open(&guessed).unwrap().reply.status, 400);
    assert_eq!(browser.clone().open(&back).unwrap().reply.status, 303);
    let again = browser.open(&back).unwrap().reply;
    assert!(again.status == 400 && again.text().contains("was used, or is too old"), "{}", again.text());
}

#[test]
fn an_answer_of_another_issuer_and_one_that_says_no_let_nobody_in() {
    let scene = Scene::new();
    let mut browser = Browser::default();
    let back = scene.bring_back(&mut browser, "alice");
    assert!(back.contains("&iss="), "{back}");
    let head = back.split("&iss=").next().unwrap();
    for mixed in [head.to_owned(), format!("{head}&iss=https%3A%2F%2Fevil.example")] {
        let mut browser = browser.clone();
        let reply = browser.open(&mixed).unwrap().reply;
        assert!(reply.status == 401 || reply.status == 400, "{}", reply.text());
    }
    let mut browser = Browser::default();
    let page = browser.follow(&format!("{}/login/corp", scene.hub.url())).unwrap();
    let abort = format!("{}/abort", page.url);
    let page = browser.follow(&abort).unwrap();
    assert!(page.reply.status == 401 && page.reply.text().contains("access_denied"), "{}", page.reply.text());
    assert_eq!(scene.hub.get("/login/nobody").unwrap().status, 404);
}

#[test]
fn nobody_is_sent_to_another_site_after_a_login() {
    let scene = Scene::new();
    for next in ["//evil.example/", "https://evil.example/", "/%5Cevil.example"] {
        let mut browser = Browser::default();
        let page = browser.follow(&format!("{}/login/corp?next={next}", scene.hub.url())).unwrap();
        let page = scene.provider.log_in(&mut browser, page, "alice", |url| url.contains("evil")).unwrap();
        assert!(page.url.starts_with(&scene.hub.url()), "{}", page.url);
    }
}

#[test]
fn a_token_that_does_not_count_lets_nobody_in() {
    let scene = Scene::new();
    let refused = |twist: &Value| {
        scene.provider.twist(twist).unwrap();
        let reply = scene.log_in(&mut Browser::default(), "alice", OWN).reply;
        assert_eq!(reply.status, 401, "{twist}: {}", reply.text());
        reply.text()
    };
    for (twist, words) in [
        (json!({ "set": { "nonce": "another" } }), "its `nonce` differs"),
        (json!({ "set": { "aud": "another" } }), "it is not meant for `hub`"),
        (json!({ "set": { "aud": ["hub", "another"] } }), "it is for several"),
        (json!({ "set": { "azp": "another" } }), "another client"),
        (json!({ "set": { "iss": "https://evil.example" } }), "it is not of"),
        (json!({ "set": { "exp": now() - 31 } }), "it has expired"),
        (json!({ "set": { "exp": "never" } }), "no `exp`"),
        (json!({ "set": { "nbf": now() + 600 } }), "it does not count yet"),
        (json!({ "set": { "iat": now() + 600 } }), "it does not count yet"),
        (json!({ "key": "none" }), "the token does not count"),
        (json!({ "key": "stranger" }), "no key of its issuer signed it"),
        (json!({ "header": { "kid": "unknown" } }), "no key of its issuer signed it"),
    ] {
        let told = refused(&twist);
        assert!(told.replace("&#39;", "'").contains(words), "{twist}: {told}");
    }
    // Clocks may be a little apart.
    scene.provider.twist(&json!({ "set": { "exp": now() - 5 } })).unwrap();
    assert_eq!(scene.log_in(&mut Browser::default(), "alice", OWN).reply.status, 200);
}

#[test]
fn a_new_key_of_the_issuer_is_found_and_the_old_one_counts_no_more() {
    let scene = Scene::new();
    assert_eq!(scene.log_in(&mut Browser::default(), "alice", OWN).reply.status, 200);
    scene.provider.rotate().unwrap();
    // Whatever comes, the issuer is not asked all the time.
    scene.hub.wait("the new key is found", || {
        scene.log_in(&mut Browser::default(), "alice", OWN).reply.status == 200
    });
}

#[test]
fn a_hub_says_so_when_its_issuer_does_not_answer() {
    let mut scene = Scene::new();
    let real = scene.provider.issuer.clone();
    scene.hub.settings = scene.hub.settings.replace(&real, "http://127.0.0.1:9");
    scene.hub.restart().unwrap();
    let reply = scene.hub.get("/login/corp").unwrap();
    assert!(reply.status == 502 && reply.text().contains("gives no answer"), "{}", reply.text());
    scene.hub.settings = scene.hub.settings.replace("http://127.0.0.1:9", "http://issuer.example.org");
    assert!(scene.hub.restart().unwrap_err().to_string().contains("must be an `https://` URL"));
}
